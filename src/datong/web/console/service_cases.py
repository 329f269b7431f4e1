"""Service items that ship as definitions, and handling a case: the form filled in from what departments hold."""

from typing import Annotated

from fastapi import Form
from fastapi.responses import Response

from datong.catalogue import ServiceItem
from datong.catalogue.service_values import CASES_MAX
from datong.kernel import DatongError
from datong.kernel.limits import NAME_CHARS_MAX
from datong.sharing import Action, CaseForm, Target
from datong.sharing.items import GROUPS
from datong.web.api.scope import own_department
from datong.web.api.service_cases import Adoption, NewCase, adopt_service_definition, handle_service_case
from datong.web.console.desk import Desk, SignedIn
from datong.web.console.library import in_words
from datong.web.problems import Problem, problem_of
from datong.web.routing import unlisted_routes

router = unlisted_routes()


@router.get("/service-items/definitions")
def show_definitions(desk: SignedIn) -> Response:
    """Show what ships: each service item with its legal basis and its materials."""
    desk.require(Action.SERVICE_ITEM_READ)
    own = desk.caller.department
    register = desk.services.service_items
    definitions = desk.services.service_cases.definitions
    return desk.page(
        "service_items/definitions.html",
        groups=[(name, [one for one in definitions if one.group == key]) for key, name in GROUPS.items()],
        adopted={one.code: item.id for one in definitions if (item := register.with_code(one.code)) is not None},
        may_adopt=own is not None and desk.may(Action.SERVICE_ITEM_EDIT, Target.of_department(own)),
        count=len(definitions),
    )


@router.post("/service-items/definitions/{code}")
def adopt(desk: SignedIn, code: str, annual_cases: Annotated[int, Form(ge=0, le=CASES_MAX)] = 0) -> Response:
    """Take a definition into the register of the caller's department."""
    body = Adoption(department=own_department(desk.caller), annual_cases=annual_cases)
    item = adopt_service_definition(code, body, desk.caller, desk.services)
    return desk.go(f"/service-items/{item.id}", done="service_item")


@router.get("/service-items/{item_id}/case")
def new_case(desk: SignedIn, item_id: str) -> Response:
    """Ask for the applicant and the case number."""
    item = _handled(desk, item_id)
    return _page(desk, item, applicant="", case_number="", form=None, found=None)


@router.post("/service-items/{item_id}/case")
def handle_case(
    desk: SignedIn,
    item_id: str,
    applicant: Annotated[str, Form(max_length=NAME_CHARS_MAX)] = "",
    case_number: Annotated[str, Form(max_length=NAME_CHARS_MAX)] = "",
) -> Response:
    """Show the form of the case, filled in as far as departments may be asked."""
    item = _handled(desk, item_id)
    form, found = None, None
    try:
        body = NewCase.model_construct(applicant=applicant, case_number=case_number, key="citizen_id")
        form = handle_service_case(item_id, body, desk.caller, desk.services)
    except DatongError as error:
        found = problem_of(error)
    return _page(desk, item, applicant=applicant, case_number=case_number, form=form, found=found)


def _handled(desk: Desk, item_id: str) -> ServiceItem:
    item = desk.services.service_items.get(item_id)
    desk.require(Action.SERVICE_CASE_HANDLE, Target.of_department(item.department, name=item.id))
    return item


def _page(
    desk: Desk, item: ServiceItem, *, applicant: str, case_number: str, form: CaseForm | None, found: Problem | None
) -> Response:
    return desk.page(
        "service_items/case.html",
        status=200 if found is None else found.status,
        item=item,
        applicant=applicant,
        case_number=case_number,
        form=form,
        found=found,
        in_words=lambda element, value: in_words(desk, element, value),
    )
