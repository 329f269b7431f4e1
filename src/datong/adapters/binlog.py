"""The events of MariaDB's and MySQL's binary log, version 4: which keys changed, and where transactions end.

Sources: MariaDB documentation, "Replication Protocol"; MySQL internals, "Event Classes and Types". A row event prints
values by rules of its own (zero dates, time zones, character sets, padding), so only the keys are decoded, integers and
UTF-8 texts; all other values are stepped over by their length. An event is a whole one with its header of 19 bytes,
without its checksum.
"""

import struct
import zlib
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from datong.kernel import Corrupt, Text

HEADER_BYTES = 19
CHECKSUM_BYTES = 4
IGNORABLE = 0x80
"""Flag of an event that a reader may skip if it does not know its kind."""
STANDALONE, PREPARED_XA = 1, 64
"""Flags of a MariaDB GTID event: no transaction begins; one begins that is only prepared here."""
PLANS_MAX = 1000
"""So many patterns of NULLs of one table are remembered."""
Key = tuple[int | str, ...]


class Kind(IntEnum):
    """The kinds of events that this reader knows to take or to pass."""

    START_V3, QUERY, STOP, ROTATE, INTVAR = range(1, 6)
    RAND, USER_VAR, FORMAT_DESCRIPTION, XID, BEGIN_LOAD, EXECUTE_LOAD, TABLE_MAP = range(13, 20)
    WRITE_ROWS_V1, UPDATE_ROWS_V1, DELETE_ROWS_V1, INCIDENT, HEARTBEAT, IGNORABLE, ROWS_QUERY = range(23, 30)
    WRITE_ROWS, UPDATE_ROWS, DELETE_ROWS, GTID, ANONYMOUS_GTID, PREVIOUS_GTIDS, CONTEXT, VIEW_CHANGE = range(30, 38)
    XA_PREPARE, PARTIAL_UPDATE_ROWS, TRANSACTION_PAYLOAD, HEARTBEAT_V2, TAGGED_GTID = range(38, 43)
    ANNOTATE_ROWS, CHECKPOINT, MARIADB_GTID, GTID_LIST, START_ENCRYPTION, QUERY_COMPRESSED = range(160, 166)
    WRITE_ROWS_COMPRESSED_V1, UPDATE_ROWS_COMPRESSED_V1, DELETE_ROWS_COMPRESSED_V1 = range(166, 169)
    WRITE_ROWS_COMPRESSED, UPDATE_ROWS_COMPRESSED, DELETE_ROWS_COMPRESSED = range(169, 172)


KNOWN = frozenset(int(kind) for kind in Kind)
UPDATES = frozenset(
    {Kind.UPDATE_ROWS_V1, Kind.UPDATE_ROWS, Kind.UPDATE_ROWS_COMPRESSED_V1, Kind.UPDATE_ROWS_COMPRESSED}
)
_COMPRESSED = frozenset(range(Kind.WRITE_ROWS_COMPRESSED_V1, Kind.DELETE_ROWS_COMPRESSED + 1))
_SECOND = frozenset({*range(Kind.WRITE_ROWS, Kind.DELETE_ROWS + 1), *range(Kind.WRITE_ROWS_COMPRESSED, 172)})
ROWS = _COMPRESSED | _SECOND | frozenset(range(Kind.WRITE_ROWS_V1, Kind.DELETE_ROWS_V1 + 1))

