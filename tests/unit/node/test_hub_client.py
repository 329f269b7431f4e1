"""The client of the hub: retries only what may heal, renews its token once, gives the hub's errors back."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl

import httpx
import pytest

from datong.kernel import (
    BatchId,
    Conflict,
    Corrupt,
    DatongError,
    FixedClock,
    Invalid,
    NotFound,
    Refused,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from datong.kernel.limits import RETRY_ATTEMPTS_MAX, RETRY_DELAY_SECONDS_MAX
from datong.ledger import Ed25519Signer
from datong.node import HubClient
from datong.node.hub_answers import error_of
from datong.node.hub_calls import delay_seconds

CLOCK = FixedClock(datetime(2026, 1, 5, tzinfo=UTC))
Answer = Callable[[httpx.Request], httpx.Response]


class Hub:
    """Answers requests from a list of prepared answers, tokens on the side."""

    def __init__(self, *answers: Answer | httpx.Response) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.tokens = 0
        self.waits: list[float] = []
        self.signer = Ed25519Signer.generate()
        self.client = HubClient(
            hub_url="http://hub/",
            node_id="n1",
            signer=self.signer,
            clock=CLOCK,
            transport=httpx.MockTransport(self.answer),
            sleep=self.waits.append,
        )

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/v1/oauth/token":
            self.tokens += 1
            return httpx.Response(200, json={"access_token": f"t{self.tokens}", "expires_in": 600})
        self.requests.append(request)
        prepared = self.answers.pop(0)
        return prepared if isinstance(prepared, httpx.Response) else prepared(request)


def broken(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


WORK = httpx.Response(200, json={"produce": [], "consume": [], "reconcile": []})


def test_unavailability_is_retried_with_growing_pauses() -> None:
    hub = Hub(broken, httpx.Response(503, json={"code": "x"}), httpx.Response(502), WORK)
    assert hub.client.work(0).is_empty
    assert len(hub.waits) == 3
    assert hub.waits == sorted(hub.waits)


def test_retries_end() -> None:
    hub = Hub(*[broken] * RETRY_ATTEMPTS_MAX)
    with pytest.raises(Unavailable, match="hub_unavailable"):
        hub.client.work(0)
    assert len(hub.requests) == RETRY_ATTEMPTS_MAX


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "exchange.batch_not_found", NotFound),
        (403, "exchange.wrong_signer", Refused),
        (409, "exchange.gap", Conflict),
        (413, "exchange.payload_too_large", TooLarge),
        (422, "exchange.task_columns", Invalid),
        (422, "exchange.payload_digest", Corrupt),
        (422, "exchange.bad_signature", Corrupt),
    ],
)
def test_a_refusal_is_told_once_and_as_it_was(status: int, code: str, kind: type[DatongError]) -> None:
    problem = {"code": code, "detail_zh": "中", "detail_en": "en", "remedy_en": "do", "context": {"received_bytes": 3}}
    hub = Hub(httpx.Response(status, json=problem))
    with pytest.raises(kind) as caught:
        hub.client.commit(BatchId("b"))
    assert (caught.value.code, caught.value.what.zh, caught.value.context) == (code, "中", {"received_bytes": 3})
    assert len(hub.requests) == 1


def test_a_token_that_ran_out_while_the_hub_was_away_is_renewed() -> None:
    hub = Hub(httpx.Response(503), httpx.Response(503), httpx.Response(401), httpx.Response(204))
    hub.client.heartbeat("ok")
    assert hub.tokens == 2
    assert len(hub.waits) == 2


@pytest.mark.parametrize("error_seconds", [3600, -3600])
def test_a_node_whose_clock_is_wrong_learns_the_time_from_the_hub(error_seconds: int) -> None:
    hub_now = CLOCK.now() + timedelta(seconds=error_seconds)
    asked: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path != "/api/v1/oauth/token":
            return httpx.Response(204)
        form = dict(parse_qsl(request.content.decode()))
        claims = json.loads(base64.urlsafe_b64decode(form["client_assertion"].split(".")[1] + "=="))
        asked.append(claims["iat"])
        if abs(claims["iat"] - hub_now.timestamp()) > 60:
            problem = {"code": "sharing.token_invalid", "context": {"part": "claims", "now": hub_now.isoformat()}}
            return httpx.Response(401, json=problem)
        return httpx.Response(200, json={"access_token": "t", "expires_in": 600})

    transport = httpx.MockTransport(answer)
    client = HubClient(
        hub_url="http://hub/", node_id="n1", signer=Ed25519Signer.generate(), clock=CLOCK, transport=transport
    )
    client.heartbeat("ok")
    assert client.clock_error_seconds == error_seconds
    assert [moment - int(CLOCK.now().timestamp()) for moment in asked] == [0, error_seconds]


def test_an_expired_token_is_renewed_once() -> None:
    hub = Hub(httpx.Response(401, json={"code": "x"}), WORK)
    assert hub.client.work(0).is_empty
    assert hub.tokens == 2
    always = Hub(*[httpx.Response(401, json={"code": "x"})] * 3)
    with pytest.raises(Unauthenticated):
        always.client.work(0)
    assert len(always.requests) == 2


def test_a_download_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    hub = Hub(httpx.Response(206, content=b"def"))
    hub.client.download(BatchId("b"), path, 6)
    assert path.read_bytes() == b"abcdef"
    assert hub.requests[0].headers["Range"] == "bytes=3-5"


def test_answers_that_are_no_problem_documents_are_understood() -> None:
    assert isinstance(error_of(httpx.Response(500, text="<html>")), Unavailable)
    assert isinstance(error_of(httpx.Response(429, json=[])), Unavailable)
    assert isinstance(error_of(httpx.Response(418, json={})), Refused)


def test_delays_are_bounded() -> None:
    assert all(0 < delay_seconds(attempt) <= RETRY_DELAY_SECONDS_MAX for attempt in range(20))
