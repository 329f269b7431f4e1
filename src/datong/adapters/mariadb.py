"""MariaDB and MySQL as a source and as a target, over the text protocol.

Every value is fetched as the text that the server prints (no driver conversion), from a generated select list, and
parsed by the column's declared type: so BIGINT UNSIGNED, BIT and decimals keep every digit. Rows come as lines that
Arrow parses (`adapters.mariadb_stream`) and go as statements that Arrow writes (`adapters.mariadb_literals`).
Zero dates (`0000-00-00`), which no other database knows, are refused, or travel as text when the source's URL says
`?zero_dates=text`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import parse_qs, unquote, urlsplit

import pyarrow as pa
import pymysql
from pymysql.converters import encoders
from pymysql.cursors import SSCursor

from datong.adapters.comparison import ComparedInside, Comparison
from datong.adapters.conversion import (
    chosen_columns,
    far_times,
    float_rows,
    no_table,
    null_in_order,
    order_columns,
    readable,
    reader_of_rows,
    rebatched,
    unreadable,
)
from datong.adapters.mariadb_catalog import (
    INSPECT,
    REFERENCES,
    STORED_COLUMNS,
    UNIQUE,
    column_type,
    quoted,
    sample_statements,
    table_schemas,
)
from datong.adapters.mariadb_literals import insert_statements, literal_bytes, literal_bytes_max, row_too_long
from datong.adapters.mariadb_ranges import RangeStatements, row_text
from datong.adapters.mariadb_stream import RowStream, batches_of_lines, joined_select
from datong.adapters.sql_letters import DEAD_LETTERS, ensure_letters, open_letters
from datong.adapters.sql_shape import fit, layouts
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
    TableKind,
    TableSchema,
    TargetPlan,
    arrow_schema,
    content_digest,
    decimal_parameters,
)
from datong.kernel import TaskId, Text, Unavailable

DIGEST_ROWS = 50_000
SAMPLE_BATCH_ROWS = 5_000
LOAD_ROWS = 1_000
CONNECT_SECONDS = 10
PACKET_BYTES_SAFE, PACKET_BYTES_SPARED = 1 << 20, 1024
"""So long a statement every server takes; so much the words around its rows need."""
KEY_CHARS_MAX = 700
"""InnoDB indexes at most 3072 bytes, four bytes a character: shared by a key's columns."""

_TARGET_TYPES = {
    "boolean": "TINYINT(1)",
    "int64": "BIGINT",
    "uint64": "BIGINT UNSIGNED",
    "float32": "FLOAT",
    "float64": "DOUBLE",
    "string": "LONGTEXT",
    "binary": "LONGBLOB",
    "date": "DATE",
    "time": "TIME(6)",
    "timestamp": "DATETIME(6)",
    "timestamp_utc": "DATETIME(6)",
}
_ROW_FAULTS = {1048, 1062, 1264, 1265, 1292, 1366, 1367, 1406, 1411, 1452, 1690, 3819, 4025}
"""Server errors of a row's own values: NULL, duplicate, out of range, truncated, wrong, too long, constraint."""
_LOST = {1040, 1053, 1205, 1213, 2002, 2003, 2006, 2013, 2055}


