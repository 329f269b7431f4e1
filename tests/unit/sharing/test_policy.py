from datetime import datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datong.kernel import Actor, ActorKind, DepartmentCode, Misconfigured, NodeId, Refused, ResourceId
from datong.norms import ShareMode
from datong.sharing.actions import Action, DataAccess, Target
from datong.sharing.policy import POLICY_FILES, PolicyEngine, read_policy_file
from datong.sharing.principals import Principal, Role
from datong.sharing.terms import Agreement, AgreementState
from tests.unit.sharing.samples import (
    BUREAU,
    EDUCATION,
    NOW,
    POLICE,
    PURPOSE,
    RESOURCE,
    SOCIAL,
    agreement,
    agreement_item,
    application,
    node,
    officer,
)

ENGINE = PolicyEngine()
OTHER = ResourceId("another-resource")
COLUMNS = ("xm", "hh", "xb")
ACTIONS = (Action.DATA_QUERY, Action.DATA_VERIFY, Action.DATA_TRANSFER, Action.DATA_SHARE)
AGREED = agreement(state=AgreementState.ACTIVE)
ACCESS = DataAccess(
    resource_id=RESOURCE,
    provider=POLICE,
    items=frozenset({"xm"}),
    mode=ShareMode.INTERFACE,
    purpose=PURPOSE.service_item,
    case_stated=True,
)


def decide(access: DataAccess = ACCESS, terms: Agreement | None = AGREED, now: datetime = NOW) -> tuple[str, ...]:
    decision = ENGINE.authorise_data(application(EDUCATION), Action.DATA_QUERY, access, terms, now)
    assert decision.allowed is (decision.policy_ids == ("data.agreed",))
    return decision.policy_ids


def test_what_the_agreement_says_is_allowed_and_explained() -> None:
    decision = ENGINE.authorise_data(application(EDUCATION), Action.DATA_QUERY, ACCESS, AGREED, NOW)
    assert decision.allowed
    assert "协议" in decision.reasons[0].zh
    assert "agreement" in decision.reasons[0].en


@pytest.mark.parametrize(
    ("change", "policy"),
    [
        ({"purpose": "marketing"}, "data.other_purpose"),
        ({"items": frozenset({"xm", "zw"})}, "data.items_outside"),
        ({"items": frozenset()}, "data.no_items"),
        ({"mode": ShareMode.FILE}, "data.mode_not_agreed"),
        ({"case_stated": False}, "data.no_case_number"),
        ({"resource_id": OTHER}, "data.other_resource"),
        ({"provider": SOCIAL}, "data.other_resource"),
    ],
)
def test_each_way_of_leaving_the_agreement_has_its_reason(change: dict[str, object], policy: str) -> None:
    assert decide(ACCESS.model_copy(update=change)) == (policy,)


@pytest.mark.parametrize(
    ("change", "policy"),
    [
        ({"state": AgreementState.DRAFT}, "data.not_in_force"),
        ({"state": AgreementState.CONFIRMED}, "data.not_in_force"),
        ({"state": AgreementState.SUSPENDED}, "data.suspended"),
        ({"state": AgreementState.TERMINATED}, "data.terminated"),
        ({"state": AgreementState.EXPIRED}, "data.expired"),
        ({"consumer": SOCIAL}, "data.department_mismatch"),
    ],
)
def test_each_state_but_active_has_its_reason(change: dict[str, object], policy: str) -> None:
    assert decide(terms=AGREED.model_copy(update=change)) == (policy,)


def test_the_term_of_use_is_enforced_to_the_second() -> None:
    assert decide(now=AGREED.valid_until) == ("data.expired",)
    assert decide(now=AGREED.valid_until - timedelta(seconds=1)) == ("data.agreed",)
    assert decide(now=AGREED.valid_from - timedelta(seconds=1)) == ("data.not_yet",)


def test_without_an_agreement_there_is_nothing() -> None:
    assert decide(terms=None) == ("data.no_agreement",)


def test_several_reasons_are_all_given() -> None:
    wrong = ACCESS.model_copy(update={"purpose": "marketing", "items": frozenset({"zw"})})
    assert decide(wrong) == ("data.items_outside", "data.other_purpose")


