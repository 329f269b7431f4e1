"""What the rules look at: duties and single observations, both drawn from evidence through a Protocol."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from datong.governance.duties import Duty
from datong.governance.guards import Suspicion
from datong.kernel import DepartmentCode, EntryId, Value


class Measure(StrEnum):
    """Something that can be counted in the evidence, per department."""

    RESOURCE_DRAFTED = "resource.drafted"
    RESOURCE_PUBLISHED = "resource.published"
    RESOURCE_BOUND = "resource.bound"
    ITEM_DECLARED = "item.declared"
    ITEM_MAPPED = "item.mapped"
    ITEM_STANDARD = "item.standard"
    RESOURCE_RESTRICTED = "resource.restricted"
    RESOURCE_WITHHELD_BASELESS = "resource.withheld.baseless"
    REVIEW_DUE = "review.due"
    REVIEW_IN_TIME = "review.in_time"
    REPLY_DUE = "reply.due"
    REPLY_IN_TIME = "reply.in_time"
    REQUEST_VALID = "request.valid"
    REQUEST_SATISFIED = "request.satisfied"
    PROVISION_DUE = "provision.due"
    PROVISION_IN_TIME = "provision.in_time"
    TRANSFER_DUE = "transfer.due"
    TRANSFER_IN_TIME = "transfer.in_time"
    CORRECTION_DUE = "correction.due"
    CORRECTION_IN_TIME = "correction.in_time"
    ROWS_SENT = "rows.sent"
    ROWS_ACCEPTED = "rows.accepted"
    RECONCILED = "reconciled"
    RECONCILED_EQUAL = "reconciled.equal"
    CALL_ANSWERED = "call.answered"
    CALL_MADE = "call.made"
    CALL_REFUSED = "call.refused"
    RESOURCE_USED = "resource.used"
    STAFF_ASSIGNED = "staff.assigned"
    STAFF_CERTIFIED = "staff.certified"
    FAULT_FOUND = "fault.found"
    FAULT_FIXED = "fault.fixed"
    SERVICE_PROMISED = "service.promised"
    SERVICE_AVAILABLE = "service.available"
    CALL_MILLISECONDS = "call.milliseconds"
    CALL_SUCCEEDED = "call.succeeded"
    CALL_TRIED = "call.tried"
    ASPECT_RATED = "aspect.rated"
    ASPECT_SATISFIED = "aspect.satisfied"


class Observation(Value):
    """`count` of `measure` for `department`, by the act `entry_id`.

    `key` makes a measure count things instead of acts: of observations with one measure, department and key only the
    newest counts (a resource published twice is one published resource, and none once it is retired). Where single
    observations matter, for percentiles, this stands for `times` of them.
    """

    measure: Measure
    department: DepartmentCode
    at: datetime
    entry_id: EntryId
    count: int = 1
    key: str | None = None
    times: int = 1


class EvidenceSource(Protocol):
    """Reads duties and observations out of the evidence; the same evidence gives the same answer."""

    def duties(self, *, until: datetime) -> Sequence[Duty]:
        """Return every duty that existed before `until`, as the evidence up to then shows it."""
        ...

    def observations(self, *, since: datetime, until: datetime) -> Sequence[Observation]:
        """Return what happened from `since` to before `until`."""
        ...

    def sums(self, *, since: datetime, until: datetime) -> Sequence[Observation]:
        """Return observations that add up to the same, with fewer acts behind them where those are many."""
        ...

    def suspicions(self, *, since: datetime, until: datetime) -> Sequence[Suspicion]:
        """Return what the guards against gaming find in that period."""
        ...


class GivenEvidence:
    """An evidence source that holds what it is given: for tests, simulations and replays."""

    def __init__(
        self,
        duties: Sequence[Duty] = (),
        observations: Sequence[Observation] = (),
        suspicions: Sequence[Suspicion] = (),
    ) -> None:
        self.given_duties = list(duties)
        self.given_observations = list(observations)
        self.given_suspicions = list(suspicions)

    def duties(self, *, until: datetime) -> Sequence[Duty]:
        """Return the given duties that began before `until`."""
        return [duty for duty in self.given_duties if min(span.since for span in duty.spans) < until]

    def observations(self, *, since: datetime, until: datetime) -> Sequence[Observation]:
        """Return the given observations of the period."""
        return [seen for seen in self.given_observations if since <= seen.at < until]

    def sums(self, *, since: datetime, until: datetime) -> Sequence[Observation]:
        """Return the given observations of the period."""
        return self.observations(since=since, until=until)

    def suspicions(self, *, since: datetime, until: datetime) -> Sequence[Suspicion]:
        """Return the given suspicions, whatever the period."""
        return list(self.given_suspicions)
