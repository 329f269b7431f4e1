"""The gateway over HTTP: call forms, headers, errors; the short way and the declared routes answer alike."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp

from datong.kernel import PLATFORM_ACTOR
from datong.ledger import EntryKind
from datong.sharing.call_queue import CallQueue
from datong.sharing.gateway_calls import FRESH_SECONDS
from datong.sharing.identity import Identity
from datong.sharing.quotas import CallQuota
from datong.sharing.signed_calls import SignedCalls, signature
from datong.web import gateway
from datong.web.problems import ProblemDocument, install_problem_handlers
from tests.new_control import new_control
from tests.unit.sharing.samples import EDUCATION, NOW, RESOURCE, person
from tests.unit.sharing.test_quotas import agree, gateway_of
from tests.unit.sharing.world import World
from tests.unit.web.asking import ask

CITIZEN = "110101199003070011"
QUERY = {"key": {"citizen_id": CITIZEN}, "items": ["姓名"], "purpose": "school-admission", "case_number": "RX-1"}


@dataclass
class Known:
    """The services that the gateway's handlers look at."""

    identity: Identity
    signed_calls: SignedCalls


class Hub:
    """An application with the gateway alone, and a caller with a token."""

    def __init__(self, world: World, *, short: bool = True) -> None:
        agree(world, CallQuota(per_minute=50))
        self.world = world
        self.signed = SignedCalls(clock=world.clock, machines=world.identity, secret=b"of the hub")
        made = world.identity.create_application(name="入学", department=EDUCATION, actor=person(EDUCATION))
        self.client_id = made.application.client_id
        self.token = world.identity.token_for_application(self.client_id, made.client_secret).access_token
        self.calls = CallQueue(gateway_of(world), node_calls_max=1)
        self.app = FastAPI()
        self.app.state.services = Known(world.identity, self.signed)
        self.app.state.language = "zh"
        self.app.state.calls = self.calls
        install_problem_handlers(self.app)
        self.app.include_router(gateway.router)
        self.app.include_router(gateway.secrets_router)
        self.served: ASGIApp = self.app
        if short:
            self.served = gateway.HotCalls(self.app, application=self.app, routes=gateway.hot_routes())

    def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        return self.send(path, body, {"Authorization": f"Bearer {self.token}"} | headers)

    def send(self, path: str, body: object, headers: Mapping[str, str]) -> httpx.Response:
        return ask(self.served, "POST", f"/gateway/v1/{path}", headers=headers, json=body)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    database = new_control(tmp_path)
    yield World(database)
    database.close()


@pytest.fixture(params=[True, False], ids=["short", "declared"])
def hub(world: World, request: pytest.FixtureRequest) -> Iterator[Hub]:
    made = Hub(world, short=request.param)
    yield made
    made.calls.close()


def problem_of(answer: httpx.Response, status: int) -> ProblemDocument:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return ProblemDocument.model_validate(answer.json())


def test_one_call_many_subjects_each_with_its_own_answer_and_evidence(hub: Hub) -> None:
    subjects = [
        {"key": {"citizen_id": CITIZEN}, "claims": {"hh": "H1"}},
        {"key": {"citizen_id": "110101200002290042"}, "claims": {"hh": "H1"}, "case_number": "RX-2"},
        {"key": {"citizen_id": CITIZEN}, "claims": {"nothing": "x"}},
    ]
    body = {"subjects": subjects, "purpose": "school-admission", "case_number": "RX-1"}
    answer = hub.post(f"{RESOURCE}/verify/batch", body)
    assert answer.status_code == 200, answer.text
    match, unknown, invalid = answer.json()["results"]
    assert match["answer"]["results"] == {"hh": "match"}
    assert unknown["answer"]["results"] == {"hh": "unknown"}
    assert match["answer"]["entry_id"] != unknown["answer"]["entry_id"]
    assert invalid["answer"] is None
    assert invalid["problem"]["code"] == "sharing.items_invalid"
    assert answer.headers["RateLimit-Remaining"] == "48"
    assert hub.world.ledger.entries(kind=EntryKind.ACCESS).total == 2
    problem_of(hub.post(f"{RESOURCE}/verify/batch", body | {"subjects": []}), 422)
    problem_of(hub.post(f"{RESOURCE}/verify/batch", body | {"subjects": subjects * 40}), 422)


def test_a_batch_is_carried_out_once(hub: Hub) -> None:
    body = {
        "subjects": [{"key": {"citizen_id": CITIZEN}, "claims": {"hh": f"H{number}"}} for number in range(3)],
        "purpose": "school-admission",
        "case_number": "RX-1",
    }
    first, second = (hub.post(f"{RESOURCE}/verify/batch", body, **{"Idempotency-Key": "b"}) for _ in range(2))
    assert first.json() == second.json()
    assert [one.headers.get("Idempotency-Replayed") for one in (first, second)] == [None, "true"]
    longer = body | {"subjects": [*body["subjects"], {"key": {"citizen_id": CITIZEN}, "claims": {"hh": "H9"}}]}
    reused = problem_of(hub.post(f"{RESOURCE}/verify/batch", longer, **{"Idempotency-Key": "b"}), 422)
    assert reused.code == "sharing.idempotency_key_reused"
    assert hub.world.ledger.entries(kind=EntryKind.ACCESS).total == 3


