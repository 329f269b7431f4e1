"""Sign-in by OpenID Connect against a provider that lies: only what it signed for this very attempt counts."""

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from joserfc.jwk import ECKey
from sqlalchemy import select

from datong.kernel import (
    PLATFORM_ACTOR,
    Conflict,
    Corrupt,
    DatongError,
    NotFound,
    Refused,
    Unauthenticated,
    Unreachable,
)
from datong.ledger import EntryKind
from datong.sharing import SignInMethod, sign_in_tables, tables
from datong.sharing.oidc.sign_in import CameBack
from datong.sharing.principals import Role
from datong.sharing.sign_in_rules import SignInRules
from tests.unit.sharing.accounts import PASSWORD, open_account
from tests.unit.sharing.oidc.provider import ADDRESS, KEY, OTHER_KEY, Liar, base64url
from tests.unit.sharing.samples import BUREAU, EDUCATION
from tests.unit.sharing.world import World


def test_the_way_in_is_bound_to_the_browser_and_on_record(world: World) -> None:
    account, liar = open_account(world, "e1001"), Liar(world)
    begun, asked = liar.begin(next_page="/catalogue")
    assert begun.address.startswith(f"{ADDRESS}/authorize?tenant=1&response_type=code&client_id=datong&")
    assert (asked["scope"], asked["code_challenge_method"]) == ("openid profile", "S256")
    assert asked["redirect_uri"] == "http://hub.example/sign-in/with/city/back"
    came = CameBack(state=asked["state"], code="c0de")
    session = liar.finish(came, begun.cookie)
    assert session is not None
    assert session.account == account
    [one] = world.identity.sessions(account.id)
    assert (one.method, one.provider, one.address, one.device) == (SignInMethod.OIDC, "city", "192.0.2.1", "Chrome")
    # The code is exchanged with the secret in the header and the verifier whose digest was told before.
    [(_, headers, form)] = [call for call in liar.web.asked if call[0] == f"{ADDRESS}/token"]
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"datong:s3cret"
    digest = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
    assert digest.decode() == asked["code_challenge"]
    assert "client_secret" not in form
    # Neither the cookie nor the address tells the verifier, and nothing that lets anybody in is stored.
    body = base64.urlsafe_b64decode(begun.cookie.partition(".")[0] + "==").decode()
    assert form["code_verifier"] not in begun.address + begun.cookie + body
    with world.database.snapshot() as connection:
        kept = (tables.session, sign_in_tables.identity_link, sign_in_tables.used_attempt)
        stored = str([connection.execute(select(table)).all() for table in kept])
    for secret in (form["code_verifier"], asked["state"], asked["nonce"], "s3cret", "c0de", session.token):
        assert secret not in stored
    entries = world.ledger.entries(kind=EntryKind.ACCOUNT, subject=account.id).rows[::-1]
    assert [entry.facts["step"] for entry in entries] == ["open", "link", "sign_in"]
    assert (entries[1].facts["how"], entries[2].facts["method"], entries[2].facts["provider"]) == (
        "claim",
        "oidc",
        "city",
    )
    assert "s-1" not in str([entry.facts for entry in entries])
    # With a link, a sign-in by password is on record, too.
    world.identity.authenticate("e1001", PASSWORD)
    entry = world.ledger.entries(kind=EntryKind.ACCOUNT, subject=account.id, limit=1).rows[0]
    assert (entry.facts["step"], entry.facts["method"]) == ("sign_in", "password")