_FIXED = {1: 1, 2: 2, 3: 4, 4: 4, 5: 8, 6: 0, 7: 4, 8: 8, 9: 3, 10: 3, 11: 3, 12: 8, 13: 1, 14: 3}
"""Bytes of a value by the type's number: TINY, SHORT, LONG, FLOAT, DOUBLE, NULL, TIMESTAMP, LONGLONG, INT24, DATE …"""
_FRACTION = {17: 4, 18: 5, 19: 3}
"""TIMESTAMP2, DATETIME2, TIME2: bytes without the fraction of a second."""
_VARCHAR, _BIT, _NEWDECIMAL, _ENUM, _SET, _VAR_STRING, _STRING, _VARCHAR_COMPRESSED = (
    15,
    16,
    246,
    247,
    248,
    253,
    254,
    141,
)
_BLOBS = frozenset({140, 242, 245, 249, 250, 251, 252, 255})
"""Compressed blob, vector, JSON, blobs, geometry: the metadata is the number of bytes of the length."""
_METADATA_BYTES = (
    {
        4: 1,
        5: 1,
        _VARCHAR: 2,
        _BIT: 2,
        17: 1,
        18: 1,
        19: 1,
        _NEWDECIMAL: 2,
        _ENUM: 2,
        _SET: 2,
        _VAR_STRING: 2,
        _STRING: 2,
    }
    | {_VARCHAR_COMPRESSED: 2}
    | dict.fromkeys(_BLOBS, 1)
)
_DIGIT_BYTES = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)


class LogHeader(NamedTuple):
    """What stands before every event; `end` is the place in the file behind it."""

    timestamp: int
    kind: int
    server_id: int
    end: int
    flags: int


class Statement(NamedTuple):
    """A statement that the log repeats, and the database in which it ran."""

    schema: str
    words: bytes
    """In the character set of whoever ran it."""


class LoggedTable(NamedTuple):
    """A table as row events describe it. A column is the bytes of its values, or minus the bytes of their length."""

    id: int
    columns: tuple[int, ...]


class KeyPart(NamedTuple):
    """A key column: its place in the table, and whether it is a text or a number without sign."""

    place: int
    text: bool
    unsigned: bool


def header_of(event: bytes) -> LogHeader:
    """Return an event's header.

    Raises:
        Corrupt: `adapters.log_unreadable`.
    """
    if len(event) < HEADER_BYTES:
        raise unreadable()
    timestamp, kind, server_id, _, end, flags = struct.unpack_from("<IBIIIH", event)
    return LogHeader(timestamp, kind, server_id, end, flags)


def has_checksums(event: bytes) -> bool:
    """Return whether the events of a file have checksums, by its format description as it came (with its own)."""
    return len(event) > HEADER_BYTES + CHECKSUM_BYTES + 1 and event[-CHECKSUM_BYTES - 1] == 1


def is_intact(event: bytes) -> bool:
    """Return whether an event's last four bytes are its checksum."""
    return len(event) > CHECKSUM_BYTES and zlib.crc32(event[:-4]) == int.from_bytes(event[-4:], "little")


def next_file(event: bytes) -> str:
    """Return the file that a rotation names.

    Raises:
        Corrupt: `adapters.log_unreadable`.
    """
    return _text(event[HEADER_BYTES + 8 :])


def statement_of(event: bytes) -> Statement:
    """Return the statement of a QUERY, QUERY_COMPRESSED or EXECUTE_LOAD event.

    Raises:
        Corrupt: `adapters.log_unreadable`.
    """
    try:
        schema_bytes = event[HEADER_BYTES + 8]
        status_bytes = int.from_bytes(event[HEADER_BYTES + 11 : HEADER_BYTES + 13], "little")
        at = HEADER_BYTES + (26 if event[4] == Kind.EXECUTE_LOAD else 13) + status_bytes
        words = event[at + schema_bytes + 1 :]
        if event[4] == Kind.QUERY_COMPRESSED:
            words = _inflated(words)
    except IndexError as error:
        raise unreadable() from error
    return Statement(_text(event[at : at + schema_bytes]), words)


def gtid_flags(event: bytes) -> int:
    """Return the flags of a MariaDB GTID event.

    Raises:
        Corrupt: `adapters.log_unreadable`.
    """
    if len(event) <= HEADER_BYTES + 12:
        raise unreadable()
    return event[HEADER_BYTES + 12]


