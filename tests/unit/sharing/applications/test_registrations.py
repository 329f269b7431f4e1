"""Registered applications: what opens real data when, keys and their overlap, agreements, sandbox, health."""

from collections.abc import Mapping
from datetime import timedelta

import pytest

from datong.kernel import Conflict, Invalid, NotFound, Refused, Unauthenticated
from datong.ledger import EntryKind
from datong.sharing.applications import (
    ApplicationAction,
    ApplicationParty,
    ApplicationState,
    CallMeter,
    CallOutcome,
    KeyKind,
    NewRegistration,
    Registration,
    Sandbox,
    SandboxAnswer,
    sandbox_secret,
)
from datong.sharing.applications.meter import FLUSH_SECONDS, Finding
from datong.sharing.gateway_calls import GatewayAnswer
from datong.sharing.machines import caller_of
from datong.sharing.mask_keys import MaskKeys, mask_secret
from datong.sharing.masks import MaskKind
from datong.sharing.matching import Match
from datong.sharing.principals import Principal
from datong.sharing.signed_calls import SignedCalls, SignedHeaders
from datong.sharing.terms import Agreement
from tests.unit.sharing.samples import BUREAU, EDUCATION, POLICE, RESOURCE, person
from tests.unit.sharing.world import PACK, POLICY, World

CITIZEN = "110101199003070011"
OWNER, AUTHORITY = frozenset({ApplicationParty.OWNER}), frozenset({ApplicationParty.AUTHORITY})
NEW = NewRegistration(
    name="入学一件事", purpose="入学资格核验", scenes=("小学入学",), contacts=("张三 0757",), showcase=True
)


@pytest.fixture
def agreement(world: World) -> Agreement:
    (granted,) = world.submit(["xm", "gmsfhm", "hh"])
    world.records.rows[RESOURCE] = ({"citizen_id": CITIZEN, "person_name": "张三丰", "household_id": "H1"},)
    return world.put_in_force(granted.agreement_id)


def registered(world: World) -> Registration:
    return world.registrations.register(NEW, EDUCATION, person(EDUCATION))


def act(world: World, client_id: str, action: ApplicationAction, reason: str = "") -> Registration:
    actor = person(BUREAU)
    return world.registrations.act(client_id, action, parties=AUTHORITY, actor=actor, reason=reason)


def approved(world: World, *agreements: Agreement) -> Registration:
    made = registered(world)
    world.registrations.bind(made.client_id, [one.id for one in agreements], person(EDUCATION))
    return act(world, made.client_id, ApplicationAction.APPROVE)


def caller(world: World, client_id: str, kind: KeyKind = KeyKind.LIVE) -> Principal:
    key = world.registrations.issue_key(client_id, kind, person(EDUCATION))
    token = world.identity.token_for_application(client_id, key.client_secret)
    return world.identity.read_token(token.access_token)


def query(world: World, who: Principal) -> GatewayAnswer:
    key = {"citizen_id": CITIZEN}
    return world.gateway.query(who, RESOURCE, key=key, items=("hh",), purpose="school-admission", case_number="RX-1")


def sandbox(world: World) -> Sandbox:
    secret = sandbox_secret(mask_secret(world.signer))
    keys = MaskKeys(database=world.database, clock=world.clock, ledger=world.ledger, secret=secret)
    return Sandbox(
        clock=world.clock,
        catalogue=world.resources,
        agreements=world.agreements,
        registrations=world.registrations,
        policy=POLICY,
        mask_keys=keys,
        pack=PACK,
    )


def test_real_data_only_while_approved_and_under_bound_agreements(world: World, agreement: Agreement) -> None:
    made = registered(world)
    with pytest.raises(Conflict):
        world.registrations.issue_key(made.client_id, KeyKind.LIVE, person(EDUCATION))
    act(world, made.client_id, ApplicationAction.APPROVE)
    who = caller(world, made.client_id)
    with pytest.raises(Refused) as caught:
        query(world, who)
    assert caught.value.context["policies"] == ["data.not_bound"]
    world.registrations.bind(made.client_id, [agreement.id], person(EDUCATION))
    assert query(world, who).rows == ({"hh": "H1"},)
    act(world, made.client_id, ApplicationAction.SUSPEND, "超范围使用")
    assert world.identity.callers_in_force([caller_of(who)]) == {caller_of(who): False}
    with pytest.raises(Unauthenticated):
        caller_again(world, made.client_id)
    act(world, made.client_id, ApplicationAction.RESUME)
    assert query(world, who).rows
    act(world, made.client_id, ApplicationAction.RETIRE, "项目结束")
    with pytest.raises(Conflict):
        world.registrations.bind(made.client_id, [], person(EDUCATION))
    steps = {entry.facts["step"] for entry in world.ledger.entries(kind=EntryKind.APPLICATION, limit=50).rows}
    assert steps == {"register", "approve", "issue_key", "bind", "suspend", "resume", "retire"}


