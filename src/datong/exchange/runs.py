"""Runs of tasks: requested, scheduled, begun, failed and tried again, finished, cancelled; each step with its evidence.

Any number of hub processes may look at the clock: a due time is served under the lock of its task's row, which also
moves the next due time on, and a unique constraint stands behind.
"""

import secrets
from datetime import timedelta

from sqlalchemy import Connection, RowMapping, delete

from datong.exchange import again, chain, run_store, store
from datong.exchange.facts import run_facts
from datong.exchange.lineage import LineageKind
from datong.exchange.lineage_log import LineageLog
from datong.exchange.refusals import check_producer, illegal_step
from datong.exchange.run_span import RunSpan
from datong.exchange.run_values import Failure, NotedFailure, Run, RunAgain, RunReason, RunState, TransferEnd
from datong.exchange.scheduling import due_now, urgency
from datong.exchange.tables import UPLOADS
from datong.exchange.values import Confirmed, Manifest, Receipt, Task, TaskState, TransferMode
from datong.exchange.work_values import ConsumeWork, ProduceWork
from datong.kernel import (
    PLATFORM_ACTOR,
    Actor,
    Clock,
    Conflict,
    Database,
    NodeId,
    Page,
    Refused,
    TaskId,
    Text,
    WorkingCalendar,
)
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.ledger import EntryKind, Ledger

DUE_AT_ONCE_MAX = 200
"""Due tasks that one turn of the scheduler looks at; the rest follow at once."""


