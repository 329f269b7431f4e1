import base64
import json
import threading
from collections import Counter
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import select

from datong.kernel import (
    PLATFORM_ACTOR,
    Actor,
    ActorKind,
    Conflict,
    DepartmentCode,
    Invalid,
    NodeId,
    NotFound,
    Refused,
    Unauthenticated,
    Unavailable,
)
from datong.ledger import Ed25519Signer, EntryKind
from datong.sharing import tables
from datong.sharing.credentials import BLOCK_SECONDS_MAX, FREE_FAILURES, BoundedArgon2, blocked_until
from datong.sharing.people import People
from datong.sharing.principals import Role
from tests.unit.sharing.accounts import CLERK, PASSWORD, open_account
from tests.unit.sharing.samples import BUREAU, EDUCATION, NOW, POLICE, person
from tests.unit.sharing.world import ISSUER, World

CITIZEN = "110101199003070011"
CITIZENS = frozenset({Role.CITIZEN})
NO_DEPARTMENT = DepartmentCode("none")
AUDIENCE = f"{ISSUER}/api/v1/oauth/token"


def test_a_person_signs_in_and_out(world: World) -> None:
    account = open_account(world, "Wang")
    session = world.identity.authenticate(" wang ", PASSWORD)
    assert session.account == account
    principal = world.identity.session(session.token)
    assert principal.actor == Actor(kind=ActorKind.PERSON, id=account.id, department=EDUCATION, name="王芳")
    assert principal.roles == {Role.BUSINESS}
    world.identity.end_session(session.token)
    with pytest.raises(Unauthenticated):
        world.identity.session(session.token)


def test_sessions_end_by_themselves(world: World) -> None:
    open_account(world)
    session = world.identity.authenticate("wang", PASSWORD)
    world.clock.advance(timedelta(hours=12))
    with pytest.raises(Unauthenticated):
        world.identity.session(session.token)


def test_secrets_are_stored_as_hashes_only(world: World) -> None:
    open_account(world)
    session = world.identity.authenticate("wang", PASSWORD)
    secret = world.identity.create_application(name="入学系统", department=EDUCATION, actor=person(EDUCATION))
    enrolment = world.identity.create_enrolment(department=POLICE, actor=person(BUREAU))
    with world.database.snapshot() as connection:
        stored = str(
            [
                connection.execute(select(table)).all()
                for table in (tables.account, tables.session, tables.application, tables.enrolment)
            ]
        )
    for value in (PASSWORD, session.token, secret.client_secret, enrolment):
        assert value not in stored


def test_unknown_names_and_wrong_passwords_get_the_same_answer(world: World) -> None:
    open_account(world)
    answers = []
    for name, password in (("wang", "wrong password"), ("nobody", PASSWORD), ("wang", "x" * 1000)):
        with pytest.raises(Unauthenticated) as refused:
            world.identity.authenticate(name, password)
        answers.append((refused.value.code, refused.value.what))
    assert len(set(map(str, answers))) == 1


def test_guessing_passwords_is_slowed_down(world: World) -> None:
    open_account(world)
    for _ in range(FREE_FAILURES):
        with pytest.raises(Unauthenticated):
            world.identity.authenticate("wang", "wrong password")
    with pytest.raises(Refused) as refused:
        world.identity.authenticate("wang", PASSWORD)
    assert refused.value.code == "sharing.login_blocked"
    world.clock.advance(timedelta(seconds=31))
    world.identity.authenticate("wang", PASSWORD)
    with pytest.raises(Unauthenticated):
        world.identity.authenticate("wang", "wrong password")
    world.identity.authenticate("wang", PASSWORD)


class Slow:
    """A hasher that lets nobody go on before every guess has come."""

    def __init__(self, guesses: int) -> None:
        self._all = threading.Barrier(guesses)

    def hash(self, password: str) -> str:
        return password

    def verify(self, password: str, hashed: str) -> bool:
        with suppress(threading.BrokenBarrierError):
            self._all.wait(0.5)
        return password == hashed