def caller_again(world: World, client_id: str) -> None:
    """Try to get a token of a blocked application: no key of it works, whatever its secret."""
    world.identity.token_for_application(client_id, "guessed")


def test_keys_overlap_when_they_are_rotated_and_end(world: World) -> None:
    made = approved(world)
    first = world.registrations.issue_key(made.client_id, KeyKind.LIVE, person(EDUCATION))
    second = world.registrations.issue_key(
        made.client_id, KeyKind.LIVE, person(EDUCATION), replace=True, overlap_hours=2
    )
    for key in (first, second):
        assert world.identity.token_for_application(made.client_id, key.client_secret)
    world.clock.advance(timedelta(hours=2))
    with pytest.raises(Unauthenticated):
        world.identity.token_for_application(made.client_id, first.client_secret)
    assert world.identity.token_for_application(made.client_id, second.client_secret)
    world.registrations.revoke_key(made.client_id, second.key.id, person(EDUCATION))
    with pytest.raises(Unauthenticated):
        world.identity.token_for_application(made.client_id, second.client_secret)
    with pytest.raises(NotFound):
        world.registrations.revoke_key(made.client_id, second.key.id, person(EDUCATION))
    assert first.client_secret not in repr(world.ledger.entries(limit=50).rows)


def test_what_a_key_got_ends_with_it_and_not_with_its_sisters(world: World) -> None:
    """Tokens and signed calls alike, from the next call on: nobody waits for a lifetime of ten minutes."""
    made, calls = approved(world), SignedCalls(clock=world.clock, machines=world.identity, secret=b"of the hub")
    lost, kept = (world.registrations.issue_key(made.client_id, KeyKind.LIVE, person(EDUCATION)) for _ in range(2))
    tokens = [world.identity.token_for_application(made.client_id, one.client_secret) for one in (lost, kept)]
    callers = [world.identity.verify_token(one.access_token) for one in tokens]
    assert [one.key_id for one in callers] == [lost.key.id, kept.key.id]
    secrets = [calls.secret_of(one) for one in callers]
    assert secrets[0].secret != secrets[1].secret
    signers = [calls.principal_of(SignedHeaders(one.rid, RESOURCE, "0", "")) for one in secrets]
    world.registrations.revoke_key(made.client_id, lost.key.id, person(EDUCATION))
    for who in (callers, signers):
        assert list(world.identity.callers_in_force([caller_of(one) for one in who]).values()) == [False, True]
    with pytest.raises(Unauthenticated):
        world.identity.verify_token(tokens[0].access_token)
    assert world.identity.verify_token(tokens[1].access_token) == callers[1]
    world.registrations.issue_key(made.client_id, KeyKind.LIVE, person(EDUCATION), replace=True, overlap_hours=0)
    with pytest.raises(Unauthenticated):
        world.identity.verify_token(tokens[1].access_token)


def test_bounds_of_keys_and_agreements(world: World, agreement: Agreement) -> None:
    made, actor = approved(world), person(EDUCATION)
    for days, overlap_hours in ((0, 1), (367, 1), (1, -1)):
        with pytest.raises(Invalid):
            world.registrations.issue_key(
                made.client_id, KeyKind.SANDBOX, actor, days=days, overlap_hours=overlap_hours
            )
    for _ in range(5):
        world.registrations.issue_key(made.client_id, KeyKind.SANDBOX, actor)
    with pytest.raises(Conflict):
        world.registrations.issue_key(made.client_id, KeyKind.SANDBOX, actor)
    police = world.registrations.register(NEW, POLICE, person(POLICE))
    with pytest.raises(Invalid):
        world.registrations.bind(police.client_id, [agreement.id], person(POLICE))
    with pytest.raises(NotFound):
        world.registrations.get("nothing")


