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
from urllib.parse import parse_qs, unquote, urlsplit

import pyarrow as pa
import pymysql
from pymysql.converters import encoders
from pymysql.cursors import SSCursor

from datong.adapters.comparison import ComparedInside, Comparison
from datong.adapters.conversion import (
    chosen_columns,
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
    INSPECT_ONE,
    REFERENCES,
    REFERENCES_ONE,
    quoted,
    sample_statements,
    table_schemas,
)
from datong.adapters.mariadb_ranges import RangeStatements, row_text
from datong.adapters.mariadb_stream import RowStream, joined_select
from datong.adapters.mariadb_transaction import MariadbTransaction, after, definition
from datong.adapters.sql_letters import open_letters
from datong.adapters.sql_own_tables import CURSORS, DEAD_LETTERS
from datong.adapters.sql_shape import fit, layouts
from datong.adapters.sql_target import SqlTarget, apply_batch, is_internal, last_applied
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
    TableKind,
    TableSchema,
    TargetPlan,
    arrow_schema,
    content_digest,
)
from datong.kernel import TaskId, Text, Unavailable

DIGEST_ROWS = 50_000
SAMPLE_BATCH_ROWS = 5_000
CONNECT_SECONDS = 10

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

    def schema(self, table: str) -> TableSchema | None:
        """Return one table or view."""
        with self._open() as transaction:
            rows = transaction.execute(INSPECT_ONE, (table,))
            references = transaction.execute(REFERENCES_ONE, (table,))
        # The server may take names of other case for the same.
        own = [row for row in rows if row[0] == table and not is_internal(table)]
        found = table_schemas(own, references, zero_dates_as_text=self._zero_dates_as_text)
        return found[0] if found else None

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
                condition, values = after(order, query.after.values)
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
            f"SELECT {joined_select(typed)} FROM {quoted(query.table)} WHERE {quoted(query.key_column)} = ?"
            f"{query.containing_sql(lambda column, _: f'LOCATE(?, {quoted(column)}) > 0')} LIMIT {query.rows_max}"
        )
        try:
            with self._open() as transaction:
                transaction.limit(query.timeout_seconds)
                batches = list(
                    transaction.batches(query.table, statement, [query.key_value, *query.texts], typed, DIGEST_ROWS)
                )
        except pymysql.MySQLError as error:
            raise unreadable(query.table, error) from error
        return pa.Table.from_batches(batches, schema=arrow_schema(typed))

    # As a target

    def prepare(self, plan: TargetPlan, columns: tuple[Column, ...]) -> None:
        """Create what is missing; here and not in `apply`, because MariaDB commits at every definition."""
        text = "VARCHAR(100) CHARACTER SET ascii NOT NULL"
        with self._open() as transaction:
            for layout in layouts(plan, columns):
                transaction.execute(definition(*layout))
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
            transaction.ensure_letters()

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
    def _session(self) -> Iterator["MariadbTransaction"]:
        """Yield a connection; errors are the driver's own."""
        connection = self._connect()
        try:
            yield MariadbTransaction(connection)
        finally:
            connection.close()

    @contextmanager
    def _open(self) -> Iterator["MariadbTransaction"]:
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
        found = self.schema(table)
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
                condition, values = after(columns, texts)
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


def _retyped(columns: tuple[Column, ...], actual: Sequence[Column]) -> tuple[Column, ...]:
    """Return `columns` with the source types that the same columns have here."""
    known = {column.name: column.source_type for column in actual}
    return tuple(column.model_copy(update={"source_type": known.get(column.name, "")}) for column in columns)


def _is_integer(column: Column | None) -> bool:
    return column is not None and column.type in {"int64", "uint64"}
