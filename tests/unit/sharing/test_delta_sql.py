"""Whom a release concerns: the engine makes the same commitments as Python does one by one."""

from functools import cache

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from datong.kernel import sha256_hex
from datong.sharing import delta_sql
from datong.sharing.delta_sql import (
    BRANCH_CHARS,
    delta_type,
    prepare_subjects,
    subject_branches,
    subject_list_digest,
)
from datong.sharing.subjects import canonical_subject, release_commitment, release_salt

KEY, RELEASE = bytes(range(32)), "a" * 64


@cache
def connection() -> duckdb.DuckDBPyConnection:
    """DuckDB, opened by the first test: its threads would not live on in the processes of `tests.whole_run`."""
    made = duckdb.connect()
    prepare_subjects(made, KEY, RELEASE)
    return made


@examples(max_examples=40)
@given(st.text("0123456789", min_size=15, max_size=15) | st.text("0123456789xX ", min_size=1, max_size=20))
@example("110101900307001")
@example(" 11010119900307001x\u3000")
def test_commitments_of_the_engine(citizen: str) -> None:
    query = "SELECT canonical_citizen(v), subject_commitment(canonical_citizen(v)) FROM (SELECT ? AS v)"
    found = connection().execute(query, [citizen]).fetchone()
    assert found == (canonical_subject(citizen), release_commitment(KEY, RELEASE, citizen))


def test_salts_differ_by_release_and_citizen() -> None:
    told = {release_salt(key, release, one) for key in (KEY, KEY * 3) for release in "ab" for one in ("1", "2")}
    assert len(told) == 8


@pytest.mark.parametrize(("slice_max", "subjects"), [(1, 150), (40, 2000), (10_000, 2000)])
def test_a_list_has_one_digest_however_it_is_sliced(
    monkeypatch: pytest.MonkeyPatch, slice_max: int, subjects: int
) -> None:
    monkeypatch.setattr(delta_sql, "SLICE_SUBJECTS_MAX", slice_max)
    listed = sorted(sha256_hex(str(number).encode()) for number in range(subjects))
    branches: dict[str, list[str]] = {}
    for commitment in listed:
        branches.setdefault(commitment[:BRANCH_CHARS], []).append(commitment)
    with duckdb.connect(":memory:") as connection:
        connection.execute("CREATE TABLE subjects (file INTEGER, commitment VARCHAR)")
        connection.execute("INSERT INTO subjects SELECT 1, unnest($1)", [listed[::-1]])
        connection.execute("INSERT INTO subjects SELECT 2, 'abc' || i FROM range(9) t(i)")
        found = subject_branches(connection, 1)
        assert subject_branches(connection, 3) == []
    expected = [(prefix, len(of), sha256_hex("".join(of).encode())) for prefix, of in branches.items()]
    assert found == expected
    assert subject_list_digest(found) == sha256_hex("".join(digest for _, _, digest in expected).encode())


def test_types_have_delta_lakes_names() -> None:
    assert delta_type("DECIMAL(24,2)") == "decimal(24,2)"
    assert delta_type("TIMESTAMP WITH TIME ZONE") == "timestamp"
    assert delta_type("INTERVAL") == "string"
