"""Reading MariaDB and MySQL fast in plain Python: the server writes each row as one line of CSV, Arrow parses blocks.

A driver that makes a Python value of every cell takes some ten microseconds a row and more. Here the server itself
joins a row's texts, with the quoting of RFC 4180 and nothing between two commas for NULL, and a row costs one look at
its packet's header. What the server prints is the same text that the cells would have had one by one, so nothing of the
fidelity changes; Arrow parses it by the column's declared type, or refuses it.

A joined row must fit the server's `max_allowed_packet`. So rows with long values come in parts in the same statement; a
row that is NULL as a whole for any other reason is an error, never a row of NULLs.
"""

import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from pymysql.constants import COMMAND, CR
from pymysql.err import OperationalError, raise_mysql_exception

from datong.adapters.conversion import not_lossless, parsed_texts
from datong.adapters.mariadb_catalog import quoted
from datong.adapters.mariadb_link import MariadbLink
from datong.exchange import Column, arrow_schema, arrow_type
from datong.kernel import Text

READ_BYTES = 1 << 20
JOINED_BYTES_MAX = 256 * 1024
"""A row with longer values comes in parts; quoting and hexadecimal at most double it."""
BLOCK_BYTES_MAX = 64 * 1024 * 1024
"""So much text is parsed at once, even if the rows of a batch have more."""
_PACKET_BYTES_MAX = 0xFFFFFF
_NULL, _TWO, _THREE, _EIGHT, _ERROR = 0xFB, 0xFC, 0xFD, 0xFE, 0xFF
_END_BYTES_MAX = 9
_LONG = ("text", "mediumtext", "longtext", "blob", "mediumblob", "longblob", "json", "geometry")
_QUOTED = frozenset({"string", "binary"})
"""The types with an empty value, which only its quotes tell from NULL."""
_HEX = np.full(256, 0, dtype=np.uint8)
_HEX[np.frombuffer(b"0123456789ABCDEF", dtype=np.uint8)] = np.arange(16, dtype=np.uint8)


def select_expression(column: Column) -> str:
    """Return the expression whose printed text is parsed as the column's type."""
    name = quoted(column.name)
    if column.source_type.startswith("bit"):
        return f"CAST({name} AS UNSIGNED)"
    if column.type == "binary":
        return f"HEX({name})"
    if column.type == "float32":
        # The server prints a FLOAT with six digits only; as a DOUBLE it prints all of them.
        return f"CAST({name} AS DOUBLE)"
    if column.type == "string":
        return f"CAST({name} AS CHAR CHARACTER SET utf8mb4)"
    return name


def is_long(column: Column) -> bool:
    """Whether the column's type allows values of megabytes."""
    return column.source_type.split("(")[0] in _LONG


def line_order(columns: Sequence[Column]) -> list[Column]:
    """Return the columns in the order of the fields of a line: those of long values last."""
    return sorted(columns, key=is_long)


def joined_select(columns: Sequence[Column]) -> str:
    """Return the select list of `RowStream.lines`: the row as a line, then, where values may be long, its parts.

    The parts are NULL unless the row is long; then the line is, and they are its short fields as a line and every long
    one as it is.
    """
    long = [column for column in columns if is_long(column)]
    if not long:
        return _line(columns)
    size = " + ".join(f"COALESCE(OCTET_LENGTH({quoted(column.name)}), 0)" for column in long)
    too_long = f"{size} > {JOINED_BYTES_MAX}"
    short = _line([column for column in columns if not is_long(column)])
    parts = [f"IF({too_long}, {part}, NULL)" for part in (short, *(select_expression(column) for column in long))]
    return ", ".join([f"IF({too_long}, NULL, {_line(line_order(columns))})", *parts])


def _line(columns: Sequence[Column]) -> str:
    """Return the expression of these columns' fields as one line of CSV."""
    fields = []
    for column in columns:
        text = select_expression(column)
        if column.type in _QUOTED:
            text = f"""CONCAT('"', REPLACE({text}, '"', '""'), '"')"""
        fields.append(f"COALESCE({text}, '')")
    return "CONCAT(" + ", ',', ".join(fields) + (", " if fields else "") + r"'\n')"


class RowStream(MariadbLink):
    """A connection that also hands out a result of `joined_select` as lines of CSV."""

    def lines(self, statement: str, table: str, columns: tuple[Column, ...]) -> Iterator[list[bytes]]:
        """Run a statement and yield its rows as CSV lines, in lists as they come.

        Whoever stops before the end closes the connection.

        Raises:
            pymysql.MySQLError: the server's own error. Invalid: `adapters.value_not_lossless`: a row is too long.
        """
        self._execute_command(COMMAND.COM_QUERY, statement)
        extras = self._read_packet().read_length_encoded_integer() - 1
        for _ in range(extras + 2):
            # The definitions of the columns, and the mark behind them.
            self._read_packet()
        for packets in self._packets():
            found = []
            for packet in packets:
                first = packet[0]
                if first < _NULL:
                    found.append(packet[1 : len(packet) - extras])
                elif first == _TWO:
                    found.append(packet[3 : len(packet) - extras])
                elif first == _THREE:
                    found.append(packet[4 : len(packet) - extras])
                else:
                    found.append(_line_of_cells(packet, table, columns))
            yield found

    def _packets(self) -> Iterator[list[bytes]]:
        """Yield the packets of the rows, in lists, without their headers; those of over 16 MiB put together."""
        rest = b""
        parts: list[bytes] = []
        while True:
            data = rest + self._more()
            place, end = 0, len(data)
            found: list[bytes] = []
            while place + 4 <= end:
                size = data[place] | data[place + 1] << 8 | data[place + 2] << 16
                following = place + 4 + size
                if following > end:
                    break
                packet = data[place + 4 : following]
                place = following
                if size == _PACKET_BYTES_MAX or parts:
                    parts.append(packet)
                    if size == _PACKET_BYTES_MAX:
                        continue
                    packet, parts = b"".join(parts), []
                if packet[0] == _ERROR:
                    raise_mysql_exception(packet)
                if packet[0] == _EIGHT and len(packet) < _END_BYTES_MAX:
                    yield found
                    return
                found.append(packet)
            rest = data[place:]
            if found:
                yield found

    def _more(self) -> bytes:
        """Return what the server has sent, at least one byte."""
        source: Any = self._rfile
        try:
            data = bytes(source.read1(READ_BYTES))
        except OSError as error:
            self._force_close()
            raise OperationalError(CR.CR_SERVER_LOST, f"Lost connection during query ({error})") from error
        if not data:
            self._force_close()
            raise OperationalError(CR.CR_SERVER_LOST, "Lost connection during query")
        return data


