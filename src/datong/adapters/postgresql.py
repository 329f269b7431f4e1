"""PostgreSQL (and databases that speak its protocol) as a source and as a target, over ADBC.

Every select list is generated with explicit casts: ADBC hands `numeric` out as opaque text, so decimals travel as text
and are parsed exactly; infinite dates, which nobody else knows, make the statement fail instead of wrapping round.
Rows go in by binary COPY, straight into their table or through a temporary one (`postgresql_binary.py`).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial

import adbc_driver_manager
import psycopg
import pyarrow as pa

from datong.adapters.comparison import ComparedInside, Comparison
from datong.adapters.conversion import (
    chosen_columns,
    no_table,
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
    moment,
    quoted,
    relation,
    sample_statement,
    select_expression,
    table_schemas,
    typed_literal,
)
from datong.adapters.postgresql_connections import PostgresqlConnections, batches_of, rows_of
from datong.adapters.postgresql_copy import RANGE_PAGES, READERS_MAX, Parts, exported, parts_of, reader_of, side_by_side
from datong.adapters.postgresql_ranges import RangeStatements, row_text
from datong.adapters.postgresql_scan import (
    SCAN_ROWS_MIN,
    PostgresqlScan,
    extension_path,
    scan_expression,
    scannable,
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
from datong.kernel import TaskId

DIGEST_ROWS = 100_000
SAMPLE_SECONDS_MAX = 120
_TEXTS = ("text", "character varying")


class PostgresqlDatabase(ComparedInside, SqlTarget):
    """One PostgreSQL database, as Connector and as Target; tables are those of the current schema."""

    def __init__(
        self, url: str, *, scan_rows_min: int = SCAN_ROWS_MIN, readers: int = 0, range_pages: int = RANGE_PAGES
    ) -> None:
        """`readers`: connections that read one large table side by side, in parts of `range_pages` pages or more.

        0: one for every two cores.
        """
        self._connections = PostgresqlConnections(url)
        self._scan_rows_min = scan_rows_min
        self._range_pages = range_pages
        self._readers = readers or max(1, min(READERS_MAX, (os.cpu_count() or 1) // 2))

    @property
    def name(self) -> str:
        """Host and database, without credentials."""
        return self._connections.name

    def close(self) -> None:
        """Close the connections that wait for the next call."""
        self._connections.close()

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
        with self._connections.reading(keep=True) as connection:
            rows_of(connection, f"SET statement_timeout = '{SAMPLE_SECONDS_MAX}s'")
            try:
                latest = f"max({name}) FILTER (WHERE isfinite({name}))"
                found = rows_of(connection, f"SELECT extract(epoch FROM {latest}::timestamptz) FROM {relation(table)}")
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
        if large and self._readers > 1:
            parts = parts_of(self._connections, query.table, order, self._readers, self._range_pages)
            if len(parts.conditions) > 1:
                return sliced(self._in_parts(query, columns, order, parts), arrow_schema(columns), query.batch_rows)
        extension = extension_path() if large else None
        statement = _selecting(query.table, columns, scanned=extension is not None)
        if order:
            self._refuse_nulls(query.table, order)
            names = ", ".join(f"t.{quoted(name)}" for name in query.order)
            if query.after is not None:
                bounds = ", ".join(
                    typed_literal(column, text) for column, text in zip(order, query.after.values, strict=True)
                )
                statement += f" WHERE ({names}) > ({bounds})"
            statement += f" ORDER BY {names}"
        schema = arrow_schema(columns)
        if extension is None:
            return sliced(self._stream(query.table, statement, columns), schema, query.batch_rows)
        scanned = PostgresqlScan(self._connections.url, query.table).batches(extension, statement, columns)
        return sliced(scanned, schema, query.batch_rows)

    def copy(
        self, query: ReadQuery, columns: tuple[Column, ...], snapshot: str, *, readers: int
    ) -> pa.RecordBatchReader:
        """Return the rows of `query` as an exported `snapshot` sees them, in no order, over at most so many `readers`.

        The snapshot must be held until the rows are read.
        """
        parts = parts_of(self._connections, query.table, (), readers, self._range_pages)
        rows = self._read_parts(query, columns, parts, snapshot, readers)
        return rebatched(rows, arrow_schema(columns), query.batch_rows)

    def count(self, table: str) -> int:
        """Return the number of rows of `table`."""
        with self._connections.reading() as connection:
            return int(str(rows_of(connection, f"SELECT count(*) FROM {relation(table)}")[0][0]))

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
            with self._connections.reading(keep=True) as connection, connection.cursor() as cursor:
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
        with self._connections.session(keep=True) as connection:
            transaction = PostgresqlTransaction(connection)
            # Two consumers that prepare at once would both try to create the same catalogue rows.
            transaction.execute("SELECT pg_advisory_xact_lock(1145132097)")
            for statement in statements:
                transaction.execute(statement)
            transaction.ensure_letters()
            connection.commit()

    def last_applied(self, task_id: TaskId) -> AppliedCursor | None:
        """Return the task's newest applied batch."""
        with self._connections.session(keep=True) as connection:
            return last_applied(PostgresqlTransaction(connection), task_id)

    def rejected(self, task_id: TaskId) -> int:
        """Return how many dead letters the task has."""
        with self._connections.session(keep=True) as connection:
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
            with self._connections.session(keep=True) as connection:
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
        with self._connections.reading(keep=keep) as connection:
            rows = rows_of(connection, inspect)
            referring = rows_of(connection, references)
        return table_schemas([row for row in rows if not is_internal(str(row[1]))], referring)

    @contextmanager
    def _changing(self) -> Iterator[SqlTransaction]:
        with self._connections.session() as connection:
            yield PostgresqlTransaction(connection, direct=False)
            connection.commit()

    def _columns(self, table: str) -> tuple[Column, ...]:
        found = self._described(table, keep=True)
        if found is None:
            raise no_table(table)
        return found.columns

    def _stream(
        self, table: str, statement: str, columns: tuple[Column, ...], *, seconds_max: int = 0, keep: bool = False
    ) -> Iterator[pa.RecordBatch]:
        """Yield what `statement` returns; it may run `seconds_max`, or as long as it likes when that is 0."""
        with self._connections.reading(keep=keep) as connection:
            with connection.cursor() as cursor:
                cursor.execute(f"SET statement_timeout = '{seconds_max}s'")
            yield from batches_of(connection, table, statement, columns)

    @contextmanager
    def _comparison(self, query: RangeQuery) -> Iterator[Comparison]:
        actual = {column.name: column for column in self._columns(query.table)}
        chosen_columns(query.table, list(actual.values()), [column.name for column in query.columns])
        names = ", ".join(select_expression(column) for column in query.columns)
        newer = "false"
        if query.bounds:
            order = ", ".join(quoted(column.name) for column, _ in query.bounds)
            bounds = ", ".join(typed_literal(actual[column.name], text) for column, text in query.bounds)
            newer = f"coalesce(({order}) > ({bounds}), false)"
        row, key = row_text(query.columns, actual), row_text(query.keys, actual)
        statements = None if row is None or key is None else RangeStatements(query, row, key, newer)
        with self._connections.reading() as connection:
            rows_of(connection, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            if str(rows_of(connection, "SELECT current_setting('server_encoding')")[0][0]) != "UTF8":
                statements = None

            def read(condition: str) -> Iterator[pa.RecordBatch]:
                statement = f"SELECT {names} FROM {relation(query.table)} WHERE {condition}"
                return batches_of(connection, query.table, statement, query.columns)

            yield Comparison(query, statements, partial(rows_of, connection), read)

    def _in_parts(
        self, query: ReadQuery, columns: tuple[Column, ...], order: tuple[Column, ...], parts: Parts
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of one state of the database, read by several connections."""
        with exported(self._connections) as (snapshot, finds):
            nulls = _nulls_statement(query.table, order)
            if nulls and finds(nulls):
                raise null_in_order(query.table, query.order)
            yield from self._read_parts(query, columns, parts, snapshot, self._readers)

    def _read_parts(
        self, query: ReadQuery, columns: tuple[Column, ...], parts: Parts, snapshot: str, readers: int
    ) -> Iterator[pa.RecordBatch]:
        # DuckDB's reader is loaded once per connection, which pays for large tables only.
        extension = extension_path() if len(parts.conditions) > 1 and scannable(columns) else None
        selecting = _selecting(query.table, columns, scanned=extension is not None)
        names = ", ".join(f"t.{quoted(name)}" for name in query.order)
        behind = f" ORDER BY {names}" if parts.ordered else ""
        statements = [f"{selecting} WHERE {condition}{behind}" for condition in parts.conditions]
        opened = reader_of(self._connections, query.table, columns, snapshot, extension)
        return side_by_side(statements, opened, readers, ordered=parts.ordered)

    def _refuse_nulls(self, table: str, order: tuple[Column, ...]) -> None:
        statement = _nulls_statement(table, order)
        if not statement:
            return
        with self._connections.reading(keep=True) as connection:
            if rows_of(connection, statement):
                raise null_in_order(table, [column.name for column in order])


def _selecting(table: str, columns: tuple[Column, ...], *, scanned: bool) -> str:
    """Return the statement that reads `columns` of all rows, for DuckDB's reader or for ADBC's."""
    expressions = [
        scan_expression(number, column) if scanned else select_expression(column)
        for number, column in enumerate(columns)
    ]
    return f"SELECT {', '.join(expressions)} FROM {relation(table)} AS t"


def _nulls_statement(table: str, order: tuple[Column, ...]) -> str:
    """Return the statement that finds a row with NULL in the order's columns; empty if no column may hold one."""
    condition = " OR ".join(f"{quoted(column.name)} IS NULL" for column in order if column.nullable)
    return f"SELECT 1 FROM {relation(table)} WHERE {condition} LIMIT 1" if condition else ""