def prepared_of(event: bytes) -> str | None:
    """Return what XA COMMIT will call the transaction that was prepared here; None if it was committed here.

    Raises:
        Corrupt: `adapters.log_unreadable`.
    """
    try:
        one_phase, form, first, second = struct.unpack_from("<BIII", event, HEADER_BYTES)
    except struct.error as error:
        raise unreadable() from error
    at = HEADER_BYTES + 13
    parts = event[at : at + first].hex(), event[at + first : at + first + second].hex()
    return None if one_phase else f"x'{parts[0]}',x'{parts[1]}',{form}"


def name_of(event: bytes) -> tuple[str, str]:
    """Return the database and the name of the table that a TABLE_MAP event describes.

    Raises:
        Corrupt: `adapters.log_unreadable`.
    """
    try:
        at = HEADER_BYTES + 8
        schema = event[at + 1 : at + 1 + event[at]]
        at += event[at] + 2
        return _text(schema), _text(event[at + 1 : at + 1 + event[at]])
    except IndexError as error:
        raise unreadable() from error


def table_of(event: bytes) -> LoggedTable:
    """Return the table that a TABLE_MAP event describes.

    Raises:
        Corrupt: `adapters.log_unreadable`; also when a column is of a type not known here.
    """
    try:
        at = HEADER_BYTES + 8
        at += event[at] + 2
        at += event[at] + 2
        count, at = _packed(event, at)
        types = event[at : at + count]
        size, at = _packed(event, at + count)
        metadata = event[at : at + size]
        columns = []
        at = 0
        for kind in types:
            width = _METADATA_BYTES.get(kind, 0)
            columns.append(_column(kind, metadata[at : at + width]))
            at += width
    except IndexError as error:
        raise unreadable() from error
    if len(columns) != count or at != size:
        raise unreadable()
    return LoggedTable(table_id_of(event), tuple(columns))


def table_id_of(event: bytes) -> int:
    """Return the number that a TABLE_MAP or row event gives its table."""
    return int.from_bytes(event[HEADER_BYTES : HEADER_BYTES + 6], "little")