def test_a_citizen_or_an_auditor_cannot_use_an_agreement_of_the_department() -> None:
    decision = ENGINE.authorise_data(officer(EDUCATION, Role.AUDITOR), Action.DATA_QUERY, ACCESS, AGREED, NOW)
    assert not decision.allowed
    assert decision.policy_ids == ("policy.nothing_permits",)


departments = st.sampled_from([POLICE, EDUCATION, SOCIAL, BUREAU])
moments = st.integers(-3, 3).map(lambda days: NOW + timedelta(days=days))


@st.composite
def agreements(draw: st.DrawFn) -> Agreement:
    start = draw(moments)
    modes = tuple(draw(st.sets(st.sampled_from(ShareMode), min_size=1)))
    return agreement(
        provider=draw(departments),
        consumer=draw(departments),
        resource_id=draw(st.sampled_from([RESOURCE, OTHER])),
        items=tuple(agreement_item(column) for column in draw(st.sets(st.sampled_from(COLUMNS), min_size=1))),
        purpose=PURPOSE.model_copy(update={"modes": modes, "service_item": draw(st.sampled_from(["a", "b"]))}),
        valid_from=start,
        valid_until=start + timedelta(days=draw(st.integers(1, 3))),
        state=draw(st.sampled_from(AgreementState)),
    )


accesses = st.builds(
    DataAccess,
    resource_id=st.sampled_from([RESOURCE, OTHER]),
    provider=departments,
    items=st.frozensets(st.sampled_from(COLUMNS)),
    mode=st.sampled_from(ShareMode),
    purpose=st.sampled_from(["a", "b"]),
    case_stated=st.booleans(),
)
callers = st.one_of(
    departments.map(application),
    departments.map(node),
    st.builds(
        Principal,
        actor=st.builds(
            Actor,
            kind=st.sampled_from([ActorKind.PERSON, ActorKind.CITIZEN]),
            id=st.just("p"),
            department=st.one_of(st.none(), departments),
        ),
        roles=st.frozensets(st.sampled_from(Role)),
    ),
)


def oracle(caller: Principal, action: Action, access: DataAccess, terms: Agreement | None, now: datetime) -> bool:
    """Written apart from the policies, from the contract's words."""
    if terms is None or caller.department != terms.consumer:
        return False
    people = {Role.BUSINESS, Role.DATA_OFFICER, Role.AUTHORITY}
    entitled = caller.is_machine or (caller.actor.kind is ActorKind.PERSON and bool(people & caller.roles))
    return (
        entitled
        and terms.state is AgreementState.ACTIVE
        and terms.resource_id == access.resource_id
        and terms.provider == access.provider
        and access.items != frozenset()
        and access.items <= {item.column for item in terms.items}
        and access.mode in terms.purpose.modes
        and access.purpose == terms.purpose.service_item
        and terms.valid_from <= now < terms.valid_until
        and (access.case_stated or action in {Action.DATA_TRANSFER, Action.DATA_SHARE})
    )


@settings(max_examples=600)
@given(
    caller=callers,
    action=st.sampled_from(ACTIONS),
    access=accesses,
    terms=st.one_of(st.none(), agreements()),
    now=moments,
)
def test_no_allow_outside_the_agreement(
    caller: Principal, action: Action, access: DataAccess, terms: Agreement | None, now: datetime
) -> None:
    decision = ENGINE.authorise_data(caller, action, access, terms, now)
    assert decision.allowed == oracle(caller, action, access, terms, now)
    assert decision.reasons
    assert "policy.error" not in decision.policy_ids


@settings(max_examples=300)
@given(terms=agreements(), data=st.data())
def test_what_fits_the_agreement_is_allowed(terms: Agreement, data: st.DataObject) -> None:
    terms = terms.model_copy(update={"state": AgreementState.ACTIVE})
    access = DataAccess(
        resource_id=terms.resource_id,
        provider=terms.provider,
        items=frozenset(data.draw(st.sets(st.sampled_from(sorted(terms.columns)), min_size=1))),
        mode=data.draw(st.sampled_from(terms.purpose.modes)),
        purpose=terms.purpose.service_item,
        case_stated=True,
    )
    assert ENGINE.authorise_data(
        application(terms.consumer), Action.DATA_QUERY, access, terms, terms.valid_from
    ).allowed


