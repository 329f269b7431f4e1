"""The register of service items and the detection of repeat collection, on each control database."""

from datetime import timedelta

import pytest

from datong.catalogue import (
    FieldState,
    NewServiceField,
    NewServiceItem,
    RepeatCollection,
    ServiceAction,
    ServiceItem,
    ServiceItems,
)
from datong.kernel import Conflict, Database, DepartmentCode, Invalid, NotFound, Refused, RequestId, Text
from datong.ledger import EntryKind
from datong.norms import NormPack, ShareType
from tests.unit.catalogue.conftest import (
    AUTHORITY_ACTOR,
    CIVIL,
    CIVIL_ACTOR,
    POLICE,
    POLICE_ACTOR,
    content,
)
from tests.unit.catalogue.sketching import item
from tests.unit.catalogue.test_sources import Table


class Counter(Table):
    """A city whose departments ask things of people."""

    def __init__(self, database: Database, pack: NormPack) -> None:
        super().__init__(database, pack)
        self.items = ServiceItems(
            database=database,
            clock=self.office.clock,
            ledger=self.office.ledger,
            departments=self.office.departments,
            sources=self.sources,
            pack=pack,
        )

    def asked(self) -> list[tuple[str, DepartmentCode, bool, bool]]:
        return [(one.element, one.source, one.designated, one.own) for one in self.items.repeats()]


@pytest.fixture
def counter(control_database: Database, pack: NormPack) -> Counter:
    return Counter(control_database, pack)


def field(name: str, element: str | None = None, **changes: int) -> NewServiceField:
    return NewServiceField(name=Text(zh=name, en=name), element=element, **changes)


def admission(*fields: NewServiceField, department: DepartmentCode = CIVIL, **changes: object) -> NewServiceItem:
    asked = fields or (field("孩子姓名"), field("家庭住址", sheets=2), field("性别", "sex", seconds=5), field("特长"))
    new = NewServiceItem(
        code="ZJ-001",
        name=Text(zh="义务教育入学", en="School admission"),
        department=department,
        legal_basis="义务教育法",
        annual_cases=1200,
        fields=asked,
    )
    return new.model_copy(update=changes)


def elements(found: ServiceItem) -> list[str | None]:
    return [one.element for one in found.fields]


def test_fields_are_mapped_by_their_names(counter: Counter) -> None:
    made = counter.items.put(admission(field("家庭住址"), field("性别", "ethnicity"), field("特长")), CIVIL_ACTOR)
    assert elements(made) == ["address", "ethnicity", None]
    assert made.fields[1].mapping_confidence == 100
    assert 50 <= made.fields[0].mapping_confidence < 100
    assert made.fields[2].mapping_confidence == 0
    assert counter.items.get(made.id) == made


def test_what_a_source_holds_need_not_be_asked(counter: Counter) -> None:
    made = counter.items.put(admission(), CIVIL_ACTOR)
    assert counter.asked() == []
    police = counter.city.publish(POLICE, "户籍")
    assert {one[0] for one in counter.asked()} == {"address", "sex"}
    assert all(one[1:] == (POLICE, False, False) for one in counter.asked())
    counter.designate(POLICE)
    assert ("address", POLICE, True, False) in counter.asked()
    (address,) = [one for one in counter.items.repeats() if one.element == "address"]
    assert address.resource_id == police.id
    counter.designate(CIVIL)
    assert [one[0] for one in counter.asked()] == ["sex"]  # the source itself must collect
    assert counter.items.repeats(item_id=made.id) == counter.items.repeats(department=CIVIL)
    assert counter.items.repeats(department=POLICE) == ()


def test_what_nobody_shares_or_only_the_asker_holds(counter: Counter) -> None:
    counter.items.put(admission(), CIVIL_ACTOR)
    private = (item("dz", "address").model_copy(update={"share_condition": "履职所需"}),)
    counter.office.publish(
        content(
            "保密",
            items=private,
            share_type=ShareType.NONE,
            legal_basis="保密法",
        ),
        department=POLICE,
    )
    assert counter.asked() == []
    counter.city.publish(CIVIL, "低保")
    assert {(element, source, own) for element, source, _, own in counter.asked()} == {
        ("address", CIVIL, True),
        ("sex", CIVIL, True),
    }


def test_the_burden_is_cases_times_fields(counter: Counter) -> None:
    counter.items.put(admission(), CIVIL_ACTOR)
    counter.items.put(admission(field("住址"), code="ZJ-002", annual_cases=100), CIVIL_ACTOR)
    counter.city.publish(POLICE, "户籍")
    report = counter.items.report()
    assert report.total.answers == 1200 + 1200 + 100
    assert report.total.sheets == 2400
    assert report.total.hours == pytest.approx((1200 * 30 + 1200 * 5 + 100 * 30) / 3600, abs=0.06)
    assert (report.total.items, report.total.fields) == (2, 3)
    assert [(one.element, one.burden.answers) for one in report.elements] == [("address", 1300), ("sex", 1200)]
    (department,) = report.departments
    assert (department.department, department.burden) == (CIVIL, report.total)
    assert report.relieved.answers == 0


