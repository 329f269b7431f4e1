"""How transfers stand: lag, rows a second, queues, the last success; read from what is recorded, changing nothing.

How far behind a target is can be said in two ways. Where the cursor is a moment and the node told the newest one in its
source, it is the distance from there to what is applied. Elsewhere it is the age of the oldest thing that waits.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, func, select

from datong.exchange import run_store, store
from datong.exchange.run_values import NotedFailure, Run, RunState, SourceReport
from datong.exchange.runs import Runs
from datong.exchange.table_values import Cursor
from datong.exchange.tables import BATCHES, RECEIPTS, RUNS, TASKS
from datong.exchange.values import SignedManifest, Task, TaskState
from datong.exchange.work_values import WatchWork
from datong.kernel import Actor, Clock, Database, DepartmentCode, NodeId, Page, TaskId, Value, page_of
from datong.kernel.limits import PAGE_ROWS_MAX

RATE_SECONDS = 60
"""Rows a second are the mean of this time."""
THROUGHPUT_MINUTES_MAX = 24 * 60
WATCHED_MAX = 500
OBSERVED_MAX = 5000
"""Tasks that one look at everything covers, the newest ones."""
TROUBLED_MAX = 50
MARK_CHARS_MAX = 200


class TaskStatus(Value):
    """How one task stands. Seconds are None where nothing can be said."""

    task: Task
    run: Run | None
    at: datetime
    batches: int
    rows: int
    rows_applied: int
    rows_rejected: int
    queue_batches: int
    """Batches that the hub holds for the consumer."""
    queue_bytes: int
    queue_since: datetime | None
    spool_batches: int
    spool_bytes: int
    rows_per_second: float
    applied_rows_per_second: float
    source_newest: datetime | None
    confirmed_newest: datetime | None
    applied_newest: datetime | None
    lag_seconds: float
    last_success_at: datetime | None
    next_due_at: datetime | None
    eta_seconds: float | None
    consumer_error: NotedFailure | None

    @property
    def is_moving(self) -> bool:
        """Whether something is under way, or waits for one of the ends."""
        return self.queue_batches > 0 or (self.run is not None and self.run.state.is_producing)


class ThroughputPoint(Value):
    """Rows committed by the hub and applied by the consumer in one minute."""

    at: datetime
    rows: int
    rows_applied: int


class Observation:
    """Reads how tasks stand, and notes what nodes report about their sources."""

    def __init__(self, *, database: Database, clock: Clock, runs: Runs) -> None:
        self._database = database
        self._clock = clock
        self._runs = runs

    def status(self, task_id: TaskId) -> TaskStatus:
        """Return how one task stands.

        Raises:
            NotFound: no such task.
        """
        with self._database.snapshot() as connection:
            return self._statuses(connection, [store.task_row(connection, task_id)])[0]

    def statuses(
        self, *, department: DepartmentCode | None = None, offset: int = 0, limit: int = 50
    ) -> Page[TaskStatus]:
        """Return how tasks stand, newest first; `department` is provider or consumer."""
        with self._database.snapshot() as connection:
            total, rows = store.task_rows(
                connection, department=department, offset=offset, limit=min(limit, PAGE_ROWS_MAX)
            )
            return page_of(tuple(self._statuses(connection, rows)), total=total, offset=offset)

    def troubled(self, department: DepartmentCode | None = None) -> tuple[TaskStatus, ...]:
        """Return the tasks that go on only when somebody acts: stopped by their source, or failed for good.

        `department` is provider or consumer; at most `TROUBLED_MAX`, newest first.
        """
        with self._database.snapshot() as connection:
            rows = run_store.troubled_tasks(connection, department, TROUBLED_MAX)
            return tuple(self._statuses(connection, rows))

    def everything(self) -> list[TaskStatus]:
        """Return how every task stands that has not ended, for a machine that watches."""
        with self._database.snapshot() as connection:
            _, rows = store.task_rows(connection, department=None, offset=0, limit=OBSERVED_MAX, living=True)
            return self._statuses(connection, rows)

    def throughput(self, task_ids: Sequence[TaskId], *, minutes: int = 60) -> dict[TaskId, tuple[ThroughputPoint, ...]]:
        """Return rows by the minute for the last `minutes`, oldest first, the present minute last."""
        minutes = min(minutes, THROUGHPUT_MINUTES_MAX)
        end = self._clock.now().astimezone(UTC).replace(second=0, microsecond=0)
        since = end - timedelta(minutes=minutes - 1)
        committed = select(BATCHES.c.task_id, BATCHES.c.committed_at, BATCHES.c.rows).where(
            BATCHES.c.task_id.in_(task_ids), BATCHES.c.committed_at >= since
        )
        applied = (
            select(RECEIPTS.c.task_id, RECEIPTS.c.recorded_at, BATCHES.c.rows)
            .join(BATCHES, BATCHES.c.id == RECEIPTS.c.batch_id)
            .where(RECEIPTS.c.task_id.in_(task_ids), RECEIPTS.c.recorded_at >= since)
        )
        sums: dict[tuple[str, int, int], int] = {}
        with self._database.snapshot() as connection:
            for kind, query in enumerate((committed, applied)):
                for task_id, at, rows in connection.execute(query):
                    key = (task_id, int((at - since).total_seconds() // 60), kind)
                    sums[key] = sums.get(key, 0) + rows
        return {
            task_id: tuple(
                ThroughputPoint(
                    at=since + timedelta(minutes=minute),
                    rows=sums.get((task_id, minute, 0), 0),
                    rows_applied=sums.get((task_id, minute, 1), 0),
                )
                for minute in range(minutes)
            )
            for task_id in task_ids
        }

    # What nodes tell of their sources

    def watch_for(self, connection: Connection, node_id: NodeId) -> tuple[WatchWork, ...]:
        """Return the active tasks of a producing node, for it to watch their sources."""
        query = select(TASKS).where(TASKS.c.producer_node == node_id, TASKS.c.state == TaskState.ACTIVE.value)
        rows = connection.execute(query.order_by(TASKS.c.id.desc()).limit(WATCHED_MAX)).mappings()
        return tuple(
            WatchWork(task=store.task_of(row), mark=row["change_mark"], idle=row["run_requested"] == row["run_done"])
            for row in rows
        )

    def note(self, node_id: NodeId, reports: Sequence[SourceReport]) -> None:
        """Remember what a node reports about the sources of its own tasks; others' are left out."""
        now = self._clock.now()
        for report in reports:
            with self._database.transaction() as connection:
                query = select(TASKS.c.id).where(TASKS.c.id == report.task_id, TASKS.c.producer_node == node_id)
                if connection.execute(query).first() is not None:
                    noted = report.model_dump(mode="json") | {"at": now.isoformat()}
                    store.set_task(connection, report.task_id, source_report=noted)

    def change_seen(self, task_id: TaskId, mark: str, *, actor: Actor) -> Task:
        """Ask for a run because a source has changed, unless that change is known or a run is under way.

        Raises:
            NotFound: no such task. Refused: the node is not its producer.
        """
        return self._runs.request_for_change(task_id, mark[:MARK_CHARS_MAX], actor=actor)

    # Inside

    def _statuses(self, connection: Connection, rows: Sequence[RowMapping]) -> list[TaskStatus]:
        ids = [TaskId(row["id"]) for row in rows]
        now = self._clock.now()
        facts = _Facts(connection, ids, now)
        return [_status(row, facts, now) for row in rows]


