"""What of the exchange `fsck` compares with the log: tasks, batches and receipts."""

from collections.abc import Callable, Iterator

from sqlalchemy import Connection, select

from datong.exchange import file_store, store
from datong.exchange.facts import batch_facts, receipt_facts, task_facts
from datong.exchange.file_facts import file_facts
from datong.exchange.tables import BATCHES, FILES, RECEIPTS, SUBSCRIPTION_RECEIPTS, TASKS
from datong.exchange.values import SignedReceipt, Task
from datong.kernel import EntryId, JsonValue, TaskId, Text
from datong.ledger import Area, EntryContent, EntryKind, Held, Stated, of_subject, streamed

_OF_STEP = {"action", "columns", "run_requested", "run_done"}
"""Facts of a task that say which step it took, or go on with its runs, whose evidence is their batches."""


def _task(entry: EntryContent) -> Stated | None:
    # Steps of runs, schemas and reconciliations are about a task, too, and need not tell how it stands.
    return Stated(entry.subject, entry.facts) if "settings_digest" in entry.facts else None


def _tasks(connection: Connection) -> Iterator[Held]:
    for row in connection.execute(select(TASKS)).mappings():
        task = store.task_of(row)
        facts = {name: value for name, value in task_facts(task, "").items() if name not in _OF_STEP}
        own: dict[str, JsonValue] = {
            "agreement": row["agreement_id"],
            "resource": row["resource_id"],
            "provider": row["provider"],
            "consumer": row["consumer"],
        }
        yield Held(task.id, {"exchange_task": own, "exchange_task.details": facts})


def _batch(entry: EntryContent) -> Stated:
    return Stated(str(entry.facts["batch"]), entry.facts)


def _batches(connection: Connection) -> Iterator[Held]:
    tasks = _all_tasks(connection)
    for row in streamed(connection, select(BATCHES)):
        own = {
            "task": row["task_id"],
            "sequence": row["sequence"],
            "rows": row["rows"],
            "payload_bytes": row["payload_bytes"],
            "manifest_digest": row["digest"],
        }
        record = store.batch_of(row)
        signed = batch_facts(tasks[TaskId(row["task_id"])], record.signed)
        yield Held(row["id"], {"exchange_batch": own, "exchange_batch.signed": signed}, record.entry_id)


def _receipt(entry: EntryContent) -> Stated:
    subscription = entry.facts.get("subscription")
    return Stated(f"{entry.facts['batch']}{f'/{subscription}' if subscription else ''}", entry.facts)


def _receipts(connection: Connection) -> Iterator[Held]:
    tasks = _all_tasks(connection)
    for row in streamed(connection, select(RECEIPTS)):
        facts = receipt_facts(tasks[TaskId(row["task_id"])], SignedReceipt.model_validate(row["signed"]))
        own = {"task": row["task_id"], "sequence": row["sequence"]}
        says = {"exchange_receipt": own, "exchange_receipt.signed": facts}
        yield Held(row["batch_id"], says, EntryId(row["entry_id"]))
    for row in streamed(connection, select(SUBSCRIPTION_RECEIPTS)):
        facts = receipt_facts(tasks[TaskId(row["task_id"])], SignedReceipt.model_validate(row["signed"]))
        own = {"task": row["task_id"], "sequence": row["sequence"], "subscription": row["subscription_id"]}
        says = {"exchange_subscription_receipt": own, "exchange_subscription_receipt.signed": facts}
        yield Held(f"{row['batch_id']}/{row['subscription_id']}", says, EntryId(row["entry_id"]))


def _file(action: str) -> Callable[[EntryContent], Stated | None]:
    def stated(entry: EntryContent) -> Stated | None:
        return of_subject(entry) if entry.facts["action"] == action else None

    return stated


def _files(connection: Connection) -> Iterator[Held]:
    for row in streamed(connection, select(FILES)):
        if row["entry_id"] is not None:
            own = {"agreement": row["agreement_id"], "provider": row["sender"], "consumer": row["recipient"]}
            own |= {"payload_bytes": row["payload_bytes"]}
            told = file_facts(file_store.signed_of(row), "send")
            yield Held(row["id"], {"exchange_file": own, "exchange_file.signed": told}, EntryId(row["entry_id"]))


def _file_receipts(connection: Connection) -> Iterator[Held]:
    for row in streamed(connection, select(FILES)):
        if row["receipt_entry_id"] is not None:
            told = file_facts(file_store.signed_of(row), "receive")
            yield Held(row["id"], {"exchange_file.receipt": told}, EntryId(row["receipt_entry_id"]))


def _all_tasks(connection: Connection) -> dict[TaskId, Task]:
    return {TaskId(row["id"]): store.task_of(row) for row in connection.execute(select(TASKS)).mappings()}


EXCHANGE_AREAS = (
    Area(
        "exchange.file",
        Text(zh="交换文件", en="File"),
        frozenset({EntryKind.FILE}),
        _file("send"),
        _files,
        own_entry=True,
    ),
    Area(
        "exchange.file_receipt",
        Text(zh="文件签收", en="Receipt of a file"),
        frozenset({EntryKind.FILE}),
        _file("receive"),
        _file_receipts,
        own_entry=True,
    ),
    Area("exchange.task", Text(zh="交换任务", en="Task"), frozenset({EntryKind.TASK}), _task, _tasks),
    Area(
        "exchange.batch",
        Text(zh="批次", en="Batch"),
        frozenset({EntryKind.BATCH}),
        _batch,
        _batches,
        own_entry=True,
    ),
    Area(
        "exchange.receipt",
        Text(zh="签收回执", en="Receipt"),
        frozenset({EntryKind.RECEIPT}),
        _receipt,
        _receipts,
        own_entry=True,
    ),
)
