"""Observations out of entries and duties: what the indicators count. Pure, like `timelines`."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from datong.governance.duties import Duty, DutyKind
from datong.governance.guards import SATISFIED_MIN
from datong.governance.observations import Measure, Observation
from datong.kernel import CHINA, DepartmentCode, EntryId
from datong.ledger import EntryKind, RecordedEntry

_DUTY_MEASURES: Mapping[DutyKind, tuple[Measure, Measure]] = {
    DutyKind.REPLY: (Measure.REPLY_DUE, Measure.REPLY_IN_TIME),
    DutyKind.PROVISION: (Measure.PROVISION_DUE, Measure.PROVISION_IN_TIME),
    DutyKind.REVIEW: (Measure.REVIEW_DUE, Measure.REVIEW_IN_TIME),
    DutyKind.TRANSFER: (Measure.TRANSFER_DUE, Measure.TRANSFER_IN_TIME),
    DutyKind.CORRECTION: (Measure.CORRECTION_DUE, Measure.CORRECTION_IN_TIME),
}
_PUBLISHED = "published"
_UNPUBLISH = "unpublish"
_HIDDEN = frozenset({"suspended", "retired"})
_GONE = frozenset({"retired", "rejected"})
_WITHHELD = "3"
_RESTRICTED = frozenset({"2", "3"})
"""Codes of 共享类型: conditional, and not shared."""


def observations_of_duties(duties: Iterable[Duty], *, until: datetime) -> Iterator[Observation]:
    """Yield one due duty, and one kept in time, for each that was done or whose deadline passed before `until`.

    It counts at the earlier of both moments, for the department whose duty it was.
    """
    for duty in duties:
        measures = _DUTY_MEASURES.get(duty.kind)
        department = duty.authority if duty.kind is DutyKind.REVIEW else duty.provider
        if measures is None or department is None:
            continue
        in_time = duty.done_at is not None and duty.done_at < duty.due_at
        at = duty.due_at if duty.done_at is None else min(duty.done_at, duty.due_at)
        if at >= until:
            continue
        due, kept = measures
        key = f"{duty.kind}:{duty.subject}"
        yield _seen(due, department, at, duty.evidence[-1], key=key)
        if in_time:
            yield _seen(kept, department, at, duty.evidence[-1], key=key)


def observations_of_entry(entry: RecordedEntry) -> Iterator[Observation]:
    """Yield what one entry counts for."""
    counter = _COUNTERS.get(entry.kind)
    return iter(()) if counter is None else counter(entry)


def _decision(entry: RecordedEntry) -> Iterator[Observation]:
    facts, provider = entry.facts, _provider(entry)
    if facts["state"] in {"granted", "refused"}:
        yield _seen(Measure.REQUEST_VALID, provider, entry.at, entry.entry_id, key=facts["request_id"])
    if facts["state"] == "granted":
        yield _seen(Measure.REQUEST_SATISFIED, provider, entry.at, entry.entry_id, key=facts["request_id"])


def _batch(entry: RecordedEntry) -> Iterator[Observation]:
    yield _seen(Measure.RESOURCE_USED, _provider(entry), entry.at, entry.entry_id, key=entry.facts["resource"])


def _receipt(entry: RecordedEntry) -> Iterator[Observation]:
    applied, rejected = entry.facts["rows_applied"], entry.facts["rows_rejected"]
    yield _seen(Measure.ROWS_SENT, _provider(entry), entry.at, entry.entry_id, count=applied + rejected)
    yield _seen(Measure.ROWS_ACCEPTED, _provider(entry), entry.at, entry.entry_id, count=applied)


def _letters(entry: RecordedEntry) -> Iterator[Observation]:
    """Yield how many rows a task's consumer refused so far, and how many of them the provider has made good.

    Rows that the consumer gave up are neither.
    """
    facts = entry.facts
    fixed = int(facts["corrected"]) + int(facts["superseded"])
    found = fixed + sum(int(number) for number in facts["open"].values())
    for measure, count in ((Measure.FAULT_FOUND, found), (Measure.FAULT_FIXED, fixed)):
        yield _seen(measure, _provider(entry), entry.at, entry.entry_id, count=count, key=entry.subject)


def _reconciliation(entry: RecordedEntry) -> Iterator[Observation]:
    yield _seen(Measure.RECONCILED, _provider(entry), entry.at, entry.entry_id)
    if entry.facts["state"] == "equal":
        yield _seen(Measure.RECONCILED_EQUAL, _provider(entry), entry.at, entry.entry_id)


def _catalogue_step(entry: RecordedEntry) -> Iterator[Observation]:
    """Yield the stock that a resource is from this step on: what is published, bound, mapped, restricted, withheld."""
    facts = entry.facts
    state, share_type = facts["to_state"], facts.get("share_type")
    live = int(state == _PUBLISHED)
    gone = state in _HIDDEN or facts.get("action") == _UNPUBLISH
    counts = {Measure.RESOURCE_DRAFTED: int(state not in _GONE)}
    if live or gone:
        counts |= {
            Measure.RESOURCE_PUBLISHED: live,
            Measure.RESOURCE_BOUND: live * int(bool(facts.get("bound"))),
            Measure.ITEM_DECLARED: live * int(facts.get("items", 0)),
            Measure.ITEM_MAPPED: live * int(facts.get("mapped_items", 0)),
            Measure.RESOURCE_RESTRICTED: live * int(share_type in _RESTRICTED),
            Measure.RESOURCE_WITHHELD_BASELESS: live
            * int(share_type == _WITHHELD and not facts.get("legal_basis_cited")),
        }
        if "standard_items" in facts:
            counts[Measure.ITEM_STANDARD] = live * int(facts["standard_items"])
    department = DepartmentCode(facts["department"])
    for measure, count in counts.items():
        yield _seen(measure, department, entry.at, entry.entry_id, count=count, key=entry.subject)


def _inventory(entry: RecordedEntry) -> Iterator[Observation]:
    """What an inventory found and could not draft is to be catalogued like every draft."""
    department, count = DepartmentCode(entry.facts["department"]), int(entry.facts["without_draft"])
    yield _seen(Measure.RESOURCE_DRAFTED, department, entry.at, entry.entry_id, count=count, key=entry.subject)


def observations_of_staff(entry: RecordedEntry, *, until: datetime) -> Iterator[Observation]:
    """Yield how many are assigned by a register's entry, and how many of them are certified just before `until`."""
    facts = entry.facts
    department, day = DepartmentCode(facts["department"]), last_day(until)
    certified = sum(int(count) for ends, count in facts["certified"].items() if day <= ends)
    for measure, count in ((Measure.STAFF_ASSIGNED, int(facts["assigned"])), (Measure.STAFF_CERTIFIED, certified)):
        yield _seen(measure, department, entry.at, entry.entry_id, count=count, key=department)


