"""The search for differing rows: questions to both ends, their answers, and what they add up to. Pure rules, no I/O.

Both ends digest the same ranges; where they differ the prefixes are lengthened, until few rows are left. Those are
listed by place and digest and compared. What differs is listed once more: a row that was only on its way is then equal.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from datong.kernel import Text, Value

PLACE_DIGITS = 32
FIRST_DIGITS = 2
RANGES_MAX = 4096
"""Ranges that one end digests for one question."""
ROWS_LISTED_MAX = 10_000
"""Rows that one end lists for one question."""
LISTED_AIM = 5_000
"""From as few rows as this on, both ends together, differing ranges are listed instead of split again."""
DIFFERENCES_MAX = 2_000
"""Differing rows that one reconciliation names; whoever has more is better served by a whole copy."""
HEX_32 = r"^[0-9a-f]{32}$"
PREFIX_HEX = r"^[0-9a-f]{0,32}$"


class RangeDigest(Value):
    """One range: its rows, the sum of their digests (as in `ContentDigest`), and how many newer rows it leaves out."""

    prefix: str = Field(pattern=PREFIX_HEX)
    rows: int = Field(ge=0)
    sum: str = Field(pattern=HEX_32)
    newer: int = Field(0, ge=0)


class RowDigest(Value):
    """One row: its place, and the salted MD5 of its canonical text."""

    place: str = Field(pattern=HEX_32)
    row: str = Field(pattern=HEX_32)
    newer: bool = False


class QuestionKind(StrEnum):
    """What both ends are asked for."""

    RANGES = "ranges"
    ROWS = "rows"


class Question(Value):
    """What both ends answer in one round: ranges `digits` longer than `prefixes`, or the rows below them."""

    number: int = Field(1, ge=1)
    kind: QuestionKind = QuestionKind.RANGES
    prefixes: tuple[str, ...] = ("",)
    digits: int = FIRST_DIGITS
    again: bool = False
    """Whether the rows asked for are those that differed a moment ago."""


class Answer(Value):
    """One end's answer to a question; exactly one of the two is filled."""

    ranges: tuple[RangeDigest, ...] = Field((), max_length=RANGES_MAX)
    rows: tuple[RowDigest, ...] = Field((), max_length=ROWS_LISTED_MAX)


class DifferenceKind(StrEnum):
    """How a row differs."""

    MISSING = "missing"
    EXTRA = "extra"
    CHANGED = "changed"

    @property
    def label(self) -> Text:
        """The kind's name."""
        return _KINDS[self]


_KINDS = {
    DifferenceKind.MISSING: Text(zh="目标缺少", en="Missing at the target"),
    DifferenceKind.EXTRA: Text(zh="目标多出", en="Extra at the target"),
    DifferenceKind.CHANGED: Text(zh="内容不同", en="Different"),
}


class Difference(Value):
    """A differing row, by its place."""

    place: str
    kind: DifferenceKind


class RepairKind(StrEnum):
    """How differences can be repaired."""

    ROWS = "rows"
    COPY = "copy"
    NONE = "none"

    @property
    def label(self) -> Text:
        """The kind's name."""
        return _REPAIRS[self]


_REPAIRS = {
    RepairKind.ROWS: Text(zh="重传并删除所列的行", en="Send and delete the named rows"),
    RepairKind.COPY: Text(zh="整表重传", en="Copy the table again"),
    RepairKind.NONE: Text(zh="不能自动修复", en="Not by itself"),
}


class Repair(Value):
    """A plan to repair, `send` rows again and `delete` others; `run` is the task's run that carries it out."""

    kind: RepairKind
    send: int = 0
    delete: int = 0
    reason: Text | None = None
    approved_by: str = ""
    approved_at: datetime | None = None
    run: int | None = None
    done_at: datetime | None = None


class ComparedRange(Value):
    """A range of the first round as both ends have it: what the strip shows."""

    prefix: str
    producer_rows: int
    consumer_rows: int
    equal: bool


class Findings(Value):
    """What a reconciliation has found so far; `unresolved_ranges` differ but were not searched down to their rows."""

    ranges: tuple[ComparedRange, ...] = ()
    producer_newer: int = 0
    consumer_newer: int = 0
    differences: tuple[Difference, ...] = ()
    pending: int = 0
    """Rows that the source has changed since the transfer that is compared: the next run moves them."""
    unresolved_ranges: int = 0
    unresolved_rows: int = 0
    rounds: int = 0

    def count(self, kind: DifferenceKind) -> int:
        """How many rows differ in this way."""
        return sum(1 for difference in self.differences if difference.kind is kind)

    @property
    def are_equal(self) -> bool:
        """Whether both ends hold the same."""
        return not self.differences and not self.unresolved_ranges


