"""Cases of service items over the real gateway: prefilled under agreements, with evidence, and counted once."""

import pytest

from datong.catalogue import ServiceItem
from datong.catalogue.service_values import FieldState, ServiceField
from datong.kernel import Conflict, Invalid, NotFound
from datong.ledger import EntryKind
from datong.sharing.items.cases import ServiceCases
from datong.sharing.items.forms import CaseBenefit, FilledState
from datong.sharing.items.register import MemoryServiceItems
from datong.sharing.principals import Role
from datong.sharing.request_rules import RequestAction
from datong.sharing.subjects import subject_index_key
from tests.unit.sharing.samples import EDUCATION, NOW, POLICE, RESOURCE, SOCIAL, officer, person, text
from tests.unit.sharing.world import PACK, World

CITIZEN = "110101199003070011"
OTHER = "110101200002290042"
CLERK = officer(EDUCATION, Role.BUSINESS)
CODE = "school-admission"


def field(position: int, zh: str, element: str | None, *, material: str = "", sheets: int = 0) -> ServiceField:
    return ServiceField(
        name=text(zh),
        element=element,
        material=material,
        sheets=sheets,
        position=position,
        mapping_confidence=100,
        state=FieldState.ASKED,
        request_id=None,
        changed_at=NOW,
    )


ITEM = ServiceItem(
    id="item-1",
    code=CODE,
    name=text("入学"),
    department=EDUCATION,
    legal_basis="《义务教育法》第十二条",
    annual_cases=10,
    retired=False,
    registered_at=NOW,
    updated_at=NOW,
    fields=(
        field(0, "姓名", "person_name", material="户口簿", sheets=2),
        field(1, "户号", "household_id", material="户口簿"),
        field(2, "住址", "address", material="居住证", sheets=1),
        field(3, "房屋", "property_address", material="房产证", sheets=1),
        field(4, "特长", None),
    ),
)


def cases(world: World, *items: ServiceItem) -> ServiceCases:
    return ServiceCases(
        database=world.database,
        clock=world.clock,
        ledger=world.ledger,
        register=MemoryServiceItems(items or (ITEM,)),
        agreements=world.agreements,
        catalogue=world.resources,
        query=world.gateway.query,
        index_key=subject_index_key(world.signer),
        pack=PACK,
    )


@pytest.fixture
def shared(world: World) -> World:
    """A world where education may query name, household and address, and one address is not on record."""
    granted, waiting = world.submit(["姓名", "公民身份号码", "hh", "hjdz"])
    world.put_in_force(granted.agreement_id)
    world.put_in_force(world.requests.act(waiting.id, RequestAction.APPROVE, person(POLICE)).agreement_id)
    row = {"citizen_id": CITIZEN, "person_name": "张三丰", "household_id": "H1", "address": None}
    world.records.rows[RESOURCE] = (row, {**row, "citizen_id": OTHER, "address": "某路1号"})
    return world


def test_a_form_is_filled_with_origins_and_says_what_remains(shared: World) -> None:
    form = cases(shared).handle(CLERK, "item-1", applicant=CITIZEN, case_number="RX-1")
    by_name = {one.name.zh: one for one in form.fields}
    assert {name: one.state for name, one in by_name.items()} == {
        "姓名": FilledState.MASKED,
        "户号": FilledState.FILLED,
        "住址": FilledState.EMPTY,
        "房屋": FilledState.NOT_AGREED,
        "特长": FilledState.BROUGHT,
    }
    assert by_name["姓名"].values == ("张**",)
    origin = by_name["户号"].origin
    assert origin is not None
    assert (origin.provider, origin.agreement_version) == (POLICE, 1)
    assert shared.agreements.get(origin.agreement_id).item("hh") is not None
    assert [material.name for material in form.to_bring] == ["居住证", "房产证", "特长"]
    assert form.benefit == CaseBenefit(cases=1, documents=1, sheets=2, trips=1)
    # One call gets all that the resource has, under both agreements.
    assert len({one.origin.access_id for one in form.fields if one.origin}) == 1


