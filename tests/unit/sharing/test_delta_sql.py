"""Whom a release concerns: the engine makes the same commitments as Python does one by one."""

from functools import cache

import duckdb
from hypothesis import example, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from datong.sharing.delta_sql import delta_type, prepare_subjects
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


def test_types_have_delta_lakes_names() -> None:
    assert delta_type("DECIMAL(24,2)") == "decimal(24,2)"
    assert delta_type("TIMESTAMP WITH TIME ZONE") == "timestamp"
    assert delta_type("INTERVAL") == "string"
