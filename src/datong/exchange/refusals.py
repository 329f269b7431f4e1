"""The errors that several parts of the exchange raise."""

from datong.exchange.questions import RepairKind
from datong.exchange.reconciliation_values import EndDigest, ReconcileEnd, Reconciliation, ReconciliationState
from datong.exchange.values import Manifest, Task
from datong.kernel import Actor, ActorKind, BatchId, Conflict, NodeId, NotFound, Refused, Text


def no_batch(batch_id: BatchId) -> NotFound:
    """No committed batch, and none on its way, has this id."""
    return NotFound(
        "exchange.batch_not_found",
        what=Text(zh=f"没有批次 {batch_id}。", en=f"There is no batch {batch_id}."),
        remedy=Text(zh="请先提交批次清单。", en="Submit the batch's manifest first."),
    )


def payload_disposed(manifest: Manifest) -> NotFound:
    """The payload was deleted after every consumer had acknowledged it."""
    return NotFound(
        "exchange.payload_disposed",
        what=Text(
            zh=f"第 {manifest.sequence} 批的数据已在全部签收并过留存期后删除。",
            en=f"The payload of batch {manifest.sequence} was deleted: all receipts are older than the retention.",
        ),
        remedy=Text(zh="需要时请请求一次新的全量运行。", en="Ask for a new whole copy if it is needed."),
    )


def not_the_producer() -> Refused:
    """The node is not the one that the task names as its producer."""
    return Refused(
        "exchange.not_the_producer",
        what=Text(zh="该前置机不是此任务的提供方。", en="This node is not the producer of the task."),
        remedy=Text(zh="请由提供方的前置机执行。", en="Let the provider's node do it."),
    )


def wrong_consumer() -> Refused:
    """The signer is not the consuming department of the task."""
    return Refused(
        "exchange.wrong_consumer",
        what=Text(
            zh="签名密钥不是此任务消费部门的有效密钥。",
            en="The signing key is not a valid key of the task's consuming department.",
        ),
        remedy=Text(zh="请用消费部门前置机的密钥签名。", en="Sign with the key of the consumer's node."),
    )


def illegal_step(task: Task, action: str) -> Conflict:
    """The task's state does not allow the action."""
    return Conflict(
        "exchange.task_not_active",
        what=Text(
            zh=f"任务状态为{task.state.label.zh}，不能执行此操作。",
            en=f"The task is {task.state.value}; it cannot {action}.",
        ),
        remedy=Text(zh="请先改变任务状态。", en="Change the task's state first."),
        context={"state": task.state.value, "action": action},
    )


def name_taken(name: str) -> Conflict:
    """Another task that has not ended has this name."""
    return Conflict(
        "exchange.task_name_taken",
        what=Text(zh=f"已有名为“{name}”的任务。", en=f"There is a task called “{name}” already."),
        remedy=Text(zh="请换一个名称，或先结束那个任务。", en="Choose another name, or end that task first."),
        field="/name",
    )


def check_producer(node: NodeId, actor: Actor) -> None:
    """Check that a node that acts is the producing one; people and the platform are checked by policy.

    Raises:
        Refused: `exchange.not_the_producer`.
    """
    if actor.kind is ActorKind.NODE and actor.id != node:
        raise not_the_producer()


def check_opening(end: EndDigest) -> None:
    """Check that the first answer about a sealed task is the producer's, with the secret sealed for both ends.

    Raises:
        Refused: `exchange.reconciliation_not_sealed`.
    """
    if end.end is not ReconcileEnd.PRODUCER or end.sealing is None:
        raise Refused(
            "exchange.reconciliation_not_sealed",
            what=Text(
                zh="加密任务对账须由提供方先给出双方共用的密钥：否则枢纽可由摘要试算出数据。",
                en="The producer must open the reconciliation of a sealed task with a secret for both ends: from plain "
                "digests the hub could find values by trying.",
            ),
            remedy=Text(zh="请升级提供方前置机。", en="Update the producer's node."),
        )


def repair_not_approved() -> Refused:
    """A batch claims to repair what nobody approved."""
    return Refused(
        "exchange.repair_not_approved",
        what=Text(zh="该批次所称的修复未经批准。", en="The batch repairs what nobody approved."),
        remedy=Text(zh="请在对账页面批准修复。", en="Approve the repair on the page of the reconciliation."),
    )


def check_approval(
    found: Reconciliation, newest: Reconciliation | None, task: Task, *, receipted: int, batches: int
) -> None:
    """Check that a repair is wanted, possible, and that no transfer of the task is under way.

    Raises:
        Refused: `exchange.repair_impossible`. Conflict: `exchange.repair_not_wanted`, `exchange.repair_waits`.
    """
    if newest is None or newest.id != found.id or found.state is not ReconciliationState.DIFFERENT:
        raise Conflict(
            "exchange.repair_not_wanted",
            what=Text(
                zh="只有最近一次、结果不一致的对账可以修复。",
                en="Only the newest reconciliation can be repaired, when it found differences.",
            ),
            remedy=Text(zh="请重新对账。", en="Reconcile again."),
        )
    if found.repair is None or found.repair.kind is RepairKind.NONE:
        reason = None if found.repair is None else found.repair.reason
        raise Refused(
            "exchange.repair_impossible",
            what=reason or Text(zh="该次对账没有逐行比对。", en="The reconciliation compared no rows."),
            remedy=Text(zh="请按提示处理后重新对账。", en="Do as it says, then reconcile again."),
        )
    if task.run_requested > task.run_done or receipted < batches:
        raise Conflict(
            "exchange.repair_waits",
            what=Text(zh="任务正在运行，或仍有批次未应用。", en="The task is running, or has batches to apply."),
            remedy=Text(zh="请等运行结束后再批准。", en="Approve once the run is through."),
        )