def test_the_evidence_of_a_case_has_figures_and_no_personal_value(shared: World) -> None:
    form = cases(shared).handle(CLERK, "item-1", applicant=CITIZEN, case_number="RX-1")
    (entry,) = shared.ledger.entries(kind=EntryKind.SERVICE_CASE).rows
    assert entry.entry_id == form.entry_id
    assert (entry.facts["step"], entry.facts["documents"], entry.facts["to_bring"]) == ("handle", 1, 3)
    written = repr(entry.facts)
    assert all(value not in written for value in (CITIZEN, "RX-1", "张", "H1"))
    (use,) = shared.usage.uses_of(CITIZEN)
    assert entry.facts["accesses"] == [use.access_id]
    assert (use.service_item, use.case_number) == (CODE, "RX-1")


def test_a_case_counts_once_and_its_number_is_for_one_applicant(shared: World) -> None:
    service = cases(shared)
    service.handle(CLERK, "item-1", applicant=CITIZEN, case_number="RX-1")
    service.handle(CLERK, "item-1", applicant=CITIZEN, case_number="RX-1")
    service.handle(CLERK, "item-1", applicant=OTHER, case_number="RX-2")
    assert service.benefit().total == CaseBenefit(cases=2, documents=3, sheets=5, trips=2)
    assert service.benefit(department=SOCIAL).total == CaseBenefit()
    assert [one.code for one in service.benefit(item_id="item-1").items] == [CODE]
    reads = shared.records.lookups
    with pytest.raises(Conflict) as caught:
        service.handle(CLERK, "item-1", applicant=OTHER, case_number="RX-1")
    assert caught.value.code == "sharing.case_of_another"
    assert shared.records.lookups == reads, "nothing was read for the wrong applicant"
    steps = [entry.facts["step"] for entry in shared.ledger.entries(kind=EntryKind.SERVICE_CASE).rows]
    assert sorted(steps) == ["again", "handle", "handle"]


def test_what_the_gateway_refuses_leaves_the_form_to_be_brought(shared: World) -> None:
    # An auditor has no right to data, whatever the agreement: the gateway says so, and the refusal is on record.
    form = cases(shared).handle(officer(EDUCATION, Role.AUDITOR), "item-1", applicant=CITIZEN, case_number="RX-9")
    assert {one.state for one in form.fields if one.element == "household_id"} == {FilledState.REFUSED}
    assert form.benefit == CaseBenefit(cases=1)
    assert shared.ledger.entries(kind=EntryKind.REFUSAL).total == 1


def test_other_items_have_no_part_in_an_agreement(shared: World) -> None:
    other = ITEM.model_copy(update={"id": "item-2", "code": "library-card"})
    form = cases(shared, other).handle(CLERK, "item-2", applicant=CITIZEN, case_number="L-1")
    assert {one.state for one in form.fields} == {FilledState.NOT_AGREED, FilledState.BROUGHT}
    assert shared.records.lookups == 0


def test_nonsense_is_refused(shared: World) -> None:
    retired = ITEM.model_copy(update={"id": "item-3", "retired": True})
    service = cases(shared, ITEM, retired)
    for applicant, number in (("", "RX-1"), (CITIZEN, " "), ("1" * 201, "RX-1")):
        with pytest.raises(Invalid):
            service.handle(CLERK, "item-1", applicant=applicant, case_number=number)
    with pytest.raises(Invalid):
        service.handle(CLERK, "item-1", applicant=CITIZEN, case_number="RX-1", key_element="phone")
    with pytest.raises(Conflict):
        service.handle(CLERK, "item-3", applicant=CITIZEN, case_number="RX-1")
    with pytest.raises(NotFound):
        service.handle(CLERK, "nothing", applicant=CITIZEN, case_number="RX-1")
