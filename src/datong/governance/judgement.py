"""The rules of liability: a duty and a moment in, a finding or nothing out. Nothing here does I/O.

**Whose delay.** From the first span to the duty's end (or to now, while it is not done) exactly one party holds the
ball at each moment. The party whose duty it is may hold it as long as the time limit allows; nobody else may hold it
at all without using up somebody's time. So each party answers for the working time it held the ball beyond what it
was allowed, and the shares are proportional to that. A provider who was ready in time and waited for the consumer's
signature answers for nothing.

**How much.** Points are charged once per breach and per working day after the deadline, weighed by the agreement, and
divided by the shares. More delay therefore never means fewer points in total, nor for the party that causes it.

**Same evidence, same finding.** Spans and evidence are put in order first, and the identity of a finding is a digest
of the duty's kind, its subject and the rules' version: judging again revises the same finding.
"""

import uuid
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

from datong.governance.duties import RULES, RULES_VERSION, Duty, DutyKind, DutyRule, Span
from datong.governance.findings import Finding, PartyShare
from datong.governance.parties import PARTY_NAMES, Party, divide, shares_of
from datong.kernel import CHINA, FindingId, Text, WorkingCalendar, canonical_json

FINDINGS = uuid.UUID("5e5f0c67-3c1a-5b0e-9c59-7f9d3b0a2f10")
"""The namespace of the identities of findings (RFC 9562, version 5)."""


def judge(duty: Duty, *, now: datetime, calendar: WorkingCalendar) -> Finding | None:
    """Return the finding on `duty` as of `now`, or None while it is kept.

    Raises:
        ValueError: the duty has no span, so nobody ever held it.
    """
    if not duty.spans:
        raise ValueError(f"the duty {duty.kind} of {duty.subject} has no span")
    rule = RULES[duty.kind]
    spans = tuple(sorted(duty.spans, key=lambda span: (span.since, span.entry_id, span.party)))
    if rule.measured is not None:
        return _measured_finding(duty, rule, spans, now) if duty.faults > 0 else None
    end = now if duty.done_at is None else min(duty.done_at, now)
    if end < duty.due_at:
        return None
    excess = excess_seconds(spans, owner=rule.owner, due_at=duty.due_at, end=end, calendar=calendar)
    delay = max(0, -calendar.working_days_left(end, duty.due_at))
    points = (rule.points_per_breach + rule.points_per_day * delay) * duty.weight_percent // 100
    return _finding(duty, rule, spans, excess, delay=delay, points=points, now=now)


def excess_seconds(
    spans: Sequence[Span], *, owner: Party, due_at: datetime, end: datetime, calendar: WorkingCalendar
) -> dict[Party, int]:
    """Return by party the working seconds it held the ball beyond its allowance; `spans` are in order.

    The owner is allowed the working time from the first span to the deadline. When no working time at all was
    exceeded (the deadline passed on a holiday), the owner answers for the whole.
    """
    held: dict[Party, int] = {}
    for span, until in zip(spans, [*(later.since for later in spans[1:]), end], strict=True):
        seconds = working_seconds(calendar, span.since, min(until, end))
        held[span.party] = held.get(span.party, 0) + seconds
    allowed = working_seconds(calendar, spans[0].since, due_at)
    excess = {party: seconds for party, seconds in held.items() if party is not owner}
    excess[owner] = max(0, held.get(owner, 0) - allowed)
    return excess if any(excess.values()) else {owner: 1}


def working_seconds(calendar: WorkingCalendar, start: datetime, end: datetime) -> int:
    """Return the whole seconds between `start` and `end` that lie in working days of China; 0 if `end` is earlier."""
    if end <= start:
        return 0
    start, end = start.astimezone(CHINA), end.astimezone(CHINA)
    total = timedelta(0)
    day = start.date()
    while day <= end.date():
        if calendar.is_working_day(day):
            total += min(end, _midnight(day + timedelta(days=1))) - max(start, _midnight(day))
        day += timedelta(days=1)
    return int(total.total_seconds())


def finding_id(duty: Duty) -> FindingId:
    """Return the identity of the finding on `duty`: the same for ever, on every hub."""
    return finding_id_of(duty.kind, duty.subject)


def finding_id_of(kind: DutyKind, subject: str) -> FindingId:
    """Return the identity that a finding on a duty of some kind about `subject` has, whether there is one or not."""
    name = canonical_json({"rules": RULES_VERSION, "kind": kind.value, "subject": subject})
    return FindingId(str(uuid.uuid5(FINDINGS, name.decode())))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(0), tzinfo=CHINA)


def _measured_finding(duty: Duty, rule: DutyRule, spans: Sequence[Span], now: datetime) -> Finding:
    """Return the finding on what was wrong. Rows that were rejected are the provider's own: it signed the batch."""
    per_ten_thousand = -(-duty.faults * 10_000 // max(duty.amount, duty.faults))
    points = (rule.points_per_breach + per_ten_thousand) * duty.weight_percent // 100
    weights = dict(duty.weights) or {rule.owner: 1}
    return _finding(duty, rule, spans, weights, delay=0, points=points, now=now)


def _finding(
    duty: Duty,
    rule: DutyRule,
    spans: Sequence[Span],
    weights: dict[Party, int],
    *,
    delay: int,
    points: int,
    now: datetime,
) -> Finding:
    shares = shares_of(weights)
    charged = divide(points, shares.basis_points) if points else {}
    evidence = sorted({*duty.evidence, *(span.entry_id for span in spans)})
    parties = tuple(
        PartyShare(
            party=party,
            department=duty.department_of(party),
            basis_points=shares.basis_points[party],
            points=charged.get(party, 0),
        )
        for party in Party
        if party in shares.basis_points
    )
    return Finding(
        id=finding_id(duty),
        kind=duty.kind,
        clause=rule.clause,
        subject=duty.subject,
        title=duty.title,
        provider=duty.provider,
        consumer=duty.consumer,
        authority=duty.authority,
        resource_id=duty.resource_id,
        due_at=duty.due_at,
        done_at=duty.done_at,
        settled=rule.measured is not None or duty.done_at is not None,
        assessed_at=now,
        delay_working_days=delay,
        points=points,
        faults=duty.faults,
        amount=duty.amount,
        parties=parties,
        spans=tuple(spans),
        evidence=tuple(evidence),
        summary=_summary(duty, rule, parties, delay),
        rules_version=RULES_VERSION,
    )


def _summary(duty: Duty, rule: DutyRule, parties: Sequence[PartyShare], delay: int) -> Text:
    zh = "、".join(f"{PARTY_NAMES[share.party].zh} {share.percent}%" for share in parties)
    en = ", ".join(f"{PARTY_NAMES[share.party].en} {share.percent}%" for share in parties)
    if rule.measured is not None:
        counts = {"faults": duty.faults, "amount": duty.amount}
        return Text(
            zh=f"{rule.name.zh}：{duty.title.zh}，{rule.measured.zh.format(**counts)}；责任：{zh}。",
            en=f"{rule.name.en}: {duty.title.en}, {rule.measured.en.format(**counts)}; liability: {en}.",
        )
    return Text(
        zh=f"{rule.name.zh}：{duty.title.zh}，超期 {delay} 个工作日；责任：{zh}。",
        en=f"{rule.name.en}: {duty.title.en}, {delay} working day{'' if delay == 1 else 's'} late; liability: {en}.",
    )