class MariadbDatabase(ComparedInside, SqlTarget):
    """One MariaDB or MySQL database, as Connector and as Target."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        options = parse_qs(parts.query)
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port or 3306
        self._user = unquote(parts.username or "")
        self._password = unquote(parts.password or "")
        self._database = unquote(parts.path.lstrip("/"))
        self._zero_dates_as_text = options.get("zero_dates", [""])[0] == "text"

    @property
    def name(self) -> str:
        """Host and database, without credentials."""
        return f"mysql:{self._host}:{self._port}/{self._database}"

    def close(self) -> None:
        """Nothing stays open between calls."""

    # As a source

    def inspect(self) -> list[TableSchema]:
        """Return every table and view of the database."""
        with self._open() as transaction:
            rows = transaction.execute(INSPECT)
            references = transaction.execute(REFERENCES)
        shared = [row for row in rows if not is_internal(str(row[0]))]
        return table_schemas(shared, references, zero_dates_as_text=self._zero_dates_as_text)

    def sample(self, schema: TableSchema, rows_max: int) -> pa.RecordBatchReader:
        """Return a sample by blocks of the integer key, if there is one, as text."""
        keyed = len(schema.key_columns) == 1 and _is_integer(schema.column(schema.key_columns[0]))
        bounds = None
        with self._open() as transaction:
            if keyed and schema.kind is TableKind.TABLE:
                key = quoted(schema.key_columns[0])
                low, high = transaction.execute(f"SELECT min({key}), max({key}) FROM {quoted(schema.table)}")[0]
                bounds = None if low is None else (int(str(low)), int(str(high)))
        texts = tuple(column.model_copy(update={"type": "string"}) for column in schema.columns)

        def rows() -> Iterator[tuple[object, ...]]:
            for statement in sample_statements(schema, rows_max, bounds):
                yield from self._rows(statement, [])

        batches = reader_of_rows(schema.table, rows(), texts, SAMPLE_BATCH_ROWS)
        failures = (pymysql.MySQLError, pa.ArrowException)
        return rebatched(readable(schema.table, batches, failures), arrow_schema(texts), rows_max)

    def newest(self, table: str, column: str) -> datetime | None:
        """Return the largest moment in `column`, taken as UTC."""
        with self._open() as transaction:
            found = transaction.execute(f"SELECT UNIX_TIMESTAMP(max({quoted(column)})) FROM {quoted(table)}")[0][0]
        return None if found is None else datetime.fromtimestamp(float(str(found)), tz=UTC)

    def read(self, query: ReadQuery) -> pa.RecordBatchReader:
        """Return the rows after the query's cursor, in its order; one statement, so one state of the database."""
        known = self._columns(query.table)
        columns = chosen_columns(query.table, known, query.columns)
        order = order_columns(known, query)
        statement = f"SELECT {joined_select(columns)} FROM {quoted(query.table)}"
        values: list[object] = []
        if order:
            self._refuse_nulls(query)
            if query.after is not None:
                condition, values = _after(order, query.after.values)
                statement += f" WHERE {condition}"
            statement += f" ORDER BY {', '.join(quoted(name) for name in query.order)}"
        return self._reader(query.table, statement, values, columns, query.batch_rows)

    def count(self, table: str) -> int:
        """Return the number of rows of `table`."""
        with self._open() as transaction:
            return int(str(transaction.execute(f"SELECT count(*) FROM {quoted(table)}")[0][0]))

    def digest(self, table: str, columns: tuple[Column, ...]) -> ContentDigest:
        """Return the content digest of `table` on `columns`."""
        typed = _retyped(columns, self._columns(table))
        statement = f"SELECT {joined_select(typed)} FROM {quoted(table)}"
        return content_digest(self._reader(table, statement, [], typed, DIGEST_ROWS), typed)

    def lookup(self, query: LookupQuery) -> pa.Table:
        """Return the rows with a key's value."""
        typed = _retyped(query.columns, query.columns)
        statement = (
            f"SELECT {joined_select(typed)} FROM {quoted(query.table)} WHERE {quoted(query.key_column)} = ? "
            f"LIMIT {query.rows_max}"
        )
        try:
            with self._open() as transaction:
                transaction.limit(query.timeout_seconds)
                batches = list(transaction.batches(query.table, statement, [query.key_value], typed, DIGEST_ROWS))
        except pymysql.MySQLError as error:
            raise unreadable(query.table, error) from error
        return pa.Table.from_batches(batches, schema=arrow_schema(typed))

    # As a target

    def prepare(self, plan: TargetPlan, columns: tuple[Column, ...]) -> None:
        """Create what is missing; here and not in `apply`, because MariaDB commits at every definition."""
        text = "VARCHAR(100) CHARACTER SET ascii NOT NULL"
        with self._open() as transaction:
            for layout in layouts(plan, columns):
                transaction.execute(_definition(*layout))
            transaction.execute(
                f"CREATE TABLE IF NOT EXISTS {CURSORS} (task_id {text} PRIMARY KEY, sequence BIGINT NOT NULL, "
                f"batch_id {text}, manifest_digest {text}, rows_applied BIGINT NOT NULL, "
                f"rows_rejected BIGINT NOT NULL, run BIGINT NOT NULL, applied_at {text}) ENGINE=InnoDB"
            )
            transaction.execute(
                f"CREATE TABLE IF NOT EXISTS {DEAD_LETTERS} (task_id {text}, run BIGINT NOT NULL, "
                f"sequence BIGINT NOT NULL, batch_id {text}, row_in_batch BIGINT NOT NULL, reason TEXT NOT NULL, "
                f"content LONGTEXT NOT NULL, rejected_at {text}, PRIMARY KEY (batch_id, row_in_batch)) "
                "ENGINE=InnoDB CHARACTER SET utf8mb4"
            )
            ensure_letters(transaction)

    def last_applied(self, task_id: TaskId) -> AppliedCursor | None:
        """Return the task's newest applied batch."""
        with self._open() as transaction:
            return last_applied(transaction, task_id)

    def rejected(self, task_id: TaskId) -> int:
        """Return how many dead letters the task has."""
        with self._open() as transaction:
            return open_letters(transaction, task_id)

    def apply(
        self,
        manifest: Manifest,
        reader: pa.RecordBatchReader,
        *,
        plan: TargetPlan,
        applied_at: datetime,
    ) -> Applied:
        """Apply one batch and move the cursor in one transaction."""
        with self._open() as transaction:
            # MariaDB commits at every definition, so what the target lacks is added before the batch begins.
            fit(transaction, plan, manifest.columns, first=last_applied(transaction, manifest.task_id) is None)
            transaction.commit()
            # Locks the task's row, or the gap where it will be, so that two consumers cannot apply at once.
            transaction.execute(f"SELECT task_id FROM {CURSORS} WHERE task_id = ? FOR UPDATE", (manifest.task_id,))
            result = apply_batch(transaction, manifest, reader, plan=plan, applied_at=applied_at)
            transaction.commit()
        return result

    # Inside

    @contextmanager
    def _changing(self) -> Iterator[SqlTransaction]:
        with self._open() as transaction:
            yield transaction
            transaction.commit()

    def _connect(self) -> RowStream:
        connection = RowStream(
            host=self._host,
            port=self._port,
            user=self._user,
            password=self._password,
            database=self._database,
            charset="utf8mb4",
            autocommit=False,
            connect_timeout=CONNECT_SECONDS,
            conv=dict(encoders),
            cursorclass=SSCursor,
        )
        with connection.cursor() as cursor:
            cursor.execute("SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES'")
        return connection

    @contextmanager
    def _session(self) -> Iterator["_MariadbTransaction"]:
        """Yield a connection; errors are the driver's own."""
        connection = self._connect()
        try:
            yield _MariadbTransaction(connection)
        finally:
            connection.close()

    @contextmanager
    def _open(self) -> Iterator["_MariadbTransaction"]:
        try:
            with self._session() as transaction:
                yield transaction
        except (pymysql.OperationalError, pymysql.InterfaceError, OSError) as error:
            if isinstance(error, pymysql.OperationalError) and error.args and error.args[0] not in _LOST:
                raise
            raise Unavailable(
                "adapters.source_unavailable",
                what=Text(zh=f"数据源 {self.name} 无法访问。", en=f"The source {self.name} does not answer."),
                remedy=Text(zh="请检查数据库及网络。", en="Check the database and the network."),
            ) from error

    def _reader(
        self, table: str, statement: str, values: Sequence[object], columns: tuple[Column, ...], batch_rows: int
    ) -> pa.RecordBatchReader:
        """Return what a statement over `joined_select` finds."""

        def batches() -> Iterator[pa.RecordBatch]:
            with self._open() as transaction:
                yield from transaction.batches(table, statement, values, columns, batch_rows)

        return pa.RecordBatchReader.from_batches(arrow_schema(columns), batches())

    def _rows(self, statement: str, values: Sequence[object]) -> Iterator[tuple[object, ...]]:
        with self._open() as transaction:
            yield from transaction.stream(statement, values)

    def _columns(self, table: str) -> tuple[Column, ...]:
        found = next((schema for schema in self.inspect() if schema.table == table), None)
        if found is None:
            raise no_table(table)
        return found.columns

    @contextmanager
    def _comparison(self, query: RangeQuery) -> Iterator[Comparison]:
        actual = {column.name: column for column in self._columns(query.table)}
        chosen_columns(query.table, list(actual.values()), [column.name for column in query.columns])
        typed = _retyped(query.columns, list(actual.values()))
        newer = "FALSE"
        with self._open() as transaction:
            if query.bounds:
                columns, texts = zip(*query.bounds, strict=True)
                condition, values = _after(columns, texts)
                newer = f"COALESCE({transaction.literal(condition, values)}, FALSE)"
            row, key = row_text(query.columns, actual), row_text(query.keys, actual)
            statements = None if row is None or key is None else RangeStatements(query, row, key, newer)
            transaction.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            transaction.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")

            def select(statement: str) -> Iterator[tuple[object, ...]]:
                return transaction.stream(statement, [])

            def read(condition: str) -> pa.RecordBatchReader:
                statement = f"SELECT {joined_select(typed)} FROM {quoted(query.table)} WHERE {condition}"
                found = transaction.batches(query.table, statement, [], typed, DIGEST_ROWS)
                return pa.RecordBatchReader.from_batches(arrow_schema(typed), found)

            yield Comparison(query, statements, select, read)

    def _refuse_nulls(self, query: ReadQuery) -> None:
        condition = " OR ".join(f"{quoted(name)} IS NULL" for name in query.order)
        with self._open() as transaction:
            found = transaction.execute(f"SELECT 1 FROM {quoted(query.table)} WHERE {condition} LIMIT 1")
        if found:
            raise null_in_order(query.table, query.order)


