"""How transfers stand, how many rows they move by the minute, and their lineage."""

from typing import Annotated

from fastapi import Query

from datong.exchange import LineageEntry, TaskStatus, ThroughputPoint
from datong.kernel import DepartmentCode, Page, TaskId
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.sharing import Action
from datong.web.api.scope import LIMIT_DEFAULT, Limit, Offset, department_in_scope
from datong.web.api.tasks import readable_task
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes

router = api_routes(tag="exchange")

MINUTES_MAX = 24 * 60
Minutes = Annotated[int, Query(ge=1, le=MINUTES_MAX, description="How many minutes back.")]


@router.get("/task-status")
def list_task_status(
    caller: Caller,
    hub: Hub,
    department: DepartmentCode | None = None,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> Page[TaskStatus]:
    """Return how tasks stand, newest first: lag, rows a second, queues, the last success, the newest run."""
    scope = department_in_scope(hub, caller, Action.TASK_READ, department)
    return hub.exchange.observation.statuses(department=scope, offset=offset, limit=limit)


@router.get("/task-status/troubled")
def list_troubled(caller: Caller, hub: Hub, department: DepartmentCode | None = None) -> tuple[TaskStatus, ...]:
    """Return the tasks that go on only when somebody acts: stopped by a changed source, or failed for good."""
    scope = department_in_scope(hub, caller, Action.TASK_READ, department)
    return hub.exchange.observation.troubled(scope)


@router.get("/task-status/{task_id}")
def read_task_status(task_id: TaskId, caller: Caller, hub: Hub) -> TaskStatus:
    """Return how one task stands."""
    readable_task(hub, caller, task_id)
    return hub.exchange.observation.status(task_id)


@router.get("/task-status/{task_id}/throughput")
def read_throughput(task_id: TaskId, caller: Caller, hub: Hub, minutes: Minutes = 60) -> tuple[ThroughputPoint, ...]:
    """Return the rows committed and applied in each minute, oldest first."""
    readable_task(hub, caller, task_id)
    return hub.exchange.observation.throughput([task_id], minutes=minutes)[task_id]


@router.get("/lineage/events")
def list_lineage_events(
    caller: Caller,
    hub: Hub,
    after: Annotated[int, Query(ge=0, description="Serial after which to begin.")] = 0,
    task_id: TaskId | None = None,
    department: DepartmentCode | None = None,
    limit: Limit = PAGE_ROWS_MAX,
) -> tuple[LineageEntry, ...]:
    """Return lineage as OpenLineage run events, in order; the serial of the last one is where to go on."""
    scope = department_in_scope(hub, caller, Action.TASK_READ, department)
    return hub.exchange.lineage.events(after=after, limit=limit, department=scope, task_id=task_id)
