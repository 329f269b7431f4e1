"""Tasks as a file: what it would change, doing it, writing the present tasks as one; when a schedule is due."""

from collections.abc import Callable
from datetime import datetime

from pydantic import Field

from datong.exchange import NodeChoice, PlanAct, PlanStep, Schedule, TaskDraft, TaskOffer, schedule_preview
from datong.kernel import AgreementId, DepartmentCode, Value
from datong.sharing import Action, Principal
from datong.web.api.scope import department_in_scope, readable_agreement
from datong.web.api.tasks import task_target
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes
from datong.web.services import Services

router = api_routes("/task-files", tag="exchange")

FILE_CHARS_MAX = 1_000_000
PREVIEW_TIMES = 10


class FileToPlan(Value):
    """A file of tasks, as YAML text (docs/exchange/tasks.md)."""

    text: str = Field(max_length=FILE_CHARS_MAX)


class FileToApply(FileToPlan):
    """A file of tasks to apply; `allow_replace` lets tasks be ended and created anew."""

    allow_replace: bool = False


class ExportedFile(Value):
    """The present tasks as a file."""

    text: str


class PreviewedSchedule(Value):
    """The next due times of a schedule."""

    due_at: tuple[datetime, ...]


@router.post("/plan")
def plan_task_file(body: FileToPlan, caller: Caller, hub: Hub) -> tuple[PlanStep, ...]:
    """Say what applying a file would do, task by task and field by field; nothing is changed."""
    return hub.planning.plan(body.text, permit_of(hub, caller))


@router.post("/apply")
def apply_task_file(body: FileToApply, caller: Caller, hub: Hub) -> tuple[PlanStep, ...]:
    """Apply a file; applied twice, it changes nothing the second time."""
    permit = permit_of(hub, caller)
    return hub.planning.apply(body.text, permit, allow_replace=body.allow_replace, actor=caller.actor)


@router.get("/export")
def export_task_file(caller: Caller, hub: Hub, department: DepartmentCode | None = None) -> ExportedFile:
    """Write the tasks that have not ended as a file: all of them, or those of the caller's department."""
    scope = department_in_scope(hub, caller, Action.TASK_READ, department)
    nodes = tuple(NodeChoice(id=one.id, name=one.name, department=one.department) for one in hub.identity.nodes())
    return ExportedFile(text=hub.planning.export(scope, nodes))


@router.get("/offers/{agreement_id}")
def read_task_offer(agreement_id: AgreementId, caller: Caller, hub: Hub) -> TaskOffer:
    """Return what an agreement offers for tasks: columns, the resource's binding, the nodes of both sides."""
    readable_agreement(hub, caller, agreement_id)
    return hub.planning.offers.offer(agreement_id)


@router.post("/preview")
def preview_schedule(body: Schedule, caller: Caller, hub: Hub) -> PreviewedSchedule:
    """Return the next due times of a schedule, to check a cron expression before it counts."""
    hub.policy.require(caller, Action.DEPARTMENT_READ)
    return PreviewedSchedule(due_at=schedule_preview(body, hub.clock.now(), PREVIEW_TIMES))


def permit_of(hub: Services, caller: Principal) -> Callable[[TaskDraft, PlanAct], None]:
    """Return what lets `caller` do an act to a task, or raises the policy's refusal."""

    def permit(draft: TaskDraft, act: PlanAct) -> None:
        target = task_target(draft)
        if act is PlanAct.SAME:
            hub.policy.require(caller, Action.TASK_READ, target)
        if act in (PlanAct.CREATE, PlanAct.REPLACE):
            hub.policy.require(caller, Action.TASK_CREATE, target)
        if act in (PlanAct.CHANGE, PlanAct.REPLACE):
            hub.policy.require(caller, Action.TASK_CONTROL, target)

    return permit
