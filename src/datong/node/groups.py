"""Pieces of rows on their way into batches: handed on as they come, so that no batch ever lies in memory whole."""

from collections.abc import Iterable, Iterator

import pyarrow as pa

from datong.exchange import Cursor, cursor_at_end
from datong.kernel.limits import PAYLOAD_BYTES_MAX


class _Pieces:
    """The pieces that have rows, the next one known."""

    def __init__(self, pieces: Iterable[pa.RecordBatch]) -> None:
        self._rest = (piece for piece in pieces if piece.num_rows)
        self.next = next(self._rest, None)

    def advance(self) -> None:
        self.next = next(self._rest, None)


class Group:
    """The pieces of one batch, each gone through once; then it is known where the batch ends."""

    def __init__(self, pieces: _Pieces, *, rows_max: int, bytes_max: int) -> None:
        self._pieces = pieces
        self._rows_max, self._bytes_max = rows_max, bytes_max
        self._tail: pa.RecordBatch | None = None
        self.is_empty = pieces.next is None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        rows = size = 0
        while (piece := self._pieces.next) is not None:
            rows, size = rows + piece.num_rows, size + piece.nbytes
            if self._tail is not None and (rows > self._rows_max or size > self._bytes_max):
                return
            self._tail = piece
            yield piece
            self._pieces.advance()

    def end(self, order: tuple[str, ...]) -> tuple[Cursor | None, bool]:
        """Return the cursor after its last row, and whether nothing follows; it has been gone through."""
        cursor = None if self._tail is None else cursor_at_end(self._tail, order)
        return cursor, self._pieces.next is None


def grouped(
    pieces: Iterable[pa.RecordBatch],
    *,
    rows_max: int,
    bytes_max: int = PAYLOAD_BYTES_MAX,
    first_bytes_max: int = PAYLOAD_BYTES_MAX,
) -> Iterator[Group]:
    """Yield groups of at most `rows_max` rows and `bytes_max` bytes; each must be gone through before the next.

    The first group has at most `first_bytes_max` bytes. A group has one piece at least; when there is no piece at all
    there is one empty group.
    """
    known = _Pieces(pieces)
    yield Group(known, rows_max=rows_max, bytes_max=min(first_bytes_max, bytes_max))
    while known.next is not None:
        yield Group(known, rows_max=rows_max, bytes_max=bytes_max)
