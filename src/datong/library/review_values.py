"""The values of clerical review: a doubtful pair, why it is doubtful, its two records, and what a person decided."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from datong.kernel import Actor, DepartmentCode, EntityId, EntryId, ResourceId, Text, Value
from datong.kernel.limits import TEXT_CHARS_MAX
from datong.library.values import Cell


class Verdict(StrEnum):
    """What a person decided of two records."""

    SAME = "same"
    DIFFERENT = "different"
    LATER = "later"

    @property
    def label(self) -> Text:
        """What the verdict is called."""
        return _VERDICTS[self]


class PairRecord(Value):
    """One of the two records of a pair; `entity_id` is where it stands now."""

    resource_id: ResourceId
    row_key: str
    entity_id: EntityId


class ComparedLevel(Value):
    """What one comparison found of a pair, and what it adds to the weight in bits (negative: it speaks against)."""

    comparison: str
    level: str
    bits: float


class ReviewPair(Value):
    """A pair that is worth a person's look; `number` is its place in the version's list."""

    library: str
    version: int
    number: int
    left: PairRecord
    right: PairRecord
    weight: float
    probability: float
    reason: str
    levels: tuple[ComparedLevel, ...]


class SeenRecord(Value):
    """A record beside the other, as its source says it."""

    record: PairRecord
    department: DepartmentCode
    title: Text
    cells: Mapping[str, Cell]


class ReviewView(Value):
    """A pair with both records; `elements` are those of either, `differing` those in which both speak and differ."""

    pair: ReviewPair
    left: SeenRecord
    right: SeenRecord
    elements: tuple[str, ...]
    differing: frozenset[str]


class PairVerdict(Value):
    """A verdict and why."""

    verdict: Verdict
    statement: str = Field("", max_length=TEXT_CHARS_MAX)


class PairDecision(Value):
    """What was decided of a pair, and whether the version that is served was built with it."""

    id: str
    library: str
    left_key: str
    right_key: str
    verdict: Verdict
    statement: str
    weight: float
    reason: str
    decided_by: Actor
    decided_at: datetime
    decided_version: int
    entry_id: EntryId
    withdrawn_at: datetime | None = None
    applied: bool = False


_VERDICTS = {
    Verdict.SAME: Text(zh="是同一个", en="The same"),
    Verdict.DIFFERENT: Text(zh="不是同一个", en="Different"),
    Verdict.LATER: Text(zh="以后再定", en="Later"),
}
