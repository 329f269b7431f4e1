"""Entries become duties: who holds the ball, until when, and when it ends."""

from datetime import datetime, timedelta
from random import Random

import pytest

from datong.governance import Duty, Party, judge
from datong.governance.timelines import provision_duty, reply_duty, review_duties, transfer_duties
from datong.kernel import DepartmentCode, ResourceId, Text
from datong.ledger import EntryKind, RecordedEntry
from tests.unit.governance.samples import BUREAU, CALENDAR, EDUCATION, MONDAY, POLICE, TITLE, entry

DUE = CALENDAR.deadline(MONDAY, 10)
LATER_DUE = CALENDAR.deadline(MONDAY, 20)
DAY = timedelta(days=1)


def title_of(_resource_id: ResourceId) -> Text:
    """Return the title of the only resource there is."""
    return TITLE


def request_step(step: str, state: str, at: datetime, *, due_at: datetime = DUE) -> RecordedEntry:
    """Return one step of the request."""
    facts: dict[str, object] = {
        "request_id": "request-1",
        "step": step,
        "state": state,
        "provider": POLICE,
        "consumer": EDUCATION,
        "resource_id": "resource-1",
        "due_at": due_at.isoformat(),
    }
    kind = EntryKind.REQUEST if step == "submit" else EntryKind.DECISION
    return entry(kind, "request-1", at, facts)


def agreement_step(
    step: str,
    state: str,
    at: datetime,
    *,
    by: DepartmentCode | None = None,
    confirmed: tuple[DepartmentCode, ...] = (),
    modes: tuple[str, ...] = ("bulk",),
) -> RecordedEntry:
    """Return one step of the agreement."""
    facts: dict[str, object] = {
        "agreement_id": "agreement-1",
        "step": step,
        "state": state,
        "provider": POLICE,
        "consumer": EDUCATION,
        "resource_id": "resource-1",
        "provide_due_at": LATER_DUE.isoformat(),
        "confirmed_by": list(confirmed),
        "modes": list(modes),
    }
    return entry(EntryKind.AGREEMENT, "agreement-1", at, facts, department=by)


def task_step(action: str, at: datetime, *, run: int, by: DepartmentCode | None = None) -> RecordedEntry:
    """Return one step of the task."""
    facts: dict[str, object] = {
        "action": action,
        "run_requested": run,
        "run": run,
        "provider": POLICE,
        "consumer": EDUCATION,
        "resource": "resource-1",
        "agreement": "agreement-1",
    }
    return entry(EntryKind.TASK, "task-1", at, facts, department=by)


def batch(at: datetime, *, run: int, number: int, last: bool) -> RecordedEntry:
    """Return a committed batch."""
    facts: dict[str, object] = {
        "batch": f"batch-{number}",
        "run": run,
        "last": last,
        "rows": 100,
        "provider": POLICE,
        "consumer": EDUCATION,
        "resource": "resource-1",
        "agreement": "agreement-1",
    }
    return entry(EntryKind.BATCH, "task-1", at, facts, department=POLICE)


def receipt(at: datetime, *, number: int, rejected: int = 0) -> RecordedEntry:
    """Return a receipt."""
    facts: dict[str, object] = {
        "batch": f"batch-{number}",
        "rows_applied": 100 - rejected,
        "rows_rejected": rejected,
        "provider": POLICE,
        "consumer": EDUCATION,
        "resource": "resource-1",
    }
    return entry(EntryKind.RECEIPT, "task-1", at, facts, department=EDUCATION)


def holders(duty: Duty | None) -> list[Party]:
    """Return who held the ball, in order."""
    assert duty is not None
    return [span.party for span in duty.spans]


def test_a_request_waits_for_its_provider() -> None:
    """Submitted and undecided: the provider holds it and nothing is done."""
    duty = reply_duty([request_step("submit", "submitted", MONDAY)], title_of=title_of)
    assert holders(duty) == [Party.PROVIDER]
    assert duty is not None
    assert (duty.due_at, duty.done_at, duty.consumer) == (DUE, None, EDUCATION)


@pytest.mark.parametrize(("step", "state"), [("approve", "granted"), ("refuse", "refused")])
def test_a_decision_ends_the_duty_to_reply(step: str, state: str) -> None:
    """A refusal is a reply too."""
    steps = [request_step("submit", "submitted", MONDAY), request_step(step, state, MONDAY + DAY)]
    duty = reply_duty(steps, title_of=title_of)
    assert duty is not None
    assert duty.done_at == MONDAY + DAY


