"""Reconciliations of a task: what was compared, what differs, the signed report, and how often it is done."""

from pydantic import Field

from datong.exchange import Reconciliation, SignedReport, Task
from datong.kernel import TaskId, Value
from datong.sharing import Action
from datong.web.api.scope import LIMIT_DEFAULT, Limit
from datong.web.api.tasks import readable_task, task_target
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes

router = api_routes("/tasks/{task_id}", tag="exchange")

HOURS_MAX = 24 * 366


class ReconciliationSchedule(Value):
    """Every how many hours a task is reconciled; null: only on demand."""

    every_hours: int | None = Field(None, ge=1, le=HOURS_MAX)


@router.get("/reconciliations")
def list_reconciliations(
    task_id: TaskId, caller: Caller, hub: Hub, limit: Limit = LIMIT_DEFAULT
) -> tuple[Reconciliation, ...]:
    """Return the task's reconciliations, newest first."""
    readable_task(hub, caller, task_id)
    return hub.exchange.reconciliations.history(task_id, limit)


@router.get("/reconciliations/{reconciliation_id}/report")
def read_report(task_id: TaskId, reconciliation_id: str, caller: Caller, hub: Hub) -> SignedReport:
    """Return the signed report of a finished reconciliation: questions, both ends' signed answers, findings."""
    readable_task(hub, caller, task_id)
    return hub.exchange.reconciliations.document(task_id, reconciliation_id)


@router.get("/reconciliation-schedule")
def read_schedule(task_id: TaskId, caller: Caller, hub: Hub) -> ReconciliationSchedule:
    """Return how often the task is reconciled."""
    readable_task(hub, caller, task_id)
    return ReconciliationSchedule(every_hours=hub.exchange.reconciliations.every_hours(task_id))


@router.put("/reconciliation-schedule")
def set_schedule(task_id: TaskId, body: ReconciliationSchedule, caller: Caller, hub: Hub) -> Task:
    """Have the task reconciled every so many hours, or only on demand."""
    task = hub.exchange.task(task_id)
    hub.policy.require(caller, Action.TASK_CONTROL, task_target(task, task_id=task_id))
    return hub.exchange.reconciliations.schedule(task_id, body.every_hours, actor=caller.actor)


@router.post("/reconciliations/{reconciliation_id}/repair")
def approve_repair(task_id: TaskId, reconciliation_id: str, caller: Caller, hub: Hub) -> Reconciliation:
    """Approve that the differences are repaired: by one more run of the task, through its chain and receipts."""
    task = hub.exchange.task(task_id)
    hub.policy.require(caller, Action.TASK_REPAIR, task_target(task, task_id=task_id))
    return hub.exchange.repairs.approve(task_id, reconciliation_id, actor=caller.actor)