def test_an_attempt_is_one_browsers_and_good_once(world: World) -> None:
    open_account(world, "e1001")
    liar = Liar(world)
    begun, asked = liar.begin()
    other, _ = liar.begin()
    good = CameBack(state=asked["state"], code="c")
    for came, cookie in (
        (good, None),
        (good, ""),
        (good, "x.y"),
        (good, other.cookie),
        (good, begun.cookie[:-1]),
        (good, "A" + begun.cookie[1:]),
        (CameBack(state="", code="c"), begun.cookie),
        (CameBack(state=asked["state"] + "x", code="c"), begun.cookie),
    ):
        with pytest.raises(Unauthenticated) as refused:
            liar.service.complete("city", came, cookie, device="", address="")
        assert refused.value.code == "sharing.sign_in_over"
    # Somebody else's link is not made by whoever brings the answer.
    linking, asking = liar.begin(person="another")
    with pytest.raises(Unauthenticated):
        liar.service.complete(
            "city", CameBack(state=asking["state"], code="c"), linking.cookie, device="", address="", person="me"
        )
    liar.nonce = asked["nonce"]
    liar.service.complete("city", good, begun.cookie, device="", address="")
    with pytest.raises(Unauthenticated):
        liar.service.complete("city", good, begun.cookie, device="", address="")
    late, asked = liar.begin()
    world.clock.advance(timedelta(minutes=11))
    with pytest.raises(Unauthenticated):
        liar.service.complete("city", CameBack(state=asked["state"], code="c"), late.cookie, device="", address="")


def _unsigned(token: str) -> str:
    return f"{base64url(json.dumps({'alg': 'none'}).encode())}.{token.split('.')[1]}."


def _symmetric(liar: Liar) -> None:
    liar.header, liar.key = {"alg": "HS256", "kid": KEY.kid}, KEY.as_pem(private=False)


def _embedded(liar: Liar) -> None:
    liar.key = OTHER_KEY
    liar.header = {"alg": "RS256", "kid": KEY.kid, "jwk": OTHER_KEY.as_dict(private=False)}


def _published_secret(liar: Liar) -> None:
    liar.keys = [{"kty": "oct", "k": "c2VjcmV0", "kid": KEY.kid}]
    _symmetric(liar)


def _other_curve(liar: Liar) -> None:
    key = ECKey.generate_key("P-384", auto_kid=True)
    liar.keys, liar.key = [key.as_dict(private=False)], key
    liar.header = {"alg": "ES384", "kid": key.kid}


LIES: dict[str, Callable[[Liar], object]] = {
    "unsigned": lambda liar: setattr(liar, "token", _unsigned),
    "cut": lambda liar: setattr(liar, "token", lambda made: made[:-4]),
    "changed": lambda liar: setattr(liar, "token", lambda made: made.replace(".", ".e", 1)),
    "encrypted": lambda liar: setattr(liar, "token", lambda made: f"{made}.x.y"),
    "long": lambda liar: setattr(liar, "token", lambda made: made + "A" * 70_000),
    "the public key as a shared secret": _symmetric,
    "a shared secret among the keys": _published_secret,
    "an algorithm not admitted": _other_curve,
    "another's key, named as ours": lambda liar: setattr(liar, "key", OTHER_KEY),
    "a key in the header": _embedded,
    "an access token": lambda liar: liar.header.update(typ="at+jwt"),
    "an extension that must be understood": lambda liar: liar.header.update(crit=["b64"], b64=True),
    "an unknown key": lambda liar: liar.header.update(kid="unknown"),
    "no issuer": lambda liar: liar.claims.update(iss=None),
    "another issuer": lambda liar: liar.claims.update(iss=f"{ADDRESS}/"),
    "another audience": lambda liar: liar.claims.update(aud="others"),
    "no audience": lambda liar: liar.claims.update(aud=None),
    "several audiences, for nobody in particular": lambda liar: liar.claims.update(aud=["datong", "others"]),
    "for another party": lambda liar: liar.claims.update(azp="others"),
    "several audiences, for another": lambda liar: liar.claims.update(aud=["datong", "others"], azp="others"),
    "expired": lambda liar: liar.claims.update(exp=int(liar.world.clock.now().timestamp()) - 61),
    "no end": lambda liar: liar.claims.update(exp=None),
    "an end that is no number": lambda liar: liar.claims.update(exp="tomorrow"),
    "an end that is true": lambda liar: liar.claims.update(exp=True),
    "an endless end": lambda liar: liar.claims.update(exp=float("inf")),
    "of long ago": lambda liar: liar.claims.update(iat=int(liar.world.clock.now().timestamp()) - 700),
    "of tomorrow": lambda liar: liar.claims.update(iat=int(liar.world.clock.now().timestamp()) + 90),
    "not yet": lambda liar: liar.claims.update(nbf=int(liar.world.clock.now().timestamp()) + 90),
    "another attempt's nonce": lambda liar: liar.claims.update(nonce="x" * 43),
    "no nonce": lambda liar: liar.claims.update(nonce=None),
    "a broken nonce": lambda liar: liar.claims.update(nonce="\ud800"),
    "nobody": lambda liar: liar.claims.update(sub=""),
    "a subject that is a number": lambda liar: liar.claims.update(sub=7),
    "a subject with line ends": lambda liar: liar.claims.update(sub="a\nb"),
    "a subject without end": lambda liar: liar.claims.update(sub="a" * 300),
    "no token": lambda liar: setattr(liar, "token", lambda _: ""),
    "a weak key": lambda liar: setattr(
        liar, "keys", [{"kty": "RSA", "n": "sXch", "e": "AQAB", "kid": KEY.kid, "alg": "RS256"}]
    ),
    "keys for encryption": lambda liar: setattr(liar, "keys", [KEY.as_dict(private=False, use="enc")]),
    "keys that are none": lambda liar: setattr(liar, "keys", "all of them"),
}