def test_a_withdrawn_request_is_nobody_s_duty() -> None:
    """What was taken back need not be answered."""
    steps = [request_step("submit", "submitted", MONDAY), request_step("withdraw", "withdrawn", MONDAY + DAY)]
    assert reply_duty(steps, title_of=title_of) is None
    assert reply_duty([], title_of=title_of) is None


def test_an_extension_moves_the_deadline_and_the_ball() -> None:
    """While its consent is missing, the authority holds the ball."""
    steps = [
        request_step("submit", "submitted", MONDAY),
        request_step("extend", "submitted", MONDAY + DAY),
        request_step("consent_extension", "submitted", MONDAY + 3 * DAY, due_at=LATER_DUE),
    ]
    duty = reply_duty(steps, title_of=title_of)
    assert holders(duty) == [Party.PROVIDER, Party.AUTHORITY, Party.PROVIDER]
    assert duty is not None
    assert duty.due_at == LATER_DUE


def provision(*steps: RecordedEntry, batches: tuple[RecordedEntry, ...] = ()) -> Duty | None:
    """Return the duty to provide."""
    return provision_duty(steps, batches, title_of=title_of, authorities=frozenset({BUREAU}))


def test_provision_waits_for_whoever_has_not_signed() -> None:
    """The provider's confirmation and signature first, then the consumer's, then the data."""
    both = (POLICE, EDUCATION)
    steps = (
        agreement_step("draw_up", "draft", MONDAY),
        agreement_step("confirm", "draft", MONDAY + DAY, by=POLICE, confirmed=(POLICE,)),
        agreement_step("confirm", "confirmed", MONDAY + 2 * DAY, by=EDUCATION, confirmed=both),
        agreement_step("sign", "confirmed", MONDAY + 3 * DAY, by=POLICE, confirmed=both),
        agreement_step("sign", "active", MONDAY + 4 * DAY, by=EDUCATION, confirmed=both),
    )
    duty = provision(*steps)
    assert holders(duty) == [Party.PROVIDER, Party.CONSUMER, Party.PROVIDER, Party.CONSUMER, Party.PROVIDER]
    assert duty is not None
    assert duty.done_at is None
    unfinished = batch(MONDAY + 5 * DAY, run=1, number=1, last=False)
    whole = batch(MONDAY + 6 * DAY, run=1, number=2, last=True)
    delivered = provision(*steps, batches=(whole, unfinished))
    assert delivered is not None
    assert delivered.done_at == MONDAY + 6 * DAY


def test_an_interface_is_provided_once_the_agreement_is_in_force() -> None:
    """Nothing has to be copied before an interface can be called."""
    duty = provision(
        agreement_step("draw_up", "draft", MONDAY, modes=("interface",)),
        agreement_step("sign", "active", MONDAY + DAY, by=EDUCATION, modes=("interface",)),
    )
    assert duty is not None
    assert duty.done_at == MONDAY + DAY


def test_an_agreement_that_never_came_into_force_obliges_nobody() -> None:
    """Terminated before it was signed."""
    assert (
        provision(agreement_step("draw_up", "draft", MONDAY), agreement_step("terminate", "terminated", MONDAY)) is None
    )
    assert provision() is None


def catalogue_step(action: str, state: str, at: datetime, *, due_at: datetime | None = None) -> RecordedEntry:
    """Return one step of a resource's life."""
    facts: dict[str, object] = {
        "department": POLICE,
        "action": action,
        "to_state": state,
        "version": 1,
        "due_at": None if due_at is None else due_at.isoformat(),
    }
    return entry(EntryKind.CATALOGUE_STEP, "resource-1", at, facts, department=POLICE)


