"""Designating source departments, on each control database, and the ranking of candidates."""

import random
import threading

import pytest

from datong.catalogue import (
    Objection,
    ObjectionState,
    Overlaps,
    Resource,
    Source,
    SourceAction,
    Sources,
    source_norms,
)
from datong.catalogue.source_rules import rank
from datong.kernel import Conflict, Database, DatongError, DepartmentCode, Invalid, NotFound, Refused, ResourceId
from datong.ledger import EntryKind
from datong.norms import NormPack, UpdateCycle
from tests.unit.catalogue.conftest import (
    AUTHORITY,
    AUTHORITY_ACTOR,
    CIVIL,
    CIVIL_ACTOR,
    POLICE,
    POLICE_ACTOR,
    content,
    make_office,
)
from tests.unit.catalogue.sketching import citizen_ids
from tests.unit.catalogue.test_overlaps import City, homes


class Table:
    """Two departments with published tables, and the sources."""

    def __init__(self, database: Database, pack: NormPack) -> None:
        self.office = make_office(database, pack)
        self.city = City(self.office, pack)
        self.sources = Sources(
            database=database,
            clock=self.office.clock,
            ledger=self.office.ledger,
            departments=self.office.departments,
            overlaps=self.city.overlaps,
            pack=pack,
        )

    def designate(self, department: DepartmentCode = POLICE, **changes: object) -> Source:
        values = {"legal_basis": "户口登记条例", "reason": "覆盖最全", "element": "address", "scope": ""} | changes
        resource_id = values.pop("resource_id", None)
        assert resource_id is None or isinstance(resource_id, str)
        texts = {name: str(value) for name, value in values.items()}
        return self.sources.designate(
            department=department,
            actor=AUTHORITY_ACTOR,
            resource_id=None if resource_id is None else ResourceId(resource_id),
            **texts,
        )

    def actions(self) -> list[str]:
        entries = sorted(self.office.ledger.entries(kind=EntryKind.SOURCE).rows, key=lambda entry: entry.entry_id)
        return [str(entry.facts["action"]) for entry in entries]


@pytest.fixture
def table(control_database: Database, pack: NormPack) -> Table:
    return Table(control_database, pack)


def test_a_designation_is_revised_and_withdrawn_with_its_history(table: Table) -> None:
    first = table.designate()
    second = table.designate(CIVIL, reason="机构改革")
    assert table.sources.active(["address"]) == (second,)
    gone = table.sources.withdraw(second.id, AUTHORITY_ACTOR, "职责调整")
    assert gone.ended_at is not None
    assert table.sources.active(["address"]) == ()
    found = table.sources.of_element("address")
    assert [step.action for step in found.steps] == [
        SourceAction.WITHDRAW,
        SourceAction.REVISE,
        SourceAction.DESIGNATE,
    ]
    assert [step.reason for step in found.steps] == ["职责调整", "机构改革", "覆盖最全"]
    assert table.actions() == ["designate", "revise", "withdraw"]
    entries = table.office.ledger.entries(kind=EntryKind.SOURCE).rows
    assert {entry.entry_id for entry in entries} == {step.entry_id for step in found.steps}
    assert [entry.facts.get("replaces") for entry in entries if entry.facts["action"] == "revise"] == [first.id]
    assert not any("机构" in str(entry.facts) for entry in entries)
    with pytest.raises(Conflict, match="source_ended"):
        table.sources.withdraw(second.id, AUTHORITY_ACTOR, "再次")


def test_each_scope_has_a_source_of_its_own(table: Table) -> None:
    everybody = table.designate()
    minors = table.designate(CIVIL, scope="未成年人")
    assert {one.id for one in table.sources.active(["address"])} == {everybody.id, minors.id}


def test_only_the_authority_decides(table: Table) -> None:
    source = table.designate()
    objection = table.sources.object(source.id, CIVIL_ACTOR, "数据更新不及时")
    for act in (
        lambda: table.sources.designate(
            element="address", department=POLICE, actor=POLICE_ACTOR, legal_basis="x", reason="x"
        ),
        lambda: table.sources.withdraw(source.id, POLICE_ACTOR, "x"),
        lambda: table.sources.answer(objection.id, CIVIL_ACTOR, uphold=True, answer="x"),
    ):
        with pytest.raises(Refused, match="wrong_party"):
            act()
    assert table.actions() == ["designate", "object"]


def test_objections_are_answered_once(table: Table) -> None:
    source = table.designate()
    objection = table.sources.object(source.id, CIVIL_ACTOR, "数据更新不及时")
    with pytest.raises(Conflict, match="objection_open"):
        table.sources.object(source.id, CIVIL_ACTOR, "再提")
    assert table.sources.overview()[0].objections == 1
    dismissed = table.sources.answer(objection.id, AUTHORITY_ACTOR, uphold=False, answer="已按日更新")
    assert dismissed.state is ObjectionState.DISMISSED
    assert table.sources.active(["address"]) == (source,)
    with pytest.raises(Conflict, match="source_ended"):
        table.sources.answer(objection.id, AUTHORITY_ACTOR, uphold=True, answer="再答")
    again = table.sources.object(source.id, CIVIL_ACTOR, "仍不及时")
    table.sources.answer(again.id, AUTHORITY_ACTOR, uphold=True, answer="属实")
    assert table.sources.active(["address"]) == ()
    with pytest.raises(Conflict, match="source_ended"):
        table.sources.object(source.id, CIVIL_ACTOR, "三提")
    found: tuple[Objection, ...] = table.sources.of_element("address").objections
    assert {one.state for one in found} == {ObjectionState.DISMISSED, ObjectionState.UPHELD}
    assert table.actions() == ["designate", "object", "dismiss", "object", "uphold"]


