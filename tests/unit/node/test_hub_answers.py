"""Enrolment waits for a hub that is still starting, and says so once."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from datong.kernel import Refused, Text, Unavailable
from datong.node.hub_answers import enrol
from tests.free_ports import free_port


class Hub(BaseHTTPRequestHandler):
    """Enrols whoever has the token."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        right = body["enrolment_token"] == "token"
        answer = {"node_id": body["name"]} if right else {"code": "catalogue.token_invalid", "detail": "wrong"}
        content = json.dumps(answer).encode()
        self.send_response(200 if right else 403)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


class LateHub:
    """A hub that starts when somebody has been told that it is waited for."""

    def __init__(self) -> None:
        self.port = free_port()
        self.told: list[Text] = []
        self._server: ThreadingHTTPServer | None = None

    def tell(self, text: Text) -> None:
        self.told.append(text)
        if self._server is None:
            self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Hub)
            threading.Thread(target=self._server.serve_forever).start()

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


@pytest.fixture
def late_hub() -> Iterator[LateHub]:
    hub = LateHub()
    yield hub
    hub.close()


def test_a_hub_that_starts_is_waited_for_and_its_refusal_is_final(late_hub: LateHub) -> None:
    url = f"http://127.0.0.1:{late_hub.port}"
    assert enrol(url, "token", "n", b"key", wait_seconds=240, tell=late_hub.tell) == {"node_id": "n"}
    assert len(late_hub.told) == 1
    with pytest.raises(Refused):
        enrol(url, "other", "n", b"key", wait_seconds=240, tell=late_hub.tell)
    assert len(late_hub.told) == 1


def test_nobody_is_waited_for_longer_than_said() -> None:
    with pytest.raises(Unavailable):
        enrol(f"http://127.0.0.1:{free_port()}", "token", "n", b"key", wait_seconds=0.3)
