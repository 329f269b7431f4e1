"""One act for several transfers: a look at what it would do, then the act, with what came of each and a way back."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Form
from fastapi.responses import Response

from datong.kernel import Invalid, NotFound, TaskId, Text
from datong.web.api.task_bulk import (
    BULK_TASKS_MAX,
    UNDONE_BY,
    BulkTaskAct,
    TaskOutcome,
    act_on_tasks,
    preview_tasks_act,
)
from datong.web.api.tasks import TaskAction, readable_task
from datong.web.console.desk import Desk, SignedIn
from datong.web.routing import unlisted_routes

router = unlisted_routes()

LABELS: Mapping[TaskAction, Text] = {
    TaskAction.RUN: Text(zh="运行一次", en="Run once"),
    TaskAction.PAUSE: Text(zh="暂停", en="Pause"),
    TaskAction.RESUME: Text(zh="继续", en="Resume"),
    TaskAction.RECONCILE: Text(zh="对账", en="Reconcile"),
    TaskAction.END: Text(zh="结束", en="End"),
}


@router.post("/transfers/bulk")
def act_on_several(
    desk: SignedIn,
    action: Annotated[TaskAction, Form()],
    tasks: Annotated[list[str] | None, Form(max_length=BULK_TASKS_MAX)] = None,
    step: Annotated[str, Form()] = "preview",
) -> Response:
    """Show what an act would do to each ticked task; with `step=apply` do it, and show what came of each.

    Raises:
        Invalid: none is ticked.
    """
    if not tasks:
        raise Invalid(
            "exchange.none_ticked",
            what=Text(zh="没有勾选任务。", en="No task is ticked."),
            remedy=Text(zh="请返回列表，勾选要办理的任务。", en="Go back to the list and tick what to act on."),
            field="/tasks",
        )
    body = BulkTaskAct(task_ids=tuple(TaskId(one) for one in tasks), action=action)
    applied = step == "apply"
    outcomes = (act_on_tasks if applied else preview_tasks_act)(body, desk.caller, desk.services)
    return desk.page(
        "transfers/bulk.html",
        action=action,
        label=LABELS[action],
        applied=applied,
        outcomes=outcomes,
        names={one.task_id: _name(desk, one) for one in outcomes},
        undo=UNDONE_BY.get(action),
        labels=LABELS,
    )


def _name(desk: Desk, outcome: TaskOutcome) -> Text:
    """Return what a task moves, if the caller may read it; of others only the number that was sent."""
    try:
        return desk.resource_title(readable_task(desk.services, desk.caller, outcome.task_id).resource_id)
    except NotFound:
        return Text(zh=outcome.task_id, en=outcome.task_id)
