"""Derived libraries over a real control database: who is in or out and why, versions that follow their inputs."""

import re
from pathlib import Path

import pytest
from deltalake import DeltaTable

from datong.kernel import (
    PLATFORM_ACTOR,
    Actor,
    ActorKind,
    Conflict,
    Database,
    DepartmentCode,
    EntityId,
    NotFound,
    Refused,
    Text,
)
from datong.ledger import EntryKind, verify_bundle
from datong.library import Build, BuildState, LandedSource
from datong.norms import load_pack
from datong.sharing import BlockEvidence, BlockPurpose, Blocks, PolicyEngine, Principal, Role, Usage
from tests.business_sources import SHOP, WATER, landed_business
from tests.integration.library.test_service import Hub
from tests.library_sources import department, landed, with_increment

RESIDENTS = {
    "no": "record_id", "name": "person_name", "id": "citizen_id", "home": "household_id", "kin": "relation_to_head",
    "spouse": "spouse_citizen_id",
}  # fmt: skip
INSURED = {"no": "record_id", "name": "person_name", "id": "citizen_id", "state": "insurance_status",
           "income": "annual_income", "boss": "employer_uscc"}  # fmt: skip
HOMES = {"no": "record_id", "unit": "real_estate_unit", "name": "person_name", "id": "citizen_id",
         "area": "property_area"}  # fmt: skip
ZHANG, LI, WANG = "110101199003070011", "370102198502150024", "11010519491231002X"


def landed_families(folder: Path) -> tuple[LandedSource, LandedSource, LandedSource]:
    """Three households: one with a high income and two homes, one poor, one of which nothing is known."""
    residents = landed(
        folder,
        "residents",
        RESIDENTS,
        (
            ("1", "张伟明", ZHANG, "H1", "户主", None),
            ("2", "李静", LI, "H2", "户主", None),
            ("3", "王建国", WANG, "H3", "户主", None),
            ("4", "李小明", None, "H2", "子", None),
        ),
    )
    insured = landed(
        folder,
        "insured",
        INSURED,
        (("1", "张伟明", ZHANG, "参保缴费", "120000", WATER), ("2", "李静", LI, "参保缴费", "24000", None)),
        number=1,
    )
    homes = landed(
        folder,
        "homes",
        HOMES,
        (
            ("1", "440604001001GB00001F00010001", "张伟明", ZHANG, "90.5"),
            ("2", "440604001001GB00001F00010002", "张伟明", ZHANG, "60"),
        ),
        number=2,
    )
    return residents, insured, homes


def built(hub: Hub, name: str) -> Build:
    return hub.library.run_build(hub.library.request_build(name, actor=PLATFORM_ACTOR).id)


@pytest.fixture
def hub(control_database: Database, tmp_path: Path) -> Hub:
    return Hub(control_database, tmp_path)


