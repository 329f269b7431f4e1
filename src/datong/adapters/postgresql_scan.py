"""Reading large tables from PostgreSQL through DuckDB's own reader: a third of the processor time that ADBC takes.

ADBC's driver decodes each field through a chain of calls; DuckDB's `postgres_scanner` does it for whole vectors. It is
loaded once per read, which costs a seventh of a second, so small tables do not go this way. DuckDB checks the signature
of the extension's file itself; nothing is ever fetched from the network.

The reader has traps, and each is closed here: it turns a numeric NaN into 0 and 24:00:00 into midnight (decimals travel
as text, tables with times of day not at all), infinite dates arrive as the largest numbers and later years wrap round
(both are looked for in every batch), names that differ in case only count as one (columns are numbered).
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from datong.adapters.conversion import not_lossless, typed_batch, unreadable
from datong.adapters.postgresql_catalog import PAGE_BYTES, ROWS_PER_PAGE_GUESS, literal, quoted
from datong.exchange import Column, TableSchema, arrow_schema, decimal_parameters
from datong.kernel import Text, Unavailable

SCAN_ROWS_MIN = 200_000
"""Below this, loading the extension costs more than it saves."""
PIECE_ROWS = 20_480
"""Ten of DuckDB's vectors: some 4 MB of rows as wide as those of registers."""
_SCANNED = {"boolean", "int64", "float32", "float64", "string", "binary", "date", "timestamp", "timestamp_utc"}
_DAY_MAX = (1 << 31) - 2
_MICROSECOND_MIN = -210_866_803_200_000_000
"""Midnight of 4714-11-24 BC, PostgreSQL's first: an earlier one has wrapped round."""
_MICROSECOND_MAX = (1 << 63) - 2
_LINK_LOST = (
    "server closed the connection", "connection to server", "could not connect", "could not receive data",
    "could not send data", "connection not open", "no connection", "connection reset", "timed out", "timeout expired",
    "SSL", "FATAL", "PANIC", "Unable to connect", "Broken pipe",
)  # fmt: skip
"""What libpq says (untranslated: DuckDB's is built so) when it was not the statement that failed."""


def extension_path() -> Path | None:
    """Return the file of DuckDB's reader for PostgreSQL, or None where this machine has no package of it."""
    found = find_spec("duckdb_extension_postgres_scanner")
    folders = [] if found is None else found.submodule_search_locations or []
    within = Path("extensions", f"v{duckdb.__version__}", "postgres_scanner.duckdb_extension")
    return next((path for folder in folders if (path := Path(folder) / within).exists()), None)


def scannable(columns: Iterable[Column]) -> bool:
    """Whether every column has a type that arrives unchanged."""
    return all(column.type in _SCANNED or decimal_parameters(column.type) is not None for column in columns)


def worth_scanning(schema: TableSchema, columns: Iterable[Column], rows_min: int) -> bool:
    """Whether a table is large, as far as its database knows, and its columns are `scannable`."""
    rows = schema.rows if schema.rows is not None else (schema.bytes or 0) // PAGE_BYTES * ROWS_PER_PAGE_GUESS
    return rows >= rows_min and scannable(columns)


def scan_expression(number: int, column: Column) -> str:
    """Return the expression that hands a column to DuckDB, as its exchange type or as text that is parsed exactly."""
    name = quoted(column.name)
    if column.type == "int64":
        name += "::bigint"
    if column.type == "string" or decimal_parameters(column.type) is not None:
        name += "::text"
    return f"{name} AS c{number}"