def test_what_is_missing_or_wrong_is_named(table: Table) -> None:
    other = table.city.publish(CIVIL, "低保")
    cases: list[tuple[dict[str, object], type[DatongError], str]] = [
        ({"element": "nothing"}, NotFound, "element"),
        ({"department": "nobody"}, NotFound, "department_not_found"),
        ({"reason": "  "}, Invalid, "text_missing"),
        ({"legal_basis": ""}, Invalid, "text_missing"),
        ({"reason": "长" * 4001}, Invalid, "text_missing"),
        ({"scope": "长" * 201}, Invalid, "text_missing"),
        ({"resource_id": other.id}, Invalid, "does_not_hold"),
        ({"resource_id": "none"}, Invalid, "does_not_hold"),
    ]
    for changes, kind, code in cases:
        department = DepartmentCode(str(changes.pop("department", POLICE)))
        with pytest.raises(kind, match=code):
            table.designate(department, **changes)
    for act in (
        lambda: table.sources.withdraw("none", AUTHORITY_ACTOR, "x"),
        lambda: table.sources.answer("none", AUTHORITY_ACTOR, uphold=True, answer="x"),
        lambda: table.sources.object("none", CIVIL_ACTOR, "x"),
    ):
        with pytest.raises(NotFound, match="source_not_found"):
            act()
    assert table.designate(CIVIL, resource_id=other.id).resource_id == other.id


def test_two_designations_at_once_leave_one(table: Table) -> None:
    done: list[object] = []

    def work(department: DepartmentCode) -> None:
        try:
            done.append(table.designate(department))
        except Conflict as error:
            done.append(error)

    threads = [threading.Thread(target=work, args=(department,)) for department in (POLICE, CIVIL, AUTHORITY)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 3
    assert len(table.sources.active(["address"])) == 1
    made = [one for one in done if isinstance(one, Source)]
    assert len(table.actions()) == len(made)


def test_hints_lead_to_the_source(table: Table) -> None:
    source = table.designate()
    items = [("dz", "address"), ("xb", "sex"), ("bz", None)]
    (hint,) = table.sources.hints(CIVIL, items)
    assert (hint.column, hint.element, hint.source) == ("dz", "address", source)
    assert table.sources.hints(POLICE, items) == ()
    table.designate(CIVIL, scope="低保对象")
    assert table.sources.hints(CIVIL, items) == ()


def test_candidates_are_ranked_by_evidence(table: Table) -> None:
    ids = citizen_ids(random.Random(1), 4000)
    police, civil = table.city.publish(POLICE, "户籍"), table.city.publish(CIVIL, "低保")
    table.city.sketch(POLICE, police, homes(ids))
    table.city.sketch(CIVIL, civil, dict(list(homes(ids).items())[:1500]))
    table.city.compare()
    first, second = table.sources.of_element("address").candidates
    assert first.department == POLICE
    assert first.legal_duty is not None
    assert second.legal_duty is None
    assert first.coverage is not None
    assert first.coverage > 0.95
    assert second.coverage is not None
    assert abs(second.coverage - 1500 / 4000) < 0.06
    assert first.concord is not None
    assert first.concord > 0.9
    assert first.completeness == 1.0
    assert first.score > second.score


def test_what_was_not_measured_earns_nothing(table: Table) -> None:
    police = table.city.publish(POLICE, "户籍")
    (only,) = table.sources.of_element("address").candidates
    assert (only.coverage, only.concord, only.completeness) == (None, None, None)
    weights = source_norms().weights
    assert only.score == weights["legal_duty"] + weights["freshness"] * only.freshness
    assert only.resource_id == police.id


def test_norms_of_sources_fit_the_pack(pack: NormPack) -> None:
    norms = source_norms()
    assert sum(norms.weights.values()) == 100
    assert set(norms.freshness) == {cycle.value for cycle in UpdateCycle}
    named = {element for duty in norms.duties for element in duty.elements} | set(norms.identifying)
    assert all(pack.has_element(element) for element in named)
    assert rank("address", (), (), registers={}, table_rows={}, names={}, norms=norms) == ()


def test_overview_lists_what_several_hold_first(table: Table) -> None:
    published: list[Resource] = [table.city.publish(POLICE, "户籍"), table.city.publish(CIVIL, "低保")]
    table.office.publish(content("区划"), department=POLICE)
    table.designate(element="marital_status", department=CIVIL)
    found = table.sources.overview()
    assert [len(one.departments) for one in found] == sorted((len(one.departments) for one in found), reverse=True)
    assert {one.element for one in found if len(one.departments) == 2} == {"citizen_id", "address", "sex"}
    (marital,) = [one for one in found if one.element == "marital_status"]
    assert marital.departments == ()
    assert marital.sources[0].department == CIVIL
    assert len(published) == 2
    assert isinstance(table.city.overlaps, Overlaps)
