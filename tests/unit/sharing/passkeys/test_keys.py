"""Passkeys: only the key that was added, here, for this attempt, by its owner, and no copy of it, lets anybody in."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from datong.kernel import PLATFORM_ACTOR, Conflict, Invalid, NotFound, Refused, Unauthenticated
from datong.ledger import EntryKind
from datong.sharing import SignedInBy, SignInMethod
from datong.sharing.accounts import Account
from datong.sharing.passkeys import Passkeys
from datong.sharing.passkeys.ceremonies import encoded
from datong.sharing.passkeys.keys import KEYS_MAX, Use
from datong.sharing.principals import Role
from datong.sharing.sign_in_rules import SignInRules
from tests.unit.sharing.accounts import PASSWORD, open_account
from tests.unit.sharing.passkeys.authenticator import PRESENT, Authenticator
from tests.unit.sharing.world import World

ORIGIN = "https://hub.example"
SECRET = b"of these tests only"


def passkeys(world: World, *, use: Use = "alone", base_url: str = ORIGIN) -> Passkeys:
    return Passkeys(
        database=world.database,
        clock=world.clock,
        ledger=world.ledger,
        people=world.identity,
        secret=SECRET,
        base_url=base_url,
        use=use,
    )


def added(service: Passkeys, account: Account, device: Authenticator, name: str = "笔记本") -> str:
    asked = service.begin_adding(account.id)
    said = device.make(asked.options)
    return service.add(account.id, asked.cookie, said, name, actor=account.principal.actor).id


def test_a_key_is_added_used_alone_and_removed_on_record(world: World) -> None:
    account, service, device = open_account(world), passkeys(world), Authenticator(ORIGIN)
    asked = service.begin_adding(account.id)
    assert asked.options["rp"] == {"id": "hub.example", "name": "打通 Datong"}
    key = service.add(
        account.id,
        asked.cookie,
        device.make(asked.options, transports=["usb", 7]),
        " 笔记本 ",
        actor=account.principal.actor,
    )
    assert (key.name, key.verifies, key.used_at) == ("笔记本", True, None)
    again = service.begin_adding(account.id).options
    assert again["excludeCredentials"] == [
        {"type": "public-key", "id": encoded(device.credential_id), "transports": ["usb"]}
    ]
    alone = service.begin_alone("/catalogue")
    assert (alone.options["allowCredentials"], alone.options["userVerification"]) == ([], "required")
    world.clock.advance(timedelta(minutes=1))
    said = device.prove(alone.options)
    session, next_page = service.sign_in(alone.cookie, said, device="Chrome", address="192.0.2.1")
    assert (session.account, next_page) == (account, "/catalogue")
    [one] = world.identity.sessions(account.id)
    assert (one.method, one.device, one.address) == (SignInMethod.PASSKEY, "Chrome", "192.0.2.1")
    assert service.of(account.id)[0].used_at == world.clock.now()
    renamed = service.rename(account.id, key.id, "  办公电脑 ", actor=account.principal.actor)
    assert (renamed.name, renamed.id) == ("办公电脑", key.id)
    assert [one.name for one in service.of(account.id)] == ["办公电脑"]
    with pytest.raises(NotFound):
        service.rename("another", key.id, "x", actor=PLATFORM_ACTOR)
    with pytest.raises(Invalid):
        service.rename(account.id, key.id, " ", actor=account.principal.actor)
    # The same answer opens nothing a second time.
    with pytest.raises(Unauthenticated):
        service.sign_in(alone.cookie, said, device="", address="")
    with pytest.raises(NotFound):
        service.remove("another", key.id, actor=PLATFORM_ACTOR)
    by_password = world.identity.authenticate("wang", PASSWORD)
    service.remove(account.id, key.id, actor=account.principal.actor)
    with pytest.raises(Unauthenticated):
        world.identity.session(session.token)
    world.identity.session(by_password.token)
    alone = service.begin_alone()
    with pytest.raises(Unauthenticated):
        service.sign_in(alone.cookie, device.prove(alone.options), device="", address="")
    entries = world.ledger.entries(kind=EntryKind.ACCOUNT, subject=account.id).rows[::-1]
    steps = [(entry.facts["step"], entry.facts.get("method")) for entry in entries]
    assert steps == [
        ("open", None),
        ("passkey_add", None),
        ("sign_in", "passkey"),
        ("passkey_rename", None),
        ("sign_in", "password"),
        ("passkey_remove", None),
    ]


Harm = Callable[[Authenticator], object]
LIES: dict[str, Harm] = {
    "nobody was there": lambda device: setattr(device, "flags", 0),
    "on another site": lambda device: setattr(device, "origin", "https://hub.example.evil"),
    "on another port": lambda device: setattr(device, "origin", "https://hub.example:8443"),
    "without https": lambda device: setattr(device, "origin", "http://hub.example"),
    "for another host": lambda device: setattr(device, "host", "evil.example"),
    "inside another site's page": lambda device: device.client.update(crossOrigin=True),
    "below another site": lambda device: device.client.update(topOrigin="https://evil.example"),
    "for another attempt": lambda device: device.client.update(challenge="A" * 43),
    "another kind of answer": lambda device: device.client.update(type="payment.get"),
}


@pytest.mark.parametrize("name", LIES)
def test_no_answer_given_otherwise_adds_a_key_or_lets_anybody_in(world: World, name: str) -> None:
    account, service = open_account(world), passkeys(world)
    liar = Authenticator(ORIGIN)
    LIES[name](liar)
    asked = service.begin_adding(account.id)
    with pytest.raises(Unauthenticated):
        service.add(account.id, asked.cookie, liar.make(asked.options), "x", actor=account.principal.actor)
    assert service.of(account.id) == ()
    device = Authenticator(ORIGIN)
    added(service, account, device)
    LIES[name](device)
    alone = service.begin_alone()
    with pytest.raises(Unauthenticated):
        service.sign_in(alone.cookie, device.prove(alone.options), device="", address="")
    assert world.identity.sessions(account.id) == ()


def test_a_copy_of_a_key_is_noticed(world: World) -> None:
    account, service, device = open_account(world), passkeys(world), Authenticator(ORIGIN)
    added(service, account, device)
    for count, works in ((5, True), (5, False), (4, False), (0, False), (6, True)):
        device.count = count - 1
        alone = service.begin_alone()
        if works:
            service.sign_in(alone.cookie, device.prove(alone.options), device="", address="")
        else:
            with pytest.raises(Unauthenticated):
                service.sign_in(alone.cookie, device.prove(alone.options), device="", address="")
    # Devices whose keys travel between them count nothing.
    other = Authenticator(ORIGIN, step=0)
    added(service, account, other, "手机")
    for _ in range(2):
        alone = service.begin_alone()
        service.sign_in(alone.cookie, other.prove(alone.options), device="", address="")


def test_whoever_approves_must_be_seen_and_so_must_who_uses_nothing_else(world: World) -> None:
    clerk, officer = open_account(world), open_account(world, "li", roles=frozenset({Role.DATA_OFFICER}))
    service = passkeys(world)
    seen = [service.begin_adding(one.id).options["authenticatorSelection"] for one in (clerk, officer)]
    assert [one["userVerification"] for one in seen if isinstance(one, dict)] == ["preferred", "required"]
    unseen = Authenticator(ORIGIN, flags=PRESENT)
    with pytest.raises(Unauthenticated):
        added(service, officer, unseen)
    added(service, clerk, unseen)
    assert not service.of(clerk.id)[0].verifies
    alone = service.begin_alone()
    with pytest.raises(Unauthenticated):
        service.sign_in(alone.cookie, unseen.prove(alone.options), device="", address="")
    # As a second step it will do for a clerk, and no more once they approve.
    rules = SignInRules(database=world.database, clock=world.clock, ledger=world.ledger)
    together = frozenset({SignInMethod.PASSWORD_PASSKEY})
    for role in (Role.BUSINESS, Role.DATA_OFFICER):
        rules.set(role, together, actor=PLATFORM_ACTOR)
    cookie = service.second_step(clerk.id, SignedInBy(), "/")
    second = service.begin_second(cookie)
    session, _ = service.sign_in(cookie, unseen.prove(second.options), device="", address="")
    assert world.identity.began_by(session.token) == SignedInBy(method=SignInMethod.PASSWORD_PASSKEY)
    world.identity.set_roles(clerk.id, frozenset({Role.DATA_OFFICER}), actor=PLATFORM_ACTOR)
    cookie = service.second_step(clerk.id, SignedInBy(), "/")
    second = service.begin_second(cookie)
    assert second.options["userVerification"] == "required"
    with pytest.raises(Unauthenticated):
        service.sign_in(cookie, unseen.prove(second.options), device="", address="")


def test_a_role_may_ask_for_a_key_besides_which_is_made_at_the_first_sign_in(world: World) -> None:
    account, other = open_account(world), open_account(world, "li")
    service, device = passkeys(world, use="second"), Authenticator(ORIGIN)
    assert service.second_step(account.id, SignedInBy(), "/") is not None
    rules = SignInRules(database=world.database, clock=world.clock, ledger=world.ledger)
    rules.set(Role.BUSINESS, frozenset({SignInMethod.OIDC_PASSKEY}), actor=PLATFORM_ACTOR)
    assert service.second_step(account.id, SignedInBy(), "/") is None
    methods = frozenset({SignInMethod.OIDC_PASSKEY, SignInMethod.PASSWORD_PASSKEY})
    rules.set(Role.BUSINESS, methods, actor=PLATFORM_ACTOR)
    with pytest.raises(Refused):
        world.identity.authenticate("wang", PASSWORD)
    by = SignedInBy(method=SignInMethod.OIDC, provider="city")
    cookie = service.second_step(account.id, by, "/catalogue")
    first = service.begin_second(cookie)
    assert first.adds
    said = device.make(first.options)
    with pytest.raises(Invalid):
        service.sign_in(cookie, said, device="", address="")
    session, next_page = service.sign_in(cookie, said, device="Chrome", address="192.0.2.1", name="钥匙")
    assert next_page == "/catalogue"
    assert world.identity.began_by(session.token) == SignedInBy(
        method=SignInMethod.OIDC_PASSKEY, provider="city", device="Chrome", address="192.0.2.1"
    )
    # From now on nobody makes another one on the way in, and nobody's key serves somebody else.
    second = service.begin_second(service.second_step(account.id, SignedInBy(), "/"))
    assert not second.adds
    made = Authenticator(ORIGIN).make(first.options)
    with pytest.raises(Unauthenticated):
        service.sign_in(second.cookie, made, device="", address="", name="x")
    added(service, other, key := Authenticator(ORIGIN))
    second = service.begin_second(service.second_step(account.id, SignedInBy(), "/"))
    with pytest.raises(Unauthenticated):
        service.sign_in(second.cookie, key.prove(second.options), device="", address="")
    # A key alone is not enough where the hub does not allow that.
    with pytest.raises(Refused):
        service.begin_alone()
    alone = passkeys(world).begin_alone()
    with pytest.raises(Refused):
        service.sign_in(alone.cookie, device.prove(alone.options), device="", address="")
    # Nor where the role does not: it is looked at when the session would begin.
    alone = passkeys(world).begin_alone()
    with pytest.raises(Refused):
        passkeys(world).sign_in(alone.cookie, device.prove(alone.options), device="", address="")


def test_attempts_are_of_one_person_and_one_purpose(world: World) -> None:
    account, other = open_account(world), open_account(world, "li")
    service, device = passkeys(world), Authenticator(ORIGIN)
    asked = service.begin_adding(account.id)
    said = device.make(asked.options)
    for person_id, cookie in ((other.id, asked.cookie), (account.id, None), (account.id, service.begin_alone().cookie)):
        with pytest.raises(Unauthenticated):
            service.add(person_id, cookie, said, "x", actor=PLATFORM_ACTOR)
    # Somebody who adds a key is not half in by that.
    for cookie in (asked.cookie, None, "x.y"):
        with pytest.raises(Unauthenticated):
            service.begin_second(cookie)
        with pytest.raises(Unauthenticated):
            service.sign_in(cookie, said, device="", address="", name="x")
    service.add(account.id, asked.cookie, said, "x", actor=PLATFORM_ACTOR)
    with pytest.raises(Unauthenticated):
        service.add(account.id, asked.cookie, said, "x", actor=PLATFORM_ACTOR)
    with pytest.raises(Conflict):
        added(service, other, device)
    for number in range(1, KEYS_MAX):
        added(service, account, Authenticator(ORIGIN), f"{number}")
    with pytest.raises(Conflict):
        service.begin_adding(account.id)


def test_only_plain_attestations_are_read(world: World) -> None:
    account, service = open_account(world), passkeys(world)
    for form, statement in (
        ("android-safetynet", {"ver": "1", "response": b"x"}),
        ("tpm", {}),
        ("none", {"sig": b"x"}),
    ):
        device = Authenticator(ORIGIN)
        device.format, device.statement = form, statement
        with pytest.raises(Unauthenticated):
            added(service, account, device)


def test_without_a_name_for_the_host_there_are_none(world: World) -> None:
    for base_url in ("http://127.0.0.1:8420", "http://[::1]:8420", "https://"):
        service = passkeys(world, base_url=base_url)
        assert not service.available
        with pytest.raises(Refused):
            service.begin_alone()
    off = passkeys(world, use="off")
    with pytest.raises(Refused):
        off.begin_adding(open_account(world).id)
    assert json.dumps(passkeys(world).begin_alone().options)
