"""How changes of a source table are told, and how renamed columns are named."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.cli.exchange_schemas import record_lines, renames
from datong.exchange import SchemaFinding, SchemaFindingKind, SchemaRecord, SchemaState
from datong.kernel import EntryId, Invalid, TaskId


def test_a_change_is_told_in_both_languages() -> None:
    record = SchemaRecord(
        id="s",
        task_id=TaskId("t"),
        state=SchemaState.BLOCKED,
        shape=None,
        findings=(SchemaFinding(kind=SchemaFindingKind.COLUMN_GONE, column="name", before="text", after="full_name"),),
        reported_at=datetime(2026, 1, 1, tzinfo=UTC),
        entry_id=EntryId("e"),
    )
    head, finding = record_lines(record)
    assert head.zh == "2026-01-01 08:00:00  不兼容，已停止"
    assert finding.en.split() == ["!", "Moved", "column", "gone", "name", "text", "→", "full_name"]


def test_renamed_and_left_out_columns_are_read() -> None:
    assert renames(["name=full_name", "formula=a=b"], ["note"]) == {"name": "full_name", "formula": "a=b", "note": ""}


@pytest.mark.parametrize(
    ("renamed", "left_out"), [(["name"], []), (["=x"], []), (["name="], []), (["a=b", "a=c"], []), (["a=b"], ["a"])]
)
def test_what_says_nothing_is_refused_in_words(renamed: list[str], left_out: list[str]) -> None:
    with pytest.raises(Invalid, match="schema_rename") as caught:
        renames(renamed, left_out)
    assert caught.value.what.zh


@given(st.lists(st.text(max_size=6), max_size=3), st.lists(st.text(max_size=3), max_size=3))
def test_anything_is_read_or_refused_in_words(renamed: list[str], left_out: list[str]) -> None:
    try:
        found = renames(renamed, left_out)
    except Invalid:
        return
    assert len(found) == len(renamed) + len(left_out)
