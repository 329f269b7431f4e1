"""What an agreement promises is measured from the evidence: age, availability, completeness, use."""

from datetime import datetime, timedelta

from datong.governance import Duty, DutyKind, GivenEntries, LedgerEvidence, Party, judge
from datong.kernel import DepartmentCode
from datong.ledger import EntryKind, RecordedEntry
from tests.unit.governance.samples import BUREAU, CALENDAR, EDUCATION, MONDAY, POLICE, TITLE, entry

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
SIDES: dict[str, object] = {"provider": POLICE, "consumer": EDUCATION}
LEVELS = {"freshness_hours": 48, "availability_permille": 990, "completeness_permille": 950}
LIABILITY = {"provider_permille": 400, "consumer_permille": 400, "platform_permille": 200}


def agreement(at: datetime = MONDAY, state: str = "active", **changed: object) -> RecordedEntry:
    facts = {
        "agreement_id": "agreement-1",
        "step": "sign",
        "state": state,
        "resource_id": "resource-1",
        "provide_due_at": (MONDAY + 20 * DAY).isoformat(),
        "valid_until": (MONDAY + 365 * DAY).isoformat(),
        "confirmed_by": [POLICE, EDUCATION],
        "modes": ["bulk", "interface"],
        "levels": LEVELS,
        "liability": LIABILITY,
        **SIDES,
        **changed,
    }
    return entry(EntryKind.AGREEMENT, "agreement-1", at, facts)


def act(kind: EntryKind, at: datetime, *, by: DepartmentCode | None = None, **facts: object) -> RecordedEntry:
    said = {"agreement": "agreement-1", "resource": "resource-1", "run": 1, **SIDES, **facts}
    return entry(kind, "task-1", at, said, department=by)


def delivery(number: int, at: datetime, *, received: datetime | None = None) -> list[RecordedEntry]:
    batch = act(
        EntryKind.BATCH, at, batch=f"batch-{number}", last=True, produced_at=(at - HOUR).isoformat(), sequence=number
    )
    receipt = act(
        EntryKind.RECEIPT,
        received or at + HOUR,
        batch=f"batch-{number}",
        sequence=number,
        rows_applied=1,
        rows_rejected=0,
    )
    return [batch, receipt]


def outage(cause: str, since: datetime, hours: int, department: DepartmentCode | None = None) -> RecordedEntry:
    facts: dict[str, object] = {
        "cause": cause,
        "department": department,
        "since": since.isoformat(),
        "until": (since + hours * HOUR).isoformat(),
    }
    return entry(EntryKind.OUTAGE, "hub", since + hours * HOUR, facts)


def duties(kind: DutyKind, *entries: RecordedEntry, until: datetime = MONDAY + 120 * DAY) -> list[Duty]:
    evidence = LedgerEvidence(
        ledger=GivenEntries(entries),
        calendar=CALENDAR,
        authorities=lambda: frozenset({BUREAU}),
        title_of=lambda _resource: TITLE,
    )
    return [duty for duty in evidence.duties(until=until) if duty.kind is kind]


def shares(duty: Duty, now: datetime = MONDAY + 120 * DAY) -> dict[Party, int]:
    found = judge(duty, now=now, calendar=CALENDAR)
    assert found is not None
    return {share.party: share.basis_points for share in found.parties}


def test_data_that_grew_too_old_is_the_providers_until_it_was_delivered() -> None:
    acts = [agreement(), *delivery(1, MONDAY + HOUR), *delivery(2, MONDAY + 2 * DAY - 2 * HOUR)]
    (kept,) = duties(DutyKind.FRESHNESS, *acts, until=MONDAY + 3 * DAY)
    assert judge(kept, now=MONDAY + 3 * DAY, calendar=CALENDAR) is None
    acts += delivery(3, MONDAY + 8 * DAY, received=MONDAY + 9 * DAY)
    late, newest = duties(DutyKind.FRESHNESS, *acts)
    # Produced on Wednesday at six, so it may stand until Friday at six.
    assert (late.due_at, late.done_at) == (MONDAY + 4 * DAY - 3 * HOUR, MONDAY + 9 * DAY)
    assert set(shares(late)) == {Party.PROVIDER, Party.CONSUMER}
    assert (newest.done_at, shares(newest)) == (None, {Party.PROVIDER: 10_000})


