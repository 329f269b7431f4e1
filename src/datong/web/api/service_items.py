"""Service items (事项), what they ask of citizens, and what of it need not be asked."""

from collections.abc import Mapping

from fastapi import Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from datong.catalogue import (
    NewServiceItem,
    Progress,
    RepeatReport,
    ServiceAction,
    ServiceItem,
    ServiceStep,
    read_service_items,
)
from datong.catalogue.service_files import FILE_BYTES_MAX
from datong.kernel import DepartmentCode, Page, RequestId, Text, TooLarge, Value
from datong.kernel.limits import TEXT_CHARS_MAX
from datong.sharing import Action, Principal, Target
from datong.web.api.scope import LIMIT_DEFAULT, Limit, Offset
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes
from datong.web.services import Services

router = api_routes(tag="service items")


class FieldsAct(Value):
    """An act on some fields of a service item, or (`retire`) on all of it."""

    action: ServiceAction
    positions: tuple[int, ...] = Field((), max_length=500)
    reason: str = Field("", max_length=TEXT_CHARS_MAX)
    request_id: RequestId | None = None


@router.get("/service-items")
def list_service_items(
    caller: Caller,
    hub: Hub,
    department: DepartmentCode | None = None,
    retired: bool = False,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> Page[ServiceItem]:
    """Return service items, those with the most cases first."""
    hub.policy.require(caller, Action.SERVICE_ITEM_READ)
    return hub.service_items.find(department=department, retired=retired, offset=offset, limit=limit)


@router.post("/service-items", status_code=201)
def put_service_item(body: NewServiceItem, caller: Caller, hub: Hub) -> ServiceItem:
    """Register a service item, or change the one with that code."""
    require_edit(hub, caller, body.department)
    return hub.service_items.put(body, caller.actor)


@router.post("/service-items/import", status_code=201)
async def import_service_items(request: Request, caller: Caller, hub: Hub) -> tuple[ServiceItem, ...]:
    """Register the service items of a workbook (xlsx) or YAML file in the body: all of them, or none and a report."""
    content = await body_of(request)
    return await run_in_threadpool(import_file, hub, caller, content)


@router.get("/service-items/repeats")
def report_repeats(caller: Caller, hub: Hub, department: DepartmentCode | None = None) -> RepeatReport:
    """Return what is asked although somebody holds it, with the burden by department and by element."""
    hub.policy.require(caller, Action.SERVICE_ITEM_READ)
    return hub.service_items.report(department=department)


@router.get("/service-items/progress")
def report_progress(caller: Caller, hub: Hub) -> tuple[Progress, ...]:
    """Return how many fields were asked, requested, shared and kept at the end of each of the last twelve months."""
    hub.policy.require(caller, Action.SERVICE_ITEM_READ)
    return hub.service_items.progress()


@router.get("/service-items/{item_id}")
def read_service_item(item_id: str, caller: Caller, hub: Hub) -> ServiceItem:
    """Return one service item with its fields."""
    hub.policy.require(caller, Action.SERVICE_ITEM_READ)
    return hub.service_items.get(item_id)


@router.get("/service-items/{item_id}/steps")
def list_service_steps(item_id: str, caller: Caller, hub: Hub) -> tuple[ServiceStep, ...]:
    """Return what was done about a service item, newest first."""
    hub.policy.require(caller, Action.SERVICE_ITEM_READ)
    return hub.service_items.steps(hub.service_items.get(item_id).id)


@router.post("/service-items/{item_id}/actions")
def act_on_service_item(item_id: str, body: FieldsAct, caller: Caller, hub: Hub) -> ServiceItem:
    """Change how an item comes by some of its fields, or retire it."""
    require_edit(hub, caller, hub.service_items.get(item_id).department)
    if body.action is ServiceAction.RETIRE:
        return hub.service_items.retire(item_id, caller.actor, body.reason)
    return hub.service_items.mark(
        item_id, body.action, body.positions, caller.actor, reason=body.reason, request_id=body.request_id
    )


def require_edit(hub: Services, caller: Principal, department: DepartmentCode) -> None:
    """Let a department's officer change its service items.

    Raises:
        Refused: the policy does not permit it.
    """
    hub.policy.require(caller, Action.SERVICE_ITEM_EDIT, Target.of_department(department))


def import_file(hub: Services, caller: Principal, content: bytes) -> tuple[ServiceItem, ...]:
    """Register what a file holds, in the name of `caller`.

    Raises:
        Invalid: the file is faulty; its places are in the context. Refused: it holds another department's items.
    """
    hub.policy.require(caller, Action.SERVICE_ITEM_READ)
    items = read_service_items(content, pack=hub.pack, departments=department_names(hub), own=caller.department)
    for department in {item.department for item in items}:
        require_edit(hub, caller, department)
    return hub.service_items.put_all(items, caller.actor)


def department_names(hub: Services) -> Mapping[str, DepartmentCode]:
    """Return every way to write a department: its code, its name and its short name."""
    return {
        spelling: department.code
        for department in hub.departments.all()
        for spelling in (department.code, department.name.zh, department.short_name.zh)
    }


async def body_of(request: Request) -> bytes:
    """Return the request's body.

    Raises:
        TooLarge: it is longer than a file of service items may be.
    """
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > FILE_BYTES_MAX:
            raise TooLarge(
                "catalogue.service_file_too_large",
                what=Text(zh="文件超过 8 MiB。", en="The file is larger than 8 MiB."),
                remedy=Text(zh="请分成几个文件导入。", en="Split it into several files."),
            )
    return bytes(content)
