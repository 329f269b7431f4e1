"""Runs on both control databases: one run a due time, retries, failures, cancelling, windows, priority."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from datong.exchange import (
    Confirmed,
    Failure,
    Retry,
    RunAgain,
    RunReason,
    RunState,
    Schedule,
    SignedManifest,
    Task,
    TransferEnd,
    Window,
    signed_receipt,
)
from datong.kernel import (
    CHINA,
    PLATFORM_ACTOR,
    Conflict,
    Database,
    FixedClock,
    Invalid,
    NodeId,
    NotFound,
    Refused,
    Text,
)
from datong.ledger import EntryKind
from tests.exchange_hub import TestHub
from tests.unit.exchange.test_hub import CONSUMER, NODE, Scene

NOON = datetime(2026, 11, 24, 12, tzinfo=CHINA)
NODE_ID = NodeId(NODE.id)


def failure(*, transient: bool = True, end: TransferEnd = TransferEnd.PRODUCER) -> Failure:
    words = Text(zh="数据库没有应答", en="the database does not answer")
    return Failure(end=end, code="adapters.down", what=words, remedy=words, transient=transient)


class TimedScene(Scene):
    """A scene on a clock that the test sets."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.clock = FixedClock(NOON)
        super().__init__(folder, database, self.clock)
        self.runs = self.exchange.runs

    def receive(self, signed: SignedManifest) -> None:
        receipt = signed_receipt(self.receipt(signed.manifest), self.education)
        self.exchange.record_receipt(receipt, actor=CONSUMER)

    def offered(self) -> list[str]:
        return [work.task.id for work in self.exchange.work_for(NODE_ID).produce]


@pytest.fixture
def scene(tmp_path: Path, control_database: Database) -> TimedScene:
    return TimedScene(tmp_path, control_database)


def test_a_run_has_its_history_from_request_to_last_receipt(scene: TimedScene) -> None:
    task = scene.task()
    waiting = scene.runs.run(task.id, 1)
    assert (waiting.state, waiting.reason, waiting.requested_by.id) == (RunState.WAITING, RunReason.PERSON, "platform")
    scene.clock.advance(timedelta(seconds=5))
    scene.runs.begin(task.id, 1, expected_rows=20, actor=NODE)
    first, payload = scene.cut(task, Confirmed(), range(10), last=False)
    confirmed = scene.upload(first, payload)
    last, payload = scene.cut(task, confirmed, range(10, 20))
    scene.upload(last, payload)
    running = scene.runs.run(task.id, 1)
    assert (running.state, running.rows, running.batches, running.expected_rows) == (RunState.RUNNING, 20, 2, 20)
    assert running.started_at == NOON + timedelta(seconds=5)
    scene.exchange.finish_run(task.id, 1, actor=NODE)
    assert scene.runs.run(task.id, 1).state is RunState.DELIVERED
    scene.receive(first)
    assert scene.runs.run(task.id, 1).state is RunState.DELIVERED
    scene.receive(last)
    done = scene.runs.run(task.id, 1)
    assert (done.state, done.rows_applied, done.attempts) == (RunState.DONE, 20, 1)
    assert scene.runs.history(task.id).rows == (done,)
    with pytest.raises(NotFound, match="run_not_found"):
        scene.runs.run(task.id, 2)


def test_a_run_without_changes_is_done_at_once(scene: TimedScene) -> None:
    task = scene.task()
    scene.exchange.finish_run(task.id, 1, actor=NODE)
    assert scene.runs.run(task.id, 1).state is RunState.DONE


def test_a_due_time_has_one_run_however_many_processes_look(scene: TimedScene) -> None:
    draft = scene.draft(schedule=Schedule(cron="0 * * * *"))
    task = scene.exchange.create_task(draft, actor=PLATFORM_ACTOR)
    scene.runs.start_due()
    assert scene.exchange.task(task.id).run_requested == 0
    scene.clock.advance(timedelta(hours=3, minutes=1))
    others = [TestHub(scene.folder / "hub", scene.hub.database, scene.clock).exchange.runs for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda runs: runs.start_due(), others * 3))
    found = scene.runs.history(task.id).rows
    assert [(run.due_at, run.missed, run.reason) for run in found] == [
        (NOON + timedelta(hours=3), 2, RunReason.SCHEDULE)
    ]
    assert scene.entries(EntryKind.TASK) == 2


