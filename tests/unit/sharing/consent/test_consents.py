"""Consent decides at the gateway: none, no data; withdrawn, no data from the next call on."""

from datetime import timedelta
from typing import Any

import pytest

from datong.kernel import Actor, ActorKind, Conflict, Invalid, NotFound, Refused
from datong.ledger import EntryKind
from datong.norms import ShareMode
from datong.sharing.actions import Action, DataAccess
from datong.sharing.consent import ConsentAction, ConsentState, ConsentWay
from datong.sharing.gateway_calls import GatewayAnswer
from datong.sharing.odrl import usage_policy
from datong.sharing.terms import Agreement
from tests.unit.sharing.samples import EDUCATION, POLICE, RESOURCE, application, person
from tests.unit.sharing.world import POLICY, World

CITIZEN = "110101199003070011"
OTHER = "110101200002290042"
SELF = Actor(kind=ActorKind.CITIZEN, id="citizen-1")
DIGEST = "ab" * 32


@pytest.fixture
def agreement(world: World) -> Agreement:
    """An agreement about name, ID and household that depends on consent."""
    (granted,) = world.submit(["xm", "gmsfhm", "hh"], consent=True)
    row = {"citizen_id": CITIZEN, "person_name": "张三丰", "household_id": "H1"}
    world.records.rows[RESOURCE] = (row, {**row, "citizen_id": OTHER})
    return world.put_in_force(granted.agreement_id)


def query(world: World, *items: str, key: dict[str, str] | None = None) -> GatewayAnswer:
    return world.gateway.query(
        application(EDUCATION),
        RESOURCE,
        key=key or {"citizen_id": CITIZEN},
        items=items or ("hh",),
        purpose="school-admission",
        case_number="RX-1",
    )


def refused(world: World, *items: str, key: dict[str, str] | None = None) -> bool:
    with pytest.raises(Refused) as caught:
        query(world, *items, key=key)
    assert caught.value.code == "sharing.access_refused"
    return caught.value.context["policies"] == ["data.no_consent"]


def test_without_consent_nothing_with_it_the_agreed_and_after_withdrawal_nothing(
    world: World, agreement: Agreement
) -> None:
    assert refused(world)
    asked = world.consents.ask(agreement.id, CITIZEN, actor=person(EDUCATION))
    assert refused(world), "asked for is not given"
    given = world.consents.act(asked.id, ConsentAction.GIVE, CITIZEN, actor=SELF)
    assert query(world).rows == ({"hh": "H1"},)
    assert refused(world, key={"citizen_id": OTHER}), "consent is one person's"
    withdrawn = world.consents.act(given.id, ConsentAction.WITHDRAW, CITIZEN, actor=SELF)
    assert withdrawn.state is ConsentState.WITHDRAWN
    assert refused(world)


def test_consent_is_to_items_and_until_a_day(world: World, agreement: Agreement) -> None:
    until = world.clock.now() + timedelta(days=3)
    world.consents.record(
        agreement.id,
        CITIZEN,
        actor=person(EDUCATION),
        way=ConsentWay.ON_PAPER,
        document_sha256=DIGEST.upper(),
        columns=("hh",),
        valid_until=until,
    )
    assert query(world, "hh").rows == ({"hh": "H1"},)
    assert refused(world, "hh", "xm")
    world.clock.advance(timedelta(days=3))
    assert refused(world, "hh")


def test_by_another_key_nobody_can_know_whose_consent_it_is(world: World, agreement: Agreement) -> None:
    asked = world.consents.ask(agreement.id, CITIZEN, actor=person(EDUCATION))
    world.consents.act(asked.id, ConsentAction.GIVE, CITIZEN, actor=SELF)
    assert refused(world, key={"household_id": "H1"})


@pytest.mark.parametrize(
    ("action", "mode"),
    [
        (Action.DATA_TRANSFER, ShareMode.BULK),
        (Action.DATA_SHARE, ShareMode.BULK),
        (Action.DATA_QUERY, ShareMode.INTERFACE),
    ],
)
def test_ways_out_that_cannot_ask_people_are_closed(
    world: World, agreement: Agreement, action: Action, mode: ShareMode
) -> None:
    access = DataAccess(
        resource_id=RESOURCE,
        provider=POLICE,
        items=frozenset({"hh"}),
        mode=mode,
        purpose="school-admission",
        case_stated=True,
    )
    decision = POLICY.authorise_data(application(EDUCATION), action, access, agreement, world.clock.now())
    assert decision.policy_ids == ("data.no_consent",)


def test_the_evidence_says_everything_but_whose(world: World, agreement: Agreement) -> None:
    asked = world.consents.ask(agreement.id, CITIZEN, actor=person(EDUCATION))
    world.consents.act(asked.id, ConsentAction.DECLINE, CITIZEN, actor=SELF)
    entries = world.ledger.entries(kind=EntryKind.CONSENT).rows
    assert sorted(entry.facts["step"] for entry in entries) == ["ask", "decline"]
    assert all(entry.facts["items"] == ["gmsfhm", "hh", "xm"] for entry in entries)
    assert CITIZEN not in repr(entries)
    assert CITIZEN not in repr(world.consents.find(consumer=EDUCATION).rows)
    assert world.consents.find(consumer=POLICE).total == 0
    assert [one.id for one in world.consents.of_subject(CITIZEN)] == [asked.id]


def test_consent_is_a_signed_term_and_a_duty_of_the_usage_policy(agreement: Agreement) -> None:
    terms = agreement.terms()["purpose"]
    assert isinstance(terms, dict)
    assert terms["consent"] is True
    assert "odrl:obtainConsent" in repr(usage_policy(agreement))
    plain = agreement.model_copy(update={"purpose": agreement.purpose.model_copy(update={"consent": False})})
    assert "consent" not in repr(plain.terms())


def test_nonsense_is_refused(world: World, agreement: Agreement) -> None:
    book, officer, now = world.consents, person(EDUCATION), world.clock.now()
    changes: list[dict[str, Any]] = [
        {"columns": ("zw",)},
        {"valid_until": now},
        {"valid_until": agreement.valid_until + timedelta(days=1)},
    ]
    for change in changes:
        with pytest.raises(Invalid):
            book.ask(agreement.id, CITIZEN, actor=officer, **change)
    with pytest.raises(Invalid):
        book.ask(agreement.id, "12345", actor=officer)
    for way, digest in ((ConsentWay.ON_PAGE, DIGEST), (ConsentWay.ON_PAPER, "no digest")):
        with pytest.raises(Invalid):
            book.record(agreement.id, CITIZEN, actor=officer, way=way, document_sha256=digest)
    asked = book.ask(agreement.id, CITIZEN, actor=officer)
    with pytest.raises(NotFound):
        book.act(asked.id, ConsentAction.GIVE, OTHER, actor=SELF)
    with pytest.raises(Conflict):
        book.act(asked.id, ConsentAction.WITHDRAW, CITIZEN, actor=SELF)


def test_an_agreement_that_needs_no_consent_is_not_asked_about(world: World) -> None:
    (granted,) = world.submit(["hh"])
    agreement = world.put_in_force(granted.agreement_id)
    with pytest.raises(Conflict):
        world.consents.ask(agreement.id, CITIZEN, actor=person(EDUCATION))
