"""The documents of an agreement: contract, policy, paper, and the check of its code."""

import io
import json
from datetime import timedelta

import pydantic
import pyodcs
import pytest
import yaml
from pypdf import PdfReader
from rdflib import RDF, Graph, Literal, Namespace, URIRef
from sqlalchemy import update

from datong.kernel import Invalid, NotFound, Refused
from datong.sharing import tables
from datong.sharing.masks import MaskKind
from datong.sharing.obligations import AgreementSide, Obligation
from datong.sharing.paper_codes import shown_code
from datong.sharing.row_filters import RowCondition, RowOperator
from datong.sharing.terms import Agreement, AgreementState, PurposeDraft, RequestLine
from tests.unit.sharing.samples import EDUCATION, POLICE, PURPOSE, RESOURCE, application, person
from tests.unit.sharing.world import World

ODRL = Namespace("http://www.w3.org/ns/odrl/2/")
ONE_HOUSEHOLD = RowCondition(column="hh", operator=RowOperator.IS, values=("H1",))


def agreed(world: World, *rows: RowCondition) -> Agreement:
    """An agreement in force about names and households, of some rows only if `rows` says so."""
    line = RequestLine(resource_id=RESOURCE, items=("姓名", "户号", "公民身份号码"), rows=rows)
    purpose = PurposeDraft.model_validate(PURPOSE.model_dump())
    (request,) = world.requests.submit(consumer=EDUCATION, lines=[line], purpose=purpose, actor=person(EDUCATION))
    return world.put_in_force(request.agreement_id)


def test_the_contract_is_valid_and_complete(world: World) -> None:
    agreement = agreed(world, ONE_HOUSEHOLD)
    text = world.documents.contract(agreement.id)
    assert pyodcs.parse_and_validate(text)["diagnostics"] == []
    contract = yaml.safe_load(text)
    custom = {entry["property"]: entry["value"] for entry in contract["customProperties"]}
    assert custom["rowFilter"] == [{"column": "hh", "operator": "is", "values": ["H1"]}]
    assert {entry["code"] for entry in custom["obligations"]} == {owed.value for owed in Obligation}
    assert sum(custom["liabilityPermille"].values()) == 1000
    assert custom["usagePolicy"] == world.documents.policy(agreement.id)
    assert {level["property"] for level in contract["slaProperties"]} >= {"latency", "availability", "completeness"}
    key = next(one for one in contract["schema"][0]["properties"] if one["primaryKey"])
    assert key["quality"] == [{"type": "library", "metric": "nullValues", "mustBe": 0}]


def test_a_broken_contract_is_noticed(world: World) -> None:
    contract = yaml.safe_load(world.documents.contract(agreed(world).id))
    assert pyodcs.parse_and_validate(yaml.safe_dump({**contract, "status": 5, "schema": "x"}))["diagnostics"] != []


@pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")
def test_the_policy_is_odrl_that_needs_nothing_from_elsewhere(world: World) -> None:
    agreement = agreed(world, ONE_HOUSEHOLD)
    graph = Graph().parse(data=json.dumps(world.documents.policy(agreement.id)), format="json-ld")
    (policy,) = graph.subjects(RDF.type, ODRL.Agreement)
    assert (policy, ODRL.assigner, URIRef(f"urn:datong:department:{POLICE}")) in graph
    assert (policy, ODRL.assignee, URIRef(f"urn:datong:department:{EDUCATION}")) in graph
    permissions = list(graph.objects(policy, ODRL.permission))
    assert {graph.value(one, ODRL.action) for one in permissions} == {ODRL.read, ODRL.reproduce}
    for permission in permissions:
        constraints = list(graph.objects(permission, ODRL.constraint))
        operands = sorted(str(graph.value(one, ODRL.leftOperand)) for one in constraints)
        assert operands == [*[str(ODRL.dateTime)] * 2, str(ODRL.purpose), "urn:datong:term:column"]
        purpose = next(one for one in constraints if graph.value(one, ODRL.leftOperand) == ODRL.purpose)
        assert graph.value(purpose, ODRL.rightOperand) == Literal("school-admission")
        masks = {graph.value(duty, ODRL.action) for duty in graph.objects(permission, ODRL.duty)}
        assert masks == {ODRL.anonymize}
    assert {graph.value(one, ODRL.action) for one in graph.objects(policy, ODRL.prohibition)} == {
        ODRL.distribute,
        ODRL.sell,
        ODRL.use,
    }
    deletion = [one for one in graph.objects(policy, ODRL.obligation) if graph.value(one, ODRL.action) == ODRL.delete]
    assert [graph.value(one, ODRL.assignee) for one in deletion] == [URIRef(f"urn:datong:department:{EDUCATION}")]