@given(
    caller=callers,
    action=st.sampled_from([action for action in Action if action not in ACTIONS]),
    target=st.builds(
        Target,
        id=st.sampled_from(["p", "x"]),
        department=st.one_of(st.none(), departments),
        provider=st.one_of(st.none(), departments),
        consumer=st.one_of(st.none(), departments),
        node=st.sampled_from([None, NodeId("p")]),
        grants=st.frozensets(st.sampled_from(Role)),
    ),
)
@example(
    caller=Principal(actor=Actor(kind=ActorKind.PERSON, id="p", department=POLICE)),
    action=Action.AGREEMENT_READ,
    target=Target(provider=POLICE),
)
def test_every_act_is_decided_without_error(caller: Principal, action: Action, target: Target) -> None:
    decision = ENGINE.authorise(caller, action, target)
    assert decision.reasons
    assert "policy.error" not in decision.policy_ids
    if not caller.roles and not caller.is_machine:
        assert not decision.allowed
    if caller.actor.kind is ActorKind.CITIZEN and caller.roles <= {Role.CITIZEN}:
        assert not decision.allowed or action is Action.USES_READ


ROLES_TABLE: list[tuple[Principal, Action, Target, bool]] = [
    (officer(POLICE), Action.RESOURCE_EDIT, Target.of_department(POLICE), True),
    (officer(POLICE), Action.RESOURCE_EDIT, Target.of_department(SOCIAL), False),
    (officer(POLICE), Action.RESOURCE_REVIEW, Target.of_department(POLICE), False),
    (officer(BUREAU, Role.AUTHORITY), Action.RESOURCE_REVIEW, Target.of_department(POLICE), True),
    (officer(POLICE), Action.REQUEST_DECIDE, Target(provider=POLICE, consumer=EDUCATION), True),
    (officer(EDUCATION), Action.REQUEST_DECIDE, Target(provider=POLICE, consumer=EDUCATION), False),
    (officer(POLICE, Role.BUSINESS), Action.REQUEST_DECIDE, Target(provider=POLICE, consumer=EDUCATION), False),
    (officer(EDUCATION, Role.BUSINESS), Action.REQUEST_SUBMIT, Target(consumer=EDUCATION), True),
    (officer(EDUCATION, Role.BUSINESS), Action.REQUEST_SUBMIT, Target(consumer=SOCIAL), False),
    (officer(BUREAU, Role.AUTHORITY), Action.REQUEST_CONSENT_EXTENSION, Target(provider=POLICE), True),
    (officer(POLICE), Action.REQUEST_CONSENT_EXTENSION, Target(provider=POLICE), False),
    (officer(SOCIAL), Action.AGREEMENT_READ, Target(provider=POLICE, consumer=EDUCATION), False),
    (officer(SOCIAL, Role.AUDITOR), Action.AGREEMENT_READ, Target(provider=POLICE, consumer=EDUCATION), True),
    (officer(SOCIAL, Role.AUDITOR), Action.AGREEMENT_CONFIRM, Target(provider=SOCIAL), False),
    (officer(EDUCATION), Action.LIBRARY_READ_ENTITY, Target(), False),
    (officer(BUREAU, Role.AUTHORITY), Action.LIBRARY_READ_ENTITY, Target(), True),
    (node(POLICE), Action.TASK_PRODUCE, Target(provider=POLICE, consumer=EDUCATION), True),
    (node(EDUCATION), Action.TASK_PRODUCE, Target(provider=POLICE, consumer=EDUCATION), False),
    (node(EDUCATION), Action.TASK_CONSUME, Target(provider=POLICE, consumer=EDUCATION), True),
    (node(POLICE), Action.NODE_WORK, Target(node=NodeId(f"node-{POLICE}")), True),
    (node(POLICE), Action.NODE_WORK, Target(node=NodeId(f"node-{SOCIAL}")), False),
    (node(POLICE), Action.RESOURCE_DRAFT, Target.of_department(POLICE), True),
    (node(POLICE), Action.RESOURCE_DRAFT, Target.of_department(SOCIAL), False),
    (application(POLICE), Action.RESOURCE_READ, Target(), True),
    (application(POLICE), Action.AGREEMENT_CONFIRM, Target(provider=POLICE), False),
    (
        officer(POLICE),
        Action.ACCOUNT_CREATE,
        Target(department=POLICE, grants=frozenset({Role.BUSINESS})),
        True,
    ),
    (
        officer(POLICE),
        Action.ACCOUNT_CREATE,
        Target(department=POLICE, grants=frozenset({Role.AUTHORITY})),
        False,
    ),
]


