"""The gateway over HTTP: call forms, headers, errors; a server's connection, the short way and the declared routes
answer alike."""

import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from datong.kernel import PLATFORM_ACTOR
from datong.ledger import EntryKind
from datong.sharing.applications import CallMeter
from datong.sharing.call_queue import CallQueue
from datong.sharing.gateway_calls import FRESH_SECONDS
from datong.sharing.identity import Identity
from datong.sharing.quotas import CallQuota
from datong.sharing.signed_calls import SignedCalls, signature
from datong.web import gateway
from datong.web.draining import Draining
from datong.web.edge import REQUESTS_IN_FLIGHT_MAX, Edge
from datong.web.hot_protocol import HotProtocol
from datong.web.metrics import HttpMetrics
from datong.web.problems import ProblemDocument, install_problem_handlers
from datong.web.short_calls import ShortCalls
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
    call_meter: CallMeter


class Way(StrEnum):
    """How calls come to the gateway."""

    DECLARED = "declared"
    SHORT = "short"
    CONNECTION = "connection"


class Whole:
    """An application as a server has it: the edge, the short way, and what connections do by themselves."""

    def __init__(self, app: FastAPI) -> None:
        services, calls, self.draining, metrics = app.state.services, app.state.calls, Draining(), HttpMetrics()
        inner = gateway.HotCalls(app, application=app, routes=gateway.hot_routes())
        self.edge = Edge(inner, metrics=metrics, secure=False, draining=self.draining)
        self.short_calls = ShortCalls(
            identity=services.identity,
            meter=services.call_meter,
            calls=calls,
            edge=self.edge,
            metrics=metrics,
            draining=self.draining,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.edge(scope, receive, send)


class Hub:
    """An application with the gateway alone, and a caller with a token."""

    def __init__(self, world: World, way: Way) -> None:
        agree(world, CallQuota(per_minute=50))
        self.world = world
        self.signed = SignedCalls(clock=world.clock, machines=world.identity, secret=b"of the hub")
        made = world.identity.create_application(name="入学", department=EDUCATION, actor=person(EDUCATION))
        self.client_id = made.application.client_id
        self.token = world.identity.token_for_application(self.client_id, made.client_secret).access_token
        self.calls = CallQueue(gateway_of(world), node_calls_max=1)
        self.app = FastAPI()
        meter = CallMeter(database=world.database, clock=world.clock)
        self.app.state.services = Known(world.identity, self.signed, meter)
        self.app.state.language = "zh"
        self.app.state.calls = self.calls
        install_problem_handlers(self.app)
        self.app.include_router(gateway.router)
        self.app.include_router(gateway.secrets_router)
        self.way, self.whole = way, Whole(self.app)
        self.served: ASGIApp = self.app
        if way is Way.SHORT:
            self.served = gateway.HotCalls(self.app, application=self.app, routes=gateway.hot_routes())
        self.port = 0

    def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        return self.send(path, body, {"Authorization": f"Bearer {self.token}"} | headers)

    def send(self, path: str, body: object, headers: Mapping[str, str]) -> httpx.Response:
        if self.way is Way.CONNECTION:
            return self.client.post(f"http://127.0.0.1:{self.port}/gateway/v1/{path}", headers=headers, json=body)
        return ask(self.served, "POST", f"/gateway/v1/{path}", headers=headers, json=body)

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve the whole application on a port."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
            config = uvicorn.Config(self.whole, http=HotProtocol, log_level="warning", lifespan="off")
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
            thread.start()
            while not server.started:
                time.sleep(0.01)
            with httpx.Client(trust_env=False, verify=False, timeout=60) as self.client:
                yield
            server.should_exit = True
            thread.join()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    database = new_control(tmp_path)
    yield World(database)
    database.close()


@pytest.fixture(params=list(Way))
def hub(world: World, request: pytest.FixtureRequest) -> Iterator[Hub]:
    made = Hub(world, request.param)
    with made.serving() if made.way is Way.CONNECTION else nullcontext():
        yield made
    made.calls.close()


@pytest.fixture
def served(world: World) -> Iterator[Hub]:
    made = Hub(world, Way.CONNECTION)
    with made.serving():
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


def raw(hub: Hub, body: object, **headers: str) -> bytes:
    content = json.dumps(body).encode()
    given = {"Host": "hub", "Authorization": f"Bearer {hub.token}", "Content-Length": str(len(content))} | headers
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"POST /gateway/v1/{RESOURCE}/query HTTP/1.1\r\n{lines}\r\n".encode() + content


def answers(connection: socket.socket, count: int) -> list[tuple[int, dict[str, str], bytes]]:
    """Return the status, headers and bodies of as many answers; fewer where the other side closes."""
    found: list[tuple[int, dict[str, str], bytes]] = []
    stream = connection.makefile("rb")
    while len(found) < count and (status := stream.readline()):
        lines = iter(lambda: stream.readline().decode().strip(), "")
        headers = {name: value for name, _, value in (line.partition(": ") for line in lines)}
        found.append((int(status.split()[1]), headers, stream.read(int(headers["content-length"]))))
    return found


def test_requests_on_one_connection_are_answered_in_their_order(served: Hub) -> None:
    """Several at once, one of them no call and one malformed; a body in pieces; then one that is the last."""
    call = raw(served, QUERY)
    other = b"GET /gateway/v1/nothing HTTP/1.1\r\nHost: hub\r\n\r\n"
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as connection:
        connection.sendall(call + other + raw(served, {"key": {}}) + call)
        assert [status for status, _, _ in answers(connection, 4)] == [200, 404, 422, 200]
        for piece in (call[:40], call[40:-20], call[-20:]):
            connection.sendall(piece)
            time.sleep(0.02)
        ((status, headers, body),) = answers(connection, 1)
        assert status == 200
        assert json.loads(body)["rows"] == [{"姓名": "张*"}]
        assert headers["content-security-policy"]
        assert headers["ratelimit-limit"] == "50"
        connection.sendall(raw(served, QUERY, Connection="close"))
        last, *none = answers(connection, 2)
        assert (last[0], last[1]["connection"], none) == (200, "close", [])


def test_a_process_that_drains_closes_connections_and_one_that_hangs_up_leaves_nothing_behind(served: Hub) -> None:
    before = served.world.ledger.entries(kind=EntryKind.ACCESS).total
    call = raw(served, QUERY)
    for piece in (call[:-5], call):
        with socket.create_connection(("127.0.0.1", served.port), timeout=60) as connection:
            connection.sendall(piece)
    until = time.monotonic() + 60
    while served.world.ledger.entries(kind=EntryKind.ACCESS).total == before and time.monotonic() < until:
        time.sleep(0.01)
    assert served.world.ledger.entries(kind=EntryKind.ACCESS).total == before + 1, "what was asked is on record"
    served.whole.draining.begin()
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as connection:
        connection.sendall(call)
        last, *none = answers(connection, 2)
    assert (last[0], last[1]["connection"], none) == (200, "close", [])
    for _ in range(REQUESTS_IN_FLIGHT_MAX):
        assert served.whole.edge.admit()
    assert not served.whole.edge.admit()
    assert served.post(f"{RESOURCE}/query", QUERY).status_code == 503