def test_a_family_is_in_or_out_and_the_table_says_why(hub: Hub, tmp_path: Path) -> None:
    library = hub.library
    with pytest.raises(Conflict, match=r"library\.input_missing"):
        library.request_build("low_income_family", actor=PLATFORM_ACTOR)
    residents, insured, homes = landed_families(tmp_path)
    hub.landing.landed = (residents, insured, homes)
    built(hub, "population")
    assert library.refresh_derived() == (), "a library that nobody built is not built by itself"
    first = built(hub, "low_income_family")
    assert first.state is BuildState.PUBLISHED
    assert set(first.step_seconds) == {"derive", "publish"}
    report = library.report("low_income_family")
    assert report.verdicts == {"fail": 1, "pass": 1, "unknown": 1}
    assert report.rules["homes"] == {"fail": 1, "pass": 2}

    (poor,) = library.lookup("low_income_family", "household_id", "H2")
    assert {code: poor.cells[code].value for code in ("members", "income", "income_per_head", "homes", "verdict")} == {
        "members": "2", "income": "24000", "income_per_head": "1000", "homes": "0", "verdict": "pass",
    }  # fmt: skip
    assert poor.cells["income"].batch_id == "population/1"
    (rich,) = library.lookup("low_income_family", "household_id", "H1")
    assert rich.entity_id is not None
    view = library.entity("low_income_family", rich.entity_id)
    said = {finding.rule: (finding.value, finding.threshold, finding.verdict) for finding in view.findings}
    assert said == {
        "income": ("10000", "2000", "fail"), "homes": ("2", "1", "fail"), "area": ("150.5", "50", "fail"),
    }  # fmt: skip
    (person,) = library.lookup("population", "citizen_id", ZHANG)
    assert [member.row_key for member in view.members] == [person.entity_id]
    then = library.versions.past("low_income_family", rich.entity_id, version=1)
    assert then.findings == view.findings
    assert (then.measures["income"], then.measures["verdict"]) == ("120000", "fail")
    (unknown,) = library.lookup("low_income_family", "household_id", "H3")
    assert unknown.cells["verdict"].value == "unknown"
    (hit,) = library.find_entities("low_income_family", "H1")
    assert hit.summary["verdict"] == "fail"

    dataset = library.dataset("low_income_family")
    table = DeltaTable(str(dataset.delta_path), version=dataset.delta_version).to_pyarrow_table().to_pylist()
    reasons = {row["household_id"]: (row["reasons_zh"], row["reasons_en"]) for row in table}
    assert "住房套数：2套（应不高于1套）不符合" in reasons["H1"][0]
    assert "Homes: 2套 (must be at most 1套) ✗" in reasons["H1"][1]
    assert "人均月收入：未知（应不高于2000元）待核实" in reasons["H3"][0]
    findings = DeltaTable(str(dataset.lineage_path)).to_pyarrow_table().to_pylist()
    assert len(findings) == 9
    entry = hub.ledger.entries(kind=EntryKind.DATASET).rows[0]
    assert entry.subject == "low_income_family/1"
    assert {known["dataset"] for known in entry.facts["inputs"]} == {"population", "resource:homes"}
    # Within a digest any five digits may stand.
    assert re.search(r"\b24000\b", str(entry.facts)) is None

    # The same input again gives the same digest; a newer version of an input asks for a build by itself.
    assert library.refresh_derived() == ()
    assert built(hub, "low_income_family").digest == first.digest
    hub.landing.landed = (
        residents,
        with_increment(insured, tmp_path, [("3", "王建国", WANG, "参保缴费", "6000", None)]),
        homes,
    )
    built(hub, "population")
    (requested,) = library.refresh_derived()
    assert library.refresh_derived() == ()
    third = library.run_build(requested)
    assert third.version == 3
    assert library.lookup("low_income_family", "household_id", "H3")[0].cells["verdict"].value == "pass"


@pytest.mark.parametrize("control_database", ["sqlite"], indirect=True)
def test_firms_are_judged_by_penalties_and_fees(hub: Hub, tmp_path: Path) -> None:
    hub.landing.landed = landed_business(tmp_path)
    built(hub, "legal_entity")
    assert built(hub, "public_credit").state is BuildState.PUBLISHED
    assert built(hub, "enterprise_fees").state is BuildState.PUBLISHED
    library = hub.library
    (water,) = library.lookup("public_credit", "uscc", WATER)
    assert {code: water.cells[code].value for code in ("penalties", "fines", "lists", "arrears", "verdict")} == {
        "penalties": "2", "fines": "70000", "lists": "0", "arrears": "0", "verdict": "fail",
    }  # fmt: skip
    (firm,) = library.lookup("legal_entity", "uscc", WATER)
    assert water.entity_id == firm.entity_id, "a firm has one id in the base library and in what derives from it"
    (fees,) = library.lookup("enterprise_fees", "uscc", WATER)
    assert {code: fees.cells[code].value for code in ("charges", "total", "unpaid", "without_basis", "verdict")} == {
        "charges": "2", "total": "1500", "unpaid": "300", "without_basis": "1", "verdict": "fail",
    }  # fmt: skip
    assert library.lookup("enterprise_fees", "uscc", SHOP)[0].cells["verdict"].value == "pass"
    assert library.lookup("public_credit", "uscc", SHOP)[0].cells["verdict"].value == "pass"
    _merged_firms_are_found_by_both_ids(hub, tmp_path)


