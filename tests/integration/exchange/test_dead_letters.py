"""Dead letters on SQLite, PostgreSQL and MariaDB: corrected, discarded, superseded; all or nothing, and never twice."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.adapters.sql_letters import typed
from datong.exchange import (
    ApplyMode,
    Column,
    Correction,
    DeadLetter,
    LetterOutcome,
    LetterReason,
    Resolution,
    TargetPlan,
    reason_class,
)
from tests.integration.exchange.test_apply import GONE, TASK, TOO_LONG, Feed, plan, refuse_long_values, url

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["url"]
AT = datetime(2026, 1, 6, tzinfo=UTC)


def resolution(
    letters: "Iterable[DeadLetter]", outcome: LetterOutcome = LetterOutcome.CORRECTED, **changes: str | None
) -> Resolution:
    named = tuple(Correction(batch_id=one.batch_id, row=one.row, changes=changes) for one in letters)
    return Resolution(outcome=outcome, letters=named, by="王五", note="核对原始档案", at=AT)


def rejecting(url: str, mode: ApplyMode) -> Feed:
    feed = Feed(url, plan(mode) if mode.needs_keys else TargetPlan(table="t", mode=mode))
    feed.increment((1, "a"))
    refuse_long_values(url)
    feed.increment((2, TOO_LONG), (3, "c"), (4, TOO_LONG))
    return feed


@pytest.mark.parametrize("mode", [ApplyMode.UPSERT, ApplyMode.APPEND, ApplyMode.HISTORY])
def test_a_corrected_letter_is_applied_once(url: str, mode: ApplyMode) -> None:
    feed = rejecting(url, mode)
    letters = feed.target.letters(TASK)
    assert [letter.content for letter in letters] == [{"id": "2", "v": TOO_LONG}, {"id": "4", "v": TOO_LONG}]
    assert {reason_class(letter.reason) for letter in letters} <= {LetterReason.TOO_LONG, LetterReason.CONSTRAINT}
    answer = feed.target.resolve(resolution(letters[:1], v="b"))
    assert (answer.letters, answer.faults) == (1, ())
    table = "t_current" if mode is ApplyMode.HISTORY else "t"
    assert feed.rows(table) == [(1, "a"), (2, "b"), (3, "c")]
    assert feed.target.rejected(TASK) == 1
    again = feed.target.resolve(resolution(letters[:1], v="b"))
    assert (again.letters, len(again.faults)) == (0, 1)
    assert feed.rows(table) == [(1, "a"), (2, "b"), (3, "c")]
    feed.target.resolve(resolution(letters[1:], LetterOutcome.DISCARDED))
    (counts,) = feed.target.letter_counts()
    assert (counts.open, counts.corrected, counts.discarded, counts.superseded) == ({}, 1, 1, 0)


def test_one_bad_cell_stops_the_whole_resolution_and_is_named(url: str) -> None:
    feed = rejecting(url, ApplyMode.UPSERT)
    letters = feed.target.letters(TASK)
    named = (
        Correction(batch_id=letters[0].batch_id, row=letters[0].row, changes={"v": "b"}),
        Correction(batch_id=letters[1].batch_id, row=letters[1].row, changes={"id": "四", "none": "x"}),
    )
    answer = feed.target.resolve(Resolution(outcome=LetterOutcome.CORRECTED, letters=named, by="王五", at=AT))
    assert answer.letters == 0
    assert {(fault.row, fault.column) for fault in answer.faults} == {(2, "id"), (2, "none")}
    assert feed.rows() == [(1, "a"), (3, "c")]
    still = feed.target.resolve(resolution(letters))
    assert [fault.row for fault in still.faults] == [0, 2]
    assert feed.target.rejected(TASK) == 2


def test_a_later_version_of_the_key_supersedes_the_letter(url: str) -> None:
    feed = rejecting(url, ApplyMode.MIRROR)
    feed.changes((2, "b2"), (5, TOO_LONG), (5, "e"), (4, GONE))
    assert feed.target.rejected(TASK) == 0
    (counts,) = feed.target.letter_counts()
    assert counts.superseded == 2
    assert feed.rows() == [(1, "a"), (2, "b2"), (3, "c"), (5, "e")]


def test_a_new_snapshot_clears_the_letters_of_the_one_before(url: str) -> None:
    feed = Feed(url, plan(ApplyMode.REPLACE))
    feed.snapshot([(1, "a")])
    assert feed.target.letters() == ()
    assert feed.target.letter_counts() == ()


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("22001 value too long for type character varying(5)", LetterReason.TOO_LONG),
        ("Data too long for column 'v' at row 1", LetterReason.TOO_LONG),
        ("22003 numeric field overflow", LetterReason.OUT_OF_RANGE),
        ("23505 duplicate key value violates unique constraint", LetterReason.DUPLICATE),
        ("23502 null value in column", LetterReason.CONSTRAINT),
        ("CONSTRAINT `t_short` failed for `d`.`t`", LetterReason.CONSTRAINT),
        ("主键列 id 为空 / key column id is NULL", LetterReason.KEY_NULL),
        ("列 v 含 NUL 字符 / column v: a NUL character", LetterReason.CHARACTER),
        ("列 d 的日期超出 1–9999 年 / column d: a date outside the years 1 to 9999", LetterReason.DATE),
        ("列 f 不是有限数 / column f: not a finite number", LetterReason.NOT_A_NUMBER),
        ("源端已删除的行不能追加 / a row that the source deleted cannot be appended", LetterReason.DELETED),
        ("something", LetterReason.OTHER),
    ],
)
def test_reasons_have_classes(reason: str, kind: LetterReason) -> None:
    assert reason_class(reason) is kind
    assert kind.label.zh


TYPES = st.sampled_from(
    ["boolean", "int64", "uint64", "float64", "string", "binary", "date", "time", "timestamp", "timestamp_utc"]
    + ["decimal(9,2)", "float32"]
)


@given(TYPES, st.text(max_size=30))
def test_any_text_is_a_value_or_a_value_error(kind: str, text: str) -> None:
    with suppress(ValueError):
        assert typed(Column(name="c", type=kind), text) is not None
