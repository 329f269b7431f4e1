"""Whatever SQLAlchemy has a dialect for (Oracle, SQL Server, 达梦, Kingbase …) as a source.

The select list is made from reflection, SQLAlchemy's own conversions are switched off, and every value is checked
against its column's type: it arrives unchanged or is refused. Rows stream through a server-side cursor where the driver
has one. The engines with a connector of their own are faster by that one; this one is for all the others.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import pairwise
from typing import Any, Protocol

import pyarrow as pa
import sqlalchemy as sa

from datong.adapters.comparison import ComparedByReading
from datong.adapters.conversion import (
    array_of,
    chosen_columns,
    no_table,
    null_in_order,
    order_columns,
    readable,
    rebatched,
    unreadable,
)
from datong.adapters.sql_target import is_internal
from datong.adapters.sqlalchemy_catalog import (
    keyset_condition,
    named_schema,
    select_expression,
    table_schema,
    table_schemas,
)
from datong.adapters.sqlalchemy_values import converter
from datong.exchange import (
    Column,
    ReadQuery,
    TableKind,
    TableSchema,
    arrow_schema,
    decimal_parameters,
)
from datong.kernel import Misconfigured, Text, Unavailable

DIGEST_ROWS = 50_000
SAMPLE_BLOCKS = 20
SAMPLE_TEXT_CHARS_MAX = 4_000


class SqlalchemyDatabase(ComparedByReading):
    """One database behind an SQLAlchemy dialect, as Connector; tables are those of the connection's schema."""

    def __init__(self, url: str) -> None:
        try:
            self._engine = sa.create_engine(_address(url), poolclass=sa.pool.NullPool, hide_parameters=True)
        except (ImportError, sa.exc.NoSuchModuleError) as error:
            raise _driver_missing(url) from error
        except (sa.exc.ArgumentError, ValueError) as error:
            raise _driver_missing("") from error
        self._dialect = self._engine.dialect.name
        if self._dialect in {"mysql", "mariadb"}:
            sa.event.listen(self._engine, "connect", _in_utc)

    @property
    def name(self) -> str:
        """Dialect, host and database, without credentials."""
        url = self._engine.url
        return f"{url.drivername}:{url.host or ''}/{(url.database or '').rsplit('/', 1)[-1]}"

    def close(self) -> None:
        """Nothing stays open between calls."""
        self._engine.dispose()

    def inspect(self) -> list[TableSchema]:
        """Return every table and view; columns without a lossless counterpart stand among the refused ones."""
        with self._open() as connection:
            found = table_schemas(sa.inspect(connection), self._dialect)
        return [schema for schema in found if not is_internal(schema.table)]

    def schema(self, table: str) -> TableSchema | None:
        """Return one table or view."""
        with self._open() as connection:
            return None if is_internal(table) else named_schema(sa.inspect(connection), self._dialect, table)

    def sample(self, schema: TableSchema, rows_max: int) -> pa.RecordBatchReader:
        """Return a sample by blocks of the integer key, if there is one, else from the beginning, as text."""
        texts = tuple(column.model_copy(update={"type": "string"}) for column in schema.columns)

        def batches() -> Iterator[pa.RecordBatch]:
            for statement in self._sample_statements(schema, rows_max):
                for chunk in self._chunks(statement, rows_max):
                    arrays = [
                        pa.array([_shown(value) for value in values], pa.string())
                        for values in zip(*chunk, strict=True)
                    ]
                    yield pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(texts))

        return rebatched(readable(schema.table, batches(), (sa.exc.SQLAlchemyError,)), arrow_schema(texts), rows_max)

    def newest(self, table: str, column: str) -> datetime | None:
        """Return the largest moment in `column`; without a zone it counts as UTC."""
        largest = sa.type_coerce(sa.func.max(sa.column(column)), sa.types.NullType())
        with self._open() as connection:
            found = connection.execute(sa.select(largest).select_from(sa.table(table))).scalar()
        try:
            moment = found if isinstance(found, datetime) else datetime.fromisoformat(str(found))
        except ValueError:
            return None
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)

    def read(self, query: ReadQuery) -> pa.RecordBatchReader:
        """Return the rows after the query's cursor, in its order; one statement, so one state of the database."""
        known = self._columns(query.table)
        columns = chosen_columns(query.table, known, query.columns)
        order = order_columns(known, query)
        statement = self._select(query.table, columns)
        if order:
            self._refuse_nulls(query)
            if query.after is not None:
                bounds = [_bound(self._dialect, *pair) for pair in zip(order, query.after.values, strict=True)]
                statement = statement.where(keyset_condition(query.order, bounds))
            statement = statement.order_by(*(sa.column(name) for name in query.order))
        return self._reader(query.table, statement, columns, query.batch_rows)

    def count(self, table: str) -> int:
        """Return the number of rows of `table`."""
        with self._open() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(sa.table(table))).scalar_one())

    # Inside

    def _whole(self, table: str, columns: tuple[Column, ...]) -> pa.RecordBatchReader:
        """Return every row of a table as the types of `columns`; one statement, so one state of the database."""
        actual = {column.name: column.source_type for column in self._columns(table)}
        typed = tuple(column.model_copy(update={"source_type": actual.get(column.name, "")}) for column in columns)
        return self._reader(table, self._select(table, typed), typed, DIGEST_ROWS)

    @contextmanager
    def _open(self) -> Iterator[sa.Connection]:
        try:
            connection = self._engine.connect()
        except ImportError as error:
            raise _driver_missing(self._engine.url.drivername) from error
        except sa.exc.DBAPIError as error:
            raise self._unavailable() from error
        try:
            yield connection
        except sa.exc.DBAPIError as error:
            if error.connection_invalidated:
                raise self._unavailable() from error
            raise
        finally:
            connection.close()

    def _unavailable(self) -> Unavailable:
        return Unavailable(
            "adapters.source_unavailable",
            what=Text(zh=f"数据源 {self.name} 无法访问。", en=f"The source {self.name} does not answer."),
            remedy=Text(
                zh="请检查数据库、网络、账号和口令。",
                en="Check the database, the network, the account and its password.",
            ),
        )

    def _columns(self, table: str) -> tuple[Column, ...]:
        with self._open() as connection:
            inspector = sa.inspect(connection)
            if is_internal(table) or not (inspector.has_table(table) or table in inspector.get_view_names()):
                raise no_table(table)
            return table_schema(inspector, self._dialect, table, TableKind.VIEW).columns

    def _select(self, table: str, columns: tuple[Column, ...]) -> sa.Select[*tuple[Any, ...]]:
        return sa.select(*(select_expression(self._dialect, column) for column in columns)).select_from(sa.table(table))

    def _chunks(self, statement: sa.Select[*tuple[Any, ...]], rows: int) -> Iterator[list[tuple[object, ...]]]:
        with self._open() as connection:
            options = {"stream_results": True, "max_row_buffer": rows}
            with closing(connection.execution_options(**options).execute(statement)) as result:
                for chunk in result.partitions(rows):
                    yield [tuple(row) for row in chunk]

    def _reader(
        self, table: str, statement: sa.Select[*tuple[Any, ...]], columns: tuple[Column, ...], batch_rows: int
    ) -> pa.RecordBatchReader:
        schema = arrow_schema(columns)
        converters = [converter(column) for column in columns]

        def batches() -> Iterator[pa.RecordBatch]:
            for chunk in self._chunks(statement, batch_rows):
                arrays = [
                    array_of(table, column, list(values), convert)
                    for column, convert, values in zip(columns, converters, zip(*chunk, strict=True), strict=True)
                ]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)

        return pa.RecordBatchReader.from_batches(schema, readable(table, batches(), (sa.exc.SQLAlchemyError,)))

    def _refuse_nulls(self, query: ReadQuery) -> None:
        condition = sa.or_(*(sa.column(name).is_(None) for name in query.order))
        statement: sa.Select[*tuple[Any, ...]] = (
            sa.select(sa.literal_column("1")).select_from(sa.table(query.table)).where(condition).limit(1)
        )
        with self._open() as connection:
            try:
                found = connection.execute(statement).first()
            except sa.exc.DBAPIError as error:
                raise unreadable(query.table, error) from error
        if found is not None:
            raise null_in_order(query.table, query.order)

    def _sample_statements(self, schema: TableSchema, rows_max: int) -> list[sa.Select[*tuple[Any, ...]]]:
        whole = self._select(schema.table, schema.columns)
        key = schema.column(schema.key_columns[0]) if len(schema.key_columns) == 1 else None
        if key is None or key.type not in {"int64", "uint64"}:
            return [whole.limit(rows_max)]
        place: sa.ColumnElement[int] = sa.column(key.name)
        bounds = sa.select(sa.func.min(place), sa.func.max(place), sa.func.count()).select_from(sa.table(schema.table))
        with self._open() as connection:
            low, high, rows = connection.execute(bounds).one()
        if rows <= rows_max * 2:
            return [whole.order_by(place).limit(rows_max)]
        low, span = int(low), int(high) - int(low) + 1
        starts = sorted({low + span * block // SAMPLE_BLOCKS for block in range(SAMPLE_BLOCKS)})
        limit = max(1, rows_max // len(starts))
        return [
            whole.where(place >= start, place < end).order_by(place).limit(limit)
            for start, end in pairwise([*starts, low + span])
        ]


def _bound(dialect: str, column: Column, text: str) -> object:
    """Return a cursor's text as the value that the driver compares with."""
    if column.type in {"int64", "uint64"}:
        return int(text)
    if column.type in {"float32", "float64"}:
        return float(text)
    if column.type == "binary":
        return bytes.fromhex(text)
    if decimal_parameters(column.type) is not None:
        return float(text) if dialect == "sqlite" else Decimal(text)
    if dialect == "sqlite":
        return text
    if column.type == "date":
        return date.fromisoformat(text)
    if column.type == "time":
        return time.fromisoformat(text)
    if column.type == "timestamp":
        return datetime.fromisoformat(text)
    if column.type == "timestamp_utc":
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=None) if dialect in {"mysql", "mariadb"} else moment
    return text


def _shown(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, bytes | bytearray | memoryview):
        return "(binary)"
    return str(value)[:SAMPLE_TEXT_CHARS_MAX]


class _Cursor(Protocol):
    def execute(self, statement: str) -> object: ...

    def close(self) -> None: ...


class _DriverConnection(Protocol):
    def cursor(self) -> _Cursor: ...


def _in_utc(connection: _DriverConnection, _record: object) -> None:
    """Make a MySQL session count its TIMESTAMPs in UTC, and refuse what it cannot hold."""
    cursor = connection.cursor()
    cursor.execute("SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES'")
    cursor.close()


def _address(url: str) -> sa.URL:
    """Return the parts of an address.

    Raises:
        ValueError: it is for SQLite and says more than which file, which SQLite would ignore.
    """
    address = sa.make_url(url)
    if address.get_backend_name() == "sqlite" and address.query and "uri" not in address.query:
        raise ValueError("options of an SQLite address need uri=true")
    return address


def _driver_missing(scheme: str) -> Misconfigured:
    kind = scheme.split(":", 1)[0]
    return Misconfigured(
        "adapters.driver_missing",
        what=Text(
            zh=f"没有 {kind} 的驱动，或地址写法不对。",
            en=f"There is no driver for {kind}, or the address is malformed.",
        ),
        remedy=Text(
            zh="请在节点的 Python 环境中安装该数据库的 SQLAlchemy 方言和驱动，并核对地址。",
            en="Install the database's SQLAlchemy dialect and driver in the node's Python environment; check the URL.",
        ),
    )
