"""Departments and their nodes: keys, when a node was last seen, and enrolment."""

from datetime import timedelta

from fastapi.responses import Response

from datong.catalogue import Department, DepartmentKey, RecipientKey
from datong.kernel import DepartmentCode, Value
from datong.ledger import WitnessState
from datong.sharing import Action, Node
from datong.web.api.nodes import NewEnrolment, create_enrolment
from datong.web.api.scope import concerning
from datong.web.console.desk import Desk, SignedIn
from datong.web.routing import unlisted_routes

router = unlisted_routes()

SILENT_AFTER = timedelta(minutes=5)


class DepartmentLine(Value):
    """A department with its keys and nodes."""

    department: Department
    keys: tuple[DepartmentKey, ...]
    recipient_keys: tuple[RecipientKey, ...]
    nodes: tuple[Node, ...]
    resources: int
    may_enrol: bool


@router.get("/departments")
def list_departments(desk: SignedIn) -> Response:
    """Show every department with its nodes and keys."""
    return _page(desk, "", None)


@router.post("/departments/{code}/enrolments")
def enrol(desk: SignedIn, code: DepartmentCode) -> Response:
    """Make an enrolment token and show it, once."""
    made = create_enrolment(NewEnrolment(department=code), desk.caller, desk.services)
    return _page(desk, made.token, code)


def _page(desk: Desk, token: str, enrolling: DepartmentCode | None) -> Response:
    desk.require(Action.DEPARTMENT_READ)
    hub = desk.services
    counts = hub.catalogue.counts().by_department
    witnesses: dict[str, WitnessState] = {state.name: state for state in hub.ledger.witnesses()}
    keys, recipient_keys, nodes = hub.departments.all_keys(), hub.recipient_keys.all(), hub.identity.nodes()
    lines = [
        DepartmentLine(
            department=department,
            keys=tuple(one for one in keys if one.department == department.code),
            recipient_keys=tuple(one for one in recipient_keys if one.department == department.code),
            nodes=tuple(one for one in nodes if one.department == department.code),
            resources=counts.get(department.code, 0),
            may_enrol=desk.may(Action.ENROLMENT_CREATE, concerning(department.code)),
        )
        for department in hub.departments.all()
    ]
    return desk.page(
        "departments/list.html",
        lines=lines,
        token=token,
        enrolling=enrolling,
        witnesses=witnesses,
        silent_after=SILENT_AFTER,
        base_url=hub.settings.base_url,
    )