def test_many_guesses_at_once_are_no_more_than_one_after_the_other(world: World) -> None:
    """Each is counted before its password is looked at, or all would pass before the first had failed."""
    guesses, looked_at = 30, Counter[str]()
    people = People(
        database=world.database,
        clock=world.clock,
        ledger=world.ledger,
        departments=world.departments,
        hasher=Slow(guesses),
        session_life=timedelta(hours=1),
    )
    people.create_account(
        username="wang", password=PASSWORD, name="王芳", roles=CLERK, department=EDUCATION, actor=person(BUREAU)
    )

    def guess(number: int) -> None:
        try:
            people.authenticate("wang", f"wrong password {number}")
        except (Unauthenticated, Refused) as refused:
            looked_at[refused.code] += 1

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(guesses)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert looked_at == {"sharing.login_wrong": FREE_FAILURES, "sharing.login_blocked": guesses - FREE_FAILURES}


def test_a_closed_account_is_out_at_once_and_may_come_back(world: World) -> None:
    account = open_account(world)
    session = world.identity.authenticate("wang", PASSWORD)
    assert world.identity.set_disabled(
        world.identity.account_of(" Wang ").id, disabled=True, actor=person(BUREAU)
    ).disabled
    with pytest.raises(Unauthenticated):
        world.identity.session(session.token)
    with pytest.raises(Unauthenticated):
        world.identity.authenticate("wang", PASSWORD)
    world.identity.set_disabled(account.id, disabled=False, actor=person(BUREAU))
    with pytest.raises(Unauthenticated):
        world.identity.session(session.token)
    world.identity.authenticate("wang", PASSWORD)


def test_a_new_password_ends_what_the_old_one_opened(world: World) -> None:
    account = open_account(world)
    one, other = (world.identity.authenticate("wang", PASSWORD).token for _ in range(2))
    with pytest.raises(Unauthenticated):
        world.identity.change_password(account.id, "wrong password", "another password")
    assert world.identity.session(one).actor.id == account.id
    with pytest.raises(Invalid):
        world.identity.change_password(account.id, PASSWORD, "short")
    fresh = world.identity.change_password(account.id, PASSWORD, "another password")
    for token in (one, other):
        with pytest.raises(Unauthenticated):
            world.identity.session(token)
    assert world.identity.session(fresh.token).actor.id == account.id
    for _ in range(FREE_FAILURES):
        with pytest.raises(Unauthenticated):
            world.identity.authenticate("wang", PASSWORD)
    world.identity.set_password(account.id, "given password", actor=person(BUREAU))
    world.identity.authenticate("wang", "given password")
    with pytest.raises(NotFound):
        world.identity.account_of("nobody")


def test_acts_on_accounts_are_on_record_without_names(world: World) -> None:
    account, by = open_account(world), person(BUREAU)
    world.identity.set_roles(account.id, frozenset({Role.DEVELOPER, Role.BUSINESS}), actor=by)
    world.identity.set_roles(account.id, frozenset({Role.DEVELOPER}), actor=by)
    world.identity.set_disabled(account.id, disabled=True, actor=by)
    world.identity.set_disabled(account.id, disabled=False, actor=by)
    world.identity.change_password(account.id, PASSWORD, "another password")
    for roles in (frozenset[Role](), CITIZENS | {Role.DEVELOPER}):
        with pytest.raises(Invalid):
            world.identity.set_roles(account.id, roles, actor=by)
    entries = world.ledger.entries(kind=EntryKind.ACCOUNT, subject=account.id).rows[::-1]
    steps = [entry.facts["step"] for entry in entries]
    assert steps == ["open", "roles", "roles", "close", "reopen", "password"]
    assert (entries[1].facts["given"], entries[2].facts["taken"]) == (["developer"], ["business"])
    assert [entry.actor.id for entry in entries] == [by.id] * 5 + [account.id]
    said = json.dumps([entry.facts for entry in entries], ensure_ascii=False)
    assert "王芳" not in said
    assert "wang" not in said.lower()
    assert world.identity.account(account.id).roles == {Role.DEVELOPER}


def test_the_block_grows_and_is_bounded() -> None:
    assert blocked_until(FREE_FAILURES - 1, NOW) is None
    blocks = [blocked_until(failures, NOW) for failures in range(FREE_FAILURES, 200)]
    assert all(block is not None for block in blocks)
    assert blocks == sorted(block for block in blocks if block)
    assert blocks[-1] == NOW + timedelta(seconds=BLOCK_SECONDS_MAX)


