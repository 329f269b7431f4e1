"""The source table of a transfer task: what nodes found, what changed, and how a stopped task goes on."""

from datong.exchange import SchemaDecision, SchemaRecord, SchemaVerdict, SignedSchemaReport, Task
from datong.kernel import Conflict, TaskId, Text
from datong.sharing import Action
from datong.web.api.tasks import readable_task, task_target
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes

router = api_routes("/tasks/{task_id}/schema", tag="exchange")


@router.get("")
def list_schema_records(task_id: TaskId, caller: Caller, hub: Hub) -> tuple[SchemaRecord, ...]:
    """Return what is on record about the source table, newest first."""
    readable_task(hub, caller, task_id)
    return hub.exchange.schemas.records(task_id)


@router.post("/reports")
def report_schema(task_id: TaskId, body: SignedSchemaReport, caller: Caller, hub: Hub) -> SchemaVerdict:
    """Report the source table as the producer's node finds it; the answer says whether rows may move."""
    task = hub.exchange.task(task_id)
    hub.policy.require(caller, Action.TASK_PRODUCE, task_target(task, task_id=task_id))
    if body.report.task_id != task_id:
        raise Conflict(
            "exchange.wrong_task",
            what=Text(zh="报告属于另一任务。", en="The report is about another task."),
            remedy=Text(zh="请按任务上报。", en="Report it to its own task."),
        )
    return hub.exchange.schemas.report(body, actor=caller.actor)


@router.post("/accept")
def accept_schema(task_id: TaskId, body: SchemaDecision, caller: Caller, hub: Hub) -> Task:
    """Let a task that a breaking change stopped go on: with columns renamed or left out, under a newer version."""
    task = hub.exchange.task(task_id)
    hub.policy.require(caller, Action.TASK_CONTROL, task_target(task, task_id=task_id))
    return hub.exchange.schemas.accept(task_id, body, actor=caller.actor)
