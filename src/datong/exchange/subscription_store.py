"""Named queries over subscriptions and their receipts; each takes the connection of the caller's transaction."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from datong.exchange.subscription_values import Subscription, SubscriptionState
from datong.exchange.tables import BATCHES, RECEIPTS, SUBSCRIPTION_RECEIPTS, SUBSCRIPTIONS, TASKS
from datong.exchange.values import ReceiptRecord, SignedReceipt, TaskState
from datong.kernel import BatchId, DepartmentCode, EntryId, NodeId, TaskId


def subscription_of(row: RowMapping) -> Subscription:
    """Return the subscription that a row holds."""
    return Subscription.model_validate({name: row[name] for name in Subscription.model_fields})


def insert_subscription(connection: Connection, subscription: Subscription) -> None:
    """Store a new subscription."""
    connection.execute(insert(SUBSCRIPTIONS).values(**subscription.model_dump()))


def set_subscription(connection: Connection, subscription_id: str, **values: object) -> None:
    """Change columns of a subscription's row."""
    connection.execute(update(SUBSCRIPTIONS).where(SUBSCRIPTIONS.c.id == subscription_id).values(**values))


def subscriptions(connection: Connection, task_id: TaskId, *, lock: bool = False) -> tuple[Subscription, ...]:
    """Return a task's further consumers, those that left included, in the order of joining."""
    query = select(SUBSCRIPTIONS).where(SUBSCRIPTIONS.c.task_id == task_id).order_by(SUBSCRIPTIONS.c.id)
    rows = connection.execute(query.with_for_update() if lock else query).mappings()
    return tuple(subscription_of(row) for row in rows)


def of_consumer(connection: Connection, task_id: TaskId, consumer: DepartmentCode) -> Subscription | None:
    """Return a department's subscription of a task."""
    found = [one for one in subscriptions(connection, task_id) if one.consumer == consumer]
    return found[0] if found else None


def work(connection: Connection, node_id: NodeId) -> list[tuple[RowMapping, Subscription]]:
    """Return the node's subscriptions with batches that have no receipt, each with its task's row."""
    query = (
        select(SUBSCRIPTIONS.c.id.label("subscription_id"), TASKS)
        .join(TASKS, TASKS.c.id == SUBSCRIPTIONS.c.task_id)
        .where(
            SUBSCRIPTIONS.c.consumer_node == node_id,
            SUBSCRIPTIONS.c.state == SubscriptionState.ACTIVE.value,
            TASKS.c.state.in_([TaskState.ACTIVE.value, TaskState.BLOCKED.value]),
            TASKS.c.batches > SUBSCRIPTIONS.c.receipted_sequence,
        )
        .order_by(SUBSCRIPTIONS.c.id)
    )
    result = []
    for row in connection.execute(query).mappings().all():
        one = connection.execute(select(SUBSCRIPTIONS).where(SUBSCRIPTIONS.c.id == row["subscription_id"]))
        result.append((row, subscription_of(one.mappings().one())))
    return result


def receipt(connection: Connection, subscription_id: str, batch_id: BatchId) -> ReceiptRecord | None:
    """Return a further consumer's receipt of a batch, or None."""
    table = SUBSCRIPTION_RECEIPTS
    query = select(table).where(table.c.subscription_id == subscription_id, table.c.batch_id == batch_id)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return None
    return ReceiptRecord(
        signed=SignedReceipt.model_validate(row["signed"]),
        recorded_at=row["recorded_at"],
        entry_id=EntryId(row["entry_id"]),
    )


def insert_receipt(connection: Connection, subscription_id: str, record: ReceiptRecord) -> None:
    """Store a further consumer's receipt."""
    content = record.signed.receipt
    connection.execute(
        insert(SUBSCRIPTION_RECEIPTS).values(
            subscription_id=subscription_id,
            batch_id=content.batch_id,
            task_id=content.task_id,
            sequence=content.sequence,
            signed=record.signed.model_dump(mode="json"),
            recorded_at=record.recorded_at,
            entry_id=record.entry_id,
        )
    )


def acknowledged_through(
    connection: Connection, row: RowMapping, further: Sequence[Subscription], before: datetime
) -> int:
    """Return up to which batch of a task every consumer's receipt has been there since before a moment."""
    newest = select(func.coalesce(func.max(RECEIPTS.c.sequence), 0)).where(
        RECEIPTS.c.task_id == row["id"], RECEIPTS.c.recorded_at <= before
    )
    through = int(connection.execute(newest).scalar_one())
    table = SUBSCRIPTION_RECEIPTS
    for one in further:
        if one.state is not SubscriptionState.ACTIVE or one.first_sequence is None:
            continue
        query = select(func.coalesce(func.max(table.c.sequence), one.first_sequence - 1)).where(
            table.c.subscription_id == one.id, table.c.recorded_at <= before
        )
        through = min(through, int(connection.execute(query).scalar_one()))
    return through


def tasks_to_clear(connection: Connection, *, limit: int) -> list[RowMapping]:
    """Return tasks of nodes with acknowledged payloads that are still kept."""
    query = (
        select(TASKS)
        .where(TASKS.c.consumer_node.is_not(None), TASKS.c.receipted_sequence > TASKS.c.disposed_sequence)
        .order_by(TASKS.c.id)
        .limit(limit)
    )
    return list(connection.execute(query).mappings())


def bytes_between(connection: Connection, task_id: TaskId, after: int, through: int) -> int:
    """Return how many bytes of payload the batches of a stretch of a task's chain have."""
    query = select(func.coalesce(func.sum(BATCHES.c.payload_bytes), 0)).where(
        BATCHES.c.task_id == task_id, BATCHES.c.sequence > after, BATCHES.c.sequence <= through
    )
    return int(connection.execute(query).scalar_one())
