import json
from datetime import timedelta

import pytest

from datong.kernel import Invalid, NotFound, Refused, ResourceId, TooLarge
from datong.ledger import EntryKind, verify_bundle
from datong.sharing.gateway_calls import ROWS_MAX, GatewayAnswer, VerifyAnswer
from datong.sharing.guessing import WRONG_PER_SUBJECT_DAY_MAX
from datong.sharing.masks import MaskKind
from datong.sharing.matching import Match
from datong.sharing.principals import Principal
from datong.sharing.request_rules import RequestAction
from tests.unit.sharing.samples import EDUCATION, POLICE, RESOURCE, SOCIAL, application, person
from tests.unit.sharing.world import World

CITIZEN = "110101199003070011"
CHILD = "110101200002290042"
CALLER = application(EDUCATION)


@pytest.fixture
def shared(world: World) -> World:
    """A world where education may query and verify name, ID, household and address."""
    granted, waiting = world.submit(["姓名", "公民身份号码", "hh", "hjdz"])
    world.put_in_force(granted.agreement_id)
    approved = world.requests.act(waiting.id, RequestAction.APPROVE, person(POLICE))
    world.put_in_force(approved.agreement_id)
    world.records.rows[RESOURCE] = (
        {
            "citizen_id": CITIZEN,
            "person_name": "张三丰",
            "household_id": "H1",
            "address": "广东省佛山市顺德区某路1号",
            "bz": "密",
        },
        {"citizen_id": CHILD, "person_name": "张小明", "household_id": "H1", "address": None, "bz": "密"},
    )
    return world


def query(
    world: World,
    *items: str,
    who: Principal = CALLER,
    key: str = CITIZEN,
    purpose: str = "school-admission",
    case_number: str = "RX-2026-1",
) -> GatewayAnswer:
    return world.gateway.query(
        who,
        RESOURCE,
        key={"citizen_id": key},
        items=items,
        purpose=purpose,
        case_number=case_number,
    )


def verify(world: World, key: str = CITIZEN, **claims: str) -> VerifyAnswer:
    return world.gateway.verify(
        CALLER,
        RESOURCE,
        key={"citizen_id": key},
        claims=claims,
        purpose="school-admission",
        case_number="RX-2026-1",
    )


def test_a_query_is_masked_by_grade_and_spans_agreements(shared: World) -> None:
    answer = query(shared, "姓名", "citizen_id", "hh", "address")
    assert answer.rows == (
        {"姓名": "张**", "citizen_id": "1101**********0011", "hh": "H1", "address": "广东省佛山市顺德区***"},
    )
    assert answer.masks["姓名"] is MaskKind.NAME
    assert len(answer.agreement_ids) == 2
    assert len(query(shared, "xm").agreement_ids) == 1


def test_no_record_is_an_empty_answer_with_evidence(shared: World) -> None:
    assert query(shared, "xm", key="370102198502150024").rows == ()
    assert shared.ledger.entries(kind=EntryKind.ACCESS).total == 1


@pytest.mark.parametrize(
    ("items", "change", "policy"),
    [
        (("xm",), {"purpose": "marketing"}, "data.other_purpose"),
        (("xm", "xb"), {}, "data.items_outside"),
        (("xb",), {}, "data.items_outside"),
        (("xm", "bz"), {}, "data.items_outside"),
        ((), {}, "data.no_items"),
        (("xm",), {"case_number": " "}, "data.no_case_number"),
    ],
)
def test_calls_outside_the_agreement_are_refused_recorded_and_never_read(
    shared: World, items: tuple[str, ...], change: dict[str, str], policy: str
) -> None:
    with pytest.raises(Refused) as refused:
        query(
            shared,
            *items,
            purpose=change.get("purpose", "school-admission"),
            case_number=change.get("case_number", "RX-2026-1"),
        )
    assert refused.value.code == "sharing.access_refused"
    assert policy in str(refused.value.context["policies"])
    assert shared.records.lookups == 0
    (entry,) = shared.ledger.entries(kind=EntryKind.REFUSAL).rows
    assert entry.facts["policies"] == refused.value.context["policies"]
    assert entry.subject == refused.value.context["access_id"]


def test_a_department_without_an_agreement_gets_nothing(shared: World) -> None:
    with pytest.raises(Refused) as refused:
        query(shared, "xm", who=application(SOCIAL))
    assert refused.value.context["policies"] == ["data.no_agreement"]


def test_access_ends_with_the_agreement(shared: World) -> None:
    (agreement,) = shared.agreements.find(consumer=EDUCATION, limit=1).rows
    assert agreement.item("hjdz") is not None
    shared.agreements.suspend(agreement.id, person(POLICE), "超范围使用")
    with pytest.raises(Refused) as refused:
        query(shared, "xm", "hjdz")
    assert refused.value.context["policies"] == ["data.suspended"]
    query(shared, "xm")
    shared.clock.advance(timedelta(days=400))
    with pytest.raises(Refused):
        query(shared, "xm")


def test_malformed_calls(shared: World) -> None:
    with pytest.raises(Invalid):
        query(shared, "nonsense")
    with pytest.raises(Invalid):
        query(shared, "xm", key=" ")
    for key in ({}, {"xm": "张三"}, {"citizen_id": CITIZEN, "hh": "H1"}, {"nonsense": "1"}):
        with pytest.raises(Invalid):
            shared.gateway.query(CALLER, RESOURCE, key=key, items=["xm"], purpose="p", case_number="c")
    with pytest.raises(TooLarge):
        query(shared, *["xm"] * 101)
    with pytest.raises(NotFound):
        shared.gateway.query(
            CALLER, ResourceId("none"), key={"citizen_id": "1"}, items=["xm"], purpose="p", case_number="c"
        )


