"""Named queries over the exchange's own tables; each takes the connection of the caller's transaction."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, RowMapping, func, insert, or_, select, update

from datong.exchange.reconciliation_values import ReconciliationState
from datong.exchange.tables import BATCHES, RECEIPTS, RECONCILIATIONS, RUNS, TASKS, UPLOADS
from datong.exchange.values import (
    BatchRecord,
    Confirmed,
    Progress,
    ReceiptRecord,
    SignedManifest,
    SignedReceipt,
    Task,
    TaskDraft,
    TaskState,
)
from datong.exchange.work_values import ConsumeWork
from datong.kernel import (
    AgreementId,
    BatchId,
    DepartmentCode,
    EntryId,
    NodeId,
    NotFound,
    Page,
    ResourceId,
    TaskId,
    Text,
    page_of,
)


def insert_task(connection: Connection, task: Task, next_due_at: datetime | None) -> None:
    """Store a new task, its chain empty."""
    connection.execute(
        insert(TASKS).values(
            id=task.id,
            agreement_id=task.agreement_id,
            resource_id=task.resource_id,
            provider=task.provider,
            consumer=task.consumer,
            producer_node=task.producer_node,
            consumer_node=task.consumer_node,
            details=task.model_dump(mode="json", include=set(TaskDraft.model_fields)),
            state=task.state.value,
            run_requested=task.run_requested,
            run_done=task.run_done,
            created_at=task.created_at,
            confirmed=Confirmed().model_dump(mode="json"),
            batches=0,
            rows=0,
            payload_bytes=0,
            receipted_sequence=0,
            rows_applied=0,
            rows_rejected=0,
            live_name=task.name or None,
            next_due_at=next_due_at,
        )
    )


def task_row(connection: Connection, task_id: TaskId, *, lock: bool = False) -> RowMapping:
    """Return the row of a task, locked until the transaction ends if `lock`.

    Raises:
        NotFound: `exchange.task_not_found`.
    """
    query = select(TASKS).where(TASKS.c.id == task_id)
    row = connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    if row is None:
        raise NotFound(
            "exchange.task_not_found",
            what=Text(zh=f"没有交换任务 {task_id}。", en=f"There is no transfer task {task_id}."),
            remedy=Text(zh="请核对任务编号。", en="Check the task's id."),
        )
    return row


def task_of(row: RowMapping) -> Task:
    """Return the task that a row of `exchange_task` holds."""
    return Task.model_validate(
        row["details"]
        | {
            "id": row["id"],
            "state": row["state"],
            "run_requested": row["run_requested"],
            "run_done": row["run_done"],
            "created_at": row["created_at"],
        }
    )


def confirmed_of(row: RowMapping) -> Confirmed:
    """Return the end of the chain that a row of `exchange_task` holds."""
    return Confirmed.model_validate(row["confirmed"])


def tasks(
    connection: Connection,
    *,
    department: DepartmentCode | None,
    agreement_id: AgreementId | None,
    resource_id: ResourceId | None,
    offset: int,
    limit: int,
    living: bool = False,
) -> Page[Task]:
    """Return tasks, newest first; with `living` only those that have not ended."""
    total, rows = task_rows(
        connection,
        department=department,
        agreement_id=agreement_id,
        resource_id=resource_id,
        offset=offset,
        limit=limit,
        living=living,
    )
    return page_of(tuple(task_of(row) for row in rows), total=total, offset=offset)


def flows(connection: Connection) -> dict[tuple[DepartmentCode, DepartmentCode], int]:
    """Return how many rows went from each provider to each consumer, over every task; none where no row went."""
    rows = func.sum(TASKS.c.rows)
    query = select(TASKS.c.provider, TASKS.c.consumer, rows).group_by(TASKS.c.provider, TASKS.c.consumer)
    return {(row[0], row[1]): int(row[2]) for row in connection.execute(query.having(rows > 0))}


def named_task(connection: Connection, name: str) -> Task | None:
    """Return the task of that name that has not ended, or None."""
    row = connection.execute(select(TASKS).where(TASKS.c.live_name == name)).mappings().one_or_none()
    return None if row is None else task_of(row)


def task_rows(
    connection: Connection,
    *,
    department: DepartmentCode | None,
    agreement_id: AgreementId | None = None,
    resource_id: ResourceId | None = None,
    offset: int,
    limit: int,
    living: bool = False,
) -> tuple[int, Sequence[RowMapping]]:
    """Return how many tasks there are and some of their rows, newest first."""
    query = select(TASKS)
    if living:
        query = query.where(TASKS.c.state != TaskState.ENDED.value)
    if department is not None:
        query = query.where(or_(TASKS.c.provider == department, TASKS.c.consumer == department))
    if agreement_id is not None:
        query = query.where(TASKS.c.agreement_id == agreement_id)
    if resource_id is not None:
        query = query.where(TASKS.c.resource_id == resource_id)
    total = connection.execute(select(func.count()).select_from(query.subquery())).scalar_one()
    return total, connection.execute(query.order_by(TASKS.c.id.desc()).offset(offset).limit(limit)).mappings().all()


def set_task(connection: Connection, task_id: TaskId, **values: object) -> None:
    """Change columns of a task's row."""
    connection.execute(update(TASKS).where(TASKS.c.id == task_id).values(**values))