@pytest.mark.parametrize("name", LIES)
def test_no_lie_lets_anybody_in(world: World, name: str) -> None:
    account, liar = open_account(world, "e1001"), Liar(world)
    LIES[name](liar)
    with pytest.raises((Unauthenticated, Corrupt)) as refused:
        liar.sign_in()
    assert refused.value.code in {"sharing.identity_token_invalid", "sharing.provider_answer_invalid"}
    assert world.identity.sessions(account.id) == ()
    assert liar.links.of() == ()


def test_times_may_differ_by_a_minute_and_several_audiences_by_name(world: World) -> None:
    account, liar = open_account(world, "e1001"), Liar(world)
    at = int(world.clock.now().timestamp())
    liar.claims |= {"iat": at + 59, "exp": at - 59, "aud": ["others", "datong"], "azp": "datong"}
    done = liar.sign_in()
    assert done is not None
    assert done.account.id == account.id


def test_new_keys_are_asked_for_when_a_token_names_one_that_is_unknown(world: World) -> None:
    open_account(world, "e1001")
    liar = Liar(world)
    liar.sign_in()
    liar.key, liar.header = OTHER_KEY, {"alg": "RS256", "kid": OTHER_KEY.kid}
    # Just asked: whoever makes up ids of keys does not have the provider asked each time.
    with pytest.raises(Unauthenticated):
        liar.sign_in()
    assert [call[0] for call in liar.web.asked].count(f"{ADDRESS}/keys") == 1
    fresh = Liar(world)
    seconds = [0.0]
    fresh.service._cache._seconds = lambda: seconds[0]  # noqa: SLF001
    fresh.sign_in()
    fresh.key, fresh.header = OTHER_KEY, {"alg": "RS256", "kid": OTHER_KEY.kid}
    fresh.keys = [OTHER_KEY.as_dict(private=False)]
    seconds[0] = 31.0
    fresh.sign_in()
    assert [call[0] for call in fresh.web.asked].count(f"{ADDRESS}/keys") == 2


