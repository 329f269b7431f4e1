"""Digests of tables: the same in whatever order the rows come, and what plain code makes of them."""

from collections import defaultdict
from collections.abc import Sequence
from hashlib import sha256
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.library.digests import keyed_digest, rows_digest


def plainly(lines: Sequence[tuple[str, str]], separator: str) -> str:
    """Return the digest of lines, each with what it is sorted by."""
    branches: dict[str, list[str]] = defaultdict(list)
    for key, line in sorted(lines):
        branches[key[:3]].append(line)
    digests = (sha256(separator.join(branches[branch]).encode()).hexdigest() for branch in sorted(branches))
    return sha256("".join(digests).encode()).hexdigest()


def _texts(values: Sequence[str]) -> "pa.ChunkedArray[Any]":
    half = len(values) // 2
    return pa.chunked_array([values[:half], values[half:]], pa.string())


HEXADECIMAL = st.text("0123456789abcdef", min_size=18, max_size=18)


@given(st.lists(HEXADECIMAL | st.text(min_size=1), unique=True, max_size=9), st.randoms())
def test_rows(digests: list[str], random: Random) -> None:
    wanted = plainly([(digest, digest) for digest in digests], "")
    random.shuffle(digests)
    assert rows_digest(_texts(digests)) == wanted


@given(st.lists(HEXADECIMAL, unique=True, max_size=9) | st.lists(st.text(min_size=1), unique=True, max_size=9))
def test_keys(keys: list[str]) -> None:
    digests = [sha256(key.encode()).hexdigest() for key in keys]
    wanted = plainly([(key, f"{key}:{digest}") for key, digest in zip(keys, digests, strict=True)], ",")
    assert keyed_digest(_texts(keys), _texts(digests)) == wanted


@pytest.mark.parametrize("end", ["A", "z", "0"])
def test_keys_that_begin_alike(end: str) -> None:
    keys = [f"{'0' * 16}{end}1", f"{'0' * 16}b0", f"{'0' * 16}00"]
    assert keyed_digest(_texts(keys), _texts(keys)) == plainly([(key, f"{key}:{key}") for key in keys], ",")