def test_the_owner_corrects_what_was_returned(world: World) -> None:
    made = registered(world)
    act(world, made.client_id, ApplicationAction.RETURN, "写清用途")
    change = NEW.model_copy(update={"purpose": "核验学龄儿童户籍", "showcase": False})
    again = world.registrations.act(
        made.client_id, ApplicationAction.SUBMIT, parties=OWNER, actor=person(EDUCATION), change=change
    )
    assert (again.state, again.purpose) == (ApplicationState.SUBMITTED, "核验学龄儿童户籍")
    act(world, made.client_id, ApplicationAction.APPROVE)
    assert world.registrations.find(showcase=True).total == 0
    shown = approved(world)
    assert [one.client_id for one in world.registrations.find(showcase=True).rows] == [shown.client_id]
    assert world.registrations.find(department=EDUCATION, state=ApplicationState.APPROVED).total == 2


def test_the_sandbox_answers_like_the_gateway_from_nobodys_data(world: World, agreement: Agreement) -> None:
    made = registered(world)
    world.registrations.bind(made.client_id, [agreement.id], person(EDUCATION))
    box = sandbox(world)
    (table,) = box.tables(made.client_id)
    record = table.records[0]

    def ask(*names: str, claims: Mapping[str, str] | None = None) -> SandboxAnswer:
        key = {"citizen_id": record["gmsfhm"]}
        return box.answer(
            made.client_id,
            RESOURCE,
            key=key,
            names=names,
            claims=claims,
            purpose="school-admission",
            case_number="T-1",
        )

    answer = ask("xm", "hh")
    assert answer.synthetic
    assert answer.masks["xm"] is MaskKind.NAME
    assert answer.rows == ({"xm": record["xm"][0] + "*" * (len(record["xm"]) - 1), "hh": record["hh"]},)
    claims = {"hh": record["hh"], "xm": "错误"}
    verified = ask(*claims, claims=claims)
    assert verified.results == {"hh": Match.MATCH, "xm": Match.NO_MATCH}
    with pytest.raises(Refused) as caught:
        ask("hjdz")
    assert "data.items_outside" in repr(caught.value.context["policies"])
    assert world.records.lookups == 0
    assert world.ledger.entries(kind=EntryKind.ACCESS).total == 0


def test_a_sandbox_key_opens_no_real_data(world: World, agreement: Agreement) -> None:
    who = caller(world, approved(world, agreement).client_id, KeyKind.SANDBOX)
    with pytest.raises(Refused):
        query(world, who)
    assert world.records.lookups == 0


def test_without_agreements_the_sandbox_is_empty(world: World) -> None:
    made = registered(world)
    assert sandbox(world).tables(made.client_id) == ()
    with pytest.raises(NotFound):
        sandbox(world).answer(
            made.client_id, RESOURCE, key={"citizen_id": CITIZEN}, names=("hh",), purpose="x", case_number="y"
        )


def test_health_counts_calls_by_day_and_says_what_to_see_to(world: World) -> None:
    ticks = [0.0]
    meter = CallMeter(database=world.database, clock=world.clock, seconds=lambda: ticks[0])
    made = approved(world)
    assert not meter.note(made.client_id, CallOutcome.ANSWERED, 12)
    meter.note(made.client_id, CallOutcome.REFUSED, 700)
    ticks[0] = FLUSH_SECONDS
    assert meter.note(made.client_id, CallOutcome.FAILED, 30)
    meter.flush()
    meter.note(made.client_id, CallOutcome.ANSWERED, 8)
    health = meter.health(made, ())
    (day,) = health.days
    assert (day.calls, day.refused, day.failed, day.slow, day.milliseconds_max) == (4, 1, 1, 1, 700)
    assert day.mean_milliseconds == 187.5
    assert health.last_used_at == world.clock.now()
    assert set(health.findings) == {Finding.NO_LIVE_KEY, Finding.OFTEN_REFUSED, Finding.FAILING, Finding.SLOW}
    world.registrations.issue_key(made.client_id, KeyKind.LIVE, person(EDUCATION), days=10)
    world.clock.advance(timedelta(days=8))
    later = meter.health(made, world.registrations.keys(made.client_id))
    assert (later.findings, later.key_age_days) == ((Finding.KEY_ENDS_SOON,), 8)
