"""Service items that ship as definitions, and cases whose forms are filled in through sharing."""

from pydantic import Field

from datong.catalogue import ServiceItem
from datong.catalogue.service_values import CASES_MAX
from datong.kernel import DepartmentCode, Value
from datong.kernel.limits import NAME_CHARS_MAX
from datong.sharing import Action, CaseForm, ItemDefinition, ServiceBenefit, Target, definition_of
from datong.web.api.service_items import require_edit
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes

router = api_routes(tag="service items")


class Adoption(Value):
    """The department that takes a definition into its register, and how many cases it expects in a year."""

    department: DepartmentCode
    annual_cases: int = Field(0, ge=0, le=CASES_MAX)


class NewCase(Value):
    """A case: for whom, under which number; `key` is `citizen_id` for people, `uscc` for firms."""

    applicant: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    case_number: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    key: str = Field("citizen_id", max_length=64)


@router.get("/service-definitions")
def list_service_definitions(caller: Caller, hub: Hub) -> tuple[ItemDefinition, ...]:
    """Return the service items that ship with the platform, with the materials that each asks for."""
    hub.policy.require(caller, Action.SERVICE_ITEM_READ)
    return hub.service_cases.definitions


@router.post("/service-definitions/{code}/adoptions", status_code=201)
def adopt_service_definition(code: str, body: Adoption, caller: Caller, hub: Hub) -> ServiceItem:
    """Take a definition into a department's register; one that is there already is brought up to date."""
    require_edit(hub, caller, body.department)
    definition = definition_of(code, hub.service_cases.definitions)
    new = definition.new_item(body.department, annual_cases=body.annual_cases, pack=hub.pack)
    return hub.service_items.put(new, caller.actor)


@router.get("/service-items/benefit")
def report_service_benefit(caller: Caller, hub: Hub, department: DepartmentCode | None = None) -> ServiceBenefit:
    """Return how many documents, sheets and trips handled cases spared people."""
    hub.policy.require(caller, Action.SERVICE_ITEM_READ)
    return hub.service_cases.benefit(department=department)


@router.post("/service-items/{item_id}/cases", status_code=201)
def handle_service_case(item_id: str, body: NewCase, caller: Caller, hub: Hub) -> CaseForm:
    """Fill in the form of one case for one applicant; what each department is asked is decided and put on record."""
    item = hub.service_items.get(item_id)
    hub.policy.require(caller, Action.SERVICE_CASE_HANDLE, Target.of_department(item.department, name=item.id))
    return hub.service_cases.handle(
        caller, item_id, applicant=body.applicant, case_number=body.case_number, key_element=body.key
    )