def last_day(until: datetime) -> str:
    """Return the last day (China time) before a moment, as the log writes days."""
    return (until - timedelta(microseconds=1)).astimezone(CHINA).date().isoformat()


def _rating(entry: RecordedEntry) -> Iterator[Observation]:
    """What a rating says of each aspect: the newest entry of a rating counts, a withdrawn one for nothing."""
    scores = entry.facts["scores"].values() if entry.facts["state"] != "withdrawn" else ()
    satisfied = sum(int(points) >= SATISFIED_MIN for points in scores)
    for measure, count in ((Measure.ASPECT_RATED, len(scores)), (Measure.ASPECT_SATISFIED, satisfied)):
        yield _seen(measure, _provider(entry), entry.at, entry.entry_id, count=count, key=entry.subject)


def _call(entry: RecordedEntry) -> Iterator[Observation]:
    facts, provider = entry.facts, _provider(entry)
    consumer = facts.get("consumer")
    if not provider or "resource_id" not in facts:
        return
    if consumer:
        yield _seen(Measure.CALL_MADE, DepartmentCode(consumer), entry.at, entry.entry_id)
    if entry.kind is EntryKind.ACCESS:
        yield _seen(Measure.CALL_ANSWERED, provider, entry.at, entry.entry_id)
        yield _seen(Measure.RESOURCE_USED, provider, entry.at, entry.entry_id, key=facts["resource_id"])
    elif consumer:
        yield _seen(Measure.CALL_REFUSED, DepartmentCode(consumer), entry.at, entry.entry_id)


_COUNTERS: Mapping[EntryKind, Callable[[RecordedEntry], Iterator[Observation]]] = {
    EntryKind.CATALOGUE_STEP: _catalogue_step,
    EntryKind.INVENTORY: _inventory,
    EntryKind.REQUEST: _decision,
    EntryKind.DECISION: _decision,
    EntryKind.BATCH: _batch,
    EntryKind.RECEIPT: _receipt,
    EntryKind.RECONCILIATION: _reconciliation,
    EntryKind.DEAD_LETTERS: _letters,
    EntryKind.ACCESS: _call,
    EntryKind.REFUSAL: _call,
    EntryKind.RATING: _rating,
}


def _provider(entry: RecordedEntry) -> DepartmentCode:
    return DepartmentCode(str(entry.facts.get("provider", "")))


def _seen(
    measure: Measure,
    department: DepartmentCode,
    at: datetime,
    entry_id: EntryId,
    *,
    count: int = 1,
    key: str | None = None,
) -> Observation:
    return Observation(measure=measure, department=department, at=at, entry_id=entry_id, count=count, key=key)
