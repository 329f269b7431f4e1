"""Named queries over the runs of tasks; each takes the connection of the caller's transaction."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, RowMapping, exists, func, insert, literal, or_, select, update

from datong.exchange.run_span import RunSpan
from datong.exchange.run_values import Run, RunReason, RunState
from datong.exchange.tables import RUNS, TASKS
from datong.exchange.values import Manifest, Receipt, TaskState
from datong.kernel import (
    Actor,
    DepartmentCode,
    EntryId,
    NodeId,
    NotFound,
    Page,
    TaskId,
    Text,
    UtcDateTime,
    new_id,
    page_of,
)

_OPEN = (RunState.WAITING.value, RunState.RUNNING.value)


def insert_run(
    connection: Connection,
    *,
    task_id: TaskId,
    run: int,
    reason: RunReason,
    actor: Actor,
    now: datetime,
    due_at: datetime | None = None,
    missed: int = 0,
    span: RunSpan | None = None,
) -> None:
    """Store a requested run."""
    connection.execute(
        insert(RUNS).values(
            task_id=task_id,
            run=run,
            lineage_id=new_id(),
            reason=reason.value,
            state=RunState.WAITING.value,
            requested_by=actor.model_dump(mode="json"),
            requested_at=now,
            due_at=due_at,
            missed=missed,
            failures=0,
            failures_in_row=0,
            batches=0,
            rows=0,
            payload_bytes=0,
            rows_applied=0,
            rows_rejected=0,
            span=None if span is None else span.model_dump(mode="json"),
        )
    )


def run_of(row: RowMapping) -> Run:
    """Return the run that a row of `exchange_run` holds."""
    values = {name: row[name] for name in Run.model_fields}
    return Run.model_validate(values)


def run(connection: Connection, task_id: TaskId, number: int) -> Run:
    """Return one run of a task.

    Raises:
        NotFound: `exchange.run_not_found`.
    """
    query = select(RUNS).where(RUNS.c.task_id == task_id, RUNS.c.run == number)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound(
            "exchange.run_not_found",
            what=Text(zh=f"任务没有第 {number} 次运行。", en=f"The task has no run {number}."),
            remedy=Text(zh="请核对运行序号。", en="Check the number of the run."),
        )
    return run_of(row)


def open_run(connection: Connection, task_id: TaskId) -> Run | None:
    """Return the run that the producer still has to do with, if there is one; there is never more than one."""
    query = select(RUNS).where(RUNS.c.task_id == task_id, RUNS.c.state.in_(_OPEN))
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else run_of(row)


def runs(
    connection: Connection, task_id: TaskId, *, state: RunState | None = None, offset: int, limit: int
) -> Page[Run]:
    """Return a task's runs, newest first."""
    query = select(RUNS).where(RUNS.c.task_id == task_id)
    if state is not None:
        query = query.where(RUNS.c.state == state.value)
    total = connection.execute(select(func.count()).select_from(query.subquery())).scalar_one()
    rows = connection.execute(query.order_by(RUNS.c.run.desc()).offset(offset).limit(limit)).mappings()
    return page_of(tuple(run_of(row) for row in rows), total=total, offset=offset)


def newest_runs(connection: Connection, task_ids: Sequence[TaskId]) -> dict[TaskId, Run]:
    """Return the newest run of each task that has any."""
    newest = (
        select(RUNS.c.task_id, func.max(RUNS.c.run).label("run"))
        .where(RUNS.c.task_id.in_(task_ids))
        .group_by(RUNS.c.task_id)
        .subquery()
    )
    query = select(RUNS).join(newest, (RUNS.c.task_id == newest.c.task_id) & (RUNS.c.run == newest.c.run))
    return {TaskId(row["task_id"]): run_of(row) for row in connection.execute(query).mappings()}


def troubled_tasks(connection: Connection, department: DepartmentCode | None, limit: int) -> Sequence[RowMapping]:
    """Return the rows of active tasks whose newest run has failed, and of those that their source has stopped."""
    failed = exists().where(
        RUNS.c.task_id == TASKS.c.id, RUNS.c.run == TASKS.c.run_requested, RUNS.c.state == RunState.FAILED.value
    )
    active = (TASKS.c.state == TaskState.ACTIVE.value) & failed
    query = select(TASKS).where(or_(TASKS.c.state == TaskState.BLOCKED.value, active))
    if department is not None:
        query = query.where(or_(TASKS.c.provider == department, TASKS.c.consumer == department))
    return connection.execute(query.order_by(TASKS.c.id.desc()).limit(limit)).mappings().all()