def test_a_key_that_meets_too_many_is_refused(shared: World) -> None:
    shared.records.rows[RESOURCE] = ({"citizen_id": CITIZEN, "person_name": "张三"},) * (ROWS_MAX + 1)
    with pytest.raises(TooLarge):
        query(shared, "xm")


def test_verify_says_match_no_match_or_unknown_and_no_more(shared: World) -> None:
    answer = verify(shared, 姓名="张三丰", hh="H9", address="广东省佛山市顺德区某路1号")
    assert answer.results == {"姓名": Match.MATCH, "hh": Match.NO_MATCH, "address": Match.MATCH}
    assert verify(shared, CHILD, address="某路1号").results == {"address": Match.UNKNOWN}
    absent = verify(shared, "370102198502150024", 姓名="张三丰", hh="H1")
    assert absent.results == {"姓名": Match.UNKNOWN, "hh": Match.UNKNOWN}
    assert absent.model_dump().keys() == answer.model_dump().keys()


def test_guessing_is_stopped_per_subject_and_day(shared: World) -> None:
    for number in range(WRONG_PER_SUBJECT_DAY_MAX):
        assert verify(shared, hh=f"guess {number}").results == {"hh": Match.NO_MATCH}
    for claim in ("one more", "H1"):
        with pytest.raises(Refused) as refused:
            verify(shared, hh=claim)
        assert refused.value.code == "sharing.guess_limit"
    assert verify(shared, CHILD, hh="H1").results == {"hh": Match.MATCH}
    shared.clock.advance(timedelta(days=1))
    assert verify(shared, hh="H1").results == {"hh": Match.MATCH}
    assert shared.ledger.entries(kind=EntryKind.REFUSAL).total == 2


def test_personal_values_never_enter_the_log(shared: World) -> None:
    query(shared, "姓名", "citizen_id", "hh", "address")
    verify(shared, 姓名="张三丰")
    with pytest.raises(Refused):
        query(shared, "bz")
    logged = json.dumps([entry.model_dump(mode="json") for entry in shared.ledger.entries().rows], ensure_ascii=False)
    for value in (CITIZEN, "张三", "顺德区", "RX-2026-1"):
        assert value not in logged


def test_a_citizen_sees_the_uses_and_can_prove_one_offline(shared: World) -> None:
    answer = query(shared, "姓名")
    shared.clock.advance(timedelta(hours=1))
    by_household = shared.gateway.query(
        CALLER,
        RESOURCE,
        key={"household_id": "H1"},
        items=["姓名"],
        purpose="school-admission",
        case_number="RX-2026-2",
    )
    with pytest.raises(Refused):
        query(shared, "姓名", purpose="marketing")
    uses = shared.usage.uses_of(CITIZEN)
    assert [use.access_id for use in uses] == [by_household.access_id, answer.access_id]
    assert (uses[0].department, uses[0].service_item, uses[0].case_number) == (
        EDUCATION,
        "school-admission",
        "RX-2026-2",
    )
    assert [use.access_id for use in shared.usage.uses_of(CHILD)] == [by_household.access_id]
    assert shared.usage.uses_of("370102198502150024") == []
    shared.ledger.integrate()
    bundle = shared.usage.proof(by_household.access_id, citizen_id=CHILD)
    report = verify_bundle(bundle, log_key=None)
    assert report is not None
    assert CITIZEN not in json.dumps(bundle)
    (opening,) = bundle["disclosures"].values()
    opening["value"] = CITIZEN
    with pytest.raises(Exception, match="disclosure|commitment|披露"):
        verify_bundle(bundle, log_key=None)
    with pytest.raises(NotFound):
        shared.usage.proof(answer.access_id, citizen_id=CHILD)


def test_a_key_that_is_not_agreed_is_refused_unless_it_names_the_person(world: World) -> None:
    (granted,) = world.submit(["姓名"])
    world.put_in_force(granted.agreement_id)
    world.records.rows[RESOURCE] = ({"citizen_id": CITIZEN, "person_name": "张三丰", "household_id": "H1"},)
    assert query(world, "姓名").rows == ({"姓名": "张**"},)
    with pytest.raises(Refused, match=r"sharing\.access_refused") as refused:
        world.gateway.query(
            CALLER, RESOURCE, key={"hh": "H1"}, items=["姓名"], purpose="school-admission", case_number="RX-2026-1"
        )
    assert refused.value.context["items"] == ["hh"]
    assert world.records.lookups == 1, "whoever tries household numbers is not told which one fits"


def test_a_verification_counts_and_records_nobody_as_it_does_somebody_without_that_item(shared: World) -> None:
    for key in ("110101199003079999", CHILD):
        answer = verify(shared, key, address="广东省")
        assert answer.results == {"address": Match.UNKNOWN}
        facts = shared.ledger.entry(answer.entry_id).facts
        assert (facts["rows"], facts["subjects"]) == (1, 1)
    for key in ("110101199003079999", CHILD):
        for _ in range(WRONG_PER_SUBJECT_DAY_MAX - 1):
            verify(shared, key, address="广东省")
        with pytest.raises(Refused, match=r"sharing\.guess_limit"):
            verify(shared, key, address="广东省")
