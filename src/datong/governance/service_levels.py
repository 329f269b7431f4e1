"""Service levels: what an agreement promises, measured from the evidence. Pure, like `timelines`.

An agreement's entries state its levels. Each function takes entries about one agreement, in any order, and returns the
duties that were not kept (docs: `governance`, *Service levels*); what an agreement does not state is not measured.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from datong.governance.duties import Duty, DutyKind, Span
from datong.governance.outages import Outages, stretches
from datong.governance.parties import Party
from datong.governance.periods import Period
from datong.governance.timelines import PAUSED, TRANSFER_WORKING_DAYS, instant_of, party_of, span_from
from datong.kernel import CHINA, DepartmentCode, EntryId, ResourceId, Text, WorkingCalendar
from datong.ledger import EntryKind, RecordedEntry

USE_REFUSALS_MIN = 10
"""So many calls in a day that were refused because they asked for what was not agreed are a breach; fewer an error."""
EVIDENCE_MAX = 100
"""Refused calls that a finding names, the first of the day."""
OUTSIDE_POLICIES = frozenset({"data.other_purpose", "data.items_outside"})
_COPIES = frozenset({"bulk", "file"})
OVER = frozenset({"terminated", "expired"})
_TO_REFRESH = Text(zh="数据即将过期，待提供方更新", en="the data grows old; the provider must refresh it")
_TO_RECEIVE = Text(zh="更新已送达，待需求方确认接收", en="the refresh was delivered; the consumer must acknowledge")
_TO_SERVE = Text(zh="协议生效，接口应可用", en="the agreement is in force; the interface is to be there")
_TO_MATCH = Text(zh="双方对账", en="both ends were compared")
_CALLED = Text(zh="需求方的调用被拒绝", en="the consumer's call was refused")


class Terms(NamedTuple):
    """What the entries of one agreement say of it: from when to when it was in force, and what was promised."""

    agreement: str
    provider: DepartmentCode
    consumer: DepartmentCode
    resource_id: ResourceId
    title: Text
    modes: frozenset[str]
    levels: Mapping[str, int]
    liability: Mapping[Party, int]
    since: datetime
    until: datetime
    entry_id: EntryId


def terms_of(entries: Sequence[RecordedEntry], *, title_of: Callable[[ResourceId], Text]) -> Terms | None:
    """Return what `entries` (of one agreement, in order) say; None if it never came into force or states no levels."""
    active = next((entry for entry in entries if entry.facts["state"] == "active"), None)
    if active is None or "levels" not in active.facts:
        return None
    facts = active.facts
    ended = next((entry.at for entry in entries if entry.facts["state"] in OVER), None)
    until = instant_of(entries[-1].facts["valid_until"])
    resource_id = ResourceId(facts["resource_id"])
    return Terms(
        agreement=facts["agreement_id"],
        provider=DepartmentCode(facts["provider"]),
        consumer=DepartmentCode(facts["consumer"]),
        resource_id=resource_id,
        title=title_of(resource_id),
        modes=frozenset(facts["modes"]),
        levels=entries[-1].facts.get("levels", facts["levels"]),
        liability={
            Party(name.removesuffix("_permille")): part for name, part in facts.get("liability", {}).items() if part
        },
        since=active.at,
        until=until if ended is None else min(ended, until),
        entry_id=active.entry_id,
    )


def freshness_duties(
    terms: Terms, acts: Sequence[RecordedEntry], *, calendar: WorkingCalendar, until: datetime
) -> list[Duty]:
    """Return the times before `until` in which a task's data grew older than agreed; `acts` are its entries, in order.

    Data is as old as the newest batch that ended a run and was acknowledged. It may grow as old as the agreement says,
    and where that moment is not on a working day, until the end of the next one; at least until the end of the working
    day after it was acknowledged, since before that no other run can begin. The duty ends when the next run is
    requested: from then on it is a transfer with a time limit of its own, and late or not it is judged as one. Whoever
    paused the task holds the ball meanwhile.
    """
    if not terms.modes & _COPIES or "freshness_hours" not in terms.levels:
        return []
    duties: list[Duty] = []
    delivered: RecordedEntry | None = None
    last: dict[str, RecordedEntry] = {}
    pending: list[RecordedEntry] = []
    for act in acts:
        facts = act.facts
        if act.kind is EntryKind.BATCH and facts.get("last"):
            last[facts["batch"]] = act
        if act.kind is EntryKind.RECEIPT and "subscription" not in facts and facts["batch"] in last:
            if delivered is not None:
                duties += _stale(terms, delivered, last, [*pending, act], act.at, calendar)
            delivered, pending = act, []
        elif act.facts.get("action") == "end":
            return duties
        else:
            pending.append(act)
    if delivered is not None:
        over = terms.until if terms.until <= until else None
        duties += _stale(terms, delivered, last, pending, over, calendar)
    return duties


def availability_duties(
    terms: Terms, outages: Outages, *, live: Sequence[tuple[datetime, datetime]], until: datetime
) -> list[Duty]:
    """Return the months, over before `until`, in which an interface was away for longer than agreed.

    While the hub is away no interface answers. While the provider's node is away those that it answers live (`live`:
    from when to when) do not; the others are answered from the library. The shares are the times of each cause.
    """
    if "interface" not in terms.modes or "availability_permille" not in terms.levels:
        return []
    duties: list[Duty] = []
    month = Period.containing(terms.since)
    while month.until <= until and month.since < terms.until:
        since, end = max(terms.since, month.since), min(terms.until, month.until)
        away: dict[Party, timedelta] = {}
        evidence = []
        for stretch in stretches(outages, terms.provider, since=since, until=end):
            lasted = stretch.until - stretch.since
            if stretch.party is not Party.PLATFORM:
                lasted = sum((_overlap(stretch.since, stretch.until, *span) for span in live), timedelta(0))
            if lasted:
                away[stretch.party] = away.get(stretch.party, timedelta(0)) + lasted
                evidence.append(stretch.entry_id)
        missing = sum(away.values(), timedelta(0))
        if missing * 1000 > (end - since) * (1000 - terms.levels["availability_permille"]):
            duties.append(
                measured(
                    DutyKind.AVAILABILITY,
                    terms,
                    subject=f"{terms.agreement}/{month.name}",
                    at=month.until,
                    span=Span(party=Party.PROVIDER, since=since, entry_id=terms.entry_id, why=_TO_SERVE),
                    evidence=[terms.entry_id, *evidence],
                    faults=int(missing / timedelta(minutes=1)),
                    amount=int((end - since) / timedelta(minutes=1)),
                    weights={party: int(time.total_seconds()) for party, time in away.items()},
                )
            )
        month = Period.containing(month.until)
    return duties


def completeness_duties(terms: Terms, reconciliations: Iterable[RecordedEntry]) -> list[Duty]:
    """Return the reconciliations that missed more of the provider's rows at the consumer than agreed.

    Rows that the consumer rejected are judged as quality. For the rest the evidence does not decide between the ends:
    the agreement's weights of liability do.
    """
    if "completeness_permille" not in terms.levels:
        return []
    duties = []
    for entry in reconciliations:
        ends = entry.facts.get("ends", {})
        if "missing" not in entry.facts or not {"producer", "consumer"} <= ends.keys():
            continue
        rows, missing = ends["producer"]["rows"], entry.facts["missing"]
        unexplained = missing - ends["consumer"]["rejected"]
        if unexplained > 0 and missing * 1000 > rows * (1000 - terms.levels["completeness_permille"]):
            duties.append(
                measured(
                    DutyKind.COMPLETENESS,
                    terms,
                    subject=entry.facts["reconciliation"],
                    at=entry.at,
                    span=span_from(Party.PROVIDER, entry, _TO_MATCH),
                    evidence=[entry.entry_id],
                    faults=unexplained,
                    amount=rows,
                    weights=terms.liability,
                )
            )
    return duties


def use_duties(terms: Terms, refusals: Sequence[RecordedEntry]) -> list[Duty]:
    """Return the days on which the consumer kept asking for what was not agreed; `refusals` are its, in order."""
    days: dict[date, list[RecordedEntry]] = {}
    for entry in refusals:
        days.setdefault(entry.at.astimezone(CHINA).date(), []).append(entry)
    duties = []
    for day, calls in days.items():
        outside = [call for call in calls if OUTSIDE_POLICIES.intersection(call.facts["policies"])]
        if len(outside) >= USE_REFUSALS_MIN:
            duties.append(
                measured(
                    DutyKind.USE,
                    terms,
                    subject=f"{terms.agreement}/{day}",
                    at=outside[-1].at,
                    span=span_from(Party.CONSUMER, outside[0], _CALLED),
                    evidence=[call.entry_id for call in outside[:EVIDENCE_MAX]],
                    faults=len(outside),
                    amount=len(calls),
                    weights={},
                )
            )
    return duties


def _stale(
    terms: Terms,
    delivered: RecordedEntry,
    last: Mapping[str, RecordedEntry],
    acts: Sequence[RecordedEntry],
    done_at: datetime | None,
    calendar: WorkingCalendar,
) -> list[Duty]:
    """Return the duty to refresh what `delivered` acknowledged, unless it was kept or another duty covers it."""
    produced_at = instant_of(last[delivered.facts["batch"]].facts["produced_at"])
    due_at = produced_at.astimezone(CHINA) + timedelta(hours=terms.levels["freshness_hours"])
    if not calendar.is_working_day(due_at.date()):
        due_at = calendar.deadline(due_at, 1)
    due_at = max(due_at, calendar.deadline(delivered.at, TRANSFER_WORKING_DAYS))
    if due_at >= terms.until or (done_at is not None and done_at < due_at):
        return []
    requested = next((act for act in acts if act.facts.get("action") == "run"), None)
    if requested is not None:
        if requested.at < due_at:
            return []
        done_at, acts = requested.at, acts[: acts.index(requested) + 1]
    spans = [span_from(Party.PROVIDER, delivered, _TO_REFRESH)]
    holder, why = Party.PROVIDER, _TO_REFRESH
    for act in acts:
        if act.kind is EntryKind.BATCH and act.facts.get("last"):
            holder, why = Party.CONSUMER, _TO_RECEIVE
            spans.append(span_from(holder, act, why))
        elif act.facts.get("action") == "pause":
            spans.append(span_from(party_of(act), act, PAUSED))
        elif act.facts.get("action") == "resume":
            spans.append(span_from(holder, act, why))
    return [
        Duty(
            kind=DutyKind.FRESHNESS,
            subject=f"{delivered.subject}/{delivered.facts['sequence']}",
            title=terms.title,
            provider=terms.provider,
            consumer=terms.consumer,
            resource_id=terms.resource_id,
            due_at=due_at,
            done_at=done_at,
            spans=tuple(spans),
            evidence=(delivered.entry_id, *(act.entry_id for act in acts)),
        )
    ]


def measured(
    kind: DutyKind,
    terms: Terms,
    *,
    subject: str,
    at: datetime,
    span: Span,
    evidence: Sequence[EntryId],
    faults: int,
    amount: int,
    weights: Mapping[Party, int],
) -> Duty:
    """Return a duty about what was wrong, not late; parties without a weight are left out."""
    return Duty(
        kind=kind,
        subject=subject,
        title=terms.title,
        provider=terms.provider,
        consumer=terms.consumer,
        resource_id=terms.resource_id,
        due_at=at,
        done_at=at,
        spans=(span,),
        evidence=tuple(evidence),
        faults=faults,
        amount=amount,
        weights={party: weight for party, weight in weights.items() if weight},
    )


def _overlap(since: datetime, until: datetime, other_since: datetime, other_until: datetime) -> timedelta:
    return max(timedelta(0), min(until, other_until) - max(since, other_since))
