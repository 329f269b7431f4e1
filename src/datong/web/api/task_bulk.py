"""One act for several exchange tasks: looked at first, then done to each by itself."""

from collections.abc import Mapping

from pydantic import Field

from datong.exchange import Task, TaskState
from datong.kernel import DatongError, TaskId, Text, Value
from datong.sharing import Action, Principal
from datong.web.api.tasks import TaskAction, TaskActRequest, act_on_task, readable_task, task_target
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes
from datong.web.services import Services

router = api_routes("/tasks", tag="tasks")

BULK_TASKS_MAX = 100
POSSIBLE: Mapping[TaskState, tuple[TaskAction, ...]] = {
    TaskState.ACTIVE: (TaskAction.RUN, TaskAction.RECONCILE, TaskAction.PAUSE),
    TaskState.PAUSED: (TaskAction.RESUME,),
    TaskState.BLOCKED: (TaskAction.RESUME,),
}
"""What can be done with a task in which state; an ended one is left alone."""
UNDONE_BY: Mapping[TaskAction, TaskAction] = {
    TaskAction.PAUSE: TaskAction.RESUME,
    TaskAction.RESUME: TaskAction.PAUSE,
}
"""Which act takes another one back; a run or a reconciliation that began cannot be taken back."""


class BulkTaskAct(Value):
    """One act for several tasks; each is its own transaction, and one that fails stops none of the others."""

    task_ids: tuple[TaskId, ...] = Field(min_length=1, max_length=BULK_TASKS_MAX)
    action: TaskAction


class TaskOutcome(Value):
    """What became of one task, or would: its state, or the code, cause and remedy of what stands in the way."""

    task_id: TaskId
    done: bool
    state: TaskState | None = None
    code: str = ""
    what: Text | None = None
    remedy: Text | None = None


@router.post("/actions/preview")
def preview_tasks_act(body: BulkTaskAct, caller: Caller, hub: Hub) -> tuple[TaskOutcome, ...]:
    """Return to which tasks the act could be done now, and why not to the others; changes nothing."""
    return tuple(_looked_at(task_id, body.action, caller, hub) for task_id in dict.fromkeys(body.task_ids))


@router.post("/actions")
def act_on_tasks(body: BulkTaskAct, caller: Caller, hub: Hub) -> tuple[TaskOutcome, ...]:
    """Run, pause, resume or reconcile several tasks, each in its own transaction, and say of each what came of it."""
    return tuple(_acted_on(task_id, body.action, caller, hub) for task_id in dict.fromkeys(body.task_ids))


def possible_acts(hub: Services, caller: Principal, task: Task) -> tuple[TaskAction, ...]:
    """Return what the caller may do with a task in its present state."""
    allowed = hub.policy.authorise(caller, Action.TASK_CONTROL, task_target(task, task_id=task.id)).allowed
    return POSSIBLE.get(task.state, ()) if allowed else ()


def _looked_at(task_id: TaskId, action: TaskAction, caller: Principal, hub: Services) -> TaskOutcome:
    try:
        task = readable_task(hub, caller, task_id)
        hub.policy.require(caller, Action.TASK_CONTROL, task_target(task, task_id=task_id))
    except DatongError as error:
        return _refused(task_id, error)
    if action in POSSIBLE.get(task.state, ()):
        return TaskOutcome(task_id=task_id, done=True, state=task.state)
    return TaskOutcome(
        task_id=task_id,
        done=False,
        state=task.state,
        code="web.task_state",
        what=Text(
            zh=f"任务“{task.state.label.zh}”，不能这样办理。",
            en=f"The task is {task.state.label.en}; this does not fit.",
        ),
        remedy=Text(zh="请选择适合其状态的操作。", en="Choose an act that fits its state."),
    )


def _acted_on(task_id: TaskId, action: TaskAction, caller: Principal, hub: Services) -> TaskOutcome:
    looked = _looked_at(task_id, action, caller, hub)
    if not looked.done:
        return looked
    try:
        task = act_on_task(task_id, TaskActRequest(action=action), caller, hub)
    except DatongError as error:
        return _refused(task_id, error)
    return TaskOutcome(task_id=task_id, done=True, state=task.state)


def _refused(task_id: TaskId, error: DatongError) -> TaskOutcome:
    return TaskOutcome(task_id=task_id, done=False, code=error.code, what=error.what, remedy=error.remedy)