class KeyDecoder:
    """Decodes the keys of one table's row events.

    Raises:
        Corrupt: `adapters.log_unreadable`: the log's table has no such key.
    """

    def __init__(self, table: LoggedTable, parts: Sequence[KeyPart]) -> None:
        if any(part.place >= len(table.columns) or (table.columns[part.place] < 0) != part.text for part in parts):
            raise unreadable()
        self._columns = table.columns
        self._slots = {part.place: (slot, part) for slot, part in enumerate(parts)}
        self._parts = len(parts)
        self._plans: dict[tuple[bytes, bytes], tuple[tuple[int, int, KeyPart | None], ...]] = {}

    def keys(self, event: bytes) -> list[Key]:
        """Return the keys that a row event touches, an update's old before its new one.

        Raises:
            Corrupt: `adapters.log_unreadable`; also when the log does not tell the key.
        """
        try:
            return self._keys(event)
        except (IndexError, ValueError) as error:
            raise unreadable() from error

    def _keys(self, event: bytes) -> list[Key]:
        kind, at = event[4], HEADER_BYTES + 8
        if kind in _SECOND:
            at += int.from_bytes(event[at : at + 2], "little")
        count, at = _packed(event, at)
        if count != len(self._columns):
            raise unreadable()
        width = (count + 7) // 8
        present = [event[at : at + width]]
        if kind in UPDATES:
            present.append(event[at + width : at + 2 * width])
        data, at = event, at + width * len(present)
        if kind in _COMPRESSED:
            data, at = _inflated(event[at:]), 0
        found: list[Key] = []
        while at < len(data):
            before: Sequence[int | str | None] = [None] * self._parts
            for image in present:
                values, at = self._image(data, at, image)
                # A short image has only the columns that changed.
                values = [old if new is None else new for old, new in zip(before, values, strict=True)]
                key = tuple(value for value in values if value is not None)
                if len(key) != self._parts or at > len(data):
                    raise unreadable()
                found.append(key)
                before = values
        return found

    def _image(self, data: bytes, at: int, present: bytes) -> tuple[list[int | str | None], int]:
        width = (sum(byte.bit_count() for byte in present) + 7) // 8
        nulls = data[at : at + width]
        at += width
        steps = self._plans.get((present, nulls))
        if steps is None:
            steps = self._plans[present, nulls] = self._plan(present, nulls)
        values: list[int | str | None] = [None] * self._parts
        for size, slot, part in steps:
            start = at
            if size < 0:
                start = at - size
                at = start + int.from_bytes(data[at:start], "little")
            else:
                at += size
            if part is not None:
                content = data[start:at]
                values[slot] = (
                    content.decode() if part.text else int.from_bytes(content, "little", signed=not part.unsigned)
                )
        return values, at

    def _plan(self, present: bytes, nulls: bytes) -> tuple[tuple[int, int, KeyPart | None], ...]:
        """Return the steps through an image: a size, or minus the bytes of a length; and the part of the key it is."""
        if len(self._plans) > PLANS_MAX:
            self._plans.clear()
        steps: list[tuple[int, int, KeyPart | None]] = []
        number = 0
        for place, size in enumerate(self._columns):
            if not present[place // 8] >> place % 8 & 1:
                continue
            is_null = nulls[number // 8] >> number % 8 & 1
            number += 1
            if is_null:
                continue
            slot, part = self._slots.get(place, (0, None))
            if part is None and size >= 0 and steps and steps[-1][2] is None and steps[-1][0] >= 0:
                steps[-1] = (steps[-1][0] + size, 0, None)
            else:
                steps.append((size, slot, part))
        return tuple(steps)


def unreadable() -> Corrupt:
    """Return the error of an event that cannot be decoded."""
    return Corrupt(
        "adapters.log_unreadable",
        what=Text(zh="数据库的二进制日志中有无法解析的内容。", en="The database's binary log cannot be decoded."),
        remedy=Text(
            zh="请报告数据库版本与表结构；在此之前请改用比对增量方式。",
            en="Report the database's version and the table's definition; until then use the mode diff.",
        ),
    )


def _column(kind: int, metadata: bytes) -> int:
    """Return the bytes of a column's values, or minus the bytes of their length."""
    if kind in _FIXED:
        return _FIXED[kind]
    if kind in _FRACTION:
        return _FRACTION[kind] + (metadata[0] + 1) // 2
    if kind in _BLOBS:
        return -metadata[0]
    if kind in {_VARCHAR, _VAR_STRING, _VARCHAR_COMPRESSED}:
        return -1 if metadata[0] | metadata[1] << 8 < 256 else -2
    if kind == _BIT:
        return (metadata[1] * 8 + metadata[0] + 7) // 8
    if kind == _NEWDECIMAL:
        whole, fraction = metadata[0] - metadata[1], metadata[1]
        return whole // 9 * 4 + _DIGIT_BYTES[whole % 9] + fraction // 9 * 4 + _DIGIT_BYTES[fraction % 9]
    if kind in {_ENUM, _SET} or (kind == _STRING and metadata[0] in {_ENUM, _SET}):
        return metadata[1]
    if kind == _STRING:
        # Two bits of the longest value's length are hidden, inverted, in the first byte.
        return -1 if ((metadata[0] & 0x30) ^ 0x30) << 4 | metadata[1] < 256 else -2
    raise unreadable()


def _packed(data: bytes, at: int) -> tuple[int, int]:
    """Return a packed integer, and the place behind it."""
    first = data[at]
    width = {0xFC: 2, 0xFD: 3, 0xFE: 8}.get(first, 0)
    return (int.from_bytes(data[at + 1 : at + 1 + width], "little") if width else first), at + 1 + width


def _inflated(data: bytes) -> bytes:
    """Return what MariaDB compressed: a byte with the number of bytes of the length, the length, a zlib stream."""
    try:
        return zlib.decompress(data[1 + (data[0] & 7) :])
    except (IndexError, zlib.error) as error:
        raise unreadable() from error


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise unreadable() from error
