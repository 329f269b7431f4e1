"""Dead letters of a transfer task as the hub knows them: counts and classes of reasons, never a value."""

from datong.exchange import RejectRecord, SignedRejectReport
from datong.kernel import Conflict, TaskId, Text
from datong.sharing import Action
from datong.web.api.tasks import readable_task, task_target
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes

router = api_routes("/tasks/{task_id}/dead-letters", tag="exchange")


@router.get("")
def read_dead_letters(task_id: TaskId, caller: Caller, hub: Hub) -> RejectRecord | None:
    """Return how many dead letters the consumer has, for which reasons, and what became of others; null before any."""
    readable_task(hub, caller, task_id)
    return hub.exchange.rejects.newest(task_id)


@router.post("/reports", status_code=201)
def report_dead_letters(task_id: TaskId, body: SignedRejectReport, caller: Caller, hub: Hub) -> RejectRecord:
    """Record the consumer's signed counts."""
    task = hub.exchange.task(task_id)
    hub.policy.require(caller, Action.TASK_CONSUME, task_target(task, task_id=task_id))
    if body.report.counts.task_id != task_id:
        raise Conflict(
            "exchange.wrong_task",
            what=Text(zh="报告属于另一任务。", en="The report is about another task."),
            remedy=Text(zh="请按任务上报。", en="Report it to its own task."),
        )
    return hub.exchange.rejects.report(body, actor=caller.actor)
