"""Lists of subjects: in order and digested as one by one, however they are cut into batches and files."""

from pathlib import Path

import duckdb
import pytest

from datong.kernel import sha256_hex
from datong.sharing import subject_lists
from datong.sharing.delta_sql import prepare_subjects
from datong.sharing.subject_lists import (
    BRANCH_CHARS,
    Branch,
    read_branch,
    read_branches,
    subject_list_digest,
    write_subjects,
)
from datong.sharing.subjects import release_commitment

KEY, RELEASE = bytes(range(32)), "a" * 64
CITIZENS = {0: range(3000), 2: range(2500, 5000), 3: range(0), 7: range(1)}
"""Whom the files concern; no file of a release need name anybody."""


@pytest.mark.parametrize("batch_rows", [1, 700, 131_072])
def test_branches_are_those_of_each_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_rows: int) -> None:
    monkeypatch.setattr(subject_lists, "READ_ROWS", batch_rows)
    path, listed = tmp_path / "subjects.parquet", {}
    with duckdb.connect() as connection:
        prepare_subjects(connection, KEY, RELEASE)
        queries = {
            number: f"SELECT CAST(i AS VARCHAR) AS c FROM range({citizens.start}, {citizens.stop}) t(i)"
            for number, citizens in CITIZENS.items()
        }
        write_subjects(connection, queries, path)
        for number, citizens in CITIZENS.items():
            listed[number] = sorted(release_commitment(KEY, RELEASE, str(one)) for one in citizens)
            branch = [one for one in listed[number] if one.startswith("a1b")]
            assert read_branch(connection, path, number, "a1b") == branch
    expected = {number: _branches(commitments) for number, commitments in listed.items() if commitments}
    assert read_branches(path) == expected
    assert read_branches(path, 2) == {2: expected[2]}
    assert read_branches(path, 3) == {}
    said = "".join(branch.digest for branch in expected[2])
    assert subject_list_digest(expected[2]) == sha256_hex(said.encode())


def test_a_list_of_nobody(tmp_path: Path) -> None:
    path = tmp_path / "subjects.parquet"
    with duckdb.connect() as connection:
        write_subjects(connection, {}, path)
        assert read_branch(connection, path, 0, "abc") == []
    assert read_branches(path) == {}


def _branches(commitments: list[str]) -> list[Branch]:
    found: dict[str, list[str]] = {}
    for commitment in commitments:
        found.setdefault(commitment[:BRANCH_CHARS], []).append(commitment)
    return [Branch(prefix, len(of), sha256_hex("".join(of).encode())) for prefix, of in found.items()]