def test_from_asked_to_shared(counter: Counter) -> None:
    made = counter.items.put(admission(), CIVIL_ACTOR)
    counter.city.publish(POLICE, "户籍")
    request = RequestId("r1")
    counter.items.mark(made.id, ServiceAction.REQUEST, [1], CIVIL_ACTOR, request_id=request)
    assert counter.items.get(made.id).fields[1].request_id == request
    assert counter.items.report().total.fields == 2
    counter.items.mark(made.id, ServiceAction.SHARE, [1], CIVIL_ACTOR, request_id=request)
    counter.items.mark(made.id, ServiceAction.KEEP, [2], CIVIL_ACTOR, reason="须当面核对")
    report = counter.items.report()
    assert report.total.fields == 0
    assert report.relieved.answers == 1200
    with pytest.raises(Conflict, match="service_state"):
        counter.items.mark(made.id, ServiceAction.REQUEST, [1], CIVIL_ACTOR)
    counter.items.mark(made.id, ServiceAction.ASK, [1], CIVIL_ACTOR, reason="接口停用")
    assert [step.action for step in counter.items.steps(made.id)] == [
        ServiceAction.ASK,
        ServiceAction.KEEP,
        ServiceAction.SHARE,
        ServiceAction.REQUEST,
        ServiceAction.REGISTER,
    ]
    entries = counter.office.ledger.entries(kind=EntryKind.SERVICE_ITEM, subject=made.id).rows
    assert {entry.entry_id for entry in entries} == {step.entry_id for step in counter.items.steps(made.id)}


def test_changing_an_item_keeps_what_was_reached(counter: Counter) -> None:
    made = counter.items.put(admission(), CIVIL_ACTOR)
    counter.items.mark(made.id, ServiceAction.SHARE, [1], CIVIL_ACTOR)
    assert counter.items.put(admission(), CIVIL_ACTOR) == counter.items.get(made.id)
    assert len(counter.items.steps(made.id)) == 2  # nothing changed, so nothing was recorded
    changed = counter.items.put(admission(field("民族"), field("家庭住址", sheets=2), annual_cases=5), CIVIL_ACTOR)
    assert changed.id == made.id
    assert [one.state for one in changed.fields] == [FieldState.ASKED, FieldState.SHARED]
    assert changed.annual_cases == 5


def test_all_items_of_a_file_or_none(counter: Counter) -> None:
    with pytest.raises(Refused, match="wrong_party"):
        counter.items.put_all((admission(), admission(code="ZJ-002", department=POLICE)), CIVIL_ACTOR)
    counter.items.put(admission(code="TAKEN", department=POLICE), POLICE_ACTOR)
    with pytest.raises(Conflict, match="service_code_taken"):
        counter.items.put_all((admission(), admission(code="TAKEN")), CIVIL_ACTOR)
    with pytest.raises(NotFound, match="element"):
        counter.items.put(admission(field("x", "nothing")), CIVIL_ACTOR)
    assert [one.code for one in counter.items.find().rows] == ["TAKEN"]
    assert len(counter.office.ledger.entries(kind=EntryKind.SERVICE_ITEM).rows) == 1
    assert len(counter.items.put_all((admission(), admission(code="ZJ-002")), AUTHORITY_ACTOR)) == 2


def test_retiring_takes_an_item_out(counter: Counter) -> None:
    made = counter.items.put(admission(), CIVIL_ACTOR)
    counter.city.publish(POLICE, "户籍")
    with pytest.raises(Invalid, match="reason_missing"):
        counter.items.retire(made.id, CIVIL_ACTOR, " ")
    with pytest.raises(Refused, match="wrong_party"):
        counter.items.retire(made.id, POLICE_ACTOR, "取消")
    counter.items.retire(made.id, CIVIL_ACTOR, "事项取消")
    assert counter.items.repeats() == ()
    assert counter.items.find().total == 0
    assert counter.items.find(retired=True).total == 1
    with pytest.raises(Conflict, match="service_state"):
        counter.items.retire(made.id, CIVIL_ACTOR, "再取消")
    with pytest.raises(Conflict, match="service_code_taken"):
        counter.items.put(admission(), CIVIL_ACTOR)


def test_acts_that_make_no_sense_are_refused(counter: Counter) -> None:
    made = counter.items.put(admission(), CIVIL_ACTOR)
    for positions in ([], [99], [0, 99]):
        with pytest.raises(NotFound, match="service_item_not_found"):
            counter.items.mark(made.id, ServiceAction.SHARE, positions, CIVIL_ACTOR)
    with pytest.raises(Conflict, match="service_state"):
        counter.items.mark(made.id, ServiceAction.REGISTER, [0], CIVIL_ACTOR)
    with pytest.raises(Invalid, match="reason_missing"):
        counter.items.mark(made.id, ServiceAction.KEEP, [0], CIVIL_ACTOR)
    with pytest.raises(Refused, match="wrong_party"):
        counter.items.mark(made.id, ServiceAction.SHARE, [0], POLICE_ACTOR)
    with pytest.raises(NotFound, match="service_item_not_found"):
        counter.items.get("none")


def test_progress_by_month(counter: Counter) -> None:
    made = counter.items.put(admission(field("住址", "address"), field("性别", "sex")), CIVIL_ACTOR)
    counter.office.clock.advance(timedelta(days=31))
    counter.items.mark(made.id, ServiceAction.SHARE, [0], CIVIL_ACTOR)
    counter.office.clock.advance(timedelta(days=31))
    found = counter.items.progress()
    assert len(found) == 12
    assert [(one.asked, one.shared) for one in found[-4:]] == [(0, 0), (2, 0), (1, 1), (1, 1)]
    assert found[-1].month > found[-2].month


def test_a_repeat_says_where_to_go_instead(counter: Counter) -> None:
    counter.items.put(admission(), CIVIL_ACTOR)
    police = counter.city.publish(POLICE, "户籍")
    found: tuple[RepeatCollection, ...] = counter.items.repeats()
    assert {one.resource_id for one in found} == {police.id}
    assert all(one.item_name.zh == "义务教育入学" and one.annual_cases == 1200 for one in found)
    assert "person_name" not in {one.element for one in found}
