"""What holds for every request: ids, headers, bounds, metrics."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request
from prometheus_client import generate_latest
from starlette.types import ASGIApp

from datong.kernel import Language
from datong.kernel.limits import REQUEST_BODY_BYTES_MAX, UPLOAD_CHUNK_BYTES_MAX
from datong.web.draining import Draining
from datong.web.edge import SECURITY_HEADERS, Edge, body_bytes_max
from datong.web.metrics import HttpMetrics, metrics_router
from datong.web.problems import ProblemDocument, install_problem_handlers
from tests.unit.web.asking import BASE_URL, ask, run_apart

MEBIBYTE = 1024 * 1024


class Guarded(FastAPI):
    """An application inside the edge, as the hub's is."""

    metrics = HttpMetrics()
    draining = Draining()

    def build_middleware_stack(self) -> ASGIApp:
        """Return everything, wrapped."""
        return Edge(super().build_middleware_stack(), metrics=self.metrics, secure=True, draining=self.draining)


def application() -> Guarded:
    """Return an application with an echo and a fault."""
    app = Guarded()
    app.metrics, app.draining = HttpMetrics(), Draining()
    app.state.language = Language.EN
    router = APIRouter()

    @router.post("/api/v1/echo/{name}")
    async def echo(name: str, request: Request) -> dict[str, object]:
        return {"name": name, "bytes": len(await request.body()), "id": request.state.request_id}

    @router.get("/api/v1/broken")
    def broken() -> None:
        raise RuntimeError("secret")

    app.include_router(router)
    app.include_router(metrics_router(app.metrics, lambda: None))
    install_problem_handlers(app)
    return app


@pytest.mark.parametrize(("method", "path"), [("POST", "/api/v1/echo/a"), ("GET", "/none"), ("GET", "/api/v1/broken")])
def test_every_answer_has_an_id_and_the_security_headers(method: str, path: str) -> None:
    """Errors too, the unexpected one included."""
    answer = ask(application(), method, path)
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers[name] == value
    assert "max-age" in answer.headers["strict-transport-security"]
    assert answer.headers["cache-control"] == "no-store"
    shown = answer.json().get("request_id") or answer.json()["id"]
    assert answer.headers["x-request-id"] == shown
    assert "secret" not in answer.text


def test_nothing_that_stands_in_a_page_is_carried_out() -> None:
    """Neither scripts nor style sheets; attributes may say how something looks, since charts are drawn so."""
    rules = dict(rule.strip().split(" ", 1) for rule in SECURITY_HEADERS["Content-Security-Policy"].split(";"))
    assert [name for name, value in rules.items() if "unsafe" in value] == ["style-src-attr"]
    for name in ("object-src", "base-uri", "frame-ancestors", "script-src-attr"):
        assert rules[name] == "'none'"
    assert rules["default-src"] == rules["script-src"] == rules["form-action"] == "'self'"


def test_answers_of_a_process_that_goes_out_of_service_close_their_connections() -> None:
    """So that no client's next request meets a connection that is being closed."""
    app = application()
    assert "connection" not in ask(app, "GET", "/none").headers
    app.draining.begin()
    assert ask(app, "GET", "/none").headers["connection"] == "close"


def test_no_two_requests_have_one_id() -> None:
    """A client's own id is not trusted."""
    app = application()
    ids = {ask(app, "GET", "/none", headers={"X-Request-ID": "mine"}).headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3
    assert "mine" not in ids


def test_a_body_that_declares_too_much_is_refused_before_it_is_read() -> None:
    """413 in the one shape."""
    answer = ask(application(), "POST", "/api/v1/echo/a", content=b"x" * (REQUEST_BODY_BYTES_MAX + 1))
    assert answer.status_code == 413
    assert ProblemDocument.model_validate(answer.json()).code == "web.body_too_large"


def test_a_body_that_does_not_declare_its_length_is_bounded_too() -> None:
    """The limit holds while the bytes arrive."""

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(REQUEST_BODY_BYTES_MAX // MEBIBYTE + 1):
            yield b"x" * MEBIBYTE

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=application(), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=BASE_URL) as client:
            return await client.post("/api/v1/echo/a", content=parts())

    answer = run_apart(send)
    assert answer.status_code == 413
    assert ProblemDocument.model_validate(answer.json()).code == "web.body_too_large"


def test_limits_follow_the_path() -> None:
    """Only a chunk of a batch may be longer than other bodies."""
    assert body_bytes_max("/api/v1/batches/b-1/chunks/0") == UPLOAD_CHUNK_BYTES_MAX
    assert body_bytes_max("/api/v1/batches/b-1/chunks/x") == REQUEST_BODY_BYTES_MAX
    assert body_bytes_max("/api/v1/batches") == REQUEST_BODY_BYTES_MAX


def test_metrics_count_routes_and_not_paths() -> None:
    """Ids never become labels."""
    app = application()
    ask(app, "POST", "/api/v1/echo/one")
    ask(app, "POST", "/api/v1/echo/two")
    ask(app, "GET", "/none/of/these")
    text = generate_latest(app.metrics.registry).decode()
    assert 'datong_http_requests_total{method="POST",route="/api/v1/echo/{name}",status="200"} 2.0' in text
    assert 'route="(none)",status="404"' in text
    assert "/none/of" not in text
    shown = ask(app, "GET", "/metrics")
    assert shown.status_code == 200
    assert "datong_http_request_seconds_bucket" in shown.text