def insert_batch(connection: Connection, record: BatchRecord) -> None:
    """Store a committed batch."""
    manifest = record.manifest
    connection.execute(
        insert(BATCHES).values(
            id=manifest.batch_id,
            task_id=manifest.task_id,
            sequence=manifest.sequence,
            rows=manifest.rows,
            payload_bytes=manifest.payload_bytes,
            digest=manifest.digest,
            signed=record.signed.model_dump(mode="json"),
            committed_at=record.committed_at,
            entry_id=record.entry_id,
        )
    )


def batch_of(row: RowMapping) -> BatchRecord:
    """Return the batch that a row of `exchange_batch` holds."""
    return BatchRecord(
        signed=SignedManifest.model_validate(row["signed"]),
        committed_at=row["committed_at"],
        entry_id=row["entry_id"],
    )


def batch(connection: Connection, batch_id: BatchId) -> BatchRecord | None:
    """Return a committed batch, or None."""
    row = connection.execute(select(BATCHES).where(BATCHES.c.id == batch_id)).mappings().one_or_none()
    return None if row is None else batch_of(row)


def batches(connection: Connection, task_id: TaskId, *, after_sequence: int, limit: int) -> tuple[BatchRecord, ...]:
    """Return a task's batches after a sequence, in order."""
    query = (
        select(BATCHES)
        .where(BATCHES.c.task_id == task_id, BATCHES.c.sequence > after_sequence)
        .order_by(BATCHES.c.sequence)
        .limit(limit)
    )
    return tuple(batch_of(row) for row in connection.execute(query).mappings())


def run_of_sequence(connection: Connection, task_id: TaskId, sequence: int) -> int:
    """Return the run to which a committed batch belongs."""
    query = select(RUNS.c.run).where(
        RUNS.c.task_id == task_id, RUNS.c.first_sequence <= sequence, RUNS.c.last_sequence >= sequence
    )
    return connection.execute(query.limit(1)).scalar_one_or_none() or 0


def newest_batch(connection: Connection, task_id: TaskId) -> BatchRecord | None:
    """Return the task's last batch, or None."""
    query = select(BATCHES).where(BATCHES.c.task_id == task_id).order_by(BATCHES.c.sequence.desc()).limit(1)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else batch_of(row)


def upload(connection: Connection, batch_id: BatchId) -> tuple[SignedManifest, NodeId] | None:
    """Return a batch on its way and the node that sends it, or None."""
    row = connection.execute(select(UPLOADS).where(UPLOADS.c.batch_id == batch_id)).mappings().one_or_none()
    if row is None:
        return None
    return SignedManifest.model_validate(row["signed"]), NodeId(str(row["node_id"]))


def open_uploads(connection: Connection, task_id: TaskId) -> tuple[SignedManifest, ...]:
    """Return the task's batches that are on their way."""
    rows = connection.execute(select(UPLOADS.c.signed).where(UPLOADS.c.task_id == task_id)).scalars()
    return tuple(SignedManifest.model_validate(signed) for signed in rows)


def receipt(connection: Connection, batch_id: BatchId) -> ReceiptRecord | None:
    """Return the receipt of a batch, or None."""
    row = connection.execute(select(RECEIPTS).where(RECEIPTS.c.batch_id == batch_id)).mappings().one_or_none()
    return None if row is None else receipt_of(row)


