"""Statistics with differential privacy: what may be asked, what it costs, and what was answered."""

from datetime import datetime
from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from datong.kernel import Actor, EntryId, Text, Value, canonical_json, sha256_hex
from datong.kernel.limits import NAME_CHARS_MAX, TEXT_CHARS_MAX

CATEGORIES_MAX = 200
CONDITIONS_MAX = 4
MILLI = 1000
EPSILON_MILLI_MAX = 1_000
"""The most that one question may cost: ε = 1."""
BUDGET_MILLI_MAX = 10_000
"""The most that may be granted for a table in all: ε = 10, beyond which little is promised."""
CLAMP_MAX = 10**12


class StatisticKind(StrEnum):
    """What is told of a table."""

    COUNT = "count"
    SUM = "sum"
    HISTOGRAM = "histogram"

    @property
    def label(self) -> Text:
        """What it tells."""
        return _LABELS[self]


_LABELS = {
    StatisticKind.COUNT: Text(zh="计数", en="count"),
    StatisticKind.SUM: Text(zh="合计", en="sum"),
    StatisticKind.HISTOGRAM: Text(zh="分布", en="histogram"),
}


class Condition(Value):
    """Only rows whose column has this value."""

    column: str = Field(max_length=NAME_CHARS_MAX)
    value: str = Field(max_length=NAME_CHARS_MAX)


class Question(Value):
    """One question to a table with one row per entity, and how much privacy it may cost (ε in thousandths).

    A sum clamps each value to `lower` … `upper` (whole numbers) first: one person moves it by no more than the larger
    of the two. A histogram names its categories itself: those that happen to occur would tell who occurs.
    """

    dataset: str = Field(max_length=NAME_CHARS_MAX)
    kind: StatisticKind
    column: str = Field("", max_length=NAME_CHARS_MAX)
    categories: tuple[str, ...] = Field((), max_length=CATEGORIES_MAX)
    lower: int = Field(0, ge=-CLAMP_MAX, le=CLAMP_MAX)
    upper: int = Field(0, ge=-CLAMP_MAX, le=CLAMP_MAX)
    where: tuple[Condition, ...] = Field((), max_length=CONDITIONS_MAX)
    epsilon_milli: int = Field(100, ge=1, le=EPSILON_MILLI_MAX)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.kind is not StatisticKind.COUNT and not self.column:
            raise ValueError("a sum and a histogram need a column")
        if self.kind is StatisticKind.HISTOGRAM and len(set(self.categories)) != len(self.categories or ("", "")):
            raise ValueError("a histogram needs its categories, each once")
        if self.kind is StatisticKind.SUM and (self.lower > self.upper or self.sensitivity == 0):
            raise ValueError("a sum needs a lower and an upper bound, not both zero")
        return self

    @property
    def sensitivity(self) -> int:
        """By how much one entity's row, there or not, changes the answer at most (a histogram: its values together)."""
        return max(abs(self.lower), abs(self.upper)) if self.kind is StatisticKind.SUM else 1

    def digest(self, version: int) -> str:
        """Return what is equal for equal questions to equal data."""
        return sha256_hex(canonical_json({"version": version, **self.model_dump(mode="json")}))


class Answer(Value):
    """What was answered, with noise; the same question to the same version has this answer again and costs nothing."""

    id: str
    question: Question
    version: int
    values: dict[str, int]
    """By category; of a count and a sum one value under the empty name. Noise can make a count negative."""
    error_95: int
    """In 95 of 100 answers the noise is at most so large."""
    asked_at: datetime
    asked_by: Actor
    entry_id: EntryId | None = None


class Budget(Value):
    """How much privacy the answers about a table may cost in all, and have cost (ε in thousandths)."""

    dataset: str
    granted_milli: int
    spent_milli: int

    @property
    def left_milli(self) -> int:
        """What is left."""
        return max(0, self.granted_milli - self.spent_milli)


class BudgetOrder(Value):
    """What is granted for a table, and why; never less than was spent already."""

    granted_milli: int = Field(ge=0, le=BUDGET_MILLI_MAX)
    statement: str = Field(min_length=1, max_length=TEXT_CHARS_MAX)