def test_a_pause_and_an_outage_are_not_the_providers() -> None:
    acts = [agreement(), *delivery(1, MONDAY + HOUR), *delivery(2, MONDAY + 9 * DAY)]
    pause = act(EntryKind.TASK, MONDAY + 2 * HOUR + HOUR, by=EDUCATION, action="pause")
    resume = act(EntryKind.TASK, MONDAY + 9 * DAY - HOUR, by=EDUCATION, action="resume")
    assert shares(duties(DutyKind.FRESHNESS, *acts, pause, resume)[0]) == {Party.CONSUMER: 10_000}
    away = outage("network", MONDAY + 3 * HOUR, 9 * 24 - 5, POLICE)
    cut_off = shares(duties(DutyKind.FRESHNESS, *acts, away)[0])
    assert cut_off[Party.NETWORK] > 9_900
    assert set(cut_off) == {Party.NETWORK, Party.CONSUMER}


def test_a_requested_run_that_is_late_is_not_charged_twice() -> None:
    run = act(EntryKind.TASK, MONDAY + DAY, action="run", run_requested=2)
    acts = [agreement(), *delivery(1, MONDAY + HOUR), run, *delivery(2, MONDAY + 9 * DAY)]
    kinds = {duty.subject for duty in duties(DutyKind.FRESHNESS, *acts)}
    assert kinds == {"task-1/2"}
    ended = [*acts, agreement(MONDAY + 10 * DAY, "terminated")]
    assert duties(DutyKind.FRESHNESS, *ended) == []


def test_a_month_with_too_much_away_is_divided_by_the_causes() -> None:
    live = entry(EntryKind.LIVE, "resource-1", MONDAY, {"offered": True, "provider": POLICE})
    away = [outage("platform", MONDAY + DAY, 4), outage("node", MONDAY + 3 * DAY, 4, POLICE)]
    (month,) = duties(DutyKind.AVAILABILITY, agreement(), live, *away)
    assert (month.subject, month.faults) == ("agreement-1/2026-11", 480)
    assert shares(month) == {Party.PROVIDER: 5000, Party.PLATFORM: 5000}
    # Without a live interface the provider's node may be away: four hours of the platform's are within the level.
    assert duties(DutyKind.AVAILABILITY, agreement(), *away) == []
    assert duties(DutyKind.AVAILABILITY, agreement(), live, *away, until=MONDAY + 20 * DAY) == []


def test_rows_that_nobody_can_account_for_are_divided_as_agreed() -> None:
    ends = {"producer": {"rows": 1000, "rejected": 0}, "consumer": {"rows": 900, "rejected": 40}}
    seen = act(EntryKind.RECONCILIATION, MONDAY + DAY, reconciliation="r-1", state="differs", missing=100, ends=ends)
    (duty,) = duties(DutyKind.COMPLETENESS, agreement(), seen)
    assert (duty.faults, duty.amount) == (60, 1000)
    assert shares(duty) == {Party.PROVIDER: 4000, Party.CONSUMER: 4000, Party.PLATFORM: 2000}
    enough = act(EntryKind.RECONCILIATION, MONDAY + DAY, reconciliation="r-1", state="differs", missing=50, ends=ends)
    assert duties(DutyKind.COMPLETENESS, agreement(), enough) == []


def test_asking_again_and_again_for_what_was_not_agreed_is_the_consumers() -> None:
    def refused(count: int, policy: str) -> list[RecordedEntry]:
        facts: dict[str, object] = {"agreement_ids": ["agreement-1"], "policies": [policy], **SIDES}
        return [
            entry(EntryKind.REFUSAL, f"{policy}-{n}", MONDAY + n * HOUR / 10, facts).model_copy(
                update={"entry_id": f"{policy}-{n:03}"}
            )
            for n in range(count)
        ]

    assert duties(DutyKind.USE, agreement(), *refused(9, "data.other_purpose"), *refused(30, "data.quota")) == []
    (duty,) = duties(DutyKind.USE, agreement(), *refused(12, "data.other_purpose"), *refused(8, "data.quota"))
    assert (duty.faults, duty.amount, shares(duty)) == (12, 20, {Party.CONSUMER: 10_000})
    found = judge(duty, now=MONDAY + DAY, calendar=CALENDAR)
    assert found is not None
    assert "12 of 20 refused calls" in found.summary.en
    assert "12 次" in found.summary.zh


