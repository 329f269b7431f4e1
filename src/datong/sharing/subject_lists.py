"""Lists of subjects: whom each file of a release concerns, as commitments in their order, in one Parquet file.

A list of ten million subjects does not fit beside all else: DuckDB puts it in order, spilling to disk, and whoever asks
for its digests reads it once from the beginning to the end. Commitments in their order have their branches one after
the other, and all of a branch are hashed where they lie.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from datong.kernel import sha256_hex
from datong.norms import text_literal

BRANCH_CHARS = 3
"""Characters that the commitments of one branch of a list share; proof bundles count on it (`ledger.bundles`)."""
COMMITMENT_CHARS = 64
"""Hexadecimal characters of a SHA-256."""
LOOKUP_ROWS = 8192
"""Rows of a row group in a list: a look-up reads one."""
READ_ROWS = 131_072
"""Commitments of a list that are in memory at once when it is read: 8 MB."""


class Branch(NamedTuple):
    """What the commitments of a branch begin with, how many they are, and the SHA-256 of all of them in their order."""

    prefix: str
    commitments: int
    digest: str


def write_subjects(connection: duckdb.DuckDBPyConnection, citizens: Mapping[int, str], path: Path) -> None:
    """Write the list (file, commitment) of the `citizens`, the query for them (c) by the number of their file.

    The macros of `delta_sql.prepare_subjects` must be there.
    """
    each = " UNION ALL ".join(f"SELECT {number} AS file, c FROM ({query})" for number, query in citizens.items())
    listed = (
        f"SELECT file, subject_commitment(c) AS commitment FROM ({each}) ORDER BY commitment, file"
        if citizens
        else "SELECT 0 AS file, '' AS commitment WHERE false"
    )
    connection.execute(
        f"COPY ({listed}) TO {text_literal(str(path))} "
        f"(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE {LOOKUP_ROWS})"
    )


def read_branches(path: Path, only: int | None = None) -> dict[int, list[Branch]]:
    """Return the branches of the list at `path` in their order, by the number of the file, of `only` one if it is
    given; a file that concerns nobody is not there."""
    found: dict[int, list[Branch]] = {}
    last: dict[int, _Growing] = {}
    for number, part in _parts(path, only):
        heads = part[:, :BRANCH_CHARS]
        begins = np.flatnonzero((heads[1:] != heads[:-1]).any(axis=1)) + 1
        for first, end in pairwise([0, *begins.tolist(), len(part)]):
            prefix = heads[first].tobytes().decode("ascii")
            growing = last.get(number)
            if growing is None or growing.prefix != prefix:
                if growing is not None:
                    found[number].append(growing.branch())
                growing = last[number] = _Growing(prefix)
                found.setdefault(number, [])
            growing.add(part[first:end])
    for number, growing in last.items():
        found[number].append(growing.branch())
    return found


def read_branch(connection: duckdb.DuckDBPyConnection, path: Path, number: int, prefix: str) -> list[str]:
    """Return the commitments of file `number` that begin with `prefix`, in their order."""
    # No hexadecimal digit comes after the letter: bounds tell which row groups need not be read.
    rows = connection.execute(
        f"SELECT commitment FROM read_parquet({text_literal(str(path))}) "
        "WHERE file = $1 AND commitment >= $2 AND commitment < $2 || 'g' ORDER BY commitment",
        [number, prefix],
    ).fetchall()
    return [str(row[0]) for row in rows]


def subject_list_digest(branches: Iterable[Branch]) -> str:
    """Return the digest of a list: that of its branches' digests, in their order.

    So who wants to show that one citizen is in the list need not show all of it.
    """
    return sha256_hex("".join(branch.digest for branch in branches).encode())


class _Growing:
    """A branch of which some commitments have been read."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._count = 0
        self._hash = hashlib.sha256()

    def add(self, commitments: npt.NDArray[np.uint8]) -> None:
        self._count += len(commitments)
        self._hash.update(commitments.data)

    def branch(self) -> Branch:
        return Branch(self.prefix, self._count, self._hash.hexdigest())


def _parts(path: Path, only: int | None) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """Yield the commitments of one file after the other for every part of the list, in their order: a line of
    characters each."""
    with pq.ParquetFile(path) as listed:
        for batch in listed.iter_batches(READ_ROWS, columns=["file", "commitment"]):
            columns: Any = batch.columns
            numbers, texts = columns[0].to_numpy(), columns[1]
            _, offsets, data = texts.buffers()
            begins = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
            if (np.diff(begins) != COMMITMENT_CHARS).any():
                raise AssertionError("a list holds nothing but commitments")
            lines = np.frombuffer(data, np.uint8)[begins[0] : begins[-1]].reshape(-1, COMMITMENT_CHARS)
            for number in np.unique(numbers).tolist() if only is None else [only]:
                chosen = numbers == number
                if chosen.any():
                    yield number, lines if chosen.all() else lines[chosen]
