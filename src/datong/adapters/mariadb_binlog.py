"""MariaDB's and MySQL's binary log as a log of changes: it names the keys that changed, the rows are read by them.

Only keys are taken from the log (`adapters.binlog`). The rows are read by key from the table, by the same select list
as a snapshot, so nothing is lost on the way. A row has the state of the moment at which it was read, which is that of
its event or a later one; whatever lies between comes again with its own event. A key that is not there was deleted.

The log tells of a transaction a moment before others see it. So rows are read from a snapshot that MariaDB says to
stand behind the event; MySQL does not say, and there rows are read with shared locks, which wait for the commit.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import pyarrow as pa
import pymysql

from datong.adapters.binlog import Key
from datong.adapters.binlog_checks import (
    Watched,
    check_layout,
    check_server,
    failure,
    log_status,
    prepared_for_long,
    watched_table,
)
from datong.adapters.binlog_connection import BinlogConnection, LogPlace, LogSettings
from datong.adapters.binlog_stream import MariadbStream, Rows, place_of, position_text
from datong.adapters.conversion import changes_lost
from datong.adapters.mariadb import MariadbDatabase
from datong.adapters.mariadb_catalog import quoted
from datong.adapters.mariadb_stream import joined_select
from datong.exchange import Beginning, Column, Following, ReadQuery, arrow_schema
from datong.kernel import Text, Unavailable

KEYS_PER_STATEMENT = 500
ROWS_AT_ONCE = 100
PIECE_BYTES_MAX = 32 * 1024 * 1024
VISIBLE_SECONDS_MAX, VISIBLE_PAUSE_SECONDS = 10.0, 0.01
"""So long a commit may take from the log to the table."""
PREPARED_ATTEMPTS_MAX, PREPARED_PAUSE_SECONDS = 20, 0.1
REPEATABLE = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"
SNAPSHOT = "START TRANSACTION WITH CONSISTENT SNAPSHOT"
TOLD = "SHOW STATUS LIKE 'binlog_snapshot_%'"


class Session(Protocol):
    """A connection for questions."""

    def execute(self, statement: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Run a statement with `?` places and return its rows."""
        ...

    def batches(
        self, table: str, statement: str, values: Sequence[object], columns: tuple[Column, ...], batch_rows: int
    ) -> Iterator[pa.RecordBatch]:
        """Yield what a statement over `joined_select` finds."""
        ...


