"""Reconciliations of a task: the strip of ranges, the differing rows by place, earlier ones, the schedule."""

from typing import Annotated

from fastapi import Form
from fastapi.responses import Response

from datong.exchange import DifferenceKind
from datong.kernel import TaskId
from datong.sharing import Action
from datong.web.api.reconciliations import HOURS_MAX, ReconciliationSchedule, approve_repair, set_schedule
from datong.web.api.tasks import readable_task, task_target
from datong.web.console.desk import SignedIn
from datong.web.routing import unlisted_routes

router = unlisted_routes()

EARLIER_SHOWN = 30


@router.get("/transfers/{task_id}/reconciliations")
def show(desk: SignedIn, task_id: TaskId) -> Response:
    """Show the newest reconciliation and the ones before it."""
    task = readable_task(desk.services, desk.caller, task_id)
    reconciliations = desk.services.exchange.reconciliations
    history = reconciliations.history(task_id, EARLIER_SHOWN)
    newest = history[0] if history else None
    found = None if newest is None else newest.findings
    counts = {kind.value: 0 if found is None else found.count(kind) for kind in DifferenceKind}
    return desk.page(
        "transfers/reconciliations.html",
        task=task,
        title=desk.services.catalogue.get(task.resource_id).content.title,
        newest=newest,
        counts=counts,
        history=history,
        every_hours=reconciliations.every_hours(task_id),
        may_repair=desk.may(Action.TASK_REPAIR, task_target(task, task_id=task_id)),
        may_act=desk.may(Action.TASK_CONTROL, task_target(task, task_id=task_id)),
    )


@router.post("/transfers/{task_id}/reconciliations/schedule")
def schedule(
    desk: SignedIn, task_id: TaskId, every_hours: Annotated[int | None, Form(ge=1, le=HOURS_MAX)] = None
) -> Response:
    """Change how often the task is reconciled."""
    set_schedule(task_id, ReconciliationSchedule(every_hours=every_hours), desk.caller, desk.services)
    return desk.go(f"/transfers/{task_id}/reconciliations", done="task")


@router.post("/transfers/{task_id}/reconciliations/{reconciliation_id}/repair")
def repair(desk: SignedIn, task_id: TaskId, reconciliation_id: str) -> Response:
    """Approve the repair."""
    approve_repair(task_id, reconciliation_id, desk.caller, desk.services)
    return desk.go(f"/transfers/{task_id}/reconciliations", done="repair_approved")