def test_answers_of_other_providers_and_refusals_are_told_apart(world: World) -> None:
    open_account(world, "e1001")
    liar = Liar(world)
    for parameters, kind, code in (
        ({"error": "access_denied"}, Refused, "sharing.provider_refused"),
        ({"error": "<b>x</b>"}, Refused, "sharing.provider_refused"),
        ({}, Refused, "sharing.provider_refused"),
        ({"code": "c", "iss": "https://other.example"}, Unauthenticated, "sharing.identity_token_invalid"),
    ):
        begun, asked = liar.begin()
        came = CameBack.model_validate({"state": asked["state"]} | parameters)
        with pytest.raises(kind) as refused:
            liar.service.complete("city", came, begun.cookie, device="", address="")
        assert refused.value.code == code
        assert "<b>" not in str(refused.value)
    liar = Liar(world)
    liar.metadata["authorization_response_iss_parameter_supported"] = True
    with pytest.raises(Unauthenticated):
        liar.sign_in()
    with pytest.raises(Unauthenticated):
        CameBack.read([("state", "a"), ("state", "b")])
    for harm in ({"issuer": "https://other.example"}, {"token_endpoint": "http://id.example/token"}, {"jwks_uri": 7}):
        liar = Liar(world)
        liar.metadata |= harm
        with pytest.raises(Corrupt):
            liar.begin()
    with pytest.raises(NotFound):
        liar.service.begin("other")
    liar.web.answers.clear()
    with pytest.raises(Unreachable):
        Liar.begin(liar)


def test_who_is_unknown_is_refused_or_gets_an_account_without_roles(world: World) -> None:
    liar = Liar(world)
    with pytest.raises(Refused) as refused:
        liar.sign_in()
    assert refused.value.code == "sharing.person_unknown"
    assert world.identity.accounts().total == 0
    closed = open_account(world, "e1001")
    world.identity.set_disabled(closed.id, disabled=True, actor=PLATFORM_ACTOR)
    with pytest.raises(Refused):
        liar.sign_in()
    creating = Liar(world, unknown="create")
    creating.claims |= {"employee_number": 1002, "sub": "s-2"}
    done = creating.sign_in()
    assert done is not None
    account = done.account
    assert (account.username, account.name, account.roles, account.department) == ("1002", "王芳", frozenset(), None)
    assert world.identity.session(done.token).roles == frozenset()
    with pytest.raises(Unauthenticated):
        world.identity.authenticate("1002", "")
    given = world.identity.set_roles(account.id, frozenset({Role.BUSINESS}), actor=PLATFORM_ACTOR, department=EDUCATION)
    assert world.identity.session(done.token).department == given.department == EDUCATION
    with pytest.raises(Conflict):
        world.identity.set_roles(account.id, frozenset({Role.BUSINESS}), actor=PLATFORM_ACTOR, department=BUREAU)
    assert creating.sign_in() is not None
    assert world.identity.accounts().total == 2


class Addresses:
    def __init__(self, people: tuple[str, ...]) -> None:
        self.people = people

    def people_at(self, address: str) -> tuple[str, ...]:
        return self.people if address == "wang@example.gov.cn" else ()


def test_an_address_counts_when_both_sides_verified_it_and_it_is_one_persons(world: World) -> None:
    account = open_account(world, "e1001")
    chosen = {"claim": "email", "account": "email"}
    address = {"email": "wang@example.gov.cn", "email_verified": True}
    refused: list[tuple[tuple[str, ...], dict[str, object]]] = [
        ((account.id,), {"email": "wang@example.gov.cn"}),
        ((account.id,), address | {"email_verified": "true"}),
        ((account.id, "another"), address),
        ((account.id,), address | {"email": "li@example.gov.cn"}),
    ]
    for people, claims in refused:
        liar = Liar(world, Addresses(people), **chosen)
        liar.claims = claims
        with pytest.raises(Refused):
            liar.sign_in()
    liar = Liar(world, Addresses((account.id,)), **chosen)
    liar.claims = address
    assert liar.sign_in() is not None


def test_what_the_token_does_not_say_is_asked_for_about_the_same_person(world: World) -> None:
    open_account(world, "e1001")
    liar = Liar(world)
    liar.claims = {}
    liar.told = {"sub": "s-2", "employee_number": "e1001"}
    with pytest.raises(Corrupt):
        liar.sign_in()
    # What was signed counts more than what is told besides.
    liar.told = {"sub": "s-1", "employee_number": "e1001", "iss": "https://other.example"}
    assert liar.sign_in() is not None


