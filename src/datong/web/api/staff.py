"""Who works with shared data in a department, and what they were trained in; everybody else sees numbers."""

from datetime import date

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from datong.governance.staff import Member, NewMember, StaffNumbers, Training
from datong.kernel import DepartmentCode, Value
from datong.sharing import Action, Principal, Target
from datong.web.api.scope import own_department
from datong.web.api.service_items import body_of
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes
from datong.web.services import Services

router = api_routes(tag="staff")


class Departure(Value):
    """When somebody left."""

    on: date = Field(description="The last day.")


@router.get("/staff")
def list_staff(caller: Caller, hub: Hub) -> list[Member]:
    """Return the register of the caller's department: names, trainings, certificates."""
    department = own_department(caller)
    hub.policy.require(caller, Action.STAFF_READ, Target.of_department(department))
    return list(hub.staff.members(department))


@router.get("/staff/numbers")
def list_staff_numbers(caller: Caller, hub: Hub) -> list[StaffNumbers]:
    """Return how many each department has assigned and certified, without any name."""
    hub.policy.require(caller, Action.INDICATOR_READ)
    return list(hub.staff.numbers())


@router.post("/staff", status_code=201)
def assign_member(body: NewMember, caller: Caller, hub: Hub) -> Member:
    """Put somebody into the register of the caller's department."""
    return hub.staff.assign(kept_by(caller, hub), body, caller.actor)


@router.post("/staff/import", status_code=201)
async def import_staff(request: Request, caller: Caller, hub: Hub) -> list[Member]:
    """Take in a workbook (xlsx) of people and trainings: all of it, or nothing and a report by cell."""
    department = kept_by(caller, hub)
    content = await body_of(request)
    return list(await run_in_threadpool(hub.staff.take_file, department, content, caller.actor))


@router.post("/staff/{member_id}/trainings", status_code=201)
def add_training(member_id: str, body: Training, caller: Caller, hub: Hub) -> Member:
    """Put a training, and the certificate it led to, on record."""
    _own_member(member_id, caller, hub)
    return hub.staff.train(member_id, body, caller.actor)


@router.post("/staff/{member_id}/trainings/{number}/strike")
def strike_training(member_id: str, number: int, caller: Caller, hub: Hub) -> Member:
    """Take a training that was wrong off the record."""
    _own_member(member_id, caller, hub)
    return hub.staff.strike(member_id, number, caller.actor)


@router.post("/staff/{member_id}/departure")
def leave_staff(member_id: str, body: Departure, caller: Caller, hub: Hub) -> Member:
    """Say that somebody has left."""
    _own_member(member_id, caller, hub)
    return hub.staff.leave(member_id, body.on, caller.actor)


def kept_by(caller: Principal, hub: Services) -> DepartmentCode:
    """Return the department whose register the caller keeps.

    Raises:
        Refused: the caller keeps none.
    """
    department = own_department(caller)
    hub.policy.require(caller, Action.STAFF_EDIT, Target.of_department(department))
    return department


def _own_member(member_id: str, caller: Principal, hub: Services) -> None:
    member = hub.staff.get(member_id)
    hub.policy.require(caller, Action.STAFF_EDIT, Target.of_department(member.department, name=member.id))