def set_run(connection: Connection, task_id: TaskId, number: int, **values: object) -> None:
    """Change columns of a run's row."""
    connection.execute(update(RUNS).where(RUNS.c.task_id == task_id, RUNS.c.run == number).values(**values))


def begin(connection: Connection, task_id: TaskId, number: int, now: datetime) -> bool:
    """Note that the producer has begun a run; return False when that was noted before."""
    changed = connection.execute(
        update(RUNS)
        .where(RUNS.c.task_id == task_id, RUNS.c.run == number, RUNS.c.state == RunState.WAITING.value)
        .values(state=RunState.RUNNING.value, started_at=func.coalesce(RUNS.c.started_at, literal(now, UtcDateTime)))
    )
    return changed.rowcount > 0


def add_batch(connection: Connection, manifest: Manifest) -> None:
    """Add a committed batch to its run; whatever failed before has been overcome."""
    connection.execute(
        update(RUNS)
        .where(RUNS.c.task_id == manifest.task_id, RUNS.c.run == manifest.run)
        .values(
            first_sequence=func.coalesce(RUNS.c.first_sequence, manifest.sequence),
            last_sequence=manifest.sequence,
            batches=RUNS.c.batches + 1,
            rows=RUNS.c.rows + manifest.rows,
            payload_bytes=RUNS.c.payload_bytes + manifest.payload_bytes,
            failures_in_row=0,
            not_before=None,
            error=None,
        )
    )


def add_receipt(connection: Connection, manifest: Manifest, receipt: Receipt, now: datetime) -> list[int]:
    """Add a receipt to its run; return the runs that are done with it."""
    connection.execute(
        update(RUNS)
        .where(RUNS.c.task_id == manifest.task_id, RUNS.c.run == manifest.run)
        .values(
            rows_applied=RUNS.c.rows_applied + receipt.rows_applied,
            rows_rejected=RUNS.c.rows_rejected + receipt.rows_rejected,
        )
    )
    done = (
        (RUNS.c.task_id == manifest.task_id)
        & (RUNS.c.state == RunState.DELIVERED.value)
        & (RUNS.c.last_sequence <= manifest.sequence)
    )
    numbers = list(connection.execute(select(RUNS.c.run).where(done).order_by(RUNS.c.run)).scalars())
    connection.execute(update(RUNS).where(done).values(state=RunState.DONE.value, finished_at=now, error=None))
    return numbers


def cancel_unfinished(connection: Connection, task_id: TaskId, now: datetime) -> list[int]:
    """Cancel every run of a task that is not over; return which."""
    unfinished = (RUNS.c.task_id == task_id) & RUNS.c.state.in_((*_OPEN, RunState.DELIVERED.value))
    numbers = list(connection.execute(select(RUNS.c.run).where(unfinished).order_by(RUNS.c.run)).scalars())
    connection.execute(update(RUNS).where(unfinished).values(state=RunState.CANCELLED.value, finished_at=now))
    return numbers


def set_entry(connection: Connection, task_id: TaskId, number: int, entry_id: EntryId) -> None:
    """Remember the entry that is the newest evidence of a run."""
    set_run(connection, task_id, number, entry_id=entry_id)


def produce_rows(connection: Connection, node_id: NodeId, now: datetime) -> list[tuple[RowMapping, Run]]:
    """Return the rows of the node's active tasks that have a run to produce now, with that run."""
    query = select(TASKS.c.id, RUNS.c.run).where(
        TASKS.c.producer_node == node_id,
        TASKS.c.state == TaskState.ACTIVE.value,
        RUNS.c.task_id == TASKS.c.id,
        RUNS.c.state.in_(_OPEN),
    )
    found = []
    for task_id, number in connection.execute(query).all():
        one = run(connection, TaskId(task_id), number)
        if one.not_before is None or one.not_before <= now:
            row = connection.execute(select(TASKS).where(TASKS.c.id == task_id)).mappings().one()
            found.append((row, one))
    return found


def due_tasks(connection: Connection, now: datetime, limit: int) -> list[TaskId]:
    """Return active tasks whose schedule is due and that have no run under way."""
    under_way = select(RUNS.c.task_id).where(RUNS.c.state.in_(_OPEN))
    query = (
        select(TASKS.c.id)
        .where(TASKS.c.state == TaskState.ACTIVE.value, TASKS.c.next_due_at <= now, TASKS.c.id.not_in(under_way))
        .order_by(TASKS.c.next_due_at)
        .limit(limit)
    )
    return [TaskId(task_id) for task_id in connection.execute(query).scalars()]