def test_query_with_a_key_of_its_own_quota_and_errors(hub: Hub) -> None:
    first, second = (hub.post(f"{RESOURCE}/query", QUERY, **{"Idempotency-Key": "q"}) for _ in range(2))
    assert first.json()["rows"] == [{"姓名": "张*"}]
    assert first.json() == second.json()
    assert first.headers["RateLimit-Policy"] == "50;w=60"
    assert "RateLimit-Policy" not in second.headers, "nothing was counted"
    spaced = json.loads(json.dumps(QUERY, indent=1))
    assert hub.post(f"{RESOURCE}/query", spaced, **{"Idempotency-Key": "q"}).json() == first.json()
    changed = hub.post(f"{RESOURCE}/query", QUERY | {"items": ["hh"]}, **{"Idempotency-Key": "q"})
    assert problem_of(changed, 422).field == "Idempotency-Key"
    problem_of(hub.post(f"{RESOURCE}/query", QUERY, **{"Idempotency-Key": "a b"}), 422)
    problem_of(hub.post(f"{RESOURCE}/query", {"key": {}}), 422)
    problem_of(hub.post("nothing/query", QUERY), 404)
    problem_of(hub.send(f"{RESOURCE}/query", QUERY, {}), 401)
    problem_of(hub.send(f"{RESOURCE}/query", QUERY, {"Authorization": "Bearer a.b.c"}), 401)
    for _ in range(49):
        last = hub.post(f"{RESOURCE}/query", QUERY)
    assert last.headers["RateLimit-Remaining"] == "0"
    late = hub.post(f"{RESOURCE}/query", QUERY)
    assert problem_of(late, 429).code == "sharing.quota_reached"
    assert late.headers["Retry-After"] == late.headers["RateLimit-Reset"] == "60"
    assert hub.post(f"{RESOURCE}/query", QUERY, **{"Idempotency-Key": "q"}).json() == first.json()


def test_calls_in_the_style_of_the_national_platform(hub: Hub) -> None:
    issued = hub.post("gjgxjhpt/secret", None).json()
    headers = signed(issued["rid"], issued["secret"], int(NOW.timestamp() * 1000))
    answer = hub.send(f"{RESOURCE}/query", QUERY, headers)
    assert answer.json()["rows"] == [{"姓名": "张*"}], answer.text
    again = hub.send(f"{RESOURCE}/query", QUERY, headers)
    assert again.json() == answer.json(), "a repeated call is the same call"
    other = hub.send(f"{RESOURCE}/query", QUERY | {"case_number": "RX-2"}, headers)
    assert problem_of(other, 422).code == "sharing.idempotency_key_reused"
    verified = hub.send(
        f"{RESOURCE}/verify/batch",
        {
            "subjects": [{"key": {"citizen_id": CITIZEN}, "claims": {"hh": "H1"}}],
            "purpose": "school-admission",
            "case_number": "RX-1",
        },
        signed(issued["rid"], issued["secret"], int(NOW.timestamp() * 1000) + 1),
    )
    assert verified.json()["results"][0]["answer"]["results"] == {"hh": "match"}
    problem_of(hub.send(f"{RESOURCE}/query", QUERY, headers | {"gjgxjhpt_sign": "x"}), 401)
    problem_of(hub.send(f"{RESOURCE}/query", QUERY, {"gjgxjhpt_rid": "x"}), 401)
    problem_of(hub.send(f"{RESOURCE}/query", QUERY, headers | {"Idempotency-Key": "k"}), 422)
    hub.world.identity.revoke_application(hub.client_id, PLATFORM_ACTOR)
    time.sleep(FRESH_SECONDS * 1.5)
    late = signed(issued["rid"], issued["secret"], int(NOW.timestamp() * 1000) + 2)
    for path, body in (("query", QUERY), ("verify/batch", {"subjects": [{"key": {"hh": "1"}, "claims": {}}]})):
        revoked = hub.send(f"{RESOURCE}/{path}", body, late)
        problem_of(revoked, 401)


def signed(rid: str, secret: str, milliseconds: int) -> dict[str, str]:
    time = str(milliseconds)
    return {
        "gjgxjhpt_rid": rid,
        "gjgxjhpt_sid": RESOURCE,
        "gjgxjhpt_rtime": time,
        "gjgxjhpt_sign": signature(secret, f"{RESOURCE}{rid}{time}"),
    }