def test_a_due_time_waits_for_the_run_under_way(scene: TimedScene) -> None:
    draft = scene.draft(schedule=Schedule(cron="0 * * * *"))
    task = scene.exchange.create_task(draft, actor=PLATFORM_ACTOR)
    scene.exchange.request_run(task.id, actor=PLATFORM_ACTOR)
    scene.clock.advance(timedelta(hours=2))
    scene.runs.start_due()
    assert scene.exchange.task(task.id).run_requested == 1
    scene.exchange.finish_run(task.id, 1, actor=NODE)
    scene.runs.start_due()
    assert scene.runs.run(task.id, 2).due_at == NOON + timedelta(hours=2)


def test_a_paused_task_is_not_run_and_makes_up_for_it_once_when_it_goes_on(scene: TimedScene) -> None:
    draft = scene.draft(schedule=Schedule(cron="0 * * * *"))
    task = scene.exchange.create_task(draft, actor=PLATFORM_ACTOR)
    scene.exchange.pause(task.id, actor=PLATFORM_ACTOR)
    scene.clock.advance(timedelta(hours=5))
    scene.runs.start_due()
    assert scene.exchange.task(task.id).run_requested == 0
    scene.exchange.resume(task.id, actor=PLATFORM_ACTOR)
    scene.runs.start_due()
    assert scene.runs.run(task.id, 1).missed == 4


def test_a_failed_attempt_waits_and_a_batch_that_gets_through_begins_the_count_anew(scene: TimedScene) -> None:
    task = scene.task(retry=Retry(attempts_max=3, delay_seconds=10, delay_seconds_max=60))
    scene.runs.fail(task.id, 1, failure(), actor=NODE)
    assert scene.offered() == []
    scene.clock.advance(timedelta(seconds=10))
    assert scene.offered() == [task.id]
    scene.runs.fail(task.id, 1, failure(), actor=NODE)
    failed = scene.runs.run(task.id, 1)
    assert (failed.failures, failed.failures_in_row, failed.error and failed.error.code) == (2, 2, "adapters.down")
    signed, payload = scene.cut(task, Confirmed(), range(3), last=False)
    scene.upload(signed, payload)
    assert scene.runs.run(task.id, 1).failures_in_row == 0
    assert scene.offered() == [task.id]


def test_a_run_that_keeps_failing_has_failed_and_the_next_one_goes_on_from_what_is_confirmed(scene: TimedScene) -> None:
    task = scene.task(retry=Retry(attempts_max=2))
    signed, payload = scene.cut(task, Confirmed(), range(3), last=False)
    confirmed = scene.upload(signed, payload)
    scene.runs.fail(task.id, 1, failure(), actor=NODE)
    scene.runs.fail(task.id, 1, failure(), actor=NODE)
    over = scene.runs.run(task.id, 1)
    assert (over.state, over.failures, over.attempts) == (RunState.FAILED, 2, 2)
    assert over.entry_id is not None
    facts = scene.hub.ledger.entry(over.entry_id).facts
    assert (facts["action"], facts["error"], facts["run_state"]) == ("fail_run", "adapters.down", "failed")
    assert scene.offered() == []
    # A report that comes late changes nothing, and the next run begins where the failed one got to.
    scene.runs.fail(task.id, 1, failure(), actor=NODE)
    assert scene.runs.run(task.id, 1) == over
    scene.exchange.request_run(task.id, actor=PLATFORM_ACTOR)
    work = scene.exchange.work_for(NODE_ID).produce[0]
    assert (work.run, work.confirmed.cursor) == (2, confirmed.cursor)
    ended = confirmed.model_copy(update={"run_ended": True})
    signed, payload = scene.cut(task, ended, range(3, 5), run=2)
    scene.upload(signed, payload)
    scene.exchange.finish_run(task.id, 2, actor=NODE)


