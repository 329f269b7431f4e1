"""The vocabulary of the control database: one metadata, one set of column types, one kind of transaction.

SQLAlchemy Core is the abstraction over the databases the platform runs on. Each package declares the tables it owns in
its own `tables.py`, named `<package>_<noun>`, on `METADATA`; no package reads or writes another package's tables.
A value of `Database` is opened by the composition root only.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from sqlalchemy import JSON, Connection, DateTime, Dialect, Engine, MetaData, TypeDecorator, create_engine, event
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

JsonColumn = JSON().with_variant(JSONB(), "postgresql")
"""A JSON document; binary on PostgreSQL."""

BUSY_TIMEOUT_SECONDS = 30
CONNECTIONS_KEPT = 20
"""Of a process, once they were needed at the same time: to open one and to say how it works takes several statements'
time."""
UNUSED_SECONDS_MAX = 1.0
"""A pooled connection that was used so lately is taken as it is."""
_USED = "used"


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, kept in UTC; a naive one is refused before it reaches the database."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return `value` in UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return what was stored, aware, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Database:
    """The control database: PostgreSQL, or SQLite in WAL mode.

    A `transaction` commits when its block ends and rolls back when it raises. On SQLite it takes the write lock at its
    start, so that two writers queue instead of failing; `snapshot` only reads.
    """

    def __init__(self, url: str) -> None:
        # SQLAlchemy's inspection hooks change when its ORM is imported. A library that imports it later, in a thread,
        # would make statements fail that run in other threads at that moment.
        import_module("sqlalchemy.orm")
        self.url = url
        parsed = make_url(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        # What is bound to a statement are people's values: the database's errors, which are logged, must not say them.
        options: dict[str, Any] = {"hide_parameters": True, "pool_size": CONNECTIONS_KEPT}
        if self.is_sqlite:
            options["connect_args"] = {"timeout": BUSY_TIMEOUT_SECONDS, "check_same_thread": False}
        else:
            # A connection that was used lately has the plans of what is asked all the time.
            options["pool_use_lifo"] = True
        self.engine: Engine = create_engine(url, **options)
        self._statements = self._snapshots = self.engine
        if self.is_sqlite:
            event.listen(self.engine, "connect", _prepare_sqlite)
        else:
            register = import_module("datong.kernel.driver_arrays").register
            event.listen(self.engine, "connect", lambda connection, _record: register(connection))
            event.listen(self.engine, "checkin", _note_use)
            event.listen(self.engine, "checkout", self._look)
            self._statements = self.engine.execution_options(isolation_level="AUTOCOMMIT")
            self._snapshots = self.engine.execution_options(isolation_level="REPEATABLE READ")
        self._local = threading.local()
        self._marking = threading.Lock()
        self._mark_connection: sqlite3.Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Yield a connection inside one read-write transaction."""
        with self.engine.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Yield a connection that sees one state of the database and writes nothing.

        On PostgreSQL it ends like a transaction that wrote: at a ROLLBACK psycopg forgets every statement that was
        prepared on the connection, and whatever is asked next is planned anew (ADR 0317).
        """
        with self._snapshots.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            if self.is_sqlite:
                connection.rollback()
            else:
                connection.commit()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection on which each statement sees the newest state by itself: no transaction, no round trip
        but the statement's own. Inside `reading_together` it is the connection of that block."""
        held = self._held()
        if held is None:
            with self._statements.connect() as connection:
                yield connection
        else:
            if not held:
                held.append(self._statements.connect())
            yield held[0]

    @contextmanager
    def one_statement(self) -> Iterator[Connection]:
        """Yield a connection for one `insert_together`, which is durable as a whole when it returns.

        PostgreSQL commits a statement by itself: no round trip but its own. What is read on the connection before is
        not locked.
        """
        with self.transaction() if self.is_sqlite else self.reading() as connection:
            yield connection

    @contextmanager
    def reading_together(self) -> Iterator[None]:
        """Let every `reading` in the block, in this thread, use one connection: each check-out asks whether the server
        is still there, and cleans up. It is opened when it is first needed."""
        if self._held() is not None:
            yield
            return
        held: list[Connection] = []
        self._local.held = held
        try:
            yield
        finally:
            self._local.held = None
            for connection in held:
                connection.close()

    def _look(self, connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object) -> None:
        """Ask whether the server is still there, for a connection that lay unused for a while."""
        used = record.info.get(_USED)
        if used is not None and time.monotonic() - used <= UNUSED_SECONDS_MAX:
            return
        try:
            there = self.engine.dialect.do_ping(connection)
        except self.engine.dialect.loaded_dbapi.Error:
            there = False
        if not there:
            # All older connections are opened anew with this one.
            raise InvalidatePoolError

    def _held(self) -> list[Connection] | None:
        held: list[Connection] | None = getattr(self._local, "held", None)
        return held

    def change_mark(self) -> int | None:
        """Return a number that is another one after each commit of anybody, or None where that is not cheaply known.

        It costs some microseconds on SQLite (`PRAGMA data_version`, on a connection of its own); PostgreSQL has none.
        """
        if not self.is_sqlite:
            return None
        with self._marking:
            try:
                if self._mark_connection is None:
                    path = make_url(self.url).database or ""
                    self._mark_connection = sqlite3.connect(path, timeout=0, check_same_thread=False)
                return int(self._mark_connection.execute("PRAGMA data_version").fetchone()[0])
            except sqlite3.OperationalError:
                # Locked at this moment: then somebody is changing it.
                return None

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()
        with self._marking:
            if self._mark_connection is not None:
                self._mark_connection.close()
                self._mark_connection = None


def _note_use(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info[_USED] = time.monotonic()


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={BUSY_TIMEOUT_SECONDS * 1000}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
