"""Staff and training: the own register for head and data officer, numbers of all departments for everybody."""

from datetime import date
from typing import Annotated

from fastapi import File, Form, UploadFile
from fastapi.responses import Response

from datong.governance.staff import FILE_BYTES_MAX, STAFF_ROLE_NAMES, NewMember, StaffRole, Training
from datong.kernel import CHINA, DatongError, Invalid, Text
from datong.sharing import Action, Target
from datong.web.api import staff as api
from datong.web.console.desk import Desk, SignedIn
from datong.web.problems import Problem, problem_of
from datong.web.routing import unlisted_routes

router = unlisted_routes()


@router.get("/staff")
def show_staff(desk: SignedIn) -> Response:
    """Show the own register, and the numbers of all departments."""
    return _page(desk, None)


@router.post("/staff")
def assign_member(
    desk: SignedIn,
    name: Annotated[str, Form(min_length=1, max_length=50)],
    role: Annotated[StaffRole, Form()],
    assigned_on: Annotated[str, Form(max_length=10)],
) -> Response:
    """Put somebody into the register."""
    new = NewMember(name=name.strip() or name, role=role, assigned_on=_day(assigned_on, "/assigned_on"))
    api.assign_member(new, desk.caller, desk.services)
    return desk.go("/staff", done="staff")


@router.post("/staff/import")
def import_staff(desk: SignedIn, file: Annotated[UploadFile, File()]) -> Response:
    """Take in a workbook, or show what is wrong in which cell."""
    department = api.kept_by(desk.caller, desk.services)
    try:
        # One byte more than a file may have: it is then refused in the service's own words.
        content = file.file.read(FILE_BYTES_MAX + 1)
        desk.services.staff.take_file(department, content, desk.caller.actor)
    except DatongError as error:
        return _page(desk, problem_of(error))
    return desk.go("/staff", done="staff")


@router.post("/staff/{member_id}/trainings")
def add_training(
    desk: SignedIn,
    member_id: str,
    course: Annotated[str, Form(min_length=1, max_length=100)],
    hours: Annotated[int, Form(ge=1, le=1000)],
    on: Annotated[str, Form(max_length=10)],
    certificate: Annotated[str, Form(max_length=64)] = "",
    expires_on: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    """Put a training on record."""
    training = Training(
        course=course,
        hours=hours,
        on=_day(on, "/on"),
        certificate=certificate.strip(),
        expires_on=_day(expires_on, "/expires_on") if expires_on.strip() else None,
    )
    api.add_training(member_id, training, desk.caller, desk.services)
    return desk.go("/staff", done="staff")


@router.post("/staff/{member_id}/trainings/{number}/strike")
def strike_training(desk: SignedIn, member_id: str, number: int) -> Response:
    """Take a training off the record."""
    api.strike_training(member_id, number, desk.caller, desk.services)
    return desk.go("/staff", done="staff")


@router.post("/staff/{member_id}/departure")
def leave_staff(desk: SignedIn, member_id: str, on: Annotated[str, Form(max_length=10)]) -> Response:
    """Say that somebody has left."""
    api.leave_staff(member_id, api.Departure(on=_day(on, "/on")), desk.caller, desk.services)
    return desk.go("/staff", done="staff")


def _page(desk: Desk, problem: Problem | None) -> Response:
    desk.require(Action.INDICATOR_READ)
    own = desk.caller.department
    target = None if own is None else Target.of_department(own)
    return desk.page(
        "staff/list.html",
        members=desk.services.staff.members(own) if own and desk.may(Action.STAFF_READ, target) else None,
        may_edit=own is not None and desk.may(Action.STAFF_EDIT, target),
        numbers=desk.services.staff.numbers(),
        roles=STAFF_ROLE_NAMES,
        today=desk.now.astimezone(CHINA).date(),
        found=problem,
    )


def _day(text: str, field: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Invalid(
            "web.form_unusable",
            what=Text(zh="日期不可用。", en="This is no date."),
            remedy=Text(zh="请修改后再提交。", en="Mend it and send it again."),
            field=field,
        ) from error