def test_what_only_a_person_can_mend_fails_after_the_second_time(scene: TimedScene) -> None:
    task = scene.task()
    scene.runs.fail(task.id, 1, failure(transient=False), actor=NODE)
    assert scene.runs.fail(task.id, 1, failure(transient=False), actor=NODE).state is RunState.FAILED


def test_a_consumer_that_fails_is_tried_again_without_end(scene: TimedScene) -> None:
    task = scene.task(retry=Retry(attempts_max=1, delay_seconds=10))
    signed, payload = scene.cut(task, Confirmed(), range(3))
    scene.upload(signed, payload)
    scene.exchange.finish_run(task.id, 1, actor=NODE)
    consumer = NodeId(CONSUMER.id)
    for _ in range(3):
        assert [work.run for work in scene.exchange.work_for(consumer).consume] == [1]
        scene.runs.fail(task.id, 1, failure(end=TransferEnd.CONSUMER), actor=CONSUMER)
        assert scene.exchange.work_for(consumer).consume == ()
        scene.clock.advance(timedelta(seconds=60))
    delivered = scene.runs.run(task.id, 1)
    assert (delivered.state, delivered.error and delivered.error.end) == (RunState.DELIVERED, TransferEnd.CONSUMER)
    scene.receive(signed)
    done = scene.runs.run(task.id, 1)
    assert (done.state, done.error) == (RunState.DONE, None)


def test_a_cancelled_run_leaves_what_it_delivered_and_frees_the_task(scene: TimedScene) -> None:
    task = scene.task()
    signed, payload = scene.cut(task, Confirmed(), range(3), last=False)
    scene.upload(signed, payload)
    cancelled = scene.runs.cancel(task.id, 1, actor=PLATFORM_ACTOR)
    assert (cancelled.state, cancelled.rows) == (RunState.CANCELLED, 3)
    with pytest.raises(Conflict, match="run_over"):
        scene.runs.cancel(task.id, 1, actor=PLATFORM_ACTOR)
    scene.receive(signed)
    assert scene.exchange.request_run(task.id, actor=PLATFORM_ACTOR).run_requested == 2


def test_an_ended_task_cancels_what_is_unfinished(scene: TimedScene) -> None:
    task = scene.task(name="residents", schedule=Schedule(cron="* * * * *"))
    scene.exchange.end(task.id, actor=PLATFORM_ACTOR)
    assert scene.runs.run(task.id, 1).state is RunState.CANCELLED
    scene.clock.advance(timedelta(hours=1))
    scene.runs.start_due()
    assert scene.exchange.task(task.id).run_requested == 1
    # Its name is free again.
    assert scene.task(name="residents").name == "residents"


def test_names_are_unique_among_living_tasks(scene: TimedScene) -> None:
    scene.task(name="residents")
    with pytest.raises(Conflict, match="task_name_taken"):
        scene.task(name="residents")


def test_a_schedule_that_is_never_due_is_refused(scene: TimedScene) -> None:
    with pytest.raises(Invalid, match="cron_invalid"):
        scene.task(schedule=Schedule(cron="0 0 31 2 *"))


def test_work_is_offered_in_its_window_only_and_says_when_that_closes(scene: TimedScene) -> None:
    task = scene.task(window=Window(start="22:00", end="06:00"))
    assert scene.offered() == []
    scene.clock.advance(timedelta(hours=11))
    work = scene.exchange.work_for(NODE_ID).produce[0]
    assert work.task.id == task.id
    assert work.until == NOON + timedelta(hours=18)


def test_higher_priority_comes_first_until_others_have_waited_long(scene: TimedScene) -> None:
    low = scene.task(priority=1)
    scene.clock.advance(timedelta(minutes=2))
    high = scene.task(priority=8)
    assert scene.offered() == [high.id, low.id]
    scene.exchange.finish_run(high.id, 1, actor=NODE)
    scene.clock.advance(timedelta(minutes=60))
    scene.exchange.request_run(high.id, actor=PLATFORM_ACTOR)
    assert scene.offered() == [low.id, high.id]