def test_the_paper_says_everything_in_chinese(world: World) -> None:
    agreement = agreed(world, ONE_HOUSEHOLD)
    paper = world.documents.pdf(agreement.id)
    pages = PdfReader(io.BytesIO(paper)).pages
    text = "".join(page.extract_text() for page in pages).replace("\n", "")
    for said in (
        agreement.id,
        agreement.terms_digest,
        shown_code(agreement.code),
        "公安局",
        "教育局",
        "常住人口",
        "户号 等于 H1",
        PURPOSE.legal_basis,
        PURPOSE.scope,
        MaskKind.NAME.label.zh,
        *(owed.label.zh for owed in agreement.obligations),
        *(done.key_id for done in agreement.signatures),
    ):
        assert said in text, said
    assert all(shown_code(agreement.code) in page.extract_text() for page in pages)
    assert world.documents.pdf(agreement.id) == paper


def test_long_and_odd_texts_still_fit_the_paper(world: World) -> None:
    (granted,) = world.submit(["姓名"], scene="长" * 4000, scope="<b>&\n" * 99, legal_basis="法")
    assert granted.agreement_id is not None
    assert len(PdfReader(io.BytesIO(world.documents.pdf(granted.agreement_id))).pages) > 2


def test_a_code_is_checked_against_the_ledger(world: World) -> None:
    agreement = agreed(world)
    facts = world.documents.check(shown_code(agreement.code).lower())
    assert (facts.agreement_id, facts.state, facts.on_record) == (agreement.id, AgreementState.ACTIVE, True)
    assert [entry.step for entry in facts.entries] == ["draw_up", "confirm", "confirm", "sign", "sign"]
    assert all(entry.same_terms for entry in facts.entries)
    for typed in ("", "0" * 16, "no code at all"):
        with pytest.raises(NotFound):
            world.documents.check(typed)


def test_terms_that_somebody_changed_in_the_database_are_not_on_record(world: World) -> None:
    agreement = agreed(world)
    table = tables.agreement
    with world.database.transaction() as connection:
        later = agreement.valid_until + timedelta(days=365)
        connection.execute(update(table).where(table.c.id == agreement.id).values(valid_until=later))
    assert not world.documents.check(agreement.code).on_record


def test_rows_outside_the_filter_are_neither_shown_nor_verified(world: World) -> None:
    agreed(world, ONE_HOUSEHOLD)
    world.records.rows[RESOURCE] = (
        {"citizen_id": "110101199003070011", "person_name": "张三", "household_id": "H1"},
        {"citizen_id": "110101200002290042", "person_name": "李四", "household_id": "H2"},
    )
    caller = application(EDUCATION)
    asked = {"purpose": "school-admission", "case_number": "1"}
    inside, outside = {"citizen_id": "110101199003070011"}, {"citizen_id": "110101200002290042"}
    assert len(world.gateway.query(caller, RESOURCE, key=inside, items=["姓名"], **asked).rows) == 1
    assert world.gateway.query(caller, RESOURCE, key=outside, items=["姓名"], **asked).rows == ()
    verified = world.gateway.verify(caller, RESOURCE, key=outside, claims={"姓名": "李四"}, **asked)
    nobody = world.gateway.verify(caller, RESOURCE, key={"citizen_id": "0"}, claims={"姓名": "李四"}, **asked)
    assert verified.results == nobody.results


def test_ways_out_that_cannot_filter_rows_are_closed(world: World) -> None:
    agreement = agreed(world, ONE_HOUSEHOLD)
    with pytest.raises(Refused) as refused:
        world.agreements.check(
            agreement_id=agreement.id,
            provider=POLICE,
            consumer=EDUCATION,
            resource_id=RESOURCE,
            columns=("xm",),
            now=world.clock.now(),
        )
    assert refused.value.context["policies"] == ["data.rows_unfiltered"]
    with pytest.raises(Refused) as closed:
        world.gateway.permit(application(EDUCATION), RESOURCE, purpose="school-admission", case_number="1")
    assert closed.value.context["policies"] == ["data.rows_unfiltered"]


def test_conditions_that_cannot_be_meant_are_listed_with_the_rest(world: World) -> None:
    rows = (RowCondition(column="nothing", operator=RowOperator.IS, values=("1", "2")),)
    line = RequestLine(resource_id=RESOURCE, items=("姓名",), rows=rows)
    with pytest.raises(Invalid) as raised:
        world.requests.submit(consumer=EDUCATION, lines=[line], purpose=PurposeDraft(), actor=person(EDUCATION))
    problems = raised.value.context["problems"]
    assert isinstance(problems, list)
    assert len([one for one in problems if one["field"] == "/lines/0/rows/0"]) == 2
    with pytest.raises(pydantic.ValidationError):
        RowCondition(column="c", operator=RowOperator.IS, values=())


def test_each_obligation_has_one_side() -> None:
    assert {owed.side for owed in Obligation} == set(AgreementSide)
    assert all(owed.label.zh and owed.label.en for owed in Obligation)
