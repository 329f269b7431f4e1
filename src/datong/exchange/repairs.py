"""Repairing what a reconciliation found: the plan, who approved it, and the order that both nodes follow. Pure rules.

Rows that are missing or different are read again at the source and sent in one batch of the task's own chain. Rows that
only the target has are deleted by the consumer's node, which alone knows their keys, in the same transaction.
"""

from datong.exchange.apply_modes import ApplyMode
from datong.exchange.questions import DifferenceKind, Findings, Repair, RepairKind
from datong.exchange.values import Task, TransferMode
from datong.kernel import Text

_NEEDS = {
    "library": Text(zh="资源库保留每一批次，请重新全量运行。", en="The library keeps every batch: run a snapshot."),
    "append": Text(zh="追加的表没有可据以更新的主键。", en="An appended table has no key by which to update."),
    "history": Text(zh="历史表的旧版本不应改写。", en="The versions of a history are not rewritten."),
    "many": Text(zh="差异过多，请清空目标后全量重传。", en="Too many rows differ: empty the target and copy anew."),
    "mode": Text(zh="变更类任务请从全量重新开始。", en="A task of changes must begin anew with a snapshot."),
}


def plan(task: Task, findings: Findings) -> Repair:
    """Return how the differences of a task can be repaired."""
    delete = findings.count(DifferenceKind.EXTRA)
    send = len(findings.differences) - delete
    if task.mode is TransferMode.SNAPSHOT and task.apply_mode is ApplyMode.REPLACE:
        return Repair(kind=RepairKind.COPY, send=send, delete=delete)
    obstacle = _obstacle(task, findings)
    if obstacle is not None:
        return Repair(kind=RepairKind.NONE, send=send, delete=delete, reason=_NEEDS[obstacle])
    return Repair(kind=RepairKind.ROWS, send=send, delete=delete)


def _obstacle(task: Task, findings: Findings) -> str | None:
    """Return why single rows of a task cannot be repaired."""
    if task.consumer_node is None:
        return "library"
    if task.apply_mode is ApplyMode.HISTORY:
        return "history"
    if task.mode is not TransferMode.INCREMENT:
        return "mode"
    if not task.key_columns or task.apply_mode is not ApplyMode.UPSERT:
        return "append"
    return "many" if findings.unresolved_ranges else None