class _MariadbTransaction(SqlTransaction):
    """The transaction of one connection (autocommit is off: it begins with the first statement)."""

    def __init__(self, connection: RowStream) -> None:
        self._connection = connection

    LONG_TEXT = "LONGTEXT"
    TABLE_OPTIONS = " ENGINE=InnoDB CHARACTER SET utf8mb4"

    def quote(self, name: str) -> str:
        return quoted(name)

    FRACTION_DIGITS_DEFAULT = 0

    def stored_columns(self, table: str) -> list[StoredColumn]:
        return [
            StoredColumn(
                str(name),
                column_type(str(kind), str(full), _number(precision), _number(scale), zero_dates_as_text=False),
                str(full),
                required == 1 or str(required) == "1",
            )
            for name, kind, full, precision, scale, required in self.execute(STORED_COLUMNS, (table,))
        ]

    def has_unique(self, table: str, columns: Sequence[str]) -> bool:
        found = self.execute(UNIQUE, (table,))
        return any(set(str(names).split(chr(31))) == set(columns) for (names,) in found)

    def declared(self, column: Column) -> str:
        return _declared(column)

    def stored_type(self, name: str) -> str:
        return {"boolean": "int64", "time": "string", "timestamp_utc": "timestamp"}.get(name, name)

    def widen(self, table: str, column: Column) -> None:
        self.execute(f"ALTER TABLE {quoted(table)} MODIFY COLUMN {quoted(column.name)} {_declared(column)} NULL")

    def has_table(self, table: str) -> bool:
        query = "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ?"
        return bool(self.execute(query, (table,)))

    def commit(self) -> None:
        self._connection.commit()

    def execute(self, statement: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(_placed(statement, values), tuple(values) or None)
            return list(cursor.fetchall())

    def limit(self, seconds: float) -> None:
        """Have statements of this connection end after some seconds: MariaDB counts seconds, MySQL milliseconds."""
        version = str(self.execute("SELECT VERSION()")[0][0])
        if "mariadb" in version.lower():
            self.execute(f"SET SESSION max_statement_time = {seconds:.3f}")
        else:
            self.execute(f"SET SESSION max_execution_time = {max(1, int(seconds * 1000))}")

    def literal(self, condition: str, values: Sequence[object]) -> str:
        """Return a condition with its places filled in by the driver."""
        if not values:
            return condition
        with self._connection.cursor() as cursor:
            return str(cursor.mogrify(_placed(condition, values), tuple(values)))

    def batches(
        self, table: str, statement: str, values: Sequence[object], columns: tuple[Column, ...], batch_rows: int
    ) -> Iterator[pa.RecordBatch]:
        """Yield what a statement over `joined_select` finds."""
        lines = self._connection.lines(self.literal(statement, values), table, columns)
        yield from batches_of_lines(lines, table, columns, batch_rows)

    def stream(self, statement: str, values: Sequence[object]) -> Iterator[tuple[object, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(_placed(statement, values), tuple(values) or None)
            while rows := cursor.fetchmany(LOAD_ROWS):
                yield from rows

    def faults(self, batch: pa.RecordBatch) -> dict[int, str]:
        self._require_room(batch)
        return far_times(batch) | float_rows(batch, infinite=True)

    def load(self, table: pa.Table, columns: tuple[Column, ...]) -> None:
        definition = ", ".join(f"{quoted(column.name)} {_declared(column)}" for column in columns)
        self.execute(
            f"CREATE TEMPORARY TABLE {INCOMING} ({definition}, {NUMBER} BIGINT PRIMARY KEY) "
            "ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"
        )
        for statement in insert_statements(INCOMING, table, columns, NUMBER):
            self._connection.query(statement)

    def _require_room(self, batch: pa.RecordBatch) -> None:
        """Check that the server takes a statement of the longest row; its dead letter would be as long.

        Raises:
            Misconfigured: `adapters.row_too_long`.
        """
        bounds = literal_bytes_max(batch)
        if bounds.max(initial=0) >= PACKET_BYTES_SAFE:
            packet = int(str(self.execute("SELECT @@max_allowed_packet")[0][0])) - PACKET_BYTES_SPARED
            suspects = pa.array((bounds > packet).nonzero()[0], pa.int64())
            needed = int(literal_bytes(batch.take(suspects)).max(initial=0))
            if needed > packet:
                raise row_too_long(needed)

    def insert(
        self, target: str, columns: tuple[Column, ...], keys: tuple[str, ...], first: int, end: int
    ) -> str | None:
        names = ", ".join(quoted(column.name) for column in columns)
        statement = (
            f"INSERT INTO {quoted(target)} ({names}) SELECT {names} FROM {INCOMING} "
            f"WHERE {NUMBER} >= {first} AND {NUMBER} < {end} ORDER BY {NUMBER}"
        )
        if keys:
            statement += self.upsert_clause([column.name for column in columns], keys)
        return self.attempt(statement)

    def attempt(self, statement: str) -> str | None:
        self.execute("SAVEPOINT datong_range")
        try:
            self.execute(statement)
        except pymysql.MySQLError as error:
            if not error.args or error.args[0] not in _ROW_FAULTS:
                raise
            self.execute("ROLLBACK TO SAVEPOINT datong_range")
            return str(error.args[-1])
        self.execute("RELEASE SAVEPOINT datong_range")
        return None

    def upsert_clause(self, columns: Sequence[str], keys: Sequence[str]) -> str:
        others = [name for name in columns if name not in keys] or [keys[0]]
        changes = ", ".join(f"{quoted(name)} = VALUES({quoted(name)})" for name in others)
        return f" ON DUPLICATE KEY UPDATE {changes}"

    def value(self, column: Column, alias: str) -> str:
        return f"{alias}.{quoted(column.name)}"

    def differ(self, left: str, right: str, column: Column) -> str:
        # A department's own table may have a collation that takes unlike texts for the same.
        binary = "BINARY " if column.type == "string" else ""
        return f"(NOT ({binary}{left} <=> {binary}{right}))"

    def moment(self, at: datetime) -> str:
        return "CAST('" + at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f") + "' AS DATETIME(6))"

    def delete_matched(self, target: str, keys: Sequence[Column], condition: str) -> None:
        match = " AND ".join(f"t.{quoted(key.name)} = i.{quoted(key.name)}" for key in keys)
        self.execute(f"DELETE t FROM {quoted(target)} AS t JOIN {INCOMING} AS i ON {match} WHERE {condition}")

    def update_matched(self, target: str, source: str, keys: Sequence[str], changes: str, condition: str) -> None:
        match = " AND ".join(f"t.{quoted(key)} = i.{quoted(key)}" for key in keys)
        self.execute(f"UPDATE {quoted(target)} AS t JOIN {source} AS i ON {match} SET {changes} WHERE {condition}")


def _retyped(columns: tuple[Column, ...], actual: Sequence[Column]) -> tuple[Column, ...]:
    """Return `columns` with the source types that the same columns have here."""
    known = {column.name: column.source_type for column in actual}
    return tuple(column.model_copy(update={"source_type": known.get(column.name, "")}) for column in columns)


def _number(value: object) -> int | None:
    return None if value is None else int(str(value))


def _is_integer(column: Column | None) -> bool:
    return column is not None and column.type in {"int64", "uint64"}


def _placed(statement: str, values: Sequence[object]) -> str:
    """Return a statement with `?` places as the driver wants it."""
    return statement.replace("%", "%%").replace("?", "%s") if values else statement


def _declared(column: Column) -> str:
    parameters = decimal_parameters(column.type)
    return f"DECIMAL({parameters[0]},{parameters[1]})" if parameters is not None else _TARGET_TYPES[column.type]


def _definition(table: str, columns: tuple[Column, ...], unique: tuple[str, ...]) -> str:
    """Return the definition of a target table, in a collation that tells every two texts apart."""
    parts = []
    for column in columns:
        kind = _declared(column)
        if column.name in unique and column.type in {"string", "binary"}:
            size = KEY_CHARS_MAX // len(unique)
            kind = f"VARCHAR({size})" if column.type == "string" else f"VARBINARY({size})"
        parts.append(f"{quoted(column.name)} {kind} NULL")
    if unique:
        parts.append(f"UNIQUE KEY ({', '.join(quoted(name) for name in unique)})")
    return (
        f"CREATE TABLE IF NOT EXISTS {quoted(table)} ({', '.join(parts)}) "
        "ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"
    )


def _after(order: tuple[Column, ...], texts: tuple[str, ...]) -> tuple[str, list[object]]:
    """Return the condition and the values that select the rows after a cursor."""
    values: list[object] = []
    for column, text in zip(order, texts, strict=True):
        if column.type in {"int64", "uint64"}:
            values.append(int(text))
        elif column.type in {"float32", "float64"}:
            values.append(float(text))
        elif column.type == "binary":
            values.append(bytes.fromhex(text))
        elif decimal_parameters(column.type) is not None:
            values.append(Decimal(text))
        else:
            values.append(text.removesuffix("Z") if column.type == "timestamp_utc" else text)
    names = ", ".join(quoted(column.name) for column in order)
    return f"({names}) > ({', '.join('?' * len(order))})", values
