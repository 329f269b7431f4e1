"""Whatever is done to a task in whatever order: no run is lost, none is in an illegal state, each step has evidence."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from datong.exchange import (
    Failure,
    Retry,
    Run,
    RunState,
    Schedule,
    SignedManifest,
    Task,
    TaskState,
    TransferEnd,
    signed_receipt,
)
from datong.kernel import PLATFORM_ACTOR, Conflict, FixedClock, NodeId, Refused, Text
from datong.ledger import EntryKind
from tests.new_control import new_control
from tests.unit.exchange.test_hub import CONSUMER, NODE, Scene

WORDS = Text(zh="坏了", en="broken")
START = datetime(2026, 11, 24, 4, tzinfo=UTC)
REFUSALS = {
    "exchange.task_not_active",
    "exchange.run_over",
    "exchange.run_not_complete",
    "exchange.run_not_requested",
    "exchange.run_order",
}
ALLOWED = {
    RunState.WAITING: {RunState.RUNNING, RunState.DELIVERED, RunState.DONE, RunState.FAILED, RunState.CANCELLED},
    RunState.RUNNING: {RunState.DELIVERED, RunState.DONE, RunState.FAILED, RunState.CANCELLED},
    RunState.DELIVERED: {RunState.DONE, RunState.CANCELLED},
}


class Acts(RuleBasedStateMachine):
    """One task on an SQLite hub, and everything that people, nodes and the clock do to it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="datong-runs-"))
        self.database = new_control(self.folder)
        self.clock = FixedClock(START)
        self.scene = Scene(self.folder, self.database, self.clock)
        self.exchange, self.runs = self.scene.exchange, self.scene.exchange.runs
        draft = self.scene.draft(
            schedule=Schedule(cron="*/10 * * * *"), retry=Retry(attempts_max=3, delay_seconds=1, delay_seconds_max=2)
        )
        self.id = self.exchange.create_task(draft, actor=PLATFORM_ACTOR).id
        self.unreceipted: list[SignedManifest] = []
        self.sent = 0
        self.seen: dict[int, RunState] = {}

    def teardown(self) -> None:
        self.database.close()
        shutil.rmtree(self.folder)

    def attempt(self, act: Callable[[], object]) -> None:
        """Do something that may be refused, but only for a reason that has a name."""
        try:
            act()
        except (Conflict, Refused) as error:
            if error.code not in REFUSALS:
                raise

    @rule()
    def request(self) -> None:
        self.attempt(lambda: self.exchange.request_run(self.id, actor=PLATFORM_ACTOR))

    @rule(minutes=st.sampled_from([0, 1, 10, 35, 1440]))
    def tick(self, minutes: int) -> None:
        self.clock.advance(timedelta(minutes=minutes, seconds=3))
        self.runs.start_due()

    @rule(act=st.sampled_from(["pause", "resume"]))
    def control(self, act: str) -> None:
        self.attempt(lambda: getattr(self.exchange, act)(self.id, actor=PLATFORM_ACTOR))

    @precondition(lambda self: self.sent > 3)
    @rule()
    def end(self) -> None:
        self.attempt(lambda: self.exchange.end(self.id, actor=PLATFORM_ACTOR))

    @rule(back=st.integers(0, 2))
    def cancel(self, back: int) -> None:
        number = self.exchange.task(self.id).run_requested - back
        if number >= 1:
            self.attempt(lambda: self.runs.cancel(self.id, number, actor=PLATFORM_ACTOR))

    @rule(rows=st.integers(1, 4), last=st.booleans())
    def produce(self, rows: int, last: bool) -> None:
        for work in self.exchange.work_for(NodeId(NODE.id)).produce:
            if work.confirmed.run_ended and work.confirmed.run == work.run:
                continue
            ids = range(self.sent, self.sent + rows)
            signed, payload = self.scene.cut(work.task, work.confirmed, ids, last=last, run=work.run)
            self.scene.upload(signed, payload)
            self.sent += rows
            self.unreceipted.append(signed)

    @rule(back=st.integers(0, 1))
    def finish(self, back: int) -> None:
        number = self.exchange.task(self.id).run_requested - back
        if number >= 1:
            self.attempt(lambda: self.exchange.finish_run(self.id, number, actor=NODE))

    @rule(transient=st.booleans(), end=st.sampled_from(list(TransferEnd)), back=st.integers(0, 1))
    def fail(self, transient: bool, end: TransferEnd, back: int) -> None:
        number = self.exchange.task(self.id).run_requested - back
        if number >= 1:
            failure = Failure(end=end, code="x.y", what=WORDS, remedy=WORDS, transient=transient)
            actor = NODE if end is TransferEnd.PRODUCER else CONSUMER
            self.runs.fail(self.id, number, failure, actor=actor)

    @precondition(lambda self: self.unreceipted)
    @rule()
    def receive(self) -> None:
        manifest = self.unreceipted.pop(0).manifest
        receipt = signed_receipt(self.scene.receipt(manifest), self.scene.education)
        self.exchange.record_receipt(receipt, actor=CONSUMER)

    @invariant()
    def the_runs_are_in_order(self) -> None:
        """All that is said of the runs, looked at once."""
        task, runs = self.exchange.task(self.id), self.runs.history(self.id, limit=200).rows
        self.every_run_has_its_row(task, runs)
        self.due_times_are_served_once(runs)
        self.the_sums_agree(runs)
        self.each_step_has_its_evidence(runs)

    def every_run_has_its_row(self, task: Task, runs: Sequence[Run]) -> None:
        found = {run.run: run for run in runs}
        assert sorted(found) == list(range(1, task.run_requested + 1))
        producing = [run.run for run in found.values() if run.state.is_producing]
        assert producing == list(range(task.run_done + 1, task.run_requested + 1))
        assert task.state is not TaskState.ENDED or not producing
        for number, run in found.items():
            before = self.seen.get(number, run.state)
            assert run.state is before or run.state in ALLOWED[before]
            assert run.state is not RunState.DONE or run.rows_applied + run.rows_rejected == run.rows
            assert run.state.is_over == (run.finished_at is not None)
            assert run.attempts >= run.failures >= run.failures_in_row
        self.seen = {number: run.state for number, run in found.items()}

    def due_times_are_served_once(self, runs: Sequence[Run]) -> None:
        due = [run.due_at for run in runs if run.due_at is not None]
        assert len(set(due)) == len(due)
        assert all(moment.minute % 10 == 0 and moment.second == 0 for moment in due)

    def the_sums_agree(self, runs: Sequence[Run]) -> None:
        progress = self.exchange.progress(self.id)
        assert sum(run.rows for run in runs) == progress.rows == self.sent
        assert sum(run.rows_applied for run in runs) == progress.rows_applied
        assert sum(run.batches for run in runs) == progress.batches

    def each_step_has_its_evidence(self, runs: Sequence[Run]) -> None:
        entries = self.scene.hub.ledger.entries(kind=EntryKind.TASK, subject=self.id, limit=200)
        if entries.total > 200:
            return
        acts = [(entry.facts["action"], entry.facts.get("run", 0)) for entry in entries.rows]
        assert sorted(number for act, number in acts if act == "run") == sorted(run.run for run in runs)
        assert {number for act, number in acts if act == "fail_run"} == {
            run.run for run in runs if run.state is RunState.FAILED
        }
        cancelled = {number for act, number in acts if act == "cancel_run"}
        assert cancelled <= {run.run for run in runs if run.state is RunState.CANCELLED}

    @invariant()
    def the_task_can_go_on(self) -> None:
        """A run that is offered begins where the chain ends, and another begins only after it."""
        for work in self.exchange.work_for(NodeId(NODE.id)).produce:
            assert work.run == work.task.run_requested == work.task.run_done + 1
            assert work.confirmed.sequence == self.exchange.progress(self.id).batches


Acts.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestActs = Acts.TestCase