class MariadbChanges(MariadbDatabase):
    """The binary log of one MariaDB or MySQL server, for the tables of one database."""

    @contextmanager
    def begin(self, name: str, query: ReadQuery, columns: tuple[Column, ...]) -> Iterator[Beginning]:
        """Yield the table as of the log's position now.

        Raises:
            Misconfigured: `adapters.binlog`, `adapters.replication_role`. Conflict: `adapters.log_key`,
            `adapters.log_cascades`, `adapters.prepared_transactions`. Unavailable: the server does not answer.
        """
        del name
        with self._asking() as transaction:
            check_server(transaction.execute, self._database)
            watched_table(transaction.execute, query.table, columns, query.key_columns)
            file, place = self._snapshot(transaction)
            # Read after the snapshot was taken: a table that is altered in between cannot be read from it.
            watched = watched_table(transaction.execute, query.table, columns, query.key_columns)
            log = self.open_log(LogPlace(file, place, ""))
            try:
                position = position_text(log.begun(), watched.layout)
            finally:
                log.close()
            statement = f"SELECT {joined_select(columns)} FROM {quoted(query.table)}"
            rows = transaction.batches(query.table, statement, [], columns, query.batch_rows)
            yield Beginning(position=position, rows=pa.RecordBatchReader.from_batches(arrow_schema(columns), rows))

    def follow(self, name: str, following: Following) -> MariadbStream:
        """Return the changes after a position.

        Raises:
            ChangesLost: the server has purged the log that is needed, or has begun another one; the table's columns
            changed. Unavailable: the server does not answer.
        """
        del name
        place, layout = place_of(following.confirmed)
        with self._asking() as transaction:
            check_layout(transaction.execute, following.table, layout)
            watched = watched_table(transaction.execute, following.table, following.columns, following.key_columns)
            log = self.open_log(place)
            try:
                begun = log.begun()
            except BaseException:
                log.close()
                raise
        if begun != place:
            log.close()
            raise changes_lost(Text(zh="数据库的二进制日志已另起一套", en="the server has begun another binary log"))
        return MariadbStream(self, watched, log)

    def kept_bytes(self, _name: str) -> int:
        """The server keeps its log by its own rules, not for the task."""
        return 0

    def forget(self, _name: str) -> None:
        """Nothing is kept for a task."""

    def open_log(self, place: LogPlace) -> BinlogConnection:
        """Return the log from a place on.

        Raises:
            pymysql.MySQLError: the server's own error.
        """
        settings = LogSettings(self._host, self._port, self._user, self._password)
        return BinlogConnection(settings, place.file, place.place)

    def rows_of(self, watched: Watched, keys: Sequence[Key], behind: LogPlace, *, locked: bool) -> Rows:
        """Return the rows with these keys, as of a moment at which all up to `behind` is committed.

        If they are larger than a piece may be, the answer is for some of the keys only, at least for one.

        Raises:
            ChangesLost: the table is not the same any more. Unavailable: the server does not answer.
        """
        with self._asking() as transaction:
            if locked or not self._visible(transaction, behind):
                transaction.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
                tail = " LOCK IN SHARE MODE"
            else:
                tail = ""
            check_layout(transaction.execute, watched.table, watched.layout)
            return _rows_of(transaction, watched, keys, tail)

    # Inside

    @contextmanager
    def _asking(self) -> Iterator[Session]:
        """Yield a connection; the server's errors become ours, those of whoever uses what it says do not."""
        try:
            with self._session() as transaction:
                yield transaction
        except pymysql.MySQLError as error:
            raise failure(error, self.name) from error

    def _snapshot(self, transaction: Session) -> tuple[str, int]:
        """Begin a snapshot of the database; return the place in the log behind all that it holds."""
        for _ in range(PREPARED_ATTEMPTS_MAX):
            transaction.execute(REPEATABLE)
            transaction.execute(SNAPSHOT)
            place = _told(transaction)
            if place is None:
                # MySQL has no such words: for a moment nobody may write.
                transaction.execute("ROLLBACK")
                transaction.execute("FLUSH TABLES WITH READ LOCK")
                transaction.execute(SNAPSHOT)
                file, number, *_ = log_status(transaction.execute)
                place = str(file), int(str(number))
                transaction.execute("UNLOCK TABLES")
            # What was prepared before and is committed later would be told without its rows.
            if not transaction.execute("XA RECOVER"):
                return place
            transaction.execute("ROLLBACK")
            time.sleep(PREPARED_PAUSE_SECONDS)
        raise prepared_for_long()

    def _visible(self, transaction: Session, behind: LogPlace) -> bool:
        """Begin a snapshot that holds all up to a place; return False if the server does not tell its place."""
        end = time.monotonic() + VISIBLE_SECONDS_MAX
        while time.monotonic() < end:
            transaction.execute(REPEATABLE)
            transaction.execute(SNAPSHOT)
            place = _told(transaction)
            if place is None:
                transaction.execute("ROLLBACK")
                return False
            if LogPlace(*place, behind.mark).number >= behind.number:
                return True
            transaction.execute("ROLLBACK")
            time.sleep(VISIBLE_PAUSE_SECONDS)
        raise Unavailable(
            "adapters.commit_not_visible",
            what=Text(
                zh="日志中的事务在表中迟迟不可见。", en="A transaction of the log does not become visible in the table."
            ),
            remedy=Text(zh="节点会重试；请检查数据库负载。", en="The node tries again; check the database's load."),
        )


def _told(transaction: Session) -> tuple[str, int] | None:
    """Return where in the log a snapshot stands, if the server says it."""
    told = {str(name): str(value) for name, value in transaction.execute(TOLD)}
    return (told["Binlog_snapshot_file"], int(told["Binlog_snapshot_position"])) if told else None


def _rows_of(transaction: Session, watched: Watched, keys: Sequence[Key], tail: str) -> Rows:
    names = ", ".join(quoted(name) for name in watched.key_columns)
    head = f"SELECT {joined_select(watched.columns)} FROM {quoted(watched.table)} WHERE ({names}) IN "
    place = f"({', '.join('?' * len(watched.key_columns))})"
    pieces: list[pa.RecordBatch] = []
    answered: dict[Key, bool] = {}
    size = 0
    for first in range(0, len(keys), KEYS_PER_STATEMENT):
        chunk = keys[first : first + KEYS_PER_STATEMENT]
        statement = f"{head}({', '.join([place] * len(chunk))}){tail}"
        values = [value for key in chunk for value in key]
        there: set[Key] = set()
        wanted = set(chunk)
        for batch in transaction.batches(watched.table, statement, values, watched.columns, ROWS_AT_ONCE):
            pieces.append(batch)
            size += batch.nbytes
            found = zip(*(batch.column(name).to_pylist() for name in watched.key_columns), strict=True)
            there.update(found)
            if size >= PIECE_BYTES_MAX and (answered or there & wanted):
                return Rows(pieces, answered | dict.fromkeys(there & wanted, True))
        answered |= {key: key in there for key in chunk}
        if size >= PIECE_BYTES_MAX:
            break
    return Rows(pieces, answered)