@pytest.mark.parametrize(("who", "action", "target", "allowed"), ROLES_TABLE)
def test_who_may_do_what(who: Principal, action: Action, target: Target, allowed: bool) -> None:
    assert ENGINE.authorise(who, action, target).allowed is allowed


def test_a_citizen_sees_the_own_uses_only() -> None:
    citizen = Principal(actor=Actor(kind=ActorKind.CITIZEN, id="c1"), roles=frozenset({Role.CITIZEN}))
    assert ENGINE.authorise(citizen, Action.USES_READ, Target(id="c1")).allowed
    assert not ENGINE.authorise(citizen, Action.USES_READ, Target(id="c2")).allowed


def test_require_raises_with_reasons() -> None:
    with pytest.raises(Refused) as refused:
        ENGINE.require(officer(POLICE), Action.RESOURCE_EDIT, Target.of_department(SOCIAL))
    assert refused.value.code == "sharing.not_permitted"
    assert refused.value.context["policies"] == ["staff.other_department"]


def test_a_policy_that_errors_denies() -> None:
    engine = PolicyEngine(
        policies="""
        @id("all") @why_zh("全部允许") @why_en("everything")
        permit (principal, action, resource);
        @id("overflow") @why_zh("出错") @why_en("errs")
        forbid (principal, action in Datong::Action::"data", resource) when { context.now + 9223372036854775807 > 0 };
        """
    )
    decision = engine.authorise_data(application(EDUCATION), Action.DATA_QUERY, ACCESS, AGREED, NOW)
    assert not decision.allowed
    assert decision.policy_ids == ("policy.error",)


def test_nothing_permits_by_default() -> None:
    engine = PolicyEngine(
        policies='@id("none") @why_zh("无") @why_en("none") forbid (principal, action, resource) when { false };'
    )
    decision = engine.authorise(officer(POLICE), Action.RESOURCE_READ)
    assert decision.policy_ids == ("policy.nothing_permits",)


@pytest.mark.parametrize(
    "broken",
    [
        "permit (",
        "permit (principal, action, resource);",
        '@id("a") permit (principal, action, resource);',
        '@id("a") @why_zh("一") @why_en("one") permit (principal, action, resource) when { principal.office == "x" };',
    ],
)
def test_broken_unexplained_or_untyped_policies_do_not_start(broken: str) -> None:
    with pytest.raises(Misconfigured):
        PolicyEngine(policies=broken)


def test_every_action_is_in_the_schema_and_every_policy_in_both_languages() -> None:
    text = "\n".join(read_policy_file(name) for name in POLICY_FILES)
    assert set(ENGINE.explanations) == {line.split('"')[1] for line in text.splitlines() if line.startswith("@id(")}
    for why in ENGINE.explanations.values():
        assert any("\u4e00" <= character <= "\u9fff" for character in why.zh)
        assert why.en.isascii()


def test_an_absent_department_matches_nothing() -> None:
    nobody = Principal(
        actor=Actor(kind=ActorKind.PERSON, id="x", department=DepartmentCode("")), roles=frozenset({Role.DATA_OFFICER})
    )
    assert not ENGINE.authorise(nobody, Action.RESOURCE_EDIT, Target()).allowed
    assert not ENGINE.authorise(officer(POLICE), Action.REQUEST_DECIDE, Target()).allowed