def test_links_are_made_and_cut_by_their_owner_and_one_of_each_issuer(world: World) -> None:
    first, second = open_account(world, "wang"), open_account(world, "li")
    liar = Liar(world, claim="")
    with pytest.raises(Refused):
        liar.sign_in()
    assert liar.sign_in(person=first.id) is None
    assert liar.sign_in(person=first.id) is None
    for other in ({"person": second.id}, {"person": first.id}):
        liar.claims["sub"] = "s-1" if other["person"] == second.id else "s-2"
        with pytest.raises(Conflict):
            liar.sign_in(**other)
    liar.claims["sub"] = "s-1"
    done = liar.sign_in()
    assert done is not None
    assert done.account.id == first.id
    by_password = world.identity.authenticate("wang", PASSWORD)
    [link] = liar.links.of(first.id)
    with pytest.raises(NotFound):
        liar.links.unlink(second.id, link.id, actor=second.principal.actor)
    liar.links.unlink(first.id, link.id, actor=first.principal.actor)
    # What began by the link ends with it; the rest goes on.
    with pytest.raises(Unauthenticated):
        world.identity.session(done.token)
    world.identity.session(by_password.token)
    steps = [entry.facts["step"] for entry in world.ledger.entries(kind=EntryKind.ACCOUNT, subject=first.id).rows]
    assert steps == ["unlink", "sign_in", "sign_in", "link", "open"]


def test_a_role_may_ask_for_another_way_than_a_password(world: World) -> None:
    account, liar = open_account(world, "e1001", roles=frozenset({Role.DATA_OFFICER})), Liar(world)
    rules = SignInRules(database=world.database, clock=world.clock, ledger=world.ledger)
    before = world.identity.authenticate("e1001", PASSWORD)
    rules.set(Role.DATA_OFFICER, frozenset({SignInMethod.OIDC}), actor=PLATFORM_ACTOR)
    with pytest.raises(Refused) as refused:
        world.identity.authenticate("e1001", PASSWORD)
    assert refused.value.code == "sharing.method_insufficient"
    assert liar.sign_in() is not None
    # Who is in stays in; and another password does not make a session that the rule would not.
    changed = world.identity.change_password(account.id, PASSWORD, "another password", token=before.token)
    world.identity.session(changed.token)
    with pytest.raises(Refused):
        world.identity.change_password(account.id, "another password", PASSWORD)
    open_account(world, "e1002")
    world.identity.authenticate("e1002", PASSWORD)
    assert [rule.role for rule in rules.all()] == [Role.DATA_OFFICER]
    rules.set(Role.DATA_OFFICER, frozenset(), actor=PLATFORM_ACTOR)
    assert rules.all() == ()
    facts = [entry.facts for entry in world.ledger.entries(kind=EntryKind.ACCOUNT, subject="role:data_officer").rows]
    assert [(fact["step"], fact["methods"]) for fact in facts] == [("sign_in_rule", []), ("sign_in_rule", ["oidc"])]


def test_signing_out_there_is_offered_where_there_is_a_place_for_it(world: World) -> None:
    liar = Liar(world)
    address = liar.service.end_address("city")
    assert address == (f"{ADDRESS}/end?client_id=datong&post_logout_redirect_uri=http%3A%2F%2Fhub.example%2Fsign-in")
    liar = Liar(world)
    del liar.metadata["end_session_endpoint"]
    assert liar.service.end_address("city") is None
    liar.web.answers.clear()
    assert Liar(world).service.end_address("other") is None


def test_errors_say_what_to_do(world: World) -> None:
    liar = Liar(world)
    with pytest.raises(DatongError) as refused:
        liar.sign_in()
    assert refused.value.remedy.zh
    assert refused.value.remedy.en
