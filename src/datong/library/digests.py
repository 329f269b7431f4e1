"""The digest of a table from those of its rows, in whatever order: SHA-256 over the rows' sorted lines, on two levels.

Lines that begin with the same three characters are a branch; the table's digest is that of the branches' digests in
their order. Sorting is done on numbers, because for a million texts it would take longer than all the rest.
"""

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

BRANCH_CHARS = 3
_KEY_CHARS = 16
"""Hexadecimal characters that make one number of 64 bits."""


def rows_digest(digests: "pa.ChunkedArray[Any]") -> str:
    """Return the digest of a table from the `digests` of its rows."""
    lines = digests.combine_chunks().cast(pa.large_string())
    return _branches_digest(lines.take(sorted_places(lines)), ending=0)


def keyed_digest(keys: "pa.ChunkedArray[Any]", digests: "pa.ChunkedArray[Any]") -> str:
    """Return the digest of a table from its rows' `keys`, which differ, and their `digests`."""
    names, said = (column.combine_chunks().cast(pa.large_string()) for column in (keys, digests))
    colon, nothing, comma = (pa.scalar(mark, pa.large_string()) for mark in (":", "", ","))
    join: Any = pc.binary_join_element_wise
    lines = join(join(names, said, colon), nothing, comma)
    return _branches_digest(lines.take(sorted_places(names)), ending=1)


def sorted_places(texts: Any) -> Any:
    """Return the places of `texts` in their order."""
    found = _sorted_by_number(texts)
    return pa.array(found) if found is not None else pc.sort_indices(texts)


def _sorted_by_number(texts: Any) -> npt.NDArray[np.int64] | None:
    """Return the places of `texts` in their order; None unless they are hexadecimal, of one length and soon differ."""
    offsets, data = _parts(texts)
    width = int(offsets[1] - offsets[0]) if len(texts) else 0
    if width < _KEY_CHARS or (np.diff(offsets) != width).any():
        return None
    heads = np.ascontiguousarray(data[offsets[0] : offsets[-1]].reshape(len(texts), width)[:, :_KEY_CHARS])
    try:
        numbers = np.frombuffer(bytes.fromhex(heads.tobytes().decode("ascii")), ">u8").astype(np.uint64)
    except ValueError:
        return None
    places = np.argsort(numbers)
    high, low = heads[places].view(">u8").astype(np.uint64).T
    rising = (high[1:] > high[:-1]) | ((high[1:] == high[:-1]) & (low[1:] > low[:-1]))
    return places if bool(rising.all()) else None


def _branches_digest(lines: Any, *, ending: int) -> str:
    """Return the digest of `lines` in this order, each branch without the last `ending` characters."""
    if not len(lines):
        return hashlib.sha256().hexdigest()
    heads: Any = pc.utf8_slice_codeunits(lines, 0, BRANCH_CHARS)
    begins = np.flatnonzero(pc.not_equal(heads[1:], heads[:-1]).to_numpy(zero_copy_only=False)) + 1
    ends = np.concatenate(([0], begins, [len(lines)]))
    offsets, data = _parts(lines)
    whole = data.data
    found = (
        hashlib.sha256(whole[offsets[first] : offsets[last] - ending]).hexdigest()
        for first, last in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
    )
    return hashlib.sha256("".join(found).encode()).hexdigest()


def _parts(texts: Any) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Return where the texts begin and end in their bytes, and the bytes."""
    _, offsets, data = texts.buffers()
    found = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return found, np.frombuffer(data if data is not None else b"", np.uint8)
