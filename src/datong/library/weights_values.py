"""The values of learned weights: a proposal with its report, and how it stands."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from datong.kernel import Actor, EntryId, Text, Value
from datong.kernel.limits import TEXT_CHARS_MAX
from datong.library.calibration import JudgedScore, LevelShift
from datong.library.definition import Comparison


class WeightsState(StrEnum):
    """Where learned weights stand."""

    PROPOSED = "proposed"
    ACTIVE = "active"
    DECLINED = "declined"
    ENDED = "ended"

    @property
    def label(self) -> Text:
        """What the state is called."""
        return _STATES[self]


class WeightsAct(StrEnum):
    """What a person decides about learned weights."""

    ACTIVATE = "activate"
    DECLINE = "decline"
    END = "end"


class WeightsReport(Value):
    """What was learned from: usable decisions, those made under weights that are no longer known, and the scores."""

    decisions: int
    same: int
    unusable: int
    accept_bits: float
    before: JudgedScore
    after: JudgedScore
    shifts: tuple[LevelShift, ...]


class LearnedWeights(Value):
    """Weights that were learned from people's decisions. `fits` tells whether they are for the definition in force."""

    library: str
    number: int
    state: WeightsState
    fits: bool
    base_digest: str
    digest: str
    comparisons: tuple[Comparison, ...]
    report: WeightsReport
    proposed_by: Actor
    proposed_at: datetime
    proposed_entry_id: EntryId
    decided_by: Actor | None = None
    decided_at: datetime | None = None
    decided_entry_id: EntryId | None = None
    statement: str = ""


class WeightsOrder(Value):
    """What is to become of learned weights, and why."""

    act: WeightsAct
    statement: str = Field(min_length=1, max_length=TEXT_CHARS_MAX)


_STATES = {
    WeightsState.PROPOSED: Text(zh="待启用", en="proposed"),
    WeightsState.ACTIVE: Text(zh="已启用", en="in force"),
    WeightsState.DECLINED: Text(zh="未采纳", en="declined"),
    WeightsState.ENDED: Text(zh="已停用", en="ended"),
}
