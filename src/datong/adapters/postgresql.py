"""PostgreSQL (and databases that speak its protocol) as a source and as a target, over ADBC.

Every select list is generated with explicit casts: ADBC hands `numeric` out as opaque text, so decimals travel as text
and are parsed exactly; infinite dates, which nobody else knows, make the statement fail instead of wrapping round.
Rows go in through a temporary table of plain types and are cast by PostgreSQL itself.
"""

import re
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import adbc_driver_manager
import adbc_driver_postgresql.dbapi
import pyarrow as pa
import pyarrow.compute as pc
from adbc_driver_manager.dbapi import Connection

from datong.adapters.comparison import ComparedInside, Comparison
from datong.adapters.conversion import (
    chosen_columns,
    far_times,
    may_hold_nul,
    no_table,
    not_lossless,
    null_in_order,
    order_columns,
    readable,
    rebatched,
    rows_where,
    sliced,
    unreadable,
)
from datong.adapters.postgresql_catalog import (
    INSPECT,
    REFERENCES,
    column_type,
    inspect_statements,
    literal,
    moment,
    quoted,
    relation,
    sample_statement,
    table_schemas,
)
from datong.adapters.postgresql_ranges import RangeStatements, row_text
from datong.adapters.postgresql_target import INTERCHANGEABLE, SAME_COLUMNS, STORED_COLUMNS, UNIQUE, lock_statement
from datong.adapters.sql_letters import DEAD_LETTERS, ensure_letters, open_letters
from datong.adapters.sql_shape import layouts
from datong.adapters.sql_target import (
    CURSORS,
    SqlTarget,
    apply_batch,
    is_internal,
    last_applied,
)
from datong.adapters.sql_transaction import INCOMING, NUMBER, SqlTransaction, StoredColumn
from datong.exchange import (
    Applied,
    AppliedCursor,
    Column,
    ContentDigest,
    LookupQuery,
    Manifest,
    RangeQuery,
    ReadQuery,
    TableSchema,
    TargetPlan,
    arrow_schema,
    content_digest,
    decimal_parameters,
)
from datong.kernel import TaskId, Text, Unavailable