def test_an_agreement_that_states_no_levels_is_not_measured() -> None:
    old = agreement()
    bare = old.model_copy(update={"facts": {k: v for k, v in old.facts.items() if k not in {"levels", "liability"}}})
    late = [*delivery(1, MONDAY + HOUR), *delivery(2, MONDAY + 30 * DAY)]
    assert duties(DutyKind.FRESHNESS, bare, *late) == []


def test_data_goes_when_the_agreement_ends_unless_another_one_covers_it() -> None:
    acts = [agreement(), *delivery(1, MONDAY + HOUR), agreement(MONDAY + 8 * DAY, "terminated")]
    (owed,) = duties(DutyKind.DISPOSAL, *acts)
    assert (owed.due_at, owed.done_at) == (CALENDAR.deadline(MONDAY + 8 * DAY, 10), None)
    assert shares(owed) == {Party.CONSUMER: 10_000}
    assert duties(DutyKind.DISPOSAL, *acts, until=MONDAY + 7 * DAY) == []
    told = agreement(MONDAY + 9 * DAY, "terminated", step="dispose")
    (done,) = duties(DutyKind.DISPOSAL, *acts, told)
    assert judge(done, now=MONDAY + 120 * DAY, calendar=CALENDAR) is None
    later = [
        one.model_copy(update={"subject": "agreement-2", "facts": {**one.facts, "agreement_id": "agreement-2"}})
        for one in (agreement(MONDAY + 5 * DAY), agreement(MONDAY + 20 * DAY))
    ]
    assert duties(DutyKind.DISPOSAL, *acts, later[0]) == []
    (renewed,) = duties(DutyKind.DISPOSAL, *acts, later[1])
    assert renewed.done_at == MONDAY + 20 * DAY
    # Who received nothing has nothing to dispose of.
    assert duties(DutyKind.DISPOSAL, acts[0], acts[-1]) == []


def test_slow_answers_of_a_month_are_the_nodes_or_the_platforms() -> None:
    promised = agreement(levels={**LEVELS, "latency_ms_p95": 500})

    def call(number: int, milliseconds: int, kind: str = "query") -> RecordedEntry:
        facts = {"kind": kind, "agreement_ids": ["agreement-1"], "milliseconds": milliseconds, **SIDES}
        return entry(EntryKind.ACCESS, f"call-{number}", MONDAY + number * HOUR, facts)

    calls = [call(number, 900 if number < 4 else 20) for number in range(40)]
    (month,) = duties(DutyKind.RESPONSE, promised, *calls, until=MONDAY + 40 * DAY)
    assert (month.subject, month.faults, month.amount) == ("agreement-1/2026-11", 4, 40)
    assert shares(month) == {Party.PLATFORM: 10_000}
    live = [
        entry(EntryKind.LIVE, "resource-1", MONDAY + at * HOUR, {"offered": offered, "provider": POLICE})
        for at, offered in ((1, True), (3, False))
    ]
    (divided,) = duties(DutyKind.RESPONSE, promised, *live, *calls, until=MONDAY + 40 * DAY)
    assert shares(divided) == {Party.PROVIDER: 5000, Party.PLATFORM: 5000}
    # Two of forty are one in twenty; tables are no calls; a month is judged when it is over, and for one more.
    two_slow = [*calls[2:], call(50, 20), call(51, 20)]
    for kept in (two_slow, calls[:19], [call(number, 900, "table") for number in range(40)]):
        assert duties(DutyKind.RESPONSE, promised, *kept, until=MONDAY + 40 * DAY) == []
    assert duties(DutyKind.RESPONSE, promised, *calls, until=MONDAY + 20 * DAY) == []
    assert duties(DutyKind.RESPONSE, promised, *calls, until=MONDAY + 120 * DAY) == []
