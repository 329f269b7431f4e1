import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from datong.demo.client import Application, Hub, LinkBroken, Person, Problem, once, patiently, wait_until

Answer = tuple[int, Mapping[str, object]]


@contextmanager
def _hub(answer: Callable[[str, str, str, bytes], Answer]) -> Iterator[Hub]:
    """Serve `answer(method, path, authorization, body)` and yield a client of it."""

    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, content = answer(self.command, self.path, self.headers.get("authorization", ""), body)
            payload = json.dumps(content).encode()
            self.send_response(status)
            kind = "application/json" if status < 400 else "application/problem+json"
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = do_PUT = _any

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    hub = Hub(f"http://127.0.0.1:{server.server_address[1]}", language="zh")
    try:
        yield hub
    finally:
        hub.close()
        server.shutdown()
        thread.join()
        server.server_close()


def test_signs_in_again_when_the_session_has_run_out() -> None:
    tokens: list[str] = []

    def answer(method: str, path: str, authorization: str, _body: bytes) -> Answer:
        if path == "/api/v1/session":
            tokens.append(f"t{len(tokens)}")
            return 201, {"token": tokens[-1]}
        if authorization != "Bearer t1":
            return 401, {"code": "sharing.session_expired"}
        return 200, {"method": method}

    with _hub(answer) as hub:
        person = Person(hub, username="somebody", password="x")
        assert person.get("/api/v1/thing") == {"method": "GET"}
    assert tokens == ["t0", "t1"]


def test_a_problem_is_raised_with_its_code() -> None:
    with _hub(lambda *_: (403, {"code": "sharing.refused", "detail": "不允许"})) as hub:
        application = Application(hub, client_id="a", client_secret="b")
        with pytest.raises(Problem) as caught:
            application.post("/gateway", {})
    assert (caught.value.status, caught.value.code, caught.value.detail) == (403, "sharing.refused", "不允许")


def test_reading_waits_until_the_hub_is_back() -> None:
    states = iter([503, 502, 503])

    def answer(_method: str, path: str, _authorization: str, _body: bytes) -> Answer:
        if path == "/api/v1/session":
            return 201, {"token": "t"}
        return (next(states, 200), {"ready": True})

    with _hub(answer) as hub:
        assert Person(hub, username="a", password="b").get("/thing") == {"ready": True}


def test_nobody_there_is_a_broken_link() -> None:
    with _hub(lambda *_: (200, {})) as hub:
        url = hub.url
    gone = Hub(url, language="en")
    with pytest.raises(LinkBroken):
        gone.send("GET", "/")
    with pytest.raises(LinkBroken):
        patiently(lambda: gone.send("GET", "/"), seconds=0.2)
    gone.close()


def test_once_does_not_repeat_an_act_that_happened_unseen() -> None:
    done: list[str] = []

    def act() -> str:
        done.append("done")
        raise LinkBroken("the answer was lost")

    assert once(lambda: done[0] if done else None, act) == "done"
    assert done == ["done"]


def test_once_does_nothing_when_it_is_done_already() -> None:
    def never() -> str:
        raise AssertionError

    assert once(lambda: "known", never) == "known"


def test_waiting_ends() -> None:
    assert wait_until(lambda: None, seconds=0.2, pause=0.05) is None
    assert wait_until(lambda: 7, seconds=0.2) == 7