def _merged_firms_are_found_by_both_ids(hub: Hub, folder: Path) -> None:
    """The shop gets the code of the waterworks: two firms become one, in the base library first."""
    library = hub.library
    ids = {row.entity_id for code in (WATER, SHOP) for row in library.lookup("legal_entity", "uscc", code)}
    enterprises = next(source for source in hub.landing.landed if source.resource_id == "enterprises")
    others = tuple(source for source in hub.landing.landed if source is not enterprises)
    renamed = ("E2", "示例市清泉水务有限公司", WATER, "张伟明", None, "示例市汾江路12号", "存续", "2025-06-01 08:00:00")
    gone = ("F3", WATER, "示例市清泉水务有限公司", None, "城市道路占用费", "80", None, "已缴", "2025-06-01 08:00:00")
    hub.landing.landed = tuple(
        with_increment(source, folder, [gone]) if source.resource_id == "fees" else source for source in others
    ) + (with_increment(enterprises, folder, [renamed]),)
    built(hub, "legal_entity")
    (firm,) = library.lookup("legal_entity", "uscc", WATER)
    (former,) = ids - {firm.entity_id}
    assert firm.entity_id in ids
    assert former is not None
    assert library.entity("legal_entity", former).entity_id == firm.entity_id
    assert library.entity("public_credit", former).entity_id == former, "what it read then is as it was"
    for requested in library.refresh_derived():
        library.run_build(requested)
    view = library.entity("public_credit", former)
    assert (view.entity_id, former in view.former_ids) == (firm.entity_id, True)
    (row,) = library.lookup("public_credit", "member_id", former)
    assert row.entity_id == firm.entity_id
    with pytest.raises(NotFound, match=r"library\.entity_unknown"):
        library.entity("public_credit", EntityId("0" * 32))


@pytest.mark.parametrize("control_database", ["sqlite"], indirect=True)
def test_the_graph_tells_who_belongs_to_whom_and_which_record_says_so(hub: Hub, tmp_path: Path) -> None:
    families = landed_families(tmp_path)
    hub.landing.landed = (*families, *landed_business(tmp_path))
    built(hub, "population")
    assert hub.library.relations(EntityId("0" * 32)) == ()
    alone = built(hub, "relations")
    for name in ("legal_entity", "certificate"):
        built(hub, name)
    (requested,) = hub.library.refresh_derived()
    again = hub.library.run_build(requested)
    assert again.digest != alone.digest
    library = hub.library
    (zhang,) = library.lookup("population", "citizen_id", ZHANG)
    (li,) = library.lookup("population", "citizen_id", LI)
    (water,) = library.lookup("legal_entity", "uscc", WATER)
    assert library.report("relations").edges == {
        "employer": 1, "holder_firm": 1, "holder_person": 1, "household": 4, "kin": 1, "legal_representative": 2,
        "property": 2, "shareholder": 2,
    }  # fmt: skip
    assert zhang.entity_id is not None
    edges = {(row.cells["kind"].value, row.cells["to_type"].value): row for row in library.relations(zhang.entity_id)}
    assert set(edges) == {
        ("household", "household"), ("employer", "legal_entity"), ("property", "property"),
        ("legal_representative", "population"), ("shareholder", "population"),
    }  # fmt: skip
    share = edges["shareholder", "population"].cells
    assert (share["from_id"].value, share["attribute"].value) == (water.entity_id, "0.7000")
    assert (share["from_id"].department, share["from_id"].row_key) == (department(13), "S1")
    employer = edges["employer", "legal_entity"].cells["to_id"]
    assert (employer.value, employer.department, employer.row_key) == (water.entity_id, department(1), "1")
    assert li.entity_id is not None
    kin = next(row.cells for row in library.relations(li.entity_id) if row.cells["kind"].value == "kin")
    assert (kin["to_id"].value, kin["attribute"].value) == (li.entity_id, "20")
    dataset = library.dataset("relations")
    table = DeltaTable(str(dataset.delta_path), version=dataset.delta_version).to_pyarrow_table()
    assert table.num_rows == dataset.rows == 14


