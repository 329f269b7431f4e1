"""PostgreSQL (and databases that speak its protocol) as a source and as a target, over ADBC.

Every select list is generated with explicit casts: ADBC hands `numeric` out as opaque text, so decimals travel as text
and are parsed exactly; infinite dates, which nobody else knows, make the statement fail instead of wrapping round.
Rows go in by binary COPY, straight into their table or through a temporary one (`postgresql_binary.py`).
"""

import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import TypeVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import adbc_driver_manager
import adbc_driver_postgresql.dbapi
import psycopg
import pyarrow as pa
from adbc_driver_manager.dbapi import Connection

from datong.adapters.comparison import ComparedInside, Comparison
from datong.adapters.conversion import (
    chosen_columns,
    no_table,
    not_lossless,
    null_in_order,
    order_columns,
    readable,
    rebatched,
    sliced,
    typed_batch,
    unreadable,
)
from datong.adapters.postgresql_catalog import (
    INSPECT,
    REFERENCES,
    inspect_statements,
    literal,
    moment,
    quoted,
    relation,
    sample_statement,
    select_expression,
    table_schemas,
)
from datong.adapters.postgresql_ranges import RangeStatements, row_text
from datong.adapters.postgresql_scan import (
    SCAN_ROWS_MIN,
    PostgresqlScan,
    extension_path,
    scan_expression,
    worth_scanning,
)
from datong.adapters.postgresql_transaction import PostgresqlTransaction, definition
from datong.adapters.sql_letters import open_letters
from datong.adapters.sql_own_tables import CURSORS, DEAD_LETTERS
from datong.adapters.sql_shape import layouts
from datong.adapters.sql_target import (
    SqlTarget,
    apply_batch,
    is_internal,
    last_applied,
)
from datong.adapters.sql_transaction import SqlTransaction
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
READ_BYTES_OPTION = "adbc.postgresql.batch_size_hint_bytes"
READ_BYTES = 4 * 1024 * 1024
"""The driver's own 16 MiB are fetched as fast, and cost a page fault for every page of them."""
_TEXTS = ("text", "character varying")
SETTINGS = ("SET standard_conforming_strings = on", "SET TimeZone = 'UTC'")
"""What every connection begins with."""

_Lent = TypeVar("_Lent", Connection, "psycopg.Connection[tuple[object, ...]]")


def with_link_limits(url: str) -> str:
    """Return `url` with bounds on a link that is dead without saying so; what the URL itself states stays.

    Without them, a statement whose server vanished (no reset ever comes) would keep a node waiting for ever.
    """
    parts = urlsplit(url)
    stated = dict(parse_qsl(parts.query, keep_blank_values=True))
    return urlunsplit(parts._replace(query=urlencode({**LINK_LIMITS, **stated}, quote_via=quote)))


