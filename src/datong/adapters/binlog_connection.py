"""A connection over which a MariaDB or MySQL server sends its binary log, event by event (COM_BINLOG_DUMP)."""

import secrets
import struct
from typing import NamedTuple

from pymysql.constants import CR
from pymysql.constants.COMMAND import COM_BINLOG_DUMP
from pymysql.err import OperationalError

from datong.adapters.binlog import (
    CHECKSUM_BYTES,
    HEADER_BYTES,
    Kind,
    LogHeader,
    has_checksums,
    header_of,
    is_intact,
    next_file,
    unreadable,
)
from datong.adapters.mariadb_link import MariadbLink

HEARTBEAT_SECONDS = 0.1
"""A server that has nothing to send says so this often."""
SILENCE_SECONDS = 30
"""A server that says nothing for so long is gone."""
CONNECT_SECONDS = 10
LOG_ERROR = 1236
"""The server's number for every error of its log (ER_MASTER_FATAL_ERROR_READING_BINLOG)."""
PLACE_MAX = 2**32 - 1
SERVER_ID_BASE = 0x40000000
"""Where the ids begin by which connections present themselves; a server ends one with the id of a newer one."""


class LogPlace(NamedTuple):
    """A place in a server's log. `mark` tells the file from one of the same name: when and by whom it was begun."""

    file: str
    place: int
    mark: str

    @property
    def number(self) -> int:
        """A number by which the places of one server sort."""
        return int(self.file.rpartition(".")[2]) << 64 | self.place


class LogEvent(NamedTuple):
    """An event with its header and without its checksum."""

    header: LogHeader
    data: bytes


class LogSettings(NamedTuple):
    """Where a log is and who may read it."""

    host: str
    port: int
    user: str
    password: str


class BinlogConnection(MariadbLink):
    """Reads a log from one place on; first comes a FORMAT_DESCRIPTION, and `at` has no mark before it."""

    def __init__(self, settings: LogSettings, file: str, place: int, *, server_id: int | None = None) -> None:
        super().__init__(
            **settings._asdict(), charset="utf8mb4", connect_timeout=CONNECT_SECONDS, read_timeout=SILENCE_SECONDS
        )
        self.at = LogPlace(file, place, "")
        """The place behind the last event."""
        self._checksums = False
        number = SERVER_ID_BASE + secrets.randbelow(SERVER_ID_BASE) if server_id is None else server_id
        with self.cursor() as cursor:
            cursor.execute(
                "SET @master_binlog_checksum = @@GLOBAL.binlog_checksum, @mariadb_slave_capability = 4, "
                f"@master_heartbeat_period = {int(HEARTBEAT_SECONDS * 1e9)}"
            )
        if place > PLACE_MAX:
            raise OperationalError(LOG_ERROR, "The log's file is larger than 4 GiB")
        body = struct.pack("<IHI", place, 0, number) + file.encode()
        self._execute_command(COM_BINLOG_DUMP, body)

    def next(self) -> LogEvent:
        """Return the next event; a heartbeat says that there is none.

        Raises:
            pymysql.MySQLError: the server's own error. Corrupt: `adapters.log_unreadable`.
        """
        packet = self._read_packet()
        if packet.is_eof_packet():
            raise OperationalError(CR.CR_SERVER_LOST, "The server has ended its log")
        data = packet.get_all_data()[1:]
        header = header_of(data)
        if header.kind == Kind.FORMAT_DESCRIPTION:
            self._checksums = has_checksums(data)
            mark = f"{header.timestamp:x}-{header.server_id:x}"
            self.at = LogPlace(self.at.file, max(self.at.place, header.end), mark)
            return LogEvent(header, data)
        if header.kind == Kind.ROTATE:
            # Whether it has a checksum depends on the file before; it names the file behind it.
            body = data[:-CHECKSUM_BYTES] if is_intact(data) else data
            place = int.from_bytes(data[HEADER_BYTES : HEADER_BYTES + 8], "little")
            file = next_file(body)
            self.at = LogPlace(file, place, self.at.mark if file == self.at.file else "")
            return LogEvent(header, body)
        if self._checksums:
            if not is_intact(data):
                raise unreadable()
            data = data[:-CHECKSUM_BYTES]
        if header.end and header.kind not in {Kind.HEARTBEAT, Kind.HEARTBEAT_V2}:
            if header.end < self.at.place:
                # The header has no room for places beyond 4 GiB.
                raise OperationalError(LOG_ERROR, "The log's file is larger than 4 GiB")
            self.at = self.at._replace(place=header.end)
        return LogEvent(header, data)

    def begun(self) -> LogPlace:
        """Return where the log begins, with the mark of its file.

        Raises:
            pymysql.MySQLError: the server's own error. Corrupt: `adapters.log_unreadable`.
        """
        while not self.at.mark:
            self.next()
        return self.at