def moved(scene: TimedScene) -> Task:
    """Return an increment of three batches, applied whole."""
    task = scene.task()
    confirmed = Confirmed()
    for part in range(3):
        signed, payload = scene.cut(task, confirmed, range(part * 5, part * 5 + 5), last=part == 2)
        confirmed = scene.upload(signed, payload)
        scene.receive(signed)
    scene.exchange.finish_run(task.id, 1, actor=NODE)
    return task


def test_a_backfill_reads_a_range_again_and_the_task_goes_on_from_where_it_was(scene: TimedScene) -> None:
    task = moved(scene)
    before = scene.exchange.batches(task.id)
    newest = before[2].manifest.cursor_to
    run = scene.runs.again(task.id, RunAgain(from_sequence=2, until_sequence=2), actor=PLATFORM_ACTOR)
    assert (run.run, run.reason) == (2, RunReason.BACKFILL)
    work = scene.exchange.work_for(NODE_ID).produce[0]
    assert work.confirmed.cursor == before[1].manifest.cursor_from
    assert work.span is not None
    assert work.span.until == before[1].manifest.cursor_to
    signed, payload = scene.cut(task, work.confirmed, range(5, 10), run=2)
    scene.upload(signed, payload)
    scene.exchange.finish_run(task.id, 2, actor=NODE)
    scene.receive(signed)
    assert scene.runs.run(task.id, 2).state is RunState.DONE
    scene.exchange.request_run(task.id, actor=PLATFORM_ACTOR)
    assert scene.exchange.work_for(NODE_ID).produce[0].confirmed.cursor == newest
    facts = scene.hub.ledger.entries(kind=EntryKind.TASK, subject=task.id).rows
    assert [entry.facts["reason"] for entry in facts if entry.facts.get("run") == 2][0] == "backfill"


def test_a_cancelled_replay_leaves_the_task_where_it_was(scene: TimedScene) -> None:
    task = moved(scene)
    newest = scene.exchange.batches(task.id)[2].manifest.cursor_to
    run = scene.runs.again(task.id, RunAgain(), actor=PLATFORM_ACTOR)
    assert run.reason is RunReason.REPLAY
    work = scene.exchange.work_for(NODE_ID).produce[0]
    assert work.confirmed.cursor is None
    signed, payload = scene.cut(task, work.confirmed, range(5), run=2, last=False)
    scene.upload(signed, payload)
    scene.runs.cancel(task.id, 2, actor=PLATFORM_ACTOR)
    scene.exchange.request_run(task.id, actor=PLATFORM_ACTOR)
    assert scene.exchange.work_for(NODE_ID).produce[0].confirmed.cursor == newest


def test_what_cannot_be_moved_again_is_refused(scene: TimedScene) -> None:
    task = moved(scene)
    with pytest.raises(NotFound, match="no_such_batch"):
        scene.runs.again(task.id, RunAgain(from_sequence=9), actor=PLATFORM_ACTOR)
    with pytest.raises(NotFound, match="no_such_batch"):
        scene.runs.again(task.id, RunAgain(since=NOON + timedelta(days=9)), actor=PLATFORM_ACTOR)
    with pytest.raises(Invalid, match="again_start"):
        scene.runs.again(task.id, RunAgain(from_sequence=1, since=NOON), actor=PLATFORM_ACTOR)
    scene.runs.again(task.id, RunAgain(since=NOON - timedelta(days=999)), actor=PLATFORM_ACTOR)
    with pytest.raises(Conflict, match="run_under_way"):
        scene.runs.again(task.id, RunAgain(), actor=PLATFORM_ACTOR)
    appended = scene.exchange.create_task(scene.draft(key_columns=()), actor=PLATFORM_ACTOR)
    with pytest.raises(Conflict, match="again_mode"):
        scene.runs.again(appended.id, RunAgain(), actor=PLATFORM_ACTOR)


def test_only_the_producer_reports_for_a_run(scene: TimedScene) -> None:
    task = scene.task()
    with pytest.raises(Refused, match="not_the_producer"):
        scene.runs.fail(task.id, 1, failure(), actor=CONSUMER)
    with pytest.raises(Refused, match="not_the_producer"):
        scene.runs.begin(task.id, 1, expected_rows=None, actor=CONSUMER)
    assert scene.runs.run(task.id, 1).failures == 0
