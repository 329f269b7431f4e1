"""The queue before the gateway: calls at once are answered together, each by itself as far as its caller can tell."""

import asyncio
import time
from collections.abc import Iterator, Sequence

import pytest
from sqlalchemy import event

from datong.kernel import PLATFORM_ACTOR, Overloaded, Refused, ResourceId, Unauthenticated
from datong.ledger import EntryKind, verify_bundle
from datong.sharing.call_queue import CallQueue
from datong.sharing.gateway import Gateway
from datong.sharing.gateway_calls import FRESH_SECONDS, Answer, Asked, GatewayAnswer, VerifyAnswer
from datong.sharing.guessing import WRONG_PER_SUBJECT_DAY_MAX
from datong.sharing.matching import Match
from datong.sharing.principals import Principal
from datong.sharing.records import Record
from datong.sharing.subjects import subject_index_key
from tests.unit.sharing.samples import EDUCATION, POLICE, RESOURCE, SOCIAL, application, person
from tests.unit.sharing.world import POLICY, World
from tests.unit.web.asking import run_apart

CITIZENS = ("110101199003070011", "110101200002290042", "370102198502150024")
CALLER = application(EDUCATION)


class Records:
    """A source that breaks for one citizen."""

    def __init__(self, world: World) -> None:
        self._world = world

    def lookup(
        self, resource_id: ResourceId, key_element: str, key_values: Sequence[str]
    ) -> Sequence[tuple[Record, ...]]:
        if "broken" in key_values:
            raise RuntimeError("this record breaks")
        return self._world.records.lookup(resource_id, key_element, key_values)


@pytest.fixture
def queue(world: World) -> Iterator[CallQueue]:
    (granted,) = world.submit(["姓名", "公民身份号码", "hh"])
    world.put_in_force(granted.agreement_id)
    world.records.rows[RESOURCE] = tuple(
        {"citizen_id": citizen, "person_name": "张三", "household_id": "H1"} for citizen in CITIZENS
    )
    gateway = Gateway(
        database=world.database,
        clock=world.clock,
        ledger=world.ledger,
        catalogue=world.resources,
        agreements=world.agreements,
        policy=POLICY,
        records=Records(world),
        index_key=subject_index_key(world.signer),
        mask_keys=world.mask_keys,
        callers=world.identity,
    )
    made = CallQueue(gateway, node_calls_max=2)
    yield made
    made.close()


def asked(key: str, who: Principal = CALLER, *, proved: bool = True, **claims: str) -> Asked:
    return Asked(
        who,
        RESOURCE,
        {"citizen_id": key},
        tuple(claims) or ("姓名",),
        "school-admission",
        "RX-1",
        claims or None,
        proved=proved,
    )


def answer_all(queue: CallQueue, calls: Sequence[Asked]) -> list[Answer | BaseException]:
    async def together() -> list[Answer | BaseException]:
        return await asyncio.gather(*[queue.answer(call) for call in calls], return_exceptions=True)

    return run_apart(together)


def test_calls_at_once_share_transactions_and_each_has_its_own_proof(world: World, queue: CallQueue) -> None:
    commits: list[object] = []
    event.listen(world.database.engine, "commit", commits.append)
    answers = answer_all(queue, [asked(citizen) for citizen in CITIZENS * 10])
    told = [one for one in answers if isinstance(one, GatewayAnswer) and len(one.rows) == 1]
    assert len(told) == 30
    assert len(commits) < len(told) / 2
    assert world.ledger.entries(kind=EntryKind.ACCESS).total == len({one.access_id for one in told}) == 30
    world.ledger.integrate()
    for citizen in CITIZENS:
        uses = world.usage.uses_of(citizen)
        assert len(uses) == 10
        verify_bundle(world.usage.proof(uses[-1].access_id, citizen_id=citizen))


def test_each_call_gets_its_own_answer_refusal_or_error(world: World, queue: CallQueue) -> None:
    calls = [asked(CITIZENS[0]), asked(CITIZENS[0], application(SOCIAL)), asked("broken"), asked(CITIZENS[1], hh="H1")]
    found, refused, broken, verified = answer_all(queue, calls)
    assert isinstance(found, GatewayAnswer)
    assert found.rows == ({"姓名": "张*"},)
    assert isinstance(refused, Refused)
    assert refused.context["policies"] == ["data.no_agreement"]
    assert isinstance(broken, RuntimeError)
    assert isinstance(verified, VerifyAnswer)
    assert verified.results == {"hh": Match.MATCH}
    assert world.ledger.entries(kind=EntryKind.ACCESS).total == 2
    assert world.ledger.entries(kind=EntryKind.REFUSAL).total == 1


def test_guesses_made_at_once_do_not_get_past_the_limit(queue: CallQueue) -> None:
    guesses = [asked(CITIZENS[0], hh=f"guess {number}") for number in range(WRONG_PER_SUBJECT_DAY_MAX + 5)]
    answers = answer_all(queue, [*guesses, asked(CITIZENS[1], hh="H1")])
    assert [isinstance(one, VerifyAnswer) for one in answers] == [True] * WRONG_PER_SUBJECT_DAY_MAX + [False] * 5 + [
        True
    ]
    assert {one.code for one in answers if isinstance(one, Refused)} == {"sharing.guess_limit"}


def test_a_suspended_agreement_and_a_revoked_application_stop_calls_within_the_stated_time(
    world: World, queue: CallQueue
) -> None:
    made = world.identity.create_application(name="入学", department=EDUCATION, actor=person(EDUCATION))
    token = world.identity.token_for_application(made.application.client_id, made.client_secret)
    caller = world.identity.read_token(token.access_token)
    assert world.identity.read_token(token.access_token) is caller, "recognised by its digest"
    (answer,) = answer_all(queue, [asked(CITIZENS[0], caller, proved=False)])
    assert isinstance(answer, GatewayAnswer)
    (agreement,) = world.agreements.find(consumer=EDUCATION).rows
    world.agreements.suspend(agreement.id, person(POLICE), "超范围使用")
    refused = until_error(queue, asked(CITIZENS[0], caller, proved=False))
    assert isinstance(refused, Refused)
    assert refused.context["policies"] == ["data.suspended"]
    world.identity.revoke_application(made.application.client_id, PLATFORM_ACTOR)
    assert isinstance(until_error(queue, asked(CITIZENS[0], caller, proved=False), Unauthenticated), Unauthenticated)


def until_error(queue: CallQueue, call: Asked, kind: type[Exception] = Exception) -> BaseException:
    """Return the error that a call ends with once what was looked up before is too old."""
    time.sleep(FRESH_SECONDS * 1.5)
    (answer,) = answer_all(queue, [call])
    assert isinstance(answer, kind)
    return answer


def test_a_closed_queue_turns_calls_away(queue: CallQueue) -> None:
    queue.close()
    (turned_away,) = answer_all(queue, [asked(CITIZENS[0])])
    assert isinstance(turned_away, Overloaded)