DIGEST_ROWS = 100_000
SAMPLE_SECONDS_MAX = 120
IDLE_CONNECTIONS_MAX = 4
LINK_LIMITS = {
    "connect_timeout": "15",
    "keepalives_idle": "20",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
"""Parameters of libpq: seconds, but the last, in milliseconds."""
_TARGET_TYPES = {
    "boolean": "boolean",
    "int64": "bigint",
    "uint64": "numeric(20,0)",
    "float32": "real",
    "float64": "double precision",
    "string": "text",
    "binary": "bytea",
    "date": "date",
    "time": "time",
    "timestamp": "timestamp",
    "timestamp_utc": "timestamptz",
}
_FORMATTED = {
    "time": "time without time zone",
    "timestamp": "timestamp without time zone",
    "timestamp_utc": "timestamp with time zone",
}
READ_BYTES_OPTION = "adbc.postgresql.batch_size_hint_bytes"
READ_BYTES = 4 * 1024 * 1024
"""The driver's own 16 MiB are fetched as fast, and cost a page fault for every page of them."""
RETIRED = "_datong_retired"
_TEXTS = ("text", "character varying")
_LOADED_AS_TEXT = {"uint64", "time"}
_PLACE = re.compile(r"\?")


def select_expression(column: Column) -> str:
    """Return the expression that reads `column` as its exchange type, or as text that is parsed exactly."""
    name = quoted(column.name)
    match column.type:
        case "date":
            safe = f"CASE WHEN isfinite({name}) THEN {name} ELSE ({name}::text || ' has no counterpart')::date END"
        case "timestamp" | "timestamp_utc":
            kind = "timestamptz" if column.type == "timestamp_utc" else "timestamp"
            safe = f"CASE WHEN isfinite({name}) THEN {name} ELSE ({name}::text || ' has no counterpart')::{kind} END"
        case "int64":
            safe = f"{name}::bigint"
        case "string" | "uint64":
            safe = f"{name}::text"
        case "boolean" | "binary" | "float32" | "float64" | "time":
            safe = name
        case _:
            safe = f"{name}::text"
    return f"{safe} AS {name}"


def with_link_limits(url: str) -> str:
    """Return `url` with bounds on a link that is dead without saying so; what the URL itself states stays.

    Without them, a statement whose server vanished (no reset ever comes) would keep a node waiting for ever.
    """
    parts = urlsplit(url)
    stated = dict(parse_qsl(parts.query, keep_blank_values=True))
    return urlunsplit(parts._replace(query=urlencode({**LINK_LIMITS, **stated}, quote_via=quote)))


class PostgresqlDatabase(ComparedInside, SqlTarget):
    """One PostgreSQL database, as Connector and as Target; tables are those of the current schema."""

    def __init__(self, url: str) -> None:
        self._url = with_link_limits(url)
        self._idle: deque[Connection] = deque()
        """A connection first reads every type of the database, so a crawl of many tables would mostly connect."""
        # Whoever forgets to close it leaves no connection behind.
        weakref.finalize(self, _close_all, self._idle)

    @property
    def name(self) -> str:
        """Host and database, without credentials."""
        return "postgresql:" + self._url.rsplit("@", 1)[-1].split("?", 1)[0]

    def close(self) -> None:
        """Close the connections that wait for the next call."""
        _close_all(self._idle)

    # As a source

    def inspect(self) -> list[TableSchema]:
        """Return every table and view of every schema that the user may use, those of the current schema first."""
        return self._inspected(INSPECT, REFERENCES)

    def schema(self, table: str) -> TableSchema | None:
        """Return one table or view."""
        return next((found for found in self._inspected(*inspect_statements(table)) if found.table == table), None)

    def sample(self, schema: TableSchema, rows_max: int) -> pa.RecordBatchReader:
        """Return a sample by pages (`TABLESAMPLE SYSTEM`) as text; a view that takes too long is given up."""
        texts = tuple(column.model_copy(update={"type": "string"}) for column in schema.columns)
        statement = sample_statement(schema, rows_max)
        batches = self._stream(schema.table, statement, texts, seconds_max=SAMPLE_SECONDS_MAX, keep=True)
        failures = (adbc_driver_manager.Error, pa.ArrowException, OSError)
        return rebatched(readable(schema.table, batches, failures), arrow_schema(texts), rows_max)

    def newest(self, table: str, column: str) -> datetime | None:
        """Return the largest moment in `column`; a date counts from its midnight in UTC."""
        name = quoted(column)
        with self._open(keep=True) as connection:
            _PostgresqlTransaction(connection).execute(f"SET statement_timeout = '{SAMPLE_SECONDS_MAX}s'")
            try:
                found = _PostgresqlTransaction(connection).execute(
                    f"SELECT extract(epoch FROM max({name})::timestamptz) FROM {relation(table)} WHERE isfinite({name})"
                )
            except adbc_driver_manager.Error as error:
                raise unreadable(table, error) from error
        return moment(found[0][0])

    def read(self, query: ReadQuery) -> pa.RecordBatchReader:
        """Return the rows after the query's cursor, in its order; one statement, so one state of the database."""
        known = self._columns(query.table)
        columns = chosen_columns(query.table, known, query.columns)
        order = order_columns(known, query)
        statement = (
            f"SELECT {', '.join(select_expression(column) for column in columns)} FROM {relation(query.table)} AS t"
        )
        if order:
            self._refuse_nulls(query.table, [column.name for column in order if column.nullable])
            names = ", ".join(f"t.{quoted(name)}" for name in query.order)
            if query.after is not None:
                bounds = ", ".join(_typed(column, text) for column, text in zip(order, query.after.values, strict=True))
                statement += f" WHERE ({names}) > ({bounds})"
            statement += f" ORDER BY {names}"
        schema = arrow_schema(columns)
        return sliced(self._stream(query.table, statement, columns), schema, query.batch_rows)

    def count(self, table: str) -> int:
        """Return the number of rows of `table`."""
        with self._open() as connection:
            return int(str(_PostgresqlTransaction(connection).execute(f"SELECT count(*) FROM {relation(table)}")[0][0]))

    def digest(self, table: str, columns: tuple[Column, ...]) -> ContentDigest:
        """Return the content digest of `table` on `columns`."""
        names = ", ".join(select_expression(column) for column in columns)
        return content_digest(self._stream(table, f"SELECT {names} FROM {relation(table)}", columns), columns)

    def lookup(self, query: LookupQuery) -> pa.Table:
        """Return the rows with a key's value, over a connection that is kept for the next call."""
        names = ", ".join(select_expression(column) for column in query.columns)
        key, kind = quoted(query.key_column), query.key.source_type
        if query.key.type != "string":
            condition = f"{key} = ($1::text)::{kind}"
        else:
            # A cast to varchar(n) would cut the value off and meet another row.
            condition = f"{key if kind.startswith(_TEXTS) else key + '::text'} = $1::text"
        statement = f"SELECT {names} FROM {relation(query.table)} WHERE {condition} LIMIT {query.rows_max}"
        schema = arrow_schema(query.columns)
        try:
            with self._open(keep=True) as connection, connection.cursor() as cursor:
                cursor.execute(f"SET statement_timeout = {max(1, int(query.timeout_seconds * 1000))}")
                cursor.execute(statement, (query.key_value,))
                batches = [_typed_batch(query.table, one, query.columns, schema) for one in cursor.fetch_record_batch()]
        except adbc_driver_manager.DataError:
            return schema.empty_table()
        except adbc_driver_manager.Error as error:
            raise unreadable(query.table, error) from error
        return pa.Table.from_batches(batches, schema=schema)

    # As a target

    def prepare(self, plan: TargetPlan, columns: tuple[Column, ...]) -> None:
        """Create what is missing."""
        statements = [_definition(*layout) for layout in layouts(plan, columns)]
        statements.append(
            f"CREATE TABLE IF NOT EXISTS {CURSORS} (task_id text PRIMARY KEY, sequence bigint NOT NULL, "
            "batch_id text NOT NULL, manifest_digest text NOT NULL, rows_applied bigint NOT NULL, "
            "rows_rejected bigint NOT NULL, run bigint NOT NULL, applied_at text NOT NULL)"
        )
        statements.append(
            f"CREATE TABLE IF NOT EXISTS {DEAD_LETTERS} (task_id text NOT NULL, run bigint NOT NULL, "
            "sequence bigint NOT NULL, batch_id text NOT NULL, row_in_batch bigint NOT NULL, reason text NOT NULL, "
            "content text NOT NULL, rejected_at text NOT NULL, PRIMARY KEY (batch_id, row_in_batch))"
        )
        with self._open(keep=True) as connection:
            transaction = _PostgresqlTransaction(connection)
            # Two consumers that prepare at once would both try to create the same catalogue rows.
            transaction.execute("SELECT pg_advisory_xact_lock(1145132097)")
            for statement in statements:
                transaction.execute(statement)
            ensure_letters(transaction)
            connection.commit()

    def last_applied(self, task_id: TaskId) -> AppliedCursor | None:
        """Return the task's newest applied batch."""
        with self._open(keep=True) as connection:
            return last_applied(_PostgresqlTransaction(connection), task_id)

    def rejected(self, task_id: TaskId) -> int:
        """Return how many dead letters the task has."""
        with self._open(keep=True) as connection:
            return open_letters(_PostgresqlTransaction(connection), task_id)

    def apply(
        self,
        manifest: Manifest,
        reader: pa.RecordBatchReader,
        *,
        plan: TargetPlan,
        applied_at: datetime,
    ) -> Applied:
        """Apply one batch and move the cursor in one transaction."""
        batches = list(reader)

        def attempt(*, direct: bool) -> Applied:
            rows = pa.RecordBatchReader.from_batches(reader.schema, batches)
            with self._open(keep=True) as connection:
                transaction = _PostgresqlTransaction(connection, direct=direct)
                transaction.execute("SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", (manifest.task_id,))
                result = apply_batch(transaction, manifest, rows, plan=plan, applied_at=applied_at)
                connection.commit()
            return result

        try:
            return attempt(direct=True)
        except (adbc_driver_manager.DataError, adbc_driver_manager.IntegrityError):
            # The table refused a value, and the driver gives up a transaction at its first error: once more, the long
            # way, which finds the offending rows.
            return attempt(direct=False)

    # Inside

    def _inspected(self, inspect: str, references: str) -> list[TableSchema]:
        with self._open() as connection:
            transaction = _PostgresqlTransaction(connection)
            rows = transaction.execute(inspect)
            referring = transaction.execute(references)
        return table_schemas([row for row in rows if not is_internal(str(row[1]))], referring)

    @contextmanager
    def _changing(self) -> Iterator[SqlTransaction]:
        with self._open() as connection:
            yield _PostgresqlTransaction(connection, direct=False)
            connection.commit()

    def _connect(self) -> Connection:
        connection = adbc_driver_postgresql.dbapi.connect(self._url)
        transaction = _PostgresqlTransaction(connection)
        transaction.execute("SET standard_conforming_strings = on")
        transaction.execute("SET TimeZone = 'UTC'")
        connection.commit()
        return connection

    @contextmanager
    def _open(self, *, keep: bool = False) -> Iterator[Connection]:
        """A connection for one call; a crawl of many tables keeps it for the next one, until `close`."""
        try:
            connection = self._idle.pop() if self._idle else self._connect()
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            connection.rollback()
            if keep and len(self._idle) < IDLE_CONNECTIONS_MAX:
                self._idle.append(connection)
            else:
                connection.close()
        except adbc_driver_manager.OperationalError as error:
            raise Unavailable(
                "adapters.source_unavailable",
                what=Text(zh=f"数据源 {self.name} 无法访问。", en=f"The source {self.name} does not answer."),
                remedy=Text(zh="请检查数据库及网络。", en="Check the database and the network."),
            ) from error

    def _columns(self, table: str) -> tuple[Column, ...]:
        found = self.schema(table)
        if found is None:
            raise no_table(table)
        return found.columns

    def _stream(
        self, table: str, statement: str, columns: tuple[Column, ...], *, seconds_max: int = 0, keep: bool = False
    ) -> Iterator[pa.RecordBatch]:
        """Yield what `statement` returns; it may run `seconds_max`, or as long as it likes when that is 0."""
        with self._open(keep=keep) as connection:
            with connection.cursor() as cursor:
                cursor.execute(f"SET statement_timeout = '{seconds_max}s'")
            yield from self._batches(connection, table, statement, columns)

    @staticmethod
    def _batches(
        connection: Connection, table: str, statement: str, columns: tuple[Column, ...]
    ) -> Iterator[pa.RecordBatch]:
        schema = arrow_schema(columns)
        try:
            with connection.cursor() as cursor:
                cursor.adbc_statement.set_options(**{READ_BYTES_OPTION: str(READ_BYTES)})
                cursor.execute(statement)
                for batch in cursor.fetch_record_batch():
                    yield _typed_batch(table, batch, columns, schema)
        except (
            adbc_driver_manager.DataError,
            adbc_driver_manager.ProgrammingError,
            pa.ArrowException,
            OSError,
        ) as error:
            if "has no counterpart" not in str(error):
                raise
            reason = Text(zh="无穷日期没有对应的值。", en="an infinite date has no counterpart elsewhere.")
            raise not_lossless(table, "*", reason) from error

    @contextmanager
    def _comparison(self, query: RangeQuery) -> Iterator[Comparison]:
        actual = {column.name: column for column in self._columns(query.table)}
        chosen_columns(query.table, list(actual.values()), [column.name for column in query.columns])
        names = ", ".join(select_expression(column) for column in query.columns)
        newer = "false"
        if query.bounds:
            order = ", ".join(quoted(column.name) for column, _ in query.bounds)
            bounds = ", ".join(_typed(actual[column.name], text) for column, text in query.bounds)
            newer = f"coalesce(({order}) > ({bounds}), false)"
        row, key = row_text(query.columns, actual), row_text(query.keys, actual)
        statements = None if row is None or key is None else RangeStatements(query, row, key, newer)
        with self._open() as connection:
            transaction = _PostgresqlTransaction(connection)
            transaction.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            if str(transaction.execute("SELECT current_setting('server_encoding')")[0][0]) != "UTF8":
                statements = None

            def read(condition: str) -> Iterator[pa.RecordBatch]:
                statement = f"SELECT {names} FROM {relation(query.table)} WHERE {condition}"
                return self._batches(connection, query.table, statement, query.columns)

            yield Comparison(query, statements, transaction.execute, read)

    def _refuse_nulls(self, table: str, names: Sequence[str]) -> None:
        condition = " OR ".join(f"{quoted(name)} IS NULL" for name in names)
        if not condition:
            return
        with self._open() as connection:
            found = _PostgresqlTransaction(connection).execute(
                f"SELECT 1 FROM {relation(table)} WHERE {condition} LIMIT 1"
            )
        if found:
            raise null_in_order(table, names)


def _close_all(connections: deque[Connection]) -> None:
    while connections:
        connections.pop().close()


class _PostgresqlTransaction(SqlTransaction):
    """The transaction of one ADBC connection (autocommit is off: it begins with the first statement)."""

    def __init__(self, connection: Connection, *, direct: bool = True) -> None:
        self._connection = connection
        self._direct = direct

    def quote(self, name: str) -> str:
        return quoted(name)

    def stored_columns(self, table: str) -> list[StoredColumn]:
        return [
            StoredColumn(str(name), _stored_type(str(kind), str(declared)), str(declared), bool(required))
            for name, kind, declared, required in self.execute(STORED_COLUMNS, (quoted(table),))
        ]

    def has_unique(self, table: str, columns: Sequence[str]) -> bool:
        return bool(self.execute(UNIQUE, (quoted(table), chr(31).join(sorted(columns))))[0][0])

    def declared(self, column: Column) -> str:
        return _declared(column)

    def stored_type(self, name: str) -> str:
        return "decimal(20,0)" if name == "uint64" else name

    def widen(self, table: str, column: Column) -> None:
        self.execute(f"ALTER TABLE {quoted(table)} ALTER COLUMN {quoted(column.name)} TYPE {_declared(column)}")

    def has_table(self, table: str) -> bool:
        return self.execute("SELECT to_regclass(?)::text", (quoted(table),))[0][0] is not None

    def execute(self, statement: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        numbers = iter(range(1, len(values) + 1))
        placed = _PLACE.sub(lambda _: f"${next(numbers)}", statement) if values else statement
        with self._connection.cursor() as cursor:
            cursor.execute(placed, tuple(values) or None)
            return list(cursor.fetchall()) if cursor.description else []

    def faults(self, batch: pa.RecordBatch) -> dict[int, str]:
        result = far_times(batch)
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if pa.types.is_string(column.type) and may_hold_nul(column):
                for row in rows_where(pc.match_substring(column, "\0")):
                    result[row] = f"列 {name} 含 NUL 字符 / column {name}: a NUL character"
        return result

    def append(self, target: str, table: pa.Table, columns: tuple[Column, ...]) -> bool:
        names, types = (
            chr(31).join(texts) for texts in zip(*[(one.name, _formatted(one)) for one in columns], strict=True)
        )
        if (
            not self._direct
            or not self.execute(SAME_COLUMNS, (len(columns), quoted(target), names, types, names))[0][0]
        ):
            return False
        with self._connection.cursor() as cursor:
            cursor.adbc_ingest(target, table, mode="append")
        return True

    def clear(self, stage: str) -> None:
        self.execute(f"TRUNCATE {quoted(stage)}")

    def replace(self, target: str, stage: str, names: str) -> str | None:
        if not self._swappable(target, stage):
            return super().replace(target, stage, names)
        self.execute(f"ALTER TABLE {quoted(target)} RENAME TO {quoted(RETIRED)}")
        self.execute(f"ALTER TABLE {quoted(stage)} RENAME TO {quoted(target)}")
        self.execute(f"ALTER TABLE {quoted(RETIRED)} RENAME TO {quoted(stage)}")
        return None

    def _swappable(self, target: str, stage: str) -> bool:
        """Whether `stage` may become `target`: asked before the lock, and again when nobody can change it any more."""
        pair = (quoted(target), quoted(stage))
        if not self.execute(INTERCHANGEABLE, pair)[0][0]:
            return False
        self.execute(lock_statement(quoted(target)))
        if self.execute("SELECT current_setting('datong.fault')")[0][0]:
            return False
        return bool(self.execute(INTERCHANGEABLE, pair)[0][0])

    def load(self, table: pa.Table, columns: tuple[Column, ...]) -> None:
        arrays = [
            table.column(column.name).cast(pa.string())
            if column.type in _LOADED_AS_TEXT or decimal_parameters(column.type) is not None
            else table.column(column.name)
            for column in columns
        ]
        plain = pa.table([*arrays, table.column(NUMBER)], names=[*(column.name for column in columns), NUMBER])
        with self._connection.cursor() as cursor:
            cursor.adbc_ingest(INCOMING, plain, mode="create", temporary=True)

    def insert(
        self, target: str, columns: tuple[Column, ...], keys: tuple[str, ...], first: int, end: int
    ) -> str | None:
        names = self.names([column.name for column in columns])
        casts = ", ".join(f"{quoted(column.name)}::{_declared(column)}" for column in columns)
        statement = (
            f"INSERT INTO {quoted(target)} ({names}) SELECT {casts} FROM {INCOMING} "
            f"WHERE {NUMBER} >= {first} AND {NUMBER} < {end} ORDER BY {NUMBER}"
        )
        if keys:
            statement += self.upsert_clause([column.name for column in columns], keys)
        return self.attempt(statement)

    def attempt(self, statement: str) -> str | None:
        # The driver gives up a transaction at its first error, so the server itself catches the row's fault: class 22
        # is a data exception, 23 a constraint violation (SQL standard), 21 two rows of one key for one upsert; any
        # other error ends the transaction.
        self.execute(
            f"DO $datong$ BEGIN {statement}; PERFORM set_config('datong.fault', '', true); "
            "EXCEPTION WHEN data_exception OR integrity_constraint_violation OR cardinality_violation THEN "
            "PERFORM set_config('datong.fault', SQLSTATE || ' ' || SQLERRM, true); END $datong$"
        )
        reason = self.execute("SELECT current_setting('datong.fault')")[0][0]
        return str(reason) if reason else None

    def upsert_clause(self, columns: Sequence[str], keys: Sequence[str]) -> str:
        others = [name for name in columns if name not in keys]
        changes = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in others)
        return f" ON CONFLICT ({self.names(keys)}) DO " + (f"UPDATE SET {changes}" if others else "NOTHING")

    def value(self, column: Column, alias: str) -> str:
        return f"{alias}.{quoted(column.name)}::{_declared(column)}"

    def differ(self, left: str, right: str, column: Column) -> str:
        return f"{left} IS DISTINCT FROM {right}"

    def moment(self, at: datetime) -> str:
        return literal(at.isoformat()) + "::timestamptz"

    def delete_matched(self, target: str, keys: Sequence[Column], condition: str) -> None:
        match = " AND ".join(f"t.{quoted(key.name)} = {self.value(key, 'i')}" for key in keys)
        self.execute(f"DELETE FROM {quoted(target)} AS t USING {INCOMING} AS i WHERE {condition} AND {match}")

    def update_matched(self, target: str, source: str, keys: Sequence[str], changes: str, condition: str) -> None:
        match = " AND ".join(f"t.{quoted(key)} = i.{quoted(key)}" for key in keys)
        self.execute(f"UPDATE {quoted(target)} AS t SET {changes} FROM {source} AS i WHERE {condition} AND {match}")


def _formatted(column: Column) -> str:
    """Return the declared type as `format_type` writes it."""
    return _FORMATTED.get(column.type) or _declared(column)


def _stored_type(kind: str, declared: str) -> str:
    """Return the exchange's type of a target's column: of text only what takes any text, of numerics also unbounded."""
    if kind == "numeric" and declared == "numeric":
        return "decimal(38,19)"
    found = column_type(kind, declared)
    return declared if found == "string" and kind not in {"text", "varchar", "bpchar"} else found


def _declared(column: Column) -> str:
    parameters = decimal_parameters(column.type)
    return f"numeric({parameters[0]},{parameters[1]})" if parameters is not None else _TARGET_TYPES[column.type]


def _definition(table: str, columns: tuple[Column, ...], unique: tuple[str, ...]) -> str:
    parts = [f"{quoted(column.name)} {_declared(column)}" for column in columns]
    if unique:
        parts.append(f"UNIQUE ({', '.join(quoted(name) for name in unique)})")
    return f"CREATE TABLE IF NOT EXISTS {quoted(table)} ({', '.join(parts)})"


def _typed(column: Column, text: str) -> str:
    """Return a cursor's text as a literal of the column's own type."""
    if column.type == "binary":
        return f"decode({literal(text)}, 'hex')"
    return f"{literal(text)}::{column.source_type}"


def _typed_batch(table: str, batch: pa.RecordBatch, columns: tuple[Column, ...], schema: pa.Schema) -> pa.RecordBatch:
    arrays = []
    for column, values, field in zip(columns, batch.columns, schema, strict=True):
        try:
            arrays.append(values if values.type.equals(field.type) else values.cast(field.type))
        except pa.ArrowInvalid as error:
            reason = Text(zh=f"不是 {column.type} 类型能表示的值。", en=f"it does not fit the type {column.type}.")
            raise not_lossless(table, column.name, reason) from error
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