class PostgresqlDatabase(ComparedInside, SqlTarget):
    """One PostgreSQL database, as Connector and as Target; tables are those of the current schema."""

    def __init__(self, url: str, *, scan_rows_min: int = SCAN_ROWS_MIN) -> None:
        self._url = with_link_limits(url)
        self._scan_rows_min = scan_rows_min
        self._idle: deque[Connection] = deque()
        """A connection first reads every type of the database, so a crawl of many tables would mostly connect."""
        self._sessions: deque[psycopg.Connection[tuple[object, ...]]] = deque()
        # Whoever forgets to close it leaves no connection behind.
        weakref.finalize(self, _close_all, self._idle, self._sessions)

    @property
    def name(self) -> str:
        """Host and database, without credentials."""
        return "postgresql:" + self._url.rsplit("@", 1)[-1].split("?", 1)[0]

    def close(self) -> None:
        """Close the connections that wait for the next call."""
        _close_all(self._idle, self._sessions)

    # As a source

    def inspect(self) -> list[TableSchema]:
        """Return every table and view of every schema that the user may use, those of the current schema first."""
        return self._inspected(INSPECT, REFERENCES)

    def schema(self, table: str) -> TableSchema | None:
        """Return one table or view."""
        return self._described(table, keep=False)

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
            _rows(connection, f"SET statement_timeout = '{SAMPLE_SECONDS_MAX}s'")
            try:
                latest = f"max({name}) FILTER (WHERE isfinite({name}))"
                found = _rows(connection, f"SELECT extract(epoch FROM {latest}::timestamptz) FROM {relation(table)}")
            except adbc_driver_manager.Error as error:
                raise unreadable(table, error) from error
        return moment(found[0][0])

    def read(self, query: ReadQuery) -> pa.RecordBatchReader:
        """Return the rows after the query's cursor, in its order; one statement, so one state of the database."""
        found = self._described(query.table, keep=True)
        if found is None:
            raise no_table(query.table)
        columns = chosen_columns(query.table, found.columns, query.columns)
        order = order_columns(found.columns, query)
        # Whoever goes on behind a cursor mostly reads little.
        large = query.after is None and worth_scanning(found, columns, self._scan_rows_min)
        extension = extension_path() if large else None
        expressions = [
            select_expression(column) if extension is None else scan_expression(number, column)
            for number, column in enumerate(columns)
        ]
        statement = f"SELECT {', '.join(expressions)} FROM {relation(query.table)} AS t"
        if order:
            self._refuse_nulls(query.table, [column.name for column in order if column.nullable])
            names = ", ".join(f"t.{quoted(name)}" for name in query.order)
            if query.after is not None:
                bounds = ", ".join(_typed(column, text) for column, text in zip(order, query.after.values, strict=True))
                statement += f" WHERE ({names}) > ({bounds})"
            statement += f" ORDER BY {names}"
        schema = arrow_schema(columns)
        if extension is None:
            return sliced(self._stream(query.table, statement, columns), schema, query.batch_rows)
        scanned = PostgresqlScan(self._url, query.table).batches(extension, statement, columns)
        typed = (typed_batch(query.table, batch, columns, schema) for batch in scanned)
        return sliced(typed, schema, query.batch_rows)

    def count(self, table: str) -> int:
        """Return the number of rows of `table`."""
        with self._open() as connection:
            return int(str(_rows(connection, f"SELECT count(*) FROM {relation(table)}")[0][0]))

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
        # By code points: not every collation can be searched.
        wanted = query.containing_sql(
            lambda column, place: f'strpos({quoted(column)}::text COLLATE "C", ${place + 2}::text) > 0'
        )
        statement = f"SELECT {names} FROM {relation(query.table)} WHERE {condition}{wanted} LIMIT {query.rows_max}"
        schema = arrow_schema(query.columns)
        try:
            with self._open(keep=True) as connection, connection.cursor() as cursor:
                cursor.execute(f"SET statement_timeout = {max(1, int(query.timeout_seconds * 1000))}")
                cursor.execute(statement, (query.key_value, *query.texts))
                batches = [typed_batch(query.table, one, query.columns, schema) for one in cursor.fetch_record_batch()]
        except adbc_driver_manager.DataError:
            return schema.empty_table()
        except adbc_driver_manager.Error as error:
            raise unreadable(query.table, error) from error
        return pa.Table.from_batches(batches, schema=schema)

    # As a target

    def prepare(self, plan: TargetPlan, columns: tuple[Column, ...]) -> None:
        """Create what is missing."""
        statements = [definition(*layout) for layout in layouts(plan, columns)]
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
        with self._session(keep=True) as connection:
            transaction = PostgresqlTransaction(connection)
            # Two consumers that prepare at once would both try to create the same catalogue rows.
            transaction.execute("SELECT pg_advisory_xact_lock(1145132097)")
            for statement in statements:
                transaction.execute(statement)
            transaction.ensure_letters()
            connection.commit()

    def last_applied(self, task_id: TaskId) -> AppliedCursor | None:
        """Return the task's newest applied batch."""
        with self._session(keep=True) as connection:
            return last_applied(PostgresqlTransaction(connection), task_id)

    def rejected(self, task_id: TaskId) -> int:
        """Return how many dead letters the task has."""
        with self._session(keep=True) as connection:
            return open_letters(PostgresqlTransaction(connection), task_id)

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
            with self._session(keep=True) as connection:
                transaction = PostgresqlTransaction(connection, direct=direct)
                transaction.execute("SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", (manifest.task_id,))
                result = apply_batch(transaction, manifest, rows, plan=plan, applied_at=applied_at)
                connection.commit()
            return result

        try:
            return attempt(direct=True)
        except (psycopg.DataError, psycopg.IntegrityError):
            # The table refused a value, and the transaction is lost: once more, the long way, which finds the
            # offending rows.
            return attempt(direct=False)

    # Inside

    def _described(self, table: str, *, keep: bool) -> TableSchema | None:
        """Return one table or view; with `keep` its rows are read next, over the same connection."""
        found = self._inspected(*inspect_statements(table), keep=keep)
        return next((schema for schema in found if schema.table == table), None)

    def _inspected(self, inspect: str, references: str, *, keep: bool = False) -> list[TableSchema]:
        with self._open(keep=keep) as connection:
            rows = _rows(connection, inspect)
            referring = _rows(connection, references)
        return table_schemas([row for row in rows if not is_internal(str(row[1]))], referring)

    @contextmanager
    def _changing(self) -> Iterator[SqlTransaction]:
        with self._session() as connection:
            yield PostgresqlTransaction(connection, direct=False)
            connection.commit()

    def _connect(self) -> Connection:
        connection = adbc_driver_postgresql.dbapi.connect(self._url)
        for statement in SETTINGS:
            _rows(connection, statement)
        connection.commit()
        return connection

    @contextmanager
    def _open(self, *, keep: bool = False) -> Iterator[Connection]:
        """A connection for one call; a crawl of many tables keeps it for the next one, until `close`."""
        try:
            with _lent(self._idle, self._connect, keep=keep) as connection:
                yield connection
        except adbc_driver_manager.OperationalError as error:
            raise self._unavailable() from error

    @contextmanager
    def _session(self, *, keep: bool = False) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
        """A connection that changes the database, for one call or kept for the next one."""
        try:
            with _lent(self._sessions, self._begin_session, keep=keep) as connection:
                yield connection
        except psycopg.OperationalError as error:
            raise self._unavailable() from error

    def _begin_session(self) -> psycopg.Connection[tuple[object, ...]]:
        # Statements are not prepared: a snapshot's table and its stage change names under them.
        connection = psycopg.connect(self._url, client_encoding="utf8", prepare_threshold=None)
        for statement in SETTINGS:
            connection.execute(statement.encode())
        connection.commit()
        return connection

    def _unavailable(self) -> Unavailable:
        return Unavailable(
            "adapters.source_unavailable",
            what=Text(zh=f"数据源 {self.name} 无法访问。", en=f"The source {self.name} does not answer."),
            remedy=Text(zh="请检查数据库及网络。", en="Check the database and the network."),
        )

    def _columns(self, table: str) -> tuple[Column, ...]:
        found = self._described(table, keep=True)
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
                    yield typed_batch(table, batch, columns, schema)
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
            _rows(connection, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            if str(_rows(connection, "SELECT current_setting('server_encoding')")[0][0]) != "UTF8":
                statements = None

            def read(condition: str) -> Iterator[pa.RecordBatch]:
                statement = f"SELECT {names} FROM {relation(query.table)} WHERE {condition}"
                return self._batches(connection, query.table, statement, query.columns)

            yield Comparison(query, statements, partial(_rows, connection), read)

    def _refuse_nulls(self, table: str, names: Sequence[str]) -> None:
        condition = " OR ".join(f"{quoted(name)} IS NULL" for name in names)
        if not condition:
            return
        with self._open(keep=True) as connection:
            found = _rows(connection, f"SELECT 1 FROM {relation(table)} WHERE {condition} LIMIT 1")
        if found:
            raise null_in_order(table, names)


@contextmanager
def _lent(pool: deque[_Lent], begin: Callable[[], _Lent], *, keep: bool) -> Iterator[_Lent]:
    """A connection of the pool, or a new one; it goes back, rolled back, if it is to be kept and there is room."""
    connection = pool.pop() if pool else begin()
    try:
        yield connection
    except BaseException:
        connection.close()
        raise
    connection.rollback()
    if keep and len(pool) < IDLE_CONNECTIONS_MAX:
        pool.append(connection)
    else:
        connection.close()


def _close_all(*pools: deque[Connection] | deque[psycopg.Connection[tuple[object, ...]]]) -> None:
    for pool in pools:
        while pool:
            pool.pop().close()


def _rows(connection: Connection, statement: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
    """Run one statement of a source and return its rows."""
    with connection.cursor() as cursor:
        cursor.execute(statement, tuple(values) or None)
        return list(cursor.fetchall()) if cursor.description else []


def _typed(column: Column, text: str) -> str:
    """Return a cursor's text as a literal of the column's own type."""
    if column.type == "binary":
        return f"decode({literal(text)}, 'hex')"
    return f"{literal(text)}::{column.source_type}"