def receipt_of(row: RowMapping) -> ReceiptRecord:
    """Return the receipt that a row of `exchange_receipt` holds."""
    return ReceiptRecord(
        signed=SignedReceipt.model_validate(row["signed"]),
        recorded_at=row["recorded_at"],
        entry_id=EntryId(row["entry_id"]),
    )


def insert_receipt(connection: Connection, record: ReceiptRecord) -> None:
    """Store a verified receipt."""
    content = record.signed.receipt
    connection.execute(
        insert(RECEIPTS).values(
            batch_id=content.batch_id,
            task_id=content.task_id,
            sequence=content.sequence,
            signed=record.signed.model_dump(mode="json"),
            recorded_at=record.recorded_at,
            entry_id=record.entry_id,
        )
    )


def receipts(connection: Connection, task_id: TaskId, *, after_sequence: int, limit: int) -> tuple[ReceiptRecord, ...]:
    """Return a task's receipts after a sequence, in order."""
    query = (
        select(RECEIPTS)
        .where(RECEIPTS.c.task_id == task_id, RECEIPTS.c.sequence > after_sequence)
        .order_by(RECEIPTS.c.sequence)
        .limit(limit)
    )
    return tuple(receipt_of(row) for row in connection.execute(query).mappings())


def consume_work(connection: Connection, node_id: NodeId, now: datetime) -> tuple[ConsumeWork, ...]:
    """Return the node's tasks with batches that have no receipt, unless a retry waits for its time."""
    query = select(TASKS).where(
        TASKS.c.consumer_node == node_id,
        # What was committed before the source changed is still good.
        TASKS.c.state.in_([TaskState.ACTIVE.value, TaskState.BLOCKED.value]),
        TASKS.c.batches > TASKS.c.receipted_sequence,
        or_(TASKS.c.consume_not_before.is_(None), TASKS.c.consume_not_before <= now),
    )
    return tuple(
        ConsumeWork(
            task=task_of(row),
            receipted=row["receipted_sequence"],
            newest=row["batches"],
            run=run_of_sequence(connection, row["id"], row["receipted_sequence"] + 1),
        )
        for row in connection.execute(query.order_by(TASKS.c.id)).mappings()
    )


def library_tasks(connection: Connection, *, unreceipted: bool) -> tuple[tuple[Task, int], ...]:
    """Return the tasks whose consumer is the hub's library, each with its newest receipted sequence.

    With `unreceipted` only those that have batches without a receipt.
    """
    query = select(TASKS).where(TASKS.c.consumer_node.is_(None))
    if unreceipted:
        query = query.where(TASKS.c.batches > TASKS.c.receipted_sequence)
    return tuple(
        (task_of(row), int(row["receipted_sequence"]))
        for row in connection.execute(query.order_by(TASKS.c.id)).mappings()
    )


def progress_of(row: RowMapping, *, uploading: int, uploading_total: int) -> Progress:
    """Return a task's progress from its row and what is on its way."""
    return Progress(
        task_id=row["id"],
        state=row["state"],
        run_requested=row["run_requested"],
        run_done=row["run_done"],
        batches=row["batches"],
        rows=row["rows"],
        payload_bytes=row["payload_bytes"],
        uploading_bytes=uploading,
        uploading_total_bytes=uploading_total,
        receipted_batches=row["receipted_sequence"],
        rows_applied=row["rows_applied"],
        rows_rejected=row["rows_rejected"],
        last_committed_at=row["last_committed_at"],
        last_applied_at=row["last_applied_at"],
    )


def reconciled_tasks(connection: Connection) -> tuple[tuple[Task, int], ...]:
    """Return the active tasks that are reconciled by a schedule, each with its hours."""
    query = select(TASKS).where(TASKS.c.reconcile_hours.is_not(None), TASKS.c.state == TaskState.ACTIVE.value)
    return tuple((task_of(row), int(row["reconcile_hours"])) for row in connection.execute(query).mappings())


def library_reconciliations(connection: Connection) -> tuple[Task, ...]:
    """Return the tasks of the hub's own library whose reconciliation waits."""
    waiting = select(RECONCILIATIONS.c.task_id).where(RECONCILIATIONS.c.state == ReconciliationState.WAITING.value)
    query = select(TASKS).where(TASKS.c.consumer_node.is_(None), TASKS.c.id.in_(waiting))
    return tuple(task_of(row) for row in connection.execute(query).mappings())
