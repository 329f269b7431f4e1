"""Further consumers of a task's stream: join, leave, see how far each is."""

from datong.exchange import Subscription, SubscriptionDraft
from datong.kernel import DepartmentCode, TaskId
from datong.sharing import Action, Target
from datong.web.api.tasks import readable_task
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes

router = api_routes("/tasks/{task_id}/subscriptions", tag="exchange")


@router.get("")
def list_subscriptions(task_id: TaskId, caller: Caller, hub: Hub) -> tuple[Subscription, ...]:
    """Return a task's further consumers, those that left included, and how far each of them is."""
    readable_task(hub, caller, task_id)
    return hub.exchange.subscriptions.of_task(task_id)


@router.post("", status_code=201)
def join_task(task_id: TaskId, body: SubscriptionDraft, caller: Caller, hub: Hub) -> Subscription:
    """Let a department receive a task's stream, too, under an agreement of its own that covers all its columns."""
    task = hub.exchange.task(task_id)
    target = Target(id=task_id, department=task.provider, provider=task.provider, consumer=body.consumer)
    hub.policy.require(caller, Action.TASK_CREATE, target)
    return hub.exchange.subscriptions.join(task_id, body, actor=caller.actor)


@router.post("/{consumer}/leave", status_code=201)
def leave_task(task_id: TaskId, consumer: DepartmentCode, caller: Caller, hub: Hub) -> Subscription:
    """Let a further consumer leave; nothing is kept for it any longer."""
    task = hub.exchange.task(task_id)
    target = Target(id=task_id, department=task.provider, provider=task.provider, consumer=consumer)
    hub.policy.require(caller, Action.TASK_CONTROL, target)
    return hub.exchange.subscriptions.leave(task_id, consumer, actor=caller.actor)
