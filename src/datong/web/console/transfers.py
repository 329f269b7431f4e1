"""Transfers: the tasks with their progress, one task with its chain of batches, receipts and reconciliation."""

from typing import Annotated

from fastapi import Form
from fastapi.responses import Response

from datong.exchange import BatchRecord, Progress, ReceiptRecord, ReplayDraft, ReplayState, Task, TaskStatus
from datong.kernel import TaskId, Text, Value
from datong.sharing import Action
from datong.web.api.replays import cancel_replay, order_replay
from datong.web.api.scope import department_in_scope
from datong.web.api.task_bulk import possible_acts
from datong.web.api.tasks import TaskAction, TaskActRequest, act_on_task, readable_task, task_target
from datong.web.console.desk import PAGE_ROWS, Desk, Offset, SignedIn
from datong.web.console.transfer_bulk import LABELS
from datong.web.console.transfer_runs import standing
from datong.web.routing import unlisted_routes

router = unlisted_routes()

BATCHES_SHOWN = 100
REPLAYS_SHOWN = 5


class TaskLine(Value):
    """A task in the list: whose data goes where, and how far it is."""

    task: Task
    title: Text
    progress: Progress
    status: TaskStatus
    spark: str
    """Points of the small line of its speed."""


class ChainLink(Value):
    """A batch in a task's chain with the receipt for it, if there is one."""

    batch: BatchRecord
    receipt: ReceiptRecord | None


@router.get("/transfers")
def list_tasks(desk: SignedIn, offset: Offset, ticked: str = "") -> Response:
    """List the tasks that the caller may read, with live progress; `ticked=all` marks those of the page."""
    if view := desk.opening_view():
        return desk.go(view)
    exchange = desk.services.exchange
    page = exchange.tasks(
        department=department_in_scope(desk.services, desk.caller, Action.TASK_READ), offset=offset, limit=PAGE_ROWS
    )
    stands = standing(desk, [task.id for task in page.rows])
    lines = [
        TaskLine(
            task=task,
            title=_title(desk, task),
            progress=exchange.progress(task.id),
            status=stands[task.id][0],
            spark=stands[task.id][1],
        )
        for task in page.rows
    ]
    bulk = {action for line in lines for action in possible_acts(desk.services, desk.caller, line.task)}
    return desk.page(
        "transfers/list.html",
        page=page,
        lines=lines,
        offset=offset,
        step=PAGE_ROWS,
        bulk=[(action, LABELS[action]) for action in LABELS if action in bulk],
        ticked=ticked == "all",
    )


@router.get("/transfers/{task_id}")
def show_task(desk: SignedIn, task_id: TaskId) -> Response:
    """Show one task."""
    task = readable_task(desk.services, desk.caller, task_id)
    exchange = desk.services.exchange
    progress = exchange.progress(task_id)
    first = max(0, progress.batches - BATCHES_SHOWN)
    receipts = {
        record.signed.receipt.sequence: record
        for record in exchange.receipts(task_id, after_sequence=first, limit=BATCHES_SHOWN)
    }
    chain = [
        ChainLink(batch=batch, receipt=receipts.get(batch.manifest.sequence))
        for batch in reversed(exchange.batches(task_id, after_sequence=first, limit=BATCHES_SHOWN))
    ]
    replays = exchange.replays.of_task(task_id, REPLAYS_SHOWN)
    return desk.page(
        "transfers/task.html",
        task=task,
        title=_title(desk, task),
        progress=progress,
        stands=exchange.observation.status(task_id),
        chain=chain,
        subscriptions=exchange.subscriptions.of_task(task_id),
        reconciliation=exchange.reconciliations.newest(task_id),
        rejects=exchange.rejects.newest(task_id),
        replays=replays,
        may_replay=desk.may(Action.TASK_REPLAY, task_target(task, task_id=task_id)),
        actions=[(action, LABELS[action]) for action in possible_acts(desk.services, desk.caller, task)],
        running=progress.run_done < progress.run_requested
        or progress.receipted_batches < progress.batches
        or any(one.state is ReplayState.WAITING for one in replays),
    )


@router.post("/transfers/{task_id}/actions")
def act(desk: SignedIn, task_id: TaskId, action: Annotated[TaskAction, Form()]) -> Response:
    """Run, pause, resume or reconcile."""
    act_on_task(task_id, TaskActRequest(action=action), desk.caller, desk.services)
    done = {TaskAction.RUN: "task_run", TaskAction.RECONCILE: "reconciled"}.get(action, "task")
    return desk.go(f"/transfers/{task_id}", done=done)


@router.post("/transfers/{task_id}/replays")
def replay(desk: SignedIn, task_id: TaskId, from_sequence: Annotated[int, Form(ge=1, le=2**53 - 1)]) -> Response:
    """Have the consumer's node apply stored batches once more."""
    order_replay(task_id, ReplayDraft(from_sequence=from_sequence), desk.caller, desk.services)
    return desk.go(f"/transfers/{task_id}", done="replay")


@router.post("/transfers/{task_id}/replays/{replay_id}/cancel")
def take_back_replay(desk: SignedIn, task_id: TaskId, replay_id: str) -> Response:
    """Take back a replay that waits."""
    cancel_replay(task_id, replay_id, desk.caller, desk.services)
    return desk.go(f"/transfers/{task_id}", done="task")


def _title(desk: Desk, task: Task) -> Text:
    return desk.services.catalogue.get(task.resource_id).content.title