class _Facts:
    """What is read about many tasks at once, by task."""

    def __init__(self, connection: Connection, ids: Sequence[TaskId], now: datetime) -> None:
        since = now - timedelta(seconds=RATE_SECONDS)
        self.runs = run_store.newest_runs(connection, ids)
        self.success = _by_task(
            connection,
            select(RUNS.c.task_id, func.max(RUNS.c.finished_at))
            .where(RUNS.c.task_id.in_(ids), RUNS.c.state == RunState.DONE.value)
            .group_by(RUNS.c.task_id),
        )
        self.committed = _by_task(
            connection,
            select(BATCHES.c.task_id, func.sum(BATCHES.c.rows))
            .where(BATCHES.c.task_id.in_(ids), BATCHES.c.committed_at >= since)
            .group_by(BATCHES.c.task_id),
        )
        self.applied = _by_task(
            connection,
            select(RECEIPTS.c.task_id, func.sum(BATCHES.c.rows))
            .join(BATCHES, BATCHES.c.id == RECEIPTS.c.batch_id)
            .where(RECEIPTS.c.task_id.in_(ids), RECEIPTS.c.recorded_at >= since)
            .group_by(RECEIPTS.c.task_id),
        )
        self.queue = {
            row.task_id: (row.bytes, row.since)
            for row in connection.execute(
                select(
                    BATCHES.c.task_id,
                    func.sum(BATCHES.c.payload_bytes).label("bytes"),
                    func.min(BATCHES.c.committed_at).label("since"),
                )
                .join(TASKS, TASKS.c.id == BATCHES.c.task_id)
                .where(BATCHES.c.task_id.in_(ids), BATCHES.c.sequence > TASKS.c.receipted_sequence)
                .group_by(BATCHES.c.task_id)
            )
        }
        newest = (
            select(BATCHES.c.task_id, BATCHES.c.signed)
            .join(TASKS, TASKS.c.id == BATCHES.c.task_id)
            .where(BATCHES.c.task_id.in_(ids), BATCHES.c.sequence == TASKS.c.receipted_sequence)
        )
        self.cursors = {
            row.task_id: SignedManifest.model_validate(row.signed).manifest.cursor_to
            for row in connection.execute(newest)
        }


