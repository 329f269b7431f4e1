"""Duties out of timelines: the rules by which entries about one thing become spans, deadlines and ends. Pure.

Each function takes the entries about one request, agreement, resource version or task, in any order, and returns the
duties that they show. What is read is the vocabulary of the entries' facts (docs: `ledger`), nothing else: whoever
holds the exported log can do it again.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from datong.governance.duties import Duty, DutyKind, Span
from datong.governance.parties import Party
from datong.kernel import CHINA, DepartmentCode, ResourceId, Text, WorkingCalendar
from datong.ledger import EntryKind, RecordedEntry

TRANSFER_WORKING_DAYS = 1
"""A requested run is to be delivered and acknowledged by the end of the next working day."""

TitleOf = Callable[[ResourceId], Text]

_DECIDED = frozenset({"granted", "refused", "withdrawn"})
_SUBMITTED = "submitted"
_UNDER_REVIEW = frozenset({"submitted", "registered"})
_BULK_MODES = frozenset({"bulk", "file"})
_OVER = frozenset({"terminated", "expired"})

_TO_REPLY = Text(zh="申请送达提供部门，待答复", en="the request reached the provider and awaits a reply")
_TO_CONSENT = Text(
    zh="提供部门申请延期，待主管部门同意", en="the provider asked for an extension; the authority must consent"
)
_REPLY_AGAIN = Text(zh="延期事项已定，待提供部门答复", en="the extension is decided; the provider must reply")
_TO_CONFIRM = Text(zh="协议待确认", en="the agreement awaits confirmation")
_TO_SIGN = Text(zh="协议待签署", en="the agreement awaits signature")
_TO_PROVIDE = Text(zh="协议已生效，待提供数据", en="the agreement is in force; the data is to be provided")
_TO_REVIEW = Text(zh="目录已提交，待主管部门审核", en="the entry was submitted and awaits review")
_TO_UPDATE = Text(zh="数据源已变化，待更新目录", en="the source has changed; the entry is to be updated")
_TO_DELIVER = Text(zh="已请求传输，待提供方送达", en="a run was requested; the provider must deliver")
_TO_RECEIVE = Text(zh="数据已送达，待需求方确认接收", en="the data was delivered; the consumer must acknowledge")
PAUSED = Text(zh="传输被暂停", en="the transfer was paused")
_TO_CORRECT = Text(zh="校核申请送达数源部门，待核实更正", en="a wrong value was reported; the source must verify it")
_A_WISH = Text(zh="公众数据需求", en="A wish of the public")
_WISHED = {
    "assigned": Text(zh="公众需求已交办，待答复", en="a wish of the public was assigned; the department must answer"),
    "planned": Text(zh="已答应开放，待按期开放", en="the department promised the data; it must open it in time"),
}
_SENT = Text(zh="数据由提供方签名送出", en="the data was signed and sent by the provider")


def in_order(entries: Iterable[RecordedEntry]) -> list[RecordedEntry]:
    """Return entries by time, then by id, each once."""
    return sorted({entry.entry_id: entry for entry in entries}.values(), key=lambda entry: (entry.at, entry.entry_id))


def reply_duty(entries: Iterable[RecordedEntry], *, title_of: TitleOf) -> Duty | None:
    """Return the duty to reply to one request (Art. 21); None when it was withdrawn.

    The provider holds the ball, the authority while an extension awaits its consent. The deadline is that of the
    newest entry.
    """
    ordered = in_order(entries)
    if not ordered or ordered[-1].facts["state"] == "withdrawn":
        return None
    spans: list[Span] = []
    done_at = None
    for entry in ordered:
        step, state = entry.facts["step"], entry.facts["state"]
        if state in _DECIDED:
            done_at = done_at or entry.at
        elif step == "submit":
            spans.append(span_from(Party.PROVIDER, entry, _TO_REPLY))
        elif step == "extend":
            spans.append(span_from(Party.AUTHORITY, entry, _TO_CONSENT))
        else:
            spans.append(span_from(Party.PROVIDER, entry, _REPLY_AGAIN))
    return _duty(
        DutyKind.REPLY,
        ordered,
        subject=ordered[0].facts["request_id"],
        title_of=title_of,
        spans=spans or [span_from(Party.PROVIDER, ordered[0], _TO_REPLY)],
        due_at=instant_of(ordered[-1].facts["due_at"]),
        done_at=done_at,
    )


def provision_duty(
    entries: Iterable[RecordedEntry],
    deliveries: Iterable[RecordedEntry],
    *,
    title_of: TitleOf,
    authorities: frozenset[DepartmentCode],
) -> Duty | None:
    """Return the duty to provide what one agreement promises (Art. 22); None when it ended before it came into force.

    It is done when the agreement is in force and, if it promises copies, the first complete run has been committed
    (`deliveries`: the batches under it). Until both have signed, whoever's confirmation or signature is missing holds
    the ball, the provider first. The platform signs with the hub's key for a party among `authorities`.
    """
    ordered = in_order(entries)
    if not ordered:
        return None
    provider = ordered[0].facts["provider"]
    spans: list[Span] = []
    signed: set[DepartmentCode] = set()
    active_at: datetime | None = None
    for entry in ordered:
        facts = entry.facts
        if facts["step"] == "sign":
            signed |= {entry.actor.department} if entry.actor.department else authorities
        if facts["state"] == "active" and active_at is None:
            active_at = entry.at
            spans.append(span_from(Party.PROVIDER, entry, _TO_PROVIDE))
        elif active_at is None and facts["state"] in _OVER:
            return None
        elif active_at is None:
            waiting, done = (_TO_CONFIRM, facts["confirmed_by"]) if facts["state"] == "draft" else (_TO_SIGN, signed)
            spans.append(span_from(Party.CONSUMER if provider in done else Party.PROVIDER, entry, waiting))
    complete = [batch for batch in in_order(deliveries) if batch.facts.get("last")]
    modes = set(ordered[0].facts.get("modes", _BULK_MODES))
    done_at = active_at
    if active_at is not None and modes & _BULK_MODES:
        done_at = next((batch.at for batch in complete), None)
    return _duty(
        DutyKind.PROVISION,
        [*ordered, *complete[:1]],
        subject=ordered[0].facts["agreement_id"],
        title_of=title_of,
        spans=spans,
        due_at=instant_of(ordered[0].facts["provide_due_at"]),
        done_at=done_at,
    )


def review_duties(
    entries: Iterable[RecordedEntry], *, title_of: TitleOf, authority: DepartmentCode | None
) -> list[Duty]:
    """Return the duties to review and publish one resource (Art. 17): one for each time it was submitted.

    The duty ends when the entry is published, returned or rejected; approval alone does not end it.
    """
    duties: list[Duty] = []
    opened: RecordedEntry | None = None
    for entry in in_order(entries):
        state = entry.facts["to_state"]
        if opened is None and state == _SUBMITTED and entry.facts.get("due_at"):
            opened = entry
            duties.append(_review(entry, None, title_of, authority))
        elif opened is not None and state not in _UNDER_REVIEW:
            duties[-1] = _review(opened, entry, title_of, authority)
            opened = None
    return duties


def catalogue_update_duties(entries: Iterable[RecordedEntry], *, title_of: TitleOf) -> list[Duty]:
    """Return the duties to update one resource's entry (Art. 17): one for each time its source departed from it.

    The duty ends when a later version is published, when the source is as it was, or when the entry is retired.
    """
    duties: list[Duty] = []
    acts: list[RecordedEntry] = []
    for entry in in_order(entries):
        if entry.kind is EntryKind.DRIFT:
            if entry.facts["action"] == "open" and not acts:
                acts = [entry]
                duties.append(_update(acts, None, title_of))
            elif acts:
                acts.append(entry)
                closes = entry.facts["action"] == "close"
                duties[-1] = _update(acts, entry.at if closes else None, title_of)
                acts = [] if closes else acts
        elif acts and _answers(entry, acts[0]):
            acts.append(entry)
            duties[-1] = _update(acts, entry.at, title_of)
            acts = []
    return duties


def _answers(step: RecordedEntry, opened: RecordedEntry) -> bool:
    published = step.facts.get("published_version")
    later = published is not None and int(published) > int(opened.facts["version"])
    return later or bool(step.facts["to_state"] == "retired")


def _update(acts: Sequence[RecordedEntry], done_at: datetime | None, title_of: TitleOf) -> Duty:
    opened = acts[0]
    resource_id = ResourceId(opened.facts["resource_id"])
    return Duty(
        kind=DutyKind.CATALOGUE_UPDATE,
        subject=f"{resource_id}/{opened.entry_id}",
        title=title_of(resource_id),
        provider=DepartmentCode(opened.facts["department"]),
        resource_id=resource_id,
        due_at=instant_of(opened.facts["due_at"]),
        done_at=done_at,
        spans=(span_from(Party.PROVIDER, opened, _TO_UPDATE),),
        evidence=tuple(act.entry_id for act in acts),
    )


def correction_duties(entries: Iterable[RecordedEntry], *, title_of: TitleOf) -> list[Duty]:
    """Return the duties to verify and correct one reported value (Art. 26): one for each time it was reported.

    A duty ends when the report is rejected with reasons, or when the correction reaches the hub: at the batch, not when
    the library was built from it, which is not the source department's to hasten. A withdrawn report obliges nobody.
    """
    duties: list[Duty] = []
    acts: list[RecordedEntry] = []
    for entry in in_order(entries):
        match entry.facts["action"]:
            case "report" | "dispute":
                acts = [entry]
                duties.append(_correction(acts, None, title_of))
            case "withdraw":
                duties.pop()
                acts = []
            case "reject" | "see" if acts:
                acts.append(entry)
                arrived = entry.facts.get("arrived_at")
                done_at = instant_of(arrived) if arrived else entry.at
                duties[-1] = _correction(acts, max(done_at, acts[0].at), title_of)
                acts = []
    return duties


def _correction(acts: Sequence[RecordedEntry], done_at: datetime | None, title_of: TitleOf) -> Duty:
    opened = acts[0]
    facts = opened.facts
    resource_id = ResourceId(facts["resource_id"])
    consumer = facts["consumer"]
    return Duty(
        kind=DutyKind.CORRECTION,
        subject=f"{opened.subject}/{facts['disputes']}",
        title=title_of(resource_id),
        provider=DepartmentCode(facts["provider"]),
        consumer=None if consumer is None else DepartmentCode(consumer),
        resource_id=resource_id,
        due_at=instant_of(facts["due_at"]),
        done_at=done_at,
        spans=(span_from(Party.PROVIDER, opened, _TO_CORRECT),),
        evidence=tuple(act.entry_id for act in acts),
    )


def wish_duties(entries: Iterable[RecordedEntry]) -> list[Duty]:
    """Return the duties about one wish of the public: to answer it each time it was assigned, and to keep a promise.

    Whatever the department does with it, handing it back included, ends a duty; a withdrawn wish obliges nobody.
    """
    duties: list[Duty] = []
    is_open = False
    for entry in in_order(entries):
        facts = entry.facts
        if is_open and facts["state"] == "withdrawn":
            duties.pop()
        elif is_open:
            evidence = (*duties[-1].evidence, entry.entry_id)
            duties[-1] = duties[-1].model_copy(update={"done_at": entry.at, "evidence": evidence})
        why = _WISHED.get(facts["state"])
        is_open = why is not None
        if why is not None:
            duties.append(
                Duty(
                    kind=DutyKind.WISH,
                    subject=f"{entry.subject}/{len(duties) + 1}",
                    title=_A_WISH,
                    provider=DepartmentCode(facts["department"]),
                    due_at=instant_of(facts["due_at"]),
                    spans=(span_from(Party.PROVIDER, entry, why),),
                    evidence=(entry.entry_id,),
                )
            )
    return duties


def transfer_duties(entries: Iterable[RecordedEntry], *, calendar: WorkingCalendar, title_of: TitleOf) -> list[Duty]:
    """Return the duties of one task: to deliver each requested run, and to send rows that can be taken.

    The provider holds the ball until the run's last batch is committed, then the consumer until its receipt; whoever
    paused the task holds it meanwhile.
    """
    duties: list[Duty] = []
    runs: dict[int, list[RecordedEntry]] = {}
    batches: dict[str, RecordedEntry] = {}
    known = tuple(in_order(entries))
    ended = {action: _runs_with(known, action) for action in ("fail_run", "cancel_run")}
    current = 0
    for entry in known:
        if entry.kind is EntryKind.BATCH:
            batches[entry.facts["batch"]] = entry
            runs.setdefault(entry.facts["run"], []).append(entry)
        elif entry.kind is EntryKind.RECEIPT and "subscription" not in entry.facts:
            batch = batches.get(entry.facts["batch"])
            if batch is not None:
                runs.setdefault(batch.facts["run"], []).append(entry)
                duties += _quality(batch, entry, title_of)
        elif entry.facts.get("action") == "run":
            # A run that failed leaves the duty as it was; the next one is to meet it.
            failed = runs.pop(current) if current in ended["fail_run"] else []
            current = entry.facts["run_requested"]
            runs[current] = [*failed, entry, *runs.get(current, [])]
        elif current and entry.facts.get("action") in {"pause", "resume", "end"}:
            runs[current].append(entry)
    for run in sorted(set(runs) - ended["cancel_run"]):
        duty = _run_duty(run, in_order(runs[run]), calendar, title_of)
        if duty is not None:
            duties.append(duty)
    return duties


def _runs_with(entries: Iterable[RecordedEntry], action: str) -> set[int]:
    """Return the runs of a task that ended by `action`."""
    return {entry.facts["run"] for entry in entries if entry.facts.get("action") == action}


def _run_duty(run: int, acts: Sequence[RecordedEntry], calendar: WorkingCalendar, title_of: TitleOf) -> Duty | None:
    start = acts[0]
    if start.kind is not EntryKind.TASK:
        return None
    spans = [span_from(Party.PROVIDER, start, _TO_DELIVER)]
    last_batch: str | None = None
    done_at: datetime | None = None
    for act in acts[1:]:
        if act.kind is EntryKind.BATCH and act.facts.get("last"):
            last_batch = act.facts["batch"]
            spans.append(span_from(Party.CONSUMER, act, _TO_RECEIVE))
        elif act.kind is EntryKind.RECEIPT and act.facts["batch"] == last_batch:
            done_at = act.at
        elif act.kind is EntryKind.TASK and act.facts["action"] == "pause":
            spans.append(span_from(party_of(act), act, PAUSED))
        elif act.kind is EntryKind.TASK and act.facts["action"] == "resume":
            spans.append(span_from(Party.CONSUMER if last_batch else Party.PROVIDER, act, _TO_DELIVER))
        elif act.kind is EntryKind.TASK and act.facts["action"] == "end" and done_at is None:
            return None
    return _duty(
        DutyKind.TRANSFER,
        acts,
        subject=f"{start.subject}/{run}",
        title_of=title_of,
        spans=spans,
        due_at=calendar.deadline(start.at, TRANSFER_WORKING_DAYS),
        done_at=done_at,
    )


def _quality(batch: RecordedEntry, receipt: RecordedEntry, title_of: TitleOf) -> list[Duty]:
    rejected, applied = receipt.facts["rows_rejected"], receipt.facts["rows_applied"]
    if not rejected:
        return []
    return [
        _duty(
            DutyKind.QUALITY,
            [batch, receipt],
            subject=batch.facts["batch"],
            title_of=title_of,
            spans=[span_from(Party.PROVIDER, batch, _SENT)],
            due_at=receipt.at,
            done_at=receipt.at,
        ).model_copy(update={"faults": rejected, "amount": rejected + applied})
    ]


def _review(
    opened: RecordedEntry, closed: RecordedEntry | None, title_of: TitleOf, authority: DepartmentCode | None
) -> Duty:
    department = DepartmentCode(opened.facts["department"])
    resource_id = ResourceId(opened.subject)
    acts = [opened] if closed is None else [opened, closed]
    return Duty(
        kind=DutyKind.REVIEW,
        subject=f"{resource_id}/{opened.facts['version']}/{opened.entry_id}",
        title=title_of(resource_id),
        provider=department,
        authority=authority,
        resource_id=resource_id,
        due_at=instant_of(opened.facts["due_at"]),
        done_at=None if closed is None else closed.at,
        spans=(span_from(Party.AUTHORITY, opened, _TO_REVIEW),),
        evidence=tuple(act.entry_id for act in acts),
    )


def _duty(
    kind: DutyKind,
    acts: Sequence[RecordedEntry],
    *,
    subject: str,
    title_of: TitleOf,
    spans: Sequence[Span],
    due_at: datetime,
    done_at: datetime | None,
) -> Duty:
    facts = acts[0].facts
    resource_id = ResourceId(facts["resource_id"] if "resource_id" in facts else facts["resource"])
    return Duty(
        kind=kind,
        subject=subject,
        title=title_of(resource_id),
        provider=DepartmentCode(facts["provider"]),
        consumer=DepartmentCode(facts["consumer"]),
        resource_id=resource_id,
        due_at=due_at,
        done_at=done_at,
        spans=tuple(spans),
        evidence=tuple(act.entry_id for act in acts),
    )


def span_from(party: Party, entry: RecordedEntry, why: Text) -> Span:
    """Return the span that an entry began."""
    return Span(party=party, since=entry.at, entry_id=entry.entry_id, why=why)


def party_of(entry: RecordedEntry) -> Party:
    """Return on whose side the actor of an entry about a task stands."""
    if entry.actor.department == entry.facts["provider"]:
        return Party.PROVIDER
    if entry.actor.department == entry.facts["consumer"]:
        return Party.CONSUMER
    return Party.PLATFORM if entry.actor.department is None else Party.AUTHORITY


def instant_of(text: Any) -> datetime:
    """Return the time that a fact states, in China's."""
    return datetime.fromisoformat(str(text)).astimezone(CHINA)