class Runs:
    """The runs of all tasks. `calendar` says on which days windows open."""

    def __init__(
        self, *, database: Database, clock: Clock, ledger: Ledger, calendar: WorkingCalendar, lineage: LineageLog
    ) -> None:
        self._lineage = lineage
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._calendar = calendar

    # Reading

    def run(self, task_id: TaskId, number: int) -> Run:
        """Return one run of a task.

        Raises:
            NotFound: `exchange.run_not_found`.
        """
        with self._database.snapshot() as connection:
            return run_store.run(connection, task_id, number)

    def history(self, task_id: TaskId, *, state: RunState | None = None, offset: int = 0, limit: int = 20) -> Page[Run]:
        """Return a task's runs, newest first."""
        with self._database.snapshot() as connection:
            return run_store.runs(connection, task_id, state=state, offset=offset, limit=min(limit, PAGE_ROWS_MAX))

    # Requesting

    def request(self, task_id: TaskId, *, actor: Actor, reason: RunReason = RunReason.PERSON) -> Task:
        """Ask the producer for one more run. While one is under way, the task is returned as it is.

        Raises:
            NotFound: no such task.
            Conflict: `exchange.task_not_active`.
        """
        with self._database.transaction() as connection:
            task = store.task_of(store.task_row(connection, task_id, lock=True))
            if task.state is not TaskState.ACTIVE:
                raise illegal_step(task, "run")
            if task.run_requested > task.run_done:
                return task
            return self._insert(connection, task, reason, actor)

    def request_for_change(self, task_id: TaskId, mark: str, *, actor: Actor) -> Task:
        """Ask for a run because the source looks like `mark`, unless that is known or a run is under way.

        Raises:
            NotFound: no such task. Refused: the node is not its producer.
        """
        with self._database.transaction() as connection:
            row = store.task_row(connection, task_id, lock=True)
            task = store.task_of(row)
            check_producer(task.producer_node, actor)
            on_change = task.schedule is not None and task.schedule.on_change_seconds is not None
            free = task.state is TaskState.ACTIVE and task.run_requested == task.run_done
            if not (on_change and free) or row["change_mark"] == mark:
                return task
            store.set_task(connection, task_id, change_mark=mark)
            return self._insert(connection, task, RunReason.CHANGE, actor)

    def again(self, task_id: TaskId, wanted: RunAgain, *, actor: Actor) -> Run:
        """Ask the producer to read a part of an increment once more: a replay to the end, or a backfill of a range.

        The rows travel as new batches of the same chain, applied over what the target holds; afterwards the task goes
        on from where it was.

        Raises:
            NotFound: no such task or batch. Invalid: the part is named in two ways.
            Conflict: `exchange.task_not_active`, `exchange.run_under_way`, `exchange.again_mode`.
        """
        with self._database.transaction() as connection:
            row = store.task_row(connection, task_id, lock=True)
            task = store.task_of(row)
            if task.state is not TaskState.ACTIVE:
                raise illegal_step(task, "run")
            again.check(task)
            span = again.span_of(connection, task_id, wanted).model_copy(
                update={"return_to": store.confirmed_of(row).cursor}
            )
            reason = RunReason.REPLAY if span.until is None else RunReason.BACKFILL
            self._insert(connection, task, reason, actor, span)
            return run_store.run(connection, task_id, task.run_requested + 1)

    def start_due(self) -> bool:
        """Request a run of every task whose schedule is due; return whether more may be due at once.

        Due times that pass while a run is under way wait for its end, and are then served by one run.
        """
        now = self._clock.now()
        with self._database.snapshot() as connection:
            found = run_store.due_tasks(connection, now, DUE_AT_ONCE_MAX)
        for task_id in found:
            self._start_one(task_id)
        return len(found) == DUE_AT_ONCE_MAX

    def _start_one(self, task_id: TaskId) -> None:
        with self._database.transaction() as connection:
            # Another process may have served it since: the row is locked, and looked at again.
            row = store.task_row(connection, task_id, lock=True)
            task, due_at, now = store.task_of(row), row["next_due_at"], self._clock.now()
            free = task.state is TaskState.ACTIVE and task.run_requested == task.run_done
            if not free or due_at is None or task.schedule is None or not task.schedule.cron:
                return
            due = due_now(task.schedule, due_at, now)
            if due.next_at == due_at:
                return
            store.set_task(connection, task_id, next_due_at=due.next_at)
            if due.at is not None:
                run = task.run_requested + 1
                store.set_task(connection, task_id, run_requested=run)
                run_store.insert_run(
                    connection,
                    task_id=task_id,
                    run=run,
                    reason=RunReason.SCHEDULE,
                    actor=PLATFORM_ACTOR,
                    now=now,
                    due_at=due.at,
                    missed=due.missed,
                )
                self._record(connection, task_id, run, "run", PLATFORM_ACTOR)

    # What nodes report

    def begin(self, task_id: TaskId, number: int, *, expected_rows: int | None, actor: Actor) -> Run:
        """Note that the producer has begun a run, and how many rows it expects. Repeating it is harmless.

        Raises:
            NotFound: no such run. Refused: `exchange.not_the_producer`.
        """
        with self._database.transaction() as connection:
            task = store.task_of(store.task_row(connection, task_id, lock=True))
            check_producer(task.producer_node, actor)
            run = run_store.run(connection, task_id, number)
            if run.state.is_producing:
                self._begin(connection, task_id, number)
                run_store.set_run(connection, task_id, number, expected_rows=expected_rows)
            return run_store.run(connection, task_id, number)

    def announced(self, connection: Connection, manifest: Manifest) -> None:
        """Note that a batch of a run is on its way, in the transaction of its announcement."""
        self._begin(connection, manifest.task_id, manifest.run)

    def committed(self, connection: Connection, task: Task, manifest: Manifest, *, actor: Actor) -> None:
        """Add a committed batch to its run, in the transaction of the commit.

        A task that carries changes may give up a run that cannot be completed; its successor has the next number.
        """
        now = self._clock.now()
        if manifest.run > task.run_requested:
            given_up = run_store.run(connection, task.id, task.run_requested)
            run_store.set_run(connection, task.id, given_up.run, state=RunState.CANCELLED.value, finished_at=now)
            store.set_task(connection, task.id, run_done=given_up.run)
            self._record(connection, task.id, given_up.run, "cancel_run", actor)
            self._tell(connection, task.id, given_up.run, LineageKind.ABORT)
            self._insert(connection, task, given_up.reason, given_up.requested_by)
        self._begin(connection, task.id, manifest.run)
        run_store.add_batch(connection, manifest)

    def received(self, connection: Connection, manifest: Manifest, receipt: Receipt) -> None:
        """Add a receipt to the run of its batch, in the transaction of the receipt."""
        for number in run_store.add_receipt(connection, manifest, receipt, self._clock.now()):
            self._tell(connection, manifest.task_id, number, LineageKind.COMPLETE)

    def finish(self, task_id: TaskId, number: int, *, actor: Actor) -> Task:
        """Record that the producer has moved everything of a run; repeating it changes nothing.

        Raises:
            Refused: `exchange.run_not_requested`; `exchange.not_the_producer`.
            Conflict: `exchange.run_not_complete` when batches of the run are missing.
        """
        with self._database.transaction() as connection:
            row = store.task_row(connection, task_id, lock=True)
            task, confirmed = store.task_of(row), store.confirmed_of(row)
            check_producer(task.producer_node, actor)
            _check_finish(task, confirmed, number)
            if number <= task.run_done:
                return task
            run, now = run_store.run(connection, task_id, number), self._clock.now()
            self._begin(connection, task_id, number)
            applied = run.last_sequence is None or row["receipted_sequence"] >= run.last_sequence
            run_store.set_run(
                connection,
                task_id,
                number,
                state=(RunState.DONE if applied else RunState.DELIVERED).value,
                started_at=run.started_at or now,
                delivered_at=now,
                finished_at=now if applied else None,
                not_before=None,
                error=None,
            )
            to_the_end = run.span is not None and run.span.until is None and run.batches > 0
            ended = confirmed if to_the_end else _returned(confirmed, run)
            store.set_task(connection, task_id, run_done=number, confirmed=ended.model_dump(mode="json"))
            self._tell(connection, task_id, number, LineageKind.COMPLETE if applied else LineageKind.RUNNING)
            task = self._record(connection, task_id, number, "run_done", actor)
            if task.mode is TransferMode.CAPTURE and number == task.run_requested:
                # Changes follow their snapshot by themselves, without end: such a task always has a run to do.
                return self._insert(connection, task, run.reason, run.requested_by)
            return task

    def fail(self, task_id: TaskId, number: int, failure: Failure, *, actor: Actor) -> Run:
        """Note that a node's part of a run failed: it is tried again later, or the run has failed for good.

        What a consumer cannot apply stays at the hub and is tried again without end; a run that is over, or a task
        that is paused, is left as it is.

        Raises:
            NotFound: no such task or run. Refused: the node is not that end of the task.
        """
        with self._database.transaction() as connection:
            row = store.task_row(connection, task_id, lock=True)
            task = store.task_of(row)
            run = run_store.run(connection, task_id, number)
            noted = NotedFailure(**failure.cut().model_dump(), at=self._clock.now())
            if failure.end is TransferEnd.CONSUMER:
                self._consumer_failed(connection, row, run, noted)
            else:
                check_producer(task.producer_node, actor)
                if task.state is TaskState.ACTIVE and run.state.is_producing:
                    self._producer_failed(connection, row, run, noted, actor)
            return run_store.run(connection, task_id, number)

    def _producer_failed(
        self, connection: Connection, row: RowMapping, run: Run, noted: NotedFailure, actor: Actor
    ) -> None:
        task = store.task_of(row)
        in_row = run.failures_in_row + 1
        values: dict[str, object] = {
            "failures": run.failures + 1,
            "failures_in_row": in_row,
            "started_at": run.started_at or noted.at,
            "error": noted.model_dump(mode="json"),
        }
        if task.retry.gives_up(in_row, transient=noted.transient):
            run_store.set_run(connection, task.id, run.run, **values)
            self._close(connection, row, run, RunState.FAILED, "fail_run", actor)
            return
        delay = task.retry.delay(in_row, secrets.randbelow(1000) / 1000)
        run_store.set_run(connection, task.id, run.run, **values, not_before=noted.at + timedelta(seconds=delay))

    def _consumer_failed(self, connection: Connection, row: RowMapping, run: Run, noted: NotedFailure) -> None:
        task, failures = store.task_of(row), int(row["consume_failures"]) + 1
        delay = task.retry.delay(failures, secrets.randbelow(1000) / 1000)
        error = noted.model_dump(mode="json")
        store.set_task(
            connection,
            task.id,
            consume_failures=failures,
            consume_not_before=noted.at + timedelta(seconds=delay),
            consume_error=error,
        )
        if not run.state.is_over:
            run_store.set_run(connection, task.id, run.run, error=error)

    # Ending

    def cancel(self, task_id: TaskId, number: int, *, actor: Actor) -> Run:
        """Cancel a run that is not delivered yet. What it has delivered stays delivered.

        Raises:
            NotFound: no such run. Conflict: `exchange.run_over` when nothing of it can be cancelled any more.
        """
        with self._database.transaction() as connection:
            row = store.task_row(connection, task_id, lock=True)
            run = run_store.run(connection, task_id, number)
            if not run.state.is_producing:
                raise Conflict(
                    "exchange.run_over",
                    what=Text(
                        zh=f"第 {number} 次运行的状态为“{run.state.label.zh}”，不能取消。",
                        en=f"Run {number} is {run.state.value}; it cannot be cancelled.",
                    ),
                    remedy=Text(zh="只能取消尚未送达的运行。", en="Only runs not yet delivered can be cancelled."),
                )
            self._close(connection, row, run, RunState.CANCELLED, "cancel_run", actor)
            return run_store.run(connection, task_id, number)

    def begin_anew(self, connection: Connection, task: Task, *, actor: Actor) -> None:
        """Give up a task's run in its middle and ask for another: a snapshot begins anew, an increment goes on."""
        row = store.task_row(connection, task.id, lock=True)
        run = run_store.open_run(connection, task.id)
        if run is None:
            return
        self._close(connection, row, run, RunState.CANCELLED, "cancel_run", actor)
        self._insert(connection, store.task_of(store.task_row(connection, task.id)), run.reason, run.requested_by)

    def ask_for_all(self, connection: Connection, task: Task, *, actor: Actor) -> None:
        """Have a task's source read from the first row on: by the run that waits, or by one more.

        Raises:
            Conflict: `exchange.run_under_way`: an increment is in the middle of a run.
        """
        confirmed = store.confirmed_of(store.task_row(connection, task.id))
        open_run = run_store.open_run(connection, task.id)
        if open_run is None:
            self._insert(connection, task, RunReason.BACKFILL, actor)
            open_run = run_store.open_run(connection, task.id)
        if open_run is None or task.mode is TransferMode.SNAPSHOT:
            return
        if open_run.state is not RunState.WAITING or open_run.span is not None or open_run.batches:
            raise Conflict(
                "exchange.run_under_way",
                what=Text(
                    zh=f"第 {open_run.run} 次运行正在进行，无法从头读取。",
                    en=f"Run {open_run.run} is under way: nothing can be read from the beginning now.",
                ),
                remedy=Text(zh="请在运行结束后再试。", en="Try again once the run has ended."),
            )
        span = RunSpan(return_to=confirmed.cursor)
        run_store.set_run(connection, task.id, open_run.run, span=span.model_dump(mode="json"))

    def close_all(self, connection: Connection, row: RowMapping) -> None:
        """Cancel what is unfinished of a task that ends, in the transaction of its end."""
        for number in run_store.cancel_unfinished(connection, row["id"], self._clock.now()):
            self._tell(connection, row["id"], number, LineageKind.ABORT)
        store.set_task(connection, row["id"], run_done=row["run_requested"], next_due_at=None, live_name=None)

    def _close(
        self, connection: Connection, row: RowMapping, run: Run, state: RunState, action: str, actor: Actor
    ) -> None:
        """End a run before its time: the chain may go on with the next run from what is confirmed."""
        run_store.set_run(
            connection, run.task_id, run.run, state=state.value, finished_at=self._clock.now(), not_before=None
        )
        connection.execute(delete(UPLOADS).where(UPLOADS.c.task_id == run.task_id))
        ended = _returned(store.confirmed_of(row).model_copy(update={"run_ended": True}), run)
        store.set_task(connection, run.task_id, run_done=run.run, confirmed=ended.model_dump(mode="json"))
        self._record(connection, run.task_id, run.run, action, actor)
        kind = LineageKind.FAIL if state is RunState.FAILED else LineageKind.ABORT
        self._tell(connection, run.task_id, run.run, kind)

    # Offering

    def produce_work(self, connection: Connection, node_id: NodeId) -> tuple[ProduceWork, ...]:
        """Return what a node shall produce now, the most urgent first: windows are open, and no retry waits."""
        now = self._clock.now()
        found: list[tuple[float, str, ProduceWork]] = []
        for row, run in run_store.produce_rows(connection, node_id, now):
            task, until = store.task_of(row), None
            if task.window is not None:
                opens = task.window.opens_at(now, self._calendar)
                if opens is None or opens > now:
                    continue
                until = task.window.closes_at(now, self._calendar)
            work = chain.work_of(task, store.confirmed_of(row), span=run.span)
            waited = (now - run.requested_at).total_seconds()
            found.append((-urgency(task.priority, waited), task.id, work.model_copy(update={"until": until})))
        return tuple(work for _, _, work in sorted(found, key=lambda entry: entry[:2]))

    def consume_work(self, connection: Connection, node_id: NodeId) -> tuple[ConsumeWork, ...]:
        """Return what a node shall apply now, the tasks of higher priority first."""
        work = store.consume_work(connection, node_id, self._clock.now())
        return tuple(sorted(work, key=lambda one: (-one.task.priority, one.task.id)))

    # Inside

    def _begin(self, connection: Connection, task_id: TaskId, number: int) -> None:
        if run_store.begin(connection, task_id, number, self._clock.now()):
            self._tell(connection, task_id, number, LineageKind.START)

    def _tell(self, connection: Connection, task_id: TaskId, number: int, kind: LineageKind) -> None:
        """Record a step of a run as a lineage event."""
        task = store.task_of(store.task_row(connection, task_id))
        self._lineage.write(connection, task, run_store.run(connection, task_id, number), kind)

    def _insert(
        self, connection: Connection, task: Task, reason: RunReason, actor: Actor, span: RunSpan | None = None
    ) -> Task:
        run = task.run_requested + 1
        store.set_task(connection, task.id, run_requested=run)
        now = self._clock.now()
        run_store.insert_run(connection, task_id=task.id, run=run, reason=reason, actor=actor, now=now, span=span)
        return self._record(connection, task.id, run, "run", actor)

    def _record(self, connection: Connection, task_id: TaskId, number: int, action: str, actor: Actor) -> Task:
        """Append the evidence of a step of a run, and remember it with the run."""
        task = store.task_of(store.task_row(connection, task_id))
        run = run_store.run(connection, task_id, number)
        entry_id = self._ledger.append(
            connection, kind=EntryKind.TASK, subject=task_id, actor=actor, facts=run_facts(task, run, action)
        )
        run_store.set_entry(connection, task_id, number, entry_id)
        return task


def _check_finish(task: Task, confirmed: Confirmed, number: int) -> None:
    if number > task.run_requested:
        raise Refused(
            "exchange.run_not_requested",
            what=Text(zh=f"第 {number} 次运行未被请求。", en=f"Run {number} was never requested."),
            remedy=Text(zh="请先请求运行任务。", en="Request a run of the task first."),
        )
    if number > task.run_done and confirmed.run == number and not confirmed.run_ended:
        raise Conflict(
            "exchange.run_not_complete",
            what=Text(
                zh=f"第 {number} 次运行的最后一批尚未提交。", en=f"The last batch of run {number} is not committed."
            ),
            remedy=Text(zh="请先提交其余批次。", en="Commit the remaining batches first."),
        )


def _returned(confirmed: Confirmed, run: Run) -> Confirmed:
    """Return the end of the chain with the cursor from which the task goes on after `run`."""
    return confirmed if run.span is None else confirmed.model_copy(update={"cursor": run.span.return_to})