def _by_task(connection: Connection, query: Select[tuple[str, Any]]) -> dict[TaskId, Any]:
    """Return what a query of two columns finds, by the first, a task's id."""
    return {TaskId(row[0]): row[1] for row in connection.execute(query)}


def _status(row: RowMapping, facts: _Facts, now: datetime) -> TaskStatus:
    task_id = TaskId(row["id"])
    task = store.task_of(row)
    run = facts.runs.get(task_id)
    queue_bytes, queue_since = facts.queue.get(task_id, (0, None))
    report = row["source_report"] or {}
    source = _moment_of(report.get("newest"))
    applied = moment_of_cursor(facts.cursors.get(task_id))
    waiting = [queue_since] if queue_since is not None else []
    if run is not None and run.state.is_producing:
        waiting.append(run.requested_at)
    return TaskStatus(
        task=task,
        run=run,
        at=now,
        batches=row["batches"],
        rows=row["rows"],
        rows_applied=row["rows_applied"],
        rows_rejected=row["rows_rejected"],
        queue_batches=row["batches"] - row["receipted_sequence"],
        queue_bytes=int(queue_bytes),
        queue_since=queue_since,
        spool_batches=report.get("spool_batches", 0),
        spool_bytes=report.get("spool_bytes", 0),
        rows_per_second=round(float(facts.committed.get(task_id, 0)) / RATE_SECONDS, 1),
        applied_rows_per_second=round(float(facts.applied.get(task_id, 0)) / RATE_SECONDS, 1),
        source_newest=source,
        confirmed_newest=moment_of_cursor(store.confirmed_of(row).cursor),
        applied_newest=applied,
        lag_seconds=lag_seconds(now, source=source, applied=applied, waiting=waiting),
        last_success_at=facts.success.get(task_id),
        next_due_at=row["next_due_at"],
        eta_seconds=None if run is None else eta_seconds(run, now),
        consumer_error=None if row["consume_error"] is None else NotedFailure.model_validate(row["consume_error"]),
    )


def lag_seconds(
    now: datetime, *, source: datetime | None, applied: datetime | None, waiting: Sequence[datetime]
) -> float:
    """Return how far behind a target is, see the module's text; 0 when it has everything."""
    if source is not None and applied is not None:
        return max((source - applied).total_seconds(), 0.0)
    return max(((now - moment).total_seconds() for moment in waiting), default=0.0)


def eta_seconds(run: Run, now: datetime) -> float | None:
    """Return how long a running run will still take at its mean speed so far; None when nothing can be said."""
    if run.state is not RunState.RUNNING or not run.expected_rows or not run.rows or run.started_at is None:
        return None
    left = max(run.expected_rows - run.rows, 0)
    return round(left * (now - run.started_at).total_seconds() / run.rows, 1)


def moment_of_cursor(cursor: Cursor | None) -> datetime | None:
    """Return the moment that a cursor begins with, if it does; a moment without zone counts as UTC."""
    return _moment_of(cursor.values[0]) if cursor is not None and cursor.values else None


def _moment_of(text: object) -> datetime | None:
    if not isinstance(text, str) or "-" not in text[1:]:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
