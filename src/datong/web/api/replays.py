"""Replays at a consumer's end: what the hub still stores of a task is applied once more; the producer reads nothing."""

from datong.exchange import Failure, Replay, ReplayDraft, SignedReplayReport, Task
from datong.kernel import Conflict, DepartmentCode, TaskId, Text
from datong.sharing import Action, Target
from datong.web.api.scope import LIMIT_DEFAULT, Limit
from datong.web.api.tasks import readable_task
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes

router = api_routes("/tasks/{task_id}/replays", tag="exchange")


@router.get("")
def list_replays(task_id: TaskId, caller: Caller, hub: Hub, limit: Limit = LIMIT_DEFAULT) -> tuple[Replay, ...]:
    """Return the replays of a task at its consumers' ends, newest first."""
    readable_task(hub, caller, task_id)
    return hub.exchange.replays.of_task(task_id, limit)


@router.post("", status_code=201)
def order_replay(task_id: TaskId, body: ReplayDraft, caller: Caller, hub: Hub) -> Replay:
    """Have a consumer's node apply the stored batches from one on once more, over what its table holds."""
    task = hub.exchange.task(task_id)
    hub.policy.require(caller, Action.TASK_REPLAY, replay_target(task, body.consumer))
    replay = hub.exchange.replays.request(task_id, body, actor=caller.actor)
    hub.bell.ring()
    return replay


@router.post("/reports", status_code=201)
def report_replay(task_id: TaskId, body: SignedReplayReport, caller: Caller, hub: Hub) -> Replay:
    """Record what the consumer's node did, with its signature."""
    task = hub.exchange.task(task_id)
    hub.policy.require(caller, Action.TASK_CONSUME, replay_target(task, body.report.department))
    if body.report.task_id != task_id:
        raise Conflict(
            "exchange.wrong_task",
            what=Text(zh="报告属于另一任务。", en="The report is about another task."),
            remedy=Text(zh="请按任务上报。", en="Report it to its own task."),
        )
    return hub.exchange.replays.done(body, actor=caller.actor)


@router.post("/{replay_id}/failures", status_code=201)
def report_replay_failure(task_id: TaskId, replay_id: str, body: Failure, caller: Caller, hub: Hub) -> Replay:
    """Report why the consumer's node could not carry a replay out."""
    task = hub.exchange.task(task_id)
    known = hub.exchange.replays.get(task_id, replay_id)
    hub.policy.require(caller, Action.TASK_CONSUME, replay_target(task, known.consumer))
    return hub.exchange.replays.fail(task_id, replay_id, body, actor=caller.actor)


@router.post("/{replay_id}/cancellation")
def cancel_replay(task_id: TaskId, replay_id: str, caller: Caller, hub: Hub) -> Replay:
    """Take back a replay that the node has not carried out."""
    task = hub.exchange.task(task_id)
    known = hub.exchange.replays.get(task_id, replay_id)
    hub.policy.require(caller, Action.TASK_REPLAY, replay_target(task, known.consumer))
    return hub.exchange.replays.cancel(task_id, replay_id, actor=caller.actor)


def replay_target(task: Task, consumer: DepartmentCode | None) -> Target:
    """Return a task as the policy sees it for one of its consumers."""
    return Target(id=task.id, department=task.provider, provider=task.provider, consumer=consumer or task.consumer)