def test_hashes_at_once_are_bounded() -> None:
    hasher = BoundedArgon2(at_once_max=1, memory_kibibytes=64)
    hashed = hasher.hash(PASSWORD)
    assert hasher.verify(PASSWORD, hashed)
    assert not hasher.verify("another", hashed)
    results: list[bool] = []
    threads = [threading.Thread(target=lambda: results.append(hasher.verify(PASSWORD, hashed))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 4


def test_too_many_hashes_push_back() -> None:
    hasher = BoundedArgon2(at_once_max=1, memory_kibibytes=64, wait_seconds=0.01)
    inside, leave = threading.Event(), threading.Event()

    class Slow(str):
        def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
            inside.set()
            leave.wait()
            return super().encode(encoding, errors)

    busy = threading.Thread(target=lambda: hasher.hash(Slow("slow password")))
    busy.start()
    inside.wait()
    try:
        with pytest.raises(Unavailable):
            hasher.hash(PASSWORD)
    finally:
        leave.set()
        busy.join()


def test_accounts_that_will_not_do(world: World) -> None:
    open_account(world, "taken")
    for attempt in (
        lambda: open_account(world, password="short"),
        lambda: open_account(world, password="x" * 300),
        lambda: open_account(world, " "),
        lambda: open_account(world, name="x" * 300),
        lambda: open_account(world, roles=frozenset()),
        lambda: open_account(world, department=None),
        lambda: open_account(world, roles=CITIZENS, department=None),
        lambda: open_account(world, roles=CITIZENS, department=None, citizen_id="110101199003070012"),
    ):
        with pytest.raises(Invalid):
            attempt()
    with pytest.raises(NotFound):
        open_account(world, department=NO_DEPARTMENT)
    with pytest.raises(Conflict):
        open_account(world, "TAKEN")


def test_a_citizen_is_bound_to_the_own_id(world: World) -> None:
    account = open_account(world, "li", roles=frozenset({Role.CITIZEN}), department=None, citizen_id=CITIZEN)
    assert account.has_subject
    principal = world.identity.session(world.identity.authenticate("li", PASSWORD).token)
    assert (principal.actor.kind, principal.subject_id) == (ActorKind.CITIZEN, CITIZEN)


def test_accounts_are_listed_by_department(world: World) -> None:
    open_account(world, "b")
    open_account(world, "a")
    open_account(world, "p", department=POLICE)
    assert [account.username for account in world.identity.accounts(department=EDUCATION).rows] == ["a", "b"]
    assert world.identity.accounts().total == 3


def test_an_application_works_with_its_secret_until_revoked(world: World) -> None:
    fresh = world.identity.create_application(name="入学系统", department=EDUCATION, actor=person(EDUCATION))
    client_id = fresh.application.client_id
    token = world.identity.token_for_application(client_id, fresh.client_secret)
    assert (token.token_type, token.expires_in) == ("Bearer", 600)
    principal = world.identity.verify_token(token.access_token)
    assert principal.actor == Actor(kind=ActorKind.APPLICATION, id=client_id, department=EDUCATION, name="入学系统")
    assert world.identity.applications(EDUCATION) == (fresh.application,)
    for bad in ((client_id, "wrong"), ("nobody", fresh.client_secret)):
        with pytest.raises(Unauthenticated):
            world.identity.token_for_application(*bad)
    world.identity.revoke_application(client_id, PLATFORM_ACTOR)
    with pytest.raises(Unauthenticated):
        world.identity.verify_token(token.access_token)
    with pytest.raises(NotFound):
        world.identity.revoke_application(client_id, PLATFORM_ACTOR)


def test_access_tokens_expire_and_cannot_be_altered(world: World) -> None:
    fresh = world.identity.create_application(name="入学系统", department=EDUCATION, actor=person(EDUCATION))
    token = world.identity.token_for_application(fresh.application.client_id, fresh.client_secret).access_token
    header, claims, signature = token.split(".")
    document = json.loads(base64.urlsafe_b64decode(claims + "=="))
    forged = dict(document, department=POLICE)
    for bad in (
        f"{header}.{segment(forged)}.{signature}",
        f"{segment({'alg': 'none', 'typ': 'at+jwt', 'kid': 'x'})}.{claims}.",
        f"{segment({'alg': 'HS256', 'typ': 'at+jwt', 'kid': 'x'})}.{claims}.{signature}",
        signed(world.signer, document, typ="JWT"),
        signed(world.signer, dict(document, aud="elsewhere"), typ="at+jwt"),
        signed(world.signer, dict(document, iss="http://other.example"), typ="at+jwt"),
        signed(world.signer, dict(document, kind="person"), typ="at+jwt"),
        signed(world.signer, {key: value for key, value in document.items() if key != "exp"}, typ="at+jwt"),
        signed(Ed25519Signer.generate(), document, typ="at+jwt"),
        "x" * 10000,
        "a.b.c",
        "",
        "é.é.é",
    ):
        with pytest.raises(Unauthenticated):
            world.identity.verify_token(bad)
    world.identity.verify_token(token)
    world.clock.advance(timedelta(seconds=700))
    with pytest.raises(Unauthenticated):
        world.identity.verify_token(token)


def segment(value: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signed(signer: Ed25519Signer, claims: dict[str, object], **header: str) -> str:
    text = f"{segment({'alg': 'EdDSA', 'kid': signer.key_id, **header})}.{segment(claims)}"
    return f"{text}.{base64.urlsafe_b64encode(signer.sign(text.encode())).rstrip(b'=').decode()}"


def test_a_node_enrols_once_with_its_key(world: World) -> None:
    key = Ed25519Signer.generate()
    token = world.identity.create_enrolment(department=POLICE, actor=person(BUREAU))
    node = world.identity.redeem_enrolment(token=token, public_key=key.public_key, name="公安前置机")
    assert (node.department, node.key_id, node.last_seen_at) == (POLICE, key.key_id, None)
    assert world.departments.key(key.key_id).node_id == node.id
    assert world.identity.redeem_enrolment(token=token, public_key=key.public_key, name="again") == node
    with pytest.raises(Unauthenticated):
        world.identity.redeem_enrolment(token=token, public_key=Ed25519Signer.generate().public_key, name="other")
    with pytest.raises(Unauthenticated):
        world.identity.redeem_enrolment(token="nothing", public_key=key.public_key, name="other")
    with pytest.raises(Invalid):
        world.identity.redeem_enrolment(token=token, public_key=b"short", name="other")
    world.identity.heartbeat(node.id, "ok")
    seen = world.identity.node(node.id)
    assert (seen.last_seen_at, seen.last_status) == (NOW, "ok")
    assert world.identity.nodes(POLICE) == (seen,)
    assert world.identity.nodes(EDUCATION) == ()
    with pytest.raises(NotFound):
        world.identity.node(NodeId("nothing"))


def test_a_long_silence_is_evidence_of_an_outage_when_it_ends(world: World) -> None:
    """Who had run and asked in vain was cut off; when nobody at all was heard of, the hub was away."""
    nodes = {}
    for department in (POLICE, EDUCATION):
        token = world.identity.create_enrolment(department=department, actor=person(BUREAU))
        key = Ed25519Signer.generate()
        nodes[department] = world.identity.redeem_enrolment(token=token, public_key=key.public_key, name="node").id

    def beat(department: DepartmentCode, **said: int) -> None:
        world.identity.heartbeat(nodes[department], "ok", **said)

    def outages() -> list[tuple[str, str, str | None]]:
        rows = world.ledger.entries(kind=EntryKind.OUTAGE).rows
        return [(row.subject, row.facts["cause"], row.facts["department"]) for row in reversed(rows)]

    def wait(minutes: int) -> None:
        world.clock.advance(timedelta(minutes=minutes))

    beat(POLICE)
    beat(EDUCATION)
    wait(9)
    beat(POLICE)
    assert outages() == []
    wait(9)
    beat(EDUCATION, running_seconds=3600, unanswered=4)
    wait(1)
    beat(POLICE, running_seconds=30, unanswered=2)
    network, away = (nodes[EDUCATION], "network", EDUCATION), (nodes[POLICE], "node", POLICE)
    assert outages() == [network, away]
    wait(60)
    beat(EDUCATION, running_seconds=30)
    assert outages() == [network, away, ("hub", "platform", None), (nodes[EDUCATION], "node", EDUCATION)]


def test_enrolment_tokens_expire(world: World) -> None:
    token = world.identity.create_enrolment(department=POLICE, actor=person(BUREAU))
    world.clock.advance(timedelta(days=8))
    with pytest.raises(Unauthenticated):
        world.identity.redeem_enrolment(token=token, public_key=Ed25519Signer.generate().public_key, name="late")


def test_a_node_gets_a_token_for_a_fresh_assertion_signed_by_its_key(world: World) -> None:
    key = Ed25519Signer.generate()
    enrolment = world.identity.create_enrolment(department=POLICE, actor=person(BUREAU))
    node = world.identity.redeem_enrolment(token=enrolment, public_key=key.public_key, name="公安前置机")
    now = int(world.clock.now().timestamp())
    claims: dict[str, object] = {
        "iss": node.id,
        "sub": node.id,
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + 120,
        "jti": "assertion-1",
    }
    assertion = signed(key, claims)
    token = world.identity.token_for_assertion(assertion)
    principal = world.identity.verify_token(token.access_token)
    assert principal.actor == Actor(kind=ActorKind.NODE, id=node.id, department=POLICE, name="公安前置机")
    with pytest.raises(Unauthenticated):
        world.identity.token_for_assertion(assertion)
    world.identity.token_for_assertion(signed(key, {**claims, "jti": "older-name"}, alg="EdDSA"))
    stranger = Ed25519Signer.generate()
    changes: tuple[dict[str, object], ...] = (
        {"aud": "http://other.example"},
        {"sub": "another-node"},
        {"iss": "another-node"},
        {"exp": now - 3600},
        {"exp": now + 86400},
        {"iat": now + 3600},
        {"jti": "x"},
        {"jti": 7},
        {"exp": "soon"},
    )
    for number, change in enumerate(changes):
        with pytest.raises(Unauthenticated):
            world.identity.token_for_assertion(signed(key, {**claims, "jti": f"assertion-{number + 2}", **change}))
    with pytest.raises(Unauthenticated):
        world.identity.token_for_assertion(signed(stranger, {**claims, "jti": "stranger-1"}))
    with pytest.raises(Unauthenticated):
        world.identity.token_for_assertion(signed(stranger, {**claims, "jti": "stranger-2"}, kid=key.key_id))
    world.revoke(key.key_id)
    with pytest.raises(Unauthenticated):
        world.identity.token_for_assertion(signed(key, {**claims, "jti": "revoked-1"}))
    with pytest.raises(Unauthenticated):
        world.identity.verify_token(token.access_token)


def test_a_person_sees_where_they_are_signed_in_and_ends_it_there(world: World) -> None:
    account, other = open_account(world, username="zhang"), open_account(world)
    phone = world.identity.authenticate("zhang", PASSWORD, device="x" * 500)
    desk = world.identity.authenticate("zhang", PASSWORD, device="Firefox")
    hers = world.identity.authenticate("wang", PASSWORD)
    found = world.identity.sessions(account.id, token=desk.token)
    assert {(len(one.device), one.present) for one in found} == {(200, False), (7, True)}
    assert all(one.id not in (phone.token, desk.token) for one in found)
    there = next(one for one in found if not one.present)
    with pytest.raises(NotFound):
        world.identity.revoke_session(other.id, there.id)
    world.identity.revoke_session(account.id, there.id)
    with pytest.raises(Unauthenticated):
        world.identity.session(phone.token)
    with pytest.raises(NotFound):
        world.identity.revoke_session(account.id, there.id)
    world.identity.authenticate("zhang", PASSWORD)
    assert world.identity.end_other_sessions(account.id, desk.token) == 1
    assert [one.present for one in world.identity.sessions(account.id, token=desk.token)] == [True]
    assert world.identity.session(hers.token).actor.id == other.id
