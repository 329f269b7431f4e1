"""Duties and strategies for the tests of governance."""

from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import strategies as st

from datong.governance import RULES, Duty, DutyKind, Party, Span
from datong.kernel import CHINA, Actor, ActorKind, DepartmentCode, EntryId, Text, WorkingCalendar
from datong.ledger import EntryKind, RecordedEntry

CALENDAR = WorkingCalendar()
MONDAY = datetime(2026, 11, 2, 9, 0, tzinfo=CHINA)
POLICE = DepartmentCode("114406000000000193")
EDUCATION = DepartmentCode("12440600456000017N")
BUREAU = DepartmentCode("11440600MB2D00001X")
WHY = Text(zh="轮到该方办理", en="it was this party's turn")
TITLE = Text(zh="户籍人口信息", en="household register")
DELAYS = (DutyKind.REPLY, DutyKind.PROVISION, DutyKind.REVIEW, DutyKind.TRANSFER)


def span(party: Party, since: datetime, number: int = 0) -> Span:
    """Return a span that begins at `since`."""
    return Span(party=party, since=since, entry_id=EntryId(f"entry-{number:03}"), why=WHY)


def duty(
    *spans: Span,
    kind: DutyKind = DutyKind.REPLY,
    due_at: datetime | None = None,
    done_at: datetime | None = None,
    weight_percent: int = 100,
    faults: int = 0,
    amount: int = 0,
) -> Duty:
    """Return a duty of the police towards education, due ten working days after Monday unless said otherwise."""
    return Duty(
        kind=kind,
        subject="request-1",
        title=TITLE,
        provider=POLICE,
        consumer=EDUCATION,
        authority=BUREAU,
        due_at=due_at or CALENDAR.deadline(MONDAY, 10),
        done_at=done_at,
        spans=spans,
        evidence=(EntryId("entry-000"),),
        weight_percent=weight_percent,
        faults=faults,
        amount=amount,
    )


@st.composite
def late_duties(draw: st.DrawFn) -> Duty:
    """Return duties of every kind of delay, with up to eight spans, judged or done after their deadline or not."""
    kind = draw(st.sampled_from(DELAYS))
    gaps = draw(st.lists(st.integers(1, 200), min_size=0, max_size=7))
    parties = draw(st.lists(st.sampled_from(Party), min_size=len(gaps), max_size=len(gaps)))
    at = MONDAY
    spans = [span(RULES[kind].owner, at)]
    for number, (gap, party) in enumerate(zip(gaps, parties, strict=True), start=1):
        at += timedelta(hours=gap)
        spans.append(span(party, at, number))
    assert all(before.since <= after.since for before, after in pairwise(spans))
    limit = draw(st.integers(0, 20))
    done_after_hours = draw(st.none() | st.integers(0, 2000))
    return duty(
        *draw(st.permutations(spans)),
        kind=kind,
        due_at=CALENDAR.deadline(MONDAY, limit),
        done_at=None if done_after_hours is None else at + timedelta(hours=done_after_hours),
        weight_percent=draw(st.integers(0, 300)),
    )


def entry(
    kind: EntryKind,
    subject: str,
    at: datetime,
    facts: dict[str, object],
    *,
    department: DepartmentCode | None = None,
) -> RecordedEntry:
    """Return an entry as the ledger would give it; its id follows from its time, so that order is total."""
    return RecordedEntry(
        kind=kind,
        at=at,
        subject=subject,
        actor=Actor(kind=ActorKind.PERSON, id="somebody", department=department),
        facts=facts,
        entry_id=EntryId(f"{kind}-{at.timestamp():.0f}"),
        index=None,
        leaf_hash="00",
    )