@pytest.mark.parametrize("control_database", ["sqlite"], indirect=True)
def test_every_cell_of_block_data_is_decided_by_the_policy(
    hub: Hub, control_database: Database, tmp_path: Path
) -> None:
    hub.landing.landed = (*landed_families(tmp_path), *landed_business(tmp_path))
    for name in ("population", "legal_entity", "certificate", "relations", "low_income_family"):
        built(hub, name)
    key = b"k" * 32
    evidence = BlockEvidence(database=control_database, clock=hub.clock, ledger=hub.ledger, index_key=key)
    blocks = Blocks(library=hub.library, policy=PolicyEngine(), pack=load_pack(None), evidence=evidence)
    usage = Usage(database=control_database, ledger=hub.ledger, index_key=key)
    asked = BlockPurpose(purpose="信访核查", case_number="XF-1")
    authority = person(department(9), Role.AUTHORITY)
    (entity,) = blocks.by_key(authority, "population", "citizen_id", ZHANG)
    whole = blocks.open(authority, "population", entity, asked)
    assert whole.hidden == 0
    assert [known.department for known in whole.departments] == [department(0), department(1), department(2)]
    assert {edge.kind for edge in whole.edges} == {
        "household", "employer", "property", "legal_representative", "shareholder",
    }  # fmt: skip
    assert [(known.library, known.verdict) for known in whole.verdicts] == [("low_income_family", "fail")]

    insurance = blocks.open(person(department(1), Role.DATA_OFFICER), "population", entity, asked)
    seen = {cell.element for cell in insurance.cells}
    assert "annual_income" in seen, "the own department's cell"
    assert "household_id" not in seen, "a cell of the police"
    assert {edge.kind for edge in insurance.edges} == {"employer"}
    assert [known.department for known in insurance.departments] == [department(1)]
    assert insurance.verdicts == ()
    assert insurance.hidden
    assert insurance.reasons
    assert insurance.shown + insurance.hidden == whole.shown
    for role in (Role.BUSINESS, Role.CITIZEN, Role.OPERATOR):
        with pytest.raises(Refused, match=r"sharing\.not_permitted"):
            blocks.open(person(department(1), role), "population", entity, asked)

    uses = usage.uses_of(ZHANG)
    assert [use.access_id for use in uses] == [insurance.access_id, whole.access_id], "refused attempts are no uses"
    assert (uses[0].kind, uses[0].consumer, uses[0].scene, uses[0].case_number) == (
        "block", department(1), "信访核查", "XF-1",
    )  # fmt: skip
    assert Text(zh="年收入", en="Annual income").zh in {item.zh for item in uses[0].items}
    assert usage.uses_of(LI) == []
    while hub.ledger.integrate():
        pass
    bundle = usage.proof(whole.access_id, citizen_id=ZHANG)
    facts = verify_bundle(bundle).entry.facts
    assert (facts["departments"], facts["hidden"]) == ([department(number) for number in (0, 1, 2, 10, 13)], 0)
    assert (facts["shown"], facts["subjects"]) == (whole.shown, 1)
    refused = hub.ledger.entries(kind=EntryKind.REFUSAL, limit=10).rows
    assert len(refused) == 3
    leaves = str([entry.facts for entry in (*hub.ledger.entries(kind=EntryKind.ACCESS).rows, *refused)])
    assert not any(value in leaves for value in (entity, ZHANG, "张伟明", "信访核查", "XF-1"))


def person(code: DepartmentCode, role: Role) -> Principal:
    """Return somebody of a department."""
    actor = Actor(kind=ActorKind.PERSON, id="p1", name="p1", department=code)
    return Principal(actor=actor, roles=frozenset({role}))
