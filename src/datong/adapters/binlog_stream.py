"""The changes of one table, from a place in MariaDB's or MySQL's binary log on.

A position is the end of the last transaction whose keys were all handed out. So after a restart what was handed out
behind it comes again, which does no harm: rows are read anew by their keys. A transaction that is only prepared (XA) is
held until it is committed, and so is the position before it.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, NamedTuple, Protocol

import pyarrow as pa
import pymysql

from datong.adapters.binlog import (
    HEADER_BYTES,
    IGNORABLE,
    KNOWN,
    PREPARED_XA,
    ROWS,
    STANDALONE,
    Key,
    KeyDecoder,
    Kind,
    gtid_flags,
    name_of,
    prepared_of,
    statement_of,
    table_id_of,
    table_of,
    unreadable,
)
from datong.adapters.binlog_checks import Watched, failure, wrong_setting
from datong.adapters.binlog_connection import BinlogConnection, LogEvent, LogPlace
from datong.adapters.conversion import changes_lost
from datong.exchange import DELETED_COLUMN, ChangePiece, Column, arrow_schema, arrow_type
from datong.kernel import Text

LINGER_SECONDS = 0.2
"""How long committed changes may wait for others to share a batch with."""
PREPARED_KEYS_MAX = 1_000_000
_HEARTBEATS = frozenset({Kind.HEARTBEAT, Kind.HEARTBEAT_V2})
_COMMENTS = rb"^\s*(?:/\*.*?\*/\s*)*"
_DEFINITIONS = re.compile(
    _COMMENTS + rb"(?:TRUNCATE|ALTER|DROP|RENAME|CREATE\s+OR\s+REPLACE\s+(?:TEMPORARY\s+)?TABLE)\b",
    re.IGNORECASE | re.DOTALL,
)
_OTHER_THINGS = re.compile(
    _COMMENTS + rb"(?:ALTER|DROP|RENAME)\s+(?:VIEW|TRIGGER|PROCEDURE|FUNCTION|EVENT|USER|ROLE|SERVER|SEQUENCE)\b",
    re.IGNORECASE | re.DOTALL,
)
_DATABASE = re.compile(_COMMENTS + rb"DROP\s+(?:DATABASE|SCHEMA)\b", re.IGNORECASE | re.DOTALL)
_CHANGES = re.compile(_COMMENTS + rb"(?:INSERT|UPDATE|DELETE|REPLACE|LOAD|WITH)\b", re.IGNORECASE | re.DOTALL)
_POSITION = re.compile(r"(?P<file>[^/]+\.\d+):(?P<place>\d+)/(?P<mark>[0-9a-f]+-[0-9a-f]+)/(?P<layout>[0-9a-f]+)")
_NAME_ENCODINGS = ("utf-8", "gb18030", "big5")
_XA = re.compile(rb"XA\s+(START|BEGIN|COMMIT|ROLLBACK)\s+([^\s]+)\s*$", re.IGNORECASE)
_EMPTIED = Text(zh="表被清空或改动了结构", en="the table was emptied, or its definition changed")
_STATEMENT = Text(zh="日志中有语句而没有行", en="the log has a statement instead of rows")
_PREPARED = Text(zh="提交了一个更早准备的 XA 事务", en="an XA transaction was committed that had been prepared before")
_GAP = Text(zh="数据库报告其日志有缺失", en="the server says that its log has a gap")


def position_text(place: LogPlace, layout: str) -> str:
    """Return a position: a place in the log, and how the table looked there."""
    return f"{place.file}:{place.place}/{place.mark}/{layout}"


def position_number(position: str) -> int:
    """Return a number by which the positions of one server sort.

    Raises:
        ChangesLost: it is no position of such a log.
    """
    return place_of(position)[0].number


def place_of(position: str) -> tuple[LogPlace, str]:
    """Return a position's place in the log, and the layout.

    Raises:
        ChangesLost: it is no position of such a log.
    """
    found = _POSITION.fullmatch(position)
    if found is None:
        raise changes_lost(Text(zh="位置不属于此类日志", en="the position is none of such a log"))
    return LogPlace(found["file"], int(found["place"]), found["mark"]), found["layout"]


class Rows(NamedTuple):
    """Rows by key, and whether each key that they answer for is there."""

    batches: list[pa.RecordBatch]
    answered: dict[Key, bool]


class RowSource(Protocol):
    """Reads rows by key."""

    @property
    def name(self) -> str:
        """What the source is called."""
        ...

    def rows_of(self, watched: Watched, keys: list[Key], behind: LogPlace, *, locked: bool) -> Rows:
        """Return the rows with these keys, or with some of them, as of a moment that has all up to `behind`."""
        ...


class _Prepared(NamedTuple):
    """The keys of a prepared transaction, and the place before it."""

    keys: dict[Key, None]
    before: LogPlace


class MariadbStream:
    """The changes of one table from one position on, as the rows that their keys have now."""

    def __init__(self, source: RowSource, watched: Watched, log: BinlogConnection) -> None:
        self._source = source
        self._watched = watched
        self._log = log
        self._start = self._end = self._behind = log.at
        """Behind all that was handed out; behind the last whole transaction; behind the last change of the table."""
        self._maps: dict[int, bytes] = {}
        self._decoders: dict[int, KeyDecoder] = {}
        self._keys: dict[Key, None] = {}
        self._open: dict[Key, None] = {}
        """The keys of whole transactions, and of the one that is being read."""
        self._inside = self._preparing = False
        self._prepared: dict[str, _Prepared] = {}
        self._locked = self._more = False
        self._names = _mentions(watched.table)
        self._databases = _mentions(watched.schema)
        self._takers: dict[int, Callable[[LogEvent], None]] = {
            Kind.FORMAT_DESCRIPTION: self._take_file,
            Kind.TABLE_MAP: self._take_table,
            Kind.MARIADB_GTID: self._take_gtid,
            Kind.XID: self._take_commit,
            Kind.XA_PREPARE: self._take_prepare,
            Kind.INCIDENT: self._take_gap,
            Kind.TRANSACTION_PAYLOAD: self._take_gap,
            **dict.fromkeys((Kind.QUERY, Kind.QUERY_COMPRESSED, Kind.EXECUTE_LOAD), self._take_statement),
            **dict.fromkeys((*ROWS, Kind.PARTIAL_UPDATE_ROWS), self._take_rows),
        }

    @property
    def seen(self) -> str:
        """How far the log was read; not beyond changes that wait to be handed out."""
        return self._text(self._start if self._keys else self._end)

    @property
    def resting(self) -> str | None:
        """Where to go on from since nothing up to there concerns the table; None while changes wait."""
        return None if self._keys or self._open else self._text(self._resume())

    def next(self, rows_max: int, wait_seconds: float) -> ChangePiece | None:
        """Return the next changes, or None when none came within `wait_seconds`.

        Raises:
            ChangesLost: the table was changed as such, or the log does not tell all. Misconfigured: `adapters.binlog`.
            Unavailable: the server does not answer. Corrupt: `adapters.log_unreadable`.
        """
        deadline = time.monotonic() + wait_seconds
        first: float | None = None
        at_end = False
        while True:
            now = time.monotonic()
            if self._keys:
                first = first or now
                waited = at_end or now - first >= LINGER_SECONDS
                if waited or self._more or len(self._keys) + len(self._open) >= rows_max:
                    return self._piece(self._keys, rows_max)
            elif len(self._open) >= rows_max and not self._preparing:
                return self._piece(self._open, rows_max)
            elif now >= deadline:
                return None
            at_end = self._read()

    def confirm(self, position: str) -> None:
        """The server keeps its log by its own rules."""

    def close(self) -> None:
        """End the stream."""
        if self._log.open:
            self._log.close()

    # Inside

    def _text(self, place: LogPlace) -> str:
        return position_text(place, self._watched.layout)

    def _resume(self) -> LogPlace:
        return min((one.before for one in self._prepared.values()), default=self._start, key=lambda one: one.number)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except pymysql.MySQLError as error:
            raise failure(error, self._source.name) from error

    def _read(self) -> bool:
        """Take in one event; return whether the log was at its end."""
        with self._asking():
            event = self._log.next()
        take = self._takers.get(event.header.kind)
        if take is not None:
            take(event)
        elif event.header.kind not in KNOWN and not event.header.flags & IGNORABLE:
            raise unreadable()
        if not self._inside and self._log.at.mark:
            self._pass()
        return event.header.kind in _HEARTBEATS

    def _take_file(self, _event: LogEvent) -> None:
        # The numbers of tables may mean others in another file.
        self._maps.clear()
        self._decoders.clear()

    def _take_gtid(self, event: LogEvent) -> None:
        flags = gtid_flags(event.data)
        self._inside, self._preparing = not flags & STANDALONE, bool(flags & PREPARED_XA)

    def _take_commit(self, _event: LogEvent) -> None:
        self._commit()

    def _take_prepare(self, event: LogEvent) -> None:
        name = prepared_of(event.data)
        if name is not None:
            self._prepared[name] = _Prepared(self._open, self._end)
            self._open = {}
        self._commit()

    def _take_gap(self, event: LogEvent) -> None:
        if event.header.kind == Kind.INCIDENT:
            raise changes_lost(_GAP)
        raise wrong_setting("binlog_transaction_compression", "OFF")

    def _take_table(self, event: LogEvent) -> None:
        """Look at a table that the next row events name by a number."""
        data = event.data
        number = table_id_of(data)
        if self._maps.get(number) == data[HEADER_BYTES:]:
            return
        self._decoders.pop(number, None)
        self._maps[number] = data[HEADER_BYTES:]
        if name_of(data) == (self._watched.schema, self._watched.table):
            self._decoders[number] = KeyDecoder(table_of(data), self._watched.parts)

    def _take_rows(self, event: LogEvent) -> None:
        self._inside = True
        decoder = self._decoders.get(table_id_of(event.data))
        if decoder is None:
            return
        if event.header.kind == Kind.PARTIAL_UPDATE_ROWS:
            raise wrong_setting("binlog_row_value_options", "''")
        self._open.update(dict.fromkeys(decoder.keys(event.data)))
        self._behind = self._log.at
        if self._preparing and len(self._open) > PREPARED_KEYS_MAX:
            raise changes_lost(_PREPARED)

    def _take_statement(self, event: LogEvent) -> None:
        schema, words = statement_of(event.data)
        verb = words.strip().upper()
        if verb == b"BEGIN":
            self._inside, self._preparing = True, False
        elif verb in {b"COMMIT", b"ROLLBACK"}:
            self._commit()
        elif found := _XA.match(words.strip()):
            self._take_xa(found[1].upper(), found[2].decode("ascii", errors="replace").lower())
        elif _DEFINITIONS.match(words) and not _OTHER_THINGS.match(words):
            if self._names.search(words) or (_DATABASE.match(words) and self._databases.search(words)):
                raise changes_lost(_EMPTIED)
        elif _CHANGES.match(words) and (schema == self._watched.schema or self._names.search(words)):
            raise changes_lost(_STATEMENT)

    def _take_xa(self, verb: bytes, name: str) -> None:
        if verb in {b"START", b"BEGIN"}:
            self._inside = self._preparing = True
            return
        prepared = self._prepared.pop(name, None)
        if verb == b"COMMIT":
            if prepared is None:
                raise changes_lost(_PREPARED)
            if prepared.keys:
                self._keys.update(prepared.keys)
                # The snapshot of a moment may not have it yet: such a commit is not in one order with the others.
                self._locked = True
        self._inside = False

    def _commit(self) -> None:
        self._keys.update(self._open)
        self._open.clear()
        self._inside = self._preparing = False

    def _pass(self) -> None:
        """Note that all up to here is whole."""
        self._end = self._log.at
        if not self._keys:
            self._start = self._end

    def _piece(self, waiting: dict[Key, None], rows_max: int) -> ChangePiece:
        """Hand out the rows of keys that wait: deletes first, then what is there."""
        keys = list(islice(waiting, rows_max))
        rows = self._source.rows_of(self._watched, keys, self._behind, locked=self._locked)
        for key in rows.answered:
            del waiting[key]
        self._more = bool(self._keys)
        if not self._keys:
            self._start, self._locked = self._end, False
        gone = [key for key, there in rows.answered.items() if not there]
        batch = _with_deletes(rows.batches, gone, self._watched.columns, self._watched.key_columns)
        return ChangePiece(rows=batch, position=self._text(self._resume()))


def _with_deletes(
    batches: list[pa.RecordBatch], gone: list[Key], columns: tuple[Column, ...], key_columns: tuple[str, ...]
) -> pa.RecordBatch:
    """Return rows that were deleted, and behind them rows that are there, as one batch of changes."""
    there = pa.Table.from_batches(batches, schema=arrow_schema(columns))
    arrays = []
    for column in columns:
        values: list[int | str | None] = [None] * len(gone)
        if column.name in key_columns:
            slot = key_columns.index(column.name)
            values = [key[slot] for key in gone]
        deletes: Any = pa.array(values, arrow_type(column.type))
        arrays.append(pa.concat_arrays([deletes, *there.column(column.name).chunks]))
    deleted = pa.array([True] * len(gone) + [False] * there.num_rows)
    return pa.RecordBatch.from_arrays([deleted, *arrays], schema=arrow_schema((DELETED_COLUMN, *columns)))


def _mentions(name: str) -> "re.Pattern[bytes]":
    """Return what finds a name in statements of any character set that a client may have."""
    if name.isascii():
        return re.compile(rb"(?<![\w$])" + re.escape(name.encode()) + rb"(?![\w$])", re.IGNORECASE)
    found = []
    for encoding in _NAME_ENCODINGS:
        try:
            found.append(re.escape(name.encode(encoding)))
        except UnicodeEncodeError:
            continue
    return re.compile(b"|".join(found), re.IGNORECASE)
