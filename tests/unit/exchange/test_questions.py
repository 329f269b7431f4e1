"""The search for differing rows, over two simulated ends: it always ends, and finds exactly what differs."""

import hashlib
from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from datong.exchange.questions import (
    DIFFERENCES_MAX,
    LISTED_AIM,
    RANGES_MAX,
    ROWS_LISTED_MAX,
    Answer,
    Difference,
    DifferenceKind,
    Findings,
    Question,
    QuestionKind,
    RangeDigest,
    RowDigest,
    compare_rows,
    follow,
)

ROUNDS_MAX = 12
Rows = Mapping[int, tuple[str, bool]]
"""What an end holds: by key, the content and whether it is newer than the compared cursor."""


def hexed(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def place_of(key: int) -> str:
    return hexed(f"salt{key}")


def answer_of(question: Question, rows: Rows) -> Answer:
    """Answer a question as an end does."""
    length = len(question.prefixes[0])
    asked = set(question.prefixes)
    chosen = [(place_of(key), *row) for key, row in rows.items() if place_of(key)[:length] in asked]
    if question.kind is QuestionKind.ROWS:
        listed = [RowDigest(place=place, row=hexed(content), newer=newer) for place, content, newer in chosen]
        assert len(listed) <= ROWS_LISTED_MAX
        return Answer(rows=tuple(listed))
    sums: dict[str, list[int]] = {}
    for place, content, newer in chosen:
        facts = sums.setdefault(place[: length + question.digits], [0, 0, 0])
        facts[2] += newer
        if not newer:
            facts[0] += 1
            facts[1] = (facts[1] + int(hexed(place + content), 16)) % (1 << 128)
    assert len(sums) <= RANGES_MAX
    return Answer(
        ranges=tuple(
            RangeDigest(prefix=prefix, rows=rows, sum=f"{total:032x}", newer=newer)
            for prefix, (rows, total, newer) in sums.items()
        )
    )


def search(producer: Rows, consumer: Rows) -> Findings:
    """Ask until there is nothing more to ask."""
    question: Question | None = Question()
    findings = Findings()
    for number in range(1, ROUNDS_MAX):
        assert question is not None
        assert question.number == number
        question, findings = follow(question, answer_of(question, producer), answer_of(question, consumer), findings)
        if question is None:
            return findings
    raise AssertionError("the search does not end")


def expected(producer: Rows, consumer: Rows) -> set[tuple[str, DifferenceKind]]:
    found = set()
    for key in {*producer, *consumer}:
        ours, theirs = producer.get(key), consumer.get(key)
        if ours is not None and ours[1]:
            continue
        if ours is None:
            if theirs is not None and not theirs[1]:
                found.add((place_of(key), DifferenceKind.EXTRA))
        elif theirs is None:
            found.add((place_of(key), DifferenceKind.MISSING))
        elif ours[0] != theirs[0]:
            found.add((place_of(key), DifferenceKind.CHANGED))
    return found


ENDS = st.dictionaries(st.integers(0, 10_000), st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60)
CHANGES = st.lists(st.tuples(st.integers(0, 24_000), st.sampled_from("dmc")), max_size=30)


@settings(max_examples=150, deadline=None)
@given(ENDS, ENDS)
def test_the_search_finds_exactly_what_differs(producer: Rows, consumer: Rows) -> None:
    # A row that is newer at the target only, with other content than the source's older row, is a difference too.
    findings = search(producer, consumer)
    found = {(one.place, one.kind) for one in findings.differences}
    searched = {(place, kind) for place, kind in expected(producer, consumer) if differs(place, producer, consumer)}
    assert searched <= found <= expected(producer, consumer)
    assert findings.unresolved_ranges == 0


def differs(place: str, producer: Rows, consumer: Rows) -> bool:
    """Whether the sums of the row's first range differ, which begins the search."""
    digits = Question().digits
    mine, other = (
        sorted(
            (place_of(key), content)
            for key, (content, newer) in rows.items()
            if place_of(key)[:digits] == place[:digits] and not newer
        )
        for rows in (producer, consumer)
    )
    return mine != other


@settings(max_examples=8, deadline=None)
@given(CHANGES)
def test_a_few_differences_among_many_rows_are_found_in_few_rounds(changes: list[tuple[int, str]]) -> None:
    producer = {key: (f"v{key}", False) for key in range(24_000)}
    consumer = dict(producer)
    for key, act in changes:
        if act == "d":
            consumer.pop(key, None)
        elif act == "m":
            producer = {number: row for number, row in producer.items() if number != key}
        else:
            consumer[key] = ("other", False)
    findings = search(producer, consumer)
    assert {(one.place, one.kind) for one in findings.differences} == expected(producer, consumer)
    assert findings.rounds <= 4
    assert sum(one.producer_rows for one in findings.ranges) == len(producer)


def test_more_differences_than_can_be_named_are_counted_and_said() -> None:
    producer = {key: (f"v{key}", False) for key in range(30_000)}
    findings = search(producer, {})
    assert not findings.are_equal
    assert 0 < len(findings.differences) <= DIFFERENCES_MAX
    assert findings.unresolved_ranges > 0
    assert len(findings.differences) + findings.unresolved_rows == len(producer)


def test_equal_ends_take_one_round() -> None:
    rows = {key: (f"v{key}", False) for key in range(LISTED_AIM)}
    findings = search(rows, rows)
    assert (findings.are_equal, findings.rounds, len(findings.ranges)) == (True, 1, 256)


def test_a_row_that_is_equal_at_the_second_look_is_no_difference() -> None:
    late = {1: ("a", False), 2: ("b", False)}
    early = {1: ("a", False)}
    question, findings = follow(Question(), answer_of(Question(), late), answer_of(Question(), early), Findings())
    assert question is not None
    question, findings = follow(question, answer_of(question, late), answer_of(question, early), findings)
    assert question is not None
    assert question.again
    question, findings = follow(question, answer_of(question, late), answer_of(question, late), findings)
    assert question is None
    assert findings.are_equal


def test_rows_that_share_a_place_are_compared_as_a_whole() -> None:
    place = place_of(1)
    one, other = (RowDigest(place=place, row=hexed(text)) for text in "ab")
    assert compare_rows([one, one], [one]) == ((Difference(place=place, kind=DifferenceKind.CHANGED),), 0)
    assert compare_rows([one, other], [other, one]) == ((), 0)
