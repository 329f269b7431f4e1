"""Connections to one PostgreSQL database: ADBC's, which read into Arrow, and psycopg's, which change it."""

import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import adbc_driver_manager
import adbc_driver_postgresql.dbapi
import psycopg
import pyarrow as pa
from adbc_driver_manager.dbapi import Connection

from datong.adapters.conversion import not_lossless, typed_batch
from datong.exchange import Column, arrow_schema
from datong.kernel import Text, Unavailable

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


class PostgresqlConnections:
    """The connections to one database, opened for a call each, or kept for the next one until `close`."""

    def __init__(self, url: str) -> None:
        self.url = with_link_limits(url)
        self._idle: deque[Connection] = deque()
        """A connection first reads every type of the database, so a crawl of many tables would mostly connect."""
        self._sessions: deque[psycopg.Connection[tuple[object, ...]]] = deque()
        # Whoever forgets to close it leaves no connection behind.
        weakref.finalize(self, _close_all, self._idle, self._sessions)

    @property
    def name(self) -> str:
        """Host and database, without credentials."""
        return "postgresql:" + self.url.rsplit("@", 1)[-1].split("?", 1)[0]

    def close(self) -> None:
        """Close the connections that wait for the next call."""
        _close_all(self._idle, self._sessions)

    @contextmanager
    def reading(self, *, keep: bool = False) -> Iterator[Connection]:
        """A connection for one call; a crawl of many tables keeps it for the next one, until `close`.

        Raises:
            Unavailable: the database does not answer.
        """
        try:
            with _lent(self._idle, self._connect, keep=keep) as connection:
                yield connection
        except adbc_driver_manager.OperationalError as error:
            raise self._unavailable() from error

    @contextmanager
    def session(self, *, keep: bool = False) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
        """A connection that changes the database, for one call or kept for the next one.

        Raises:
            Unavailable: the database does not answer.
        """
        try:
            with _lent(self._sessions, self._begin_session, keep=keep) as connection:
                yield connection
        except psycopg.OperationalError as error:
            raise self._unavailable() from error

    def _connect(self) -> Connection:
        connection = adbc_driver_postgresql.dbapi.connect(self.url)
        for statement in SETTINGS:
            rows_of(connection, statement)
        connection.commit()
        return connection

    def _begin_session(self) -> psycopg.Connection[tuple[object, ...]]:
        # Statements are not prepared: a snapshot's table and its stage change names under them.
        connection = psycopg.connect(self.url, client_encoding="utf8", prepare_threshold=None)
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


def rows_of(connection: Connection, statement: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
    """Run one statement of a source and return its rows."""
    with connection.cursor() as cursor:
        cursor.execute(statement, tuple(values) or None)
        return list(cursor.fetchall()) if cursor.description else []


def batches_of(
    connection: Connection, table: str, statement: str, columns: tuple[Column, ...]
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of `table` that `statement` selects, as the `columns`' types.

    Raises:
        Invalid: `adapters.value_not_lossless`, an infinite date.
    """
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