def test_each_submission_is_a_duty_of_its_own() -> None:
    """A returned draft that is submitted again must be reviewed again; approval alone does not end the duty."""
    due = CALENDAR.deadline(MONDAY, 2)
    steps = [
        catalogue_step("draft", "draft", MONDAY - DAY),
        catalogue_step("submit", "submitted", MONDAY, due_at=due),
        catalogue_step("return", "returned", MONDAY + DAY),
        catalogue_step("submit", "submitted", MONDAY + 2 * DAY, due_at=DUE),
        catalogue_step("approve", "registered", MONDAY + 3 * DAY, due_at=DUE),
        catalogue_step("publish", "published", MONDAY + 4 * DAY),
    ]
    Random(7).shuffle(steps)
    first, second = review_duties(steps, title_of=title_of, authority=BUREAU)
    assert (first.done_at, second.done_at) == (MONDAY + DAY, MONDAY + 4 * DAY)
    assert first.authority == BUREAU
    waiting = review_duties(
        [step for step in steps if step.facts["to_state"] != "published"], title_of=title_of, authority=None
    )
    assert waiting[-1].done_at is None


def transfers(*steps: RecordedEntry) -> list[Duty]:
    """Return the duties of the task."""
    return transfer_duties(steps, calendar=CALENDAR, title_of=title_of)


def test_a_run_is_the_provider_s_until_delivered_then_the_consumer_s_until_acknowledged() -> None:
    """Only the receipt of the last batch ends a run."""
    steps = [
        task_step("create", MONDAY - DAY, run=0),
        task_step("run", MONDAY, run=1),
        batch(MONDAY + timedelta(hours=1), run=1, number=1, last=False),
        batch(MONDAY + timedelta(hours=2), run=1, number=2, last=True),
        receipt(MONDAY + timedelta(hours=3), number=1),
    ]
    (duty,) = transfers(*steps)
    assert holders(duty) == [Party.PROVIDER, Party.CONSUMER]
    assert duty.done_at is None
    assert duty.subject == "task-1/1"
    (done,) = transfers(*steps, receipt(MONDAY + timedelta(hours=4), number=2))
    assert done.done_at == MONDAY + timedelta(hours=4)
    late = judge(duty, now=MONDAY + 9 * DAY, calendar=CALENDAR)
    assert late is not None
    assert [part.department for part in late.parties] == [EDUCATION]


def test_a_failed_run_leaves_the_duty_to_the_next_one_and_a_cancelled_one_ends_it() -> None:
    """The duty of a failed run runs from its own request until the run that delivers is acknowledged."""
    steps = [
        task_step("run", MONDAY, run=1),
        task_step("fail_run", MONDAY + timedelta(hours=1), run=1),
        task_step("run", MONDAY + timedelta(hours=2), run=2),
        batch(MONDAY + timedelta(hours=3), run=2, number=1, last=True),
        receipt(MONDAY + timedelta(hours=4), number=1),
    ]
    (duty,) = transfers(*steps)
    assert duty.done_at == MONDAY + timedelta(hours=4)
    assert duty.spans[0].since == MONDAY
    cancelled = [task_step("run", MONDAY, run=1), task_step("cancel_run", MONDAY + timedelta(hours=1), run=1)]
    assert transfers(*cancelled) == []


def test_whoever_pauses_a_transfer_holds_it() -> None:
    """A pause by the platform's operator is the platform's time."""
    (duty,) = transfers(
        task_step("run", MONDAY, run=1),
        task_step("pause", MONDAY + timedelta(hours=1), run=1),
        task_step("resume", MONDAY + timedelta(hours=2), run=1),
        task_step("pause", MONDAY + timedelta(hours=3), run=1, by=EDUCATION),
        task_step("pause", MONDAY + timedelta(hours=4), run=1, by=POLICE),
        task_step("pause", MONDAY + timedelta(hours=5), run=1, by=BUREAU),
    )
    assert holders(duty) == [
        Party.PROVIDER,
        Party.PLATFORM,
        Party.PROVIDER,
        Party.CONSUMER,
        Party.PROVIDER,
        Party.AUTHORITY,
    ]


def test_an_ended_task_owes_nothing() -> None:
    """What was called off need not be delivered."""
    assert transfers(task_step("run", MONDAY, run=1), task_step("end", MONDAY + DAY, run=1)) == []


def test_rejected_rows_are_a_duty_of_quality() -> None:
    """One duty for each batch with rejected rows."""
    duties = transfers(
        task_step("run", MONDAY, run=1),
        batch(MONDAY + timedelta(hours=1), run=1, number=1, last=True),
        receipt(MONDAY + timedelta(hours=2), number=1, rejected=3),
    )
    quality = [duty for duty in duties if duty.faults]
    assert [(duty.subject, duty.faults, duty.amount) for duty in quality] == [("batch-1", 3, 100)]