def batches_of_lines(
    lists: Iterator[list[bytes]], table: str, columns: tuple[Column, ...], batch_rows: int
) -> Iterator[pa.RecordBatch]:
    """Yield batches of at most `batch_rows` rows parsed from CSV lines.

    Raises:
        Invalid: `adapters.value_not_lossless`.
    """
    waiting: list[bytes] = []
    size = 0
    for lines in lists:
        waiting += lines
        size += sum(map(len, lines))
        while len(waiting) >= batch_rows:
            yield parsed(waiting[:batch_rows], table, columns)
            waiting = waiting[batch_rows:]
            size = sum(map(len, waiting))
        if size > BLOCK_BYTES_MAX:
            yield parsed(waiting, table, columns)
            waiting, size = [], 0
    if waiting:
        yield parsed(waiting, table, columns)


def parsed(lines: list[bytes], table: str, columns: tuple[Column, ...]) -> pa.RecordBatch:
    """Return CSV lines as one batch of the columns' types.

    Raises:
        Invalid: `adapters.value_not_lossless`.
    """
    block = b"".join(lines)
    names = [column.name for column in line_order(columns)]
    try:
        texts = pyarrow.csv.read_csv(
            io.BytesIO(block),
            read_options=pyarrow.csv.ReadOptions(column_names=names, block_size=len(block) + 1, use_threads=False),
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as error:
        reason = Text(zh="含有无法解析的行。", en="a row that cannot be parsed.")
        raise not_lossless(table, "*", reason) from error
    arrays = [_typed(table, column, texts.column(column.name).combine_chunks()) for column in columns]
    return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(columns))


def _typed(table: str, column: Column, texts: Any) -> Any:
    if column.type == "string":
        return texts
    if column.type == "binary":
        return unhex(texts)
    kind = arrow_type(column.type)
    try:
        if column.type == "timestamp_utc":
            # The session counts in UTC.
            return texts.cast(pa.timestamp("us")).cast(kind)
        return parsed_texts(texts, kind)
    except pa.ArrowInvalid as error:
        # The error's own text quotes the value; the reason names the type only.
        reason = Text(zh=f"不是 {column.type} 类型能表示的值。", en=f"it does not fit the type {column.type}.")
        raise not_lossless(table, column.name, reason) from error


def unhex(texts: Any) -> Any:
    """Return the bytes that upper-case hexadecimal texts stand for."""
    buffers: list[Any] = texts.buffers()
    _, offsets, data = buffers
    if offsets is None or data is None or not len(texts):
        return texts.cast(pa.binary())
    places = np.frombuffer(offsets, dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1]
    digits = _HEX[np.frombuffer(data, dtype=np.uint8)[places[0] : places[-1]]]
    content = (digits[0::2] << 4) | digits[1::2]
    halves = ((places - places[0]) // 2).astype(np.int32)
    made = [None, pa.py_buffer(halves.data), pa.py_buffer(content.data)]
    return pc.if_else(texts.is_valid(), pa.Array.from_buffers(pa.binary(), len(texts), made), None)


def _line_of_cells(packet: bytes, table: str, columns: tuple[Column, ...]) -> bytes:
    """Return the line of a row that came in parts.

    Raises:
        Invalid: `adapters.value_not_lossless`: the server could not join the row.
    """
    cells = list(_cells(packet))
    long = [column for column in columns if is_long(column)]
    if len(cells) != len(long) + 2 or cells[1] is None:
        reason = Text(
            zh="一行超过服务器的 max_allowed_packet。", en="a row is longer than the server's max_allowed_packet."
        )
        raise not_lossless(table, "*", reason)
    fields = [cells[1].removesuffix(b"\n")] if len(long) < len(columns) else []
    for column, cell in zip(long, cells[2:], strict=True):
        text = b"" if cell is None else cell
        fields.append(b'"' + text.replace(b'"', b'""') + b'"' if column.type in _QUOTED and cell is not None else text)
    return b",".join(fields) + b"\n"


def _cells(packet: bytes) -> Iterator[bytes | None]:
    """Yield the cells of a row's packet (length-encoded strings; 0xFB is NULL)."""
    place = 0
    while place < len(packet):
        first = packet[place]
        place += 1
        if first == _NULL:
            yield None
            continue
        width = {_TWO: 2, _THREE: 3, _EIGHT: 8}.get(first, 0)
        size = int.from_bytes(packet[place : place + width], "little") if width else first
        place += width
        yield packet[place : place + size]
        place += size
