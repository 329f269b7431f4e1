"""What tracing a wrong value finds: uses, the batch and its signer, copies, findings; and what a use was told. Pure."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from datong.governance.interfaces import LiveSpan
from datong.governance.monitor import FindingRecord
from datong.governance.response_times import KINDS
from datong.kernel import (
    BatchId,
    CorrectionId,
    DepartmentCode,
    EntryId,
    NodeId,
    TaskId,
    Text,
    Value,
)
from datong.library import DisputedCell, PastRecord, PastState
from datong.sharing import Use
from datong.sharing.items import HandledCase


class Told(StrEnum):
    """What an answer said of the disputed cell."""

    WRONG = "wrong"
    """The version that was served then has the value."""
    LIVE = "live"
    """The provider's node answered from its own database; what it said is not known here."""
    UNKNOWN = "unknown"
    """The version that was served then can no longer be read."""

    @property
    def label(self) -> Text:
        """What it is called."""
        return _TOLD[self]


_TOLD = {
    Told.WRONG: Text(zh="答复所依据的就是该值", en="answered with the value"),
    Told.LIVE: Text(zh="由提供部门前置机现场答复，平台不知其值", en="answered live by the provider's node"),
    Told.UNKNOWN: Text(zh="当时的版本已销毁，无法核对", en="the version served then cannot be read any more"),
}


class WrongUse(Value):
    """One use of the record whose answer held the value, or may have.

    `observed_at` is what the source said of the record's age, `age_seconds` how long before the use its batch was
    produced. `told_at`: when others than the user may know of the use, where that is later than the use.
    """

    use: Use
    told: Told
    version: int | None = None
    batch_id: BatchId | None = None
    observed_at: str | None = None
    age_seconds: int | None = None
    case: HandledCase | None = None
    told_at: datetime | None = None


class ValueOrigin(Value):
    """A batch that brought the value: when it was produced and arrived, and whose key signed it."""

    batch_id: BatchId
    task_id: TaskId
    sequence: int
    department: DepartmentCode
    produced_at: datetime
    arrived_at: datetime
    key_id: str
    node_id: NodeId | None
    key_revoked_at: datetime | None
    entry_id: EntryId


class ValueCopy(Value):
    """A department that takes the stream of such a batch, and whether it acknowledged that batch."""

    department: DepartmentCode
    batch_id: BatchId
    received: bool


class WrongValue(Value):
    """A disputed cell and whom it reached; `uses` are the newest first, and `left_off` older ones were not looked at.

    `corrected_at`: when the version began to be served in which the source said something else.
    """

    cell: DisputedCell
    correction_id: CorrectionId | None
    reported_at: datetime | None
    corrected_at: datetime | None
    origins: tuple[ValueOrigin, ...]
    uses: tuple[WrongUse, ...]
    left_off: int
    copies: tuple[ValueCopy, ...]
    findings: tuple[FindingRecord, ...]


def told(use: Use, cell: DisputedCell, record: PastRecord | None, live: Sequence[LiveSpan]) -> Told | None:
    """Return what a use was told of a cell; None: something else. `record`: as the version served then has it."""
    if use.kind in KINDS and any(since <= use.at < until for since, until in live):
        return Told.LIVE
    if record is None or record.state is PastState.UNREADABLE:
        return Told.UNKNOWN
    return Told.WRONG if record.says(cell.element, cell.value, cell.batch_id) else None
