"""The way of a request through the hands of departments: which steps it took, and how long each was waited for. Pure.

Steps are drawn from entries of the ledger (docs: `governance`, *Ways of requests*); a request ends with a refusal,
with being withdrawn, or with the first delivery under its agreement.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from datong.governance.parties import Party
from datong.kernel import DepartmentCode, EntryId, RequestId, ResourceId, Text, Value
from datong.ledger import EntryKind, RecordedEntry


class FlowStep(StrEnum):
    """Something that happens to a request on its way to data."""

    SUBMIT = "submit"
    AMEND = "amend"
    EXTEND = "extend"
    CONSENT_EXTENSION = "consent_extension"
    DENY_EXTENSION = "deny_extension"
    WITHDRAW = "withdraw"
    REFUSE = "refuse"
    APPROVE = "approve"
    GRANT_UNCONDITIONAL = "grant_unconditional"
    CONFIRM = "confirm"
    CONFIRMED = "confirmed"
    SIGN = "sign"
    IN_FORCE = "in_force"
    GIVEN_UP = "given_up"
    DELIVER = "deliver"


STEP_NAMES: Mapping[FlowStep, Text] = {
    FlowStep.SUBMIT: Text(zh="提出申请", en="submitted"),
    FlowStep.AMEND: Text(zh="修改申请", en="amended"),
    FlowStep.EXTEND: Text(zh="申请延期", en="extension asked for"),
    FlowStep.CONSENT_EXTENSION: Text(zh="同意延期", en="extension consented to"),
    FlowStep.DENY_EXTENSION: Text(zh="不同意延期", en="extension denied"),
    FlowStep.WITHDRAW: Text(zh="撤回", en="withdrawn"),
    FlowStep.REFUSE: Text(zh="拒绝", en="refused"),
    FlowStep.APPROVE: Text(zh="同意", en="approved"),
    FlowStep.GRANT_UNCONDITIONAL: Text(zh="无条件共享自动同意", en="granted at once"),
    FlowStep.CONFIRM: Text(zh="一方确认协议", en="confirmed by one side"),
    FlowStep.CONFIRMED: Text(zh="双方确认协议", en="confirmed by both"),
    FlowStep.SIGN: Text(zh="一方签署", en="signed by one side"),
    FlowStep.IN_FORCE: Text(zh="协议生效", en="in force"),
    FlowStep.GIVEN_UP: Text(zh="生效前终止", en="ended before it held"),
    FlowStep.DELIVER: Text(zh="首次送达数据", en="first data delivered"),
}
TURNED_BACK = frozenset({FlowStep.AMEND, FlowStep.EXTEND, FlowStep.REFUSE, FlowStep.WITHDRAW, FlowStep.GIVEN_UP})
"""Steps by which a request does not go forward."""
FLOW_KINDS = (EntryKind.REQUEST, EntryKind.DECISION, EntryKind.AGREEMENT, EntryKind.BATCH)
_ENDED = frozenset({"terminated", "expired"})


class FlowAct(NamedTuple):
    """One step of one request: who took it and when, by which entry."""

    request_id: RequestId
    step: FlowStep
    at: datetime
    party: Party
    entry_id: EntryId


class FlowStart(NamedTuple):
    """What the first entry of a request says of it."""

    consumer: DepartmentCode
    provider: DepartmentCode
    resource_id: ResourceId


class FlowEdge(Value):
    """From one step straight to another: how many requests went there, and how long that took.

    Times are in working seconds: what lies in working days, day and night. `median_seconds` and `ninetieth_seconds` are
    percentiles by nearest rank.
    """

    before: FlowStep
    step: FlowStep
    requests: int
    median_seconds: int
    ninetieth_seconds: int
    total_seconds: int


class FlowVariant(Value):
    """One way through all steps that requests took so far, and how long it took from the first step to the last."""

    steps: tuple[FlowStep, ...]
    requests: int
    median_seconds: int
    ninetieth_seconds: int


class FlowTurn(Value):
    """How often requests to a department did not go forward by one step; `party` took it."""

    provider: DepartmentCode
    step: FlowStep
    party: Party
    times: int


class FlowMap(Value):
    """How requests that were submitted in a period went, the most frequent first."""

    requests: int
    delivered: int
    turned_back: int
    edges: tuple[FlowEdge, ...]
    variants: tuple[FlowVariant, ...]
    variants_total: int
    turns: tuple[FlowTurn, ...]


class FlowRequest(Value):
    """One request that went an edge, and how long it took (working seconds); `entry_id` is the act it led to."""

    request_id: RequestId
    consumer: DepartmentCode
    provider: DepartmentCode
    resource_id: ResourceId
    submitted_at: datetime
    at: datetime
    waited_seconds: int
    party: Party
    entry_id: EntryId


def step_of(entry: RecordedEntry, *, in_force: bool) -> FlowStep | None:
    """Return the step that an entry about a request or its agreement is; None if it is none.

    `in_force`: the agreement was in force before; what becomes of it then is no part of the way.
    """
    step, state = str(entry.facts["step"]), str(entry.facts["state"])
    if entry.kind is not EntryKind.AGREEMENT:
        return FlowStep(step) if step in set(FlowStep) else None
    if in_force:
        return None
    if state in _ENDED:
        return FlowStep.GIVEN_UP
    if step == "confirm":
        return FlowStep.CONFIRM if state == "draft" else FlowStep.CONFIRMED
    if step == "sign":
        return FlowStep.IN_FORCE if state == "active" else FlowStep.SIGN
    return None


def side_of(entry: RecordedEntry) -> Party:
    """Return on whose side the actor of an entry stands."""
    department = entry.actor.department
    if department == entry.facts["provider"]:
        return Party.PROVIDER
    if department == entry.facts["consumer"]:
        return Party.CONSUMER
    return Party.PLATFORM if department is None else Party.AUTHORITY