class PostgresqlScan:
    """One statement over a connection of its own; the columns of what it yields are numbered, not named."""

    def __init__(self, url: str, table: str) -> None:
        self._table = table
        parts = urlsplit(url)
        stated = {**dict(parse_qsl(parts.query, keep_blank_values=True)), "client_encoding": "UTF8"}
        self._url = urlunsplit(parts._replace(query=urlencode(stated, quote_via=quote)))
        self._server = "postgresql:" + url.rsplit("@", 1)[-1].split("?", 1)[0]

    def batches(self, extension: Path, statement: str, columns: tuple[Column, ...]) -> Iterator[pa.RecordBatch]:
        """Yield what `statement` returns, in the exchange types of `columns`.

        Raises:
            Unavailable: the server does not answer, or no longer. Refused: `adapters.table_unreadable`.
            Invalid: `adapters.value_not_lossless`, an infinite date or a year that nobody else can say.
        """
        with self.opened(extension) as run:
            yield from run(statement, columns)

    @contextmanager
    def opened(
        self, extension: Path, snapshot: str = ""
    ) -> Iterator[Callable[[str, tuple[Column, ...]], Iterator[pa.RecordBatch]]]:
        """Open the connection and yield what runs statements over it, errors as in `batches`.

        With the name of an exported `snapshot` all of them see the database as that does.
        """
        settings: dict[str, str | bool | int | float | list[str]] = {
            "threads": 1,
            "autoload_known_extensions": False,
            "autoinstall_known_extensions": False,
        }
        with duckdb.connect(config=settings) as connection:
            connection.execute(f"LOAD {literal(str(extension))}")
            connection.execute("SET TimeZone = 'UTC'; SET pg_pool_enable_reaper_thread = false")
            try:
                connection.execute(f"ATTACH {literal(self._url)} AS source (TYPE postgres, READ_ONLY)")
            except duckdb.Error:
                # Its text holds the address with the password, and an error's cause may be logged.
                raise self._unavailable() from None
            if snapshot:
                # One transaction of DuckDB is one of PostgreSQL, of REPEATABLE READ and over one connection.
                imported = literal(f"SET TRANSACTION SNAPSHOT {literal(snapshot)}")
                with self._failures():
                    connection.execute(f"BEGIN; CALL postgres_execute('source', {imported})")
            yield partial(self._run, connection)

    def _run(
        self, connection: duckdb.DuckDBPyConnection, statement: str, columns: tuple[Column, ...]
    ) -> Iterator[pa.RecordBatch]:
        schema = arrow_schema(columns)
        for batch in self._read(connection, statement, columns):
            yield typed_batch(self._table, batch, columns, schema)

    def _read(
        self, connection: duckdb.DuckDBPyConnection, statement: str, columns: tuple[Column, ...]
    ) -> Iterator[pa.RecordBatch]:
        query = f"SELECT * FROM postgres_query('source', {literal(statement)})"
        with self._failures():
            for batch in connection.execute(query).to_arrow_reader(PIECE_ROWS):
                self._refuse_far_times(batch, columns)
                yield batch

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            if any(words in str(error) for words in _LINK_LOST):
                raise self._unavailable() from error
            raise unreadable(self._table, error) from error

    def _refuse_far_times(self, batch: pa.RecordBatch, columns: tuple[Column, ...]) -> None:
        for column, values in zip(columns, batch.columns, strict=True):
            if column.type == "date":
                low, high = -_DAY_MAX, _DAY_MAX
                bounds = pc.min_max(values.view(pa.int32()))
            elif column.type in {"timestamp", "timestamp_utc"}:
                low, high = _MICROSECOND_MIN, _MICROSECOND_MAX
                bounds = pc.min_max(values.view(pa.int64()))
            else:
                continue
            first, last = bounds["min"].as_py(), bounds["max"].as_py()
            if first is not None and (first < low or last > high):
                reason = Text(zh="无穷日期没有对应的值。", en="an infinite date has no counterpart elsewhere.")
                raise not_lossless(self._table, column.name, reason)

    def _unavailable(self) -> Unavailable:
        return Unavailable(
            "adapters.source_unavailable",
            what=Text(zh=f"数据源 {self._server} 无法访问。", en=f"The source {self._server} does not answer."),
            remedy=Text(zh="请检查数据库及网络。", en="Check the database and the network."),
        )