def follow(
    question: Question, producer: Answer, consumer: Answer, findings: Findings
) -> tuple[Question | None, Findings]:
    """Return the next question (None: there is no more to ask) and what is found by now."""
    findings = findings.model_copy(update={"rounds": question.number})
    if question.kind is QuestionKind.RANGES:
        return _follow_ranges(question, producer.ranges, consumer.ranges, findings)
    differences, pending = compare_rows(producer.rows, consumer.rows)
    if question.again:
        before = set(findings.differences)
        lasting = tuple(difference for difference in differences if difference in before)
        return None, findings.model_copy(update={"differences": lasting})
    left_over = max(0, len(differences) - DIFFERENCES_MAX)
    kept = differences[:DIFFERENCES_MAX]
    update = {"differences": kept, "pending": pending, "unresolved_rows": findings.unresolved_rows + left_over}
    if left_over:
        update["unresolved_ranges"] = findings.unresolved_ranges + 1
    places = tuple(sorted({difference.place for difference in kept}))
    follow_up = Question(
        number=question.number + 1, kind=QuestionKind.ROWS, prefixes=places or ("",), digits=0, again=True
    )
    return follow_up if places else None, findings.model_copy(update=update)


def _follow_ranges(
    question: Question, producer: Sequence[RangeDigest], consumer: Sequence[RangeDigest], findings: Findings
) -> tuple[Question | None, Findings]:
    ours, theirs = ({one.prefix: one for one in digests} for digests in (producer, consumer))
    compared = [_compared(prefix, ours.get(prefix), theirs.get(prefix)) for prefix in sorted({*ours, *theirs})]
    if question.number == 1:
        update = {
            "ranges": tuple(compared),
            "producer_newer": sum(one.newer for one in producer),
            "consumer_newer": sum(one.newer for one in consumer),
        }
        findings = findings.model_copy(update=update)
    sizes = {
        one.prefix: _size(ours.get(one.prefix)) + _size(theirs.get(one.prefix)) for one in compared if not one.equal
    }
    if not sizes:
        return None, findings
    length = len(next(iter(sizes)))
    digits = _finer(len(sizes), sum(sizes.values()), PLACE_DIGITS - length)
    if sum(sizes.values()) > LISTED_AIM and digits:
        split = Question(number=question.number + 1, prefixes=tuple(sorted(sizes)), digits=digits)
        return split, findings
    # Few rows, or no finer ranges: list what fits, and say what does not.
    chosen: list[str] = []
    rows = 0
    for prefix, size in sorted(sizes.items()):
        if rows + size <= LISTED_AIM or (not chosen and size <= ROWS_LISTED_MAX):
            chosen.append(prefix)
            rows += size
    update = {
        "unresolved_ranges": findings.unresolved_ranges + len(sizes) - len(chosen),
        "unresolved_rows": findings.unresolved_rows + sum(sizes.values()) - rows,
    }
    findings = findings.model_copy(update=update)
    if not chosen:
        return None, findings
    listing = Question(number=question.number + 1, kind=QuestionKind.ROWS, prefixes=tuple(chosen), digits=0)
    return listing, findings


def compare_rows(producer: Sequence[RowDigest], consumer: Sequence[RowDigest]) -> tuple[tuple[Difference, ...], int]:
    """Return the rows that differ, and how many the source has changed since; several rows may share a place.

    A row that only the target has and that is newer came by a later transfer, after the source had answered.
    """
    ours, theirs = _by_place(producer), _by_place(consumer)
    differences, pending = [], 0
    for place in sorted({*ours, *theirs}):
        own, other = ours.get(place, []), theirs.get(place, [])
        if any(one.newer for one in own):
            pending += 1
        elif not own:
            if not all(one.newer for one in other):
                differences.append(Difference(place=place, kind=DifferenceKind.EXTRA))
        elif not other:
            differences.append(Difference(place=place, kind=DifferenceKind.MISSING))
        elif Counter(one.row for one in own) != Counter(one.row for one in other):
            differences.append(Difference(place=place, kind=DifferenceKind.CHANGED))
    return tuple(differences), pending


def _by_place(rows: Sequence[RowDigest]) -> dict[str, list[RowDigest]]:
    result: dict[str, list[RowDigest]] = {}
    for one in rows:
        result.setdefault(one.place, []).append(one)
    return result


def _compared(prefix: str, ours: RangeDigest | None, theirs: RangeDigest | None) -> ComparedRange:
    facts = [(0, "0" * 32) if one is None else (one.rows, one.sum) for one in (ours, theirs)]
    return ComparedRange(
        prefix=prefix, producer_rows=facts[0][0], consumer_rows=facts[1][0], equal=facts[0] == facts[1]
    )


def _size(one: RangeDigest | None) -> int:
    return 0 if one is None else one.rows + one.newer


def _finer(ranges: int, rows: int, digits_left: int) -> int:
    """Return by how many digits to lengthen: as many as `RANGES_MAX` allows, but no more than give one row a range."""
    digits = 0
    while digits < digits_left and ranges * 16 ** (digits + 1) <= RANGES_MAX and ranges * 16**digits < rows:
        digits += 1
    return digits
