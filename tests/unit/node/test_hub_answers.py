"""Enrolment waits for a hub that is still starting, and says so once."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from datong.kernel import Refused, Text, Unavailable
from datong.node.hub_answers import enrol
from tests.servers import free_port


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


@pytest.fixture
def late_hub() -> Iterator[str]:
    port = free_port()
    started: list[ThreadingHTTPServer] = []

    def start() -> None:
        time.sleep(0.5)
        started.append(ThreadingHTTPServer(("127.0.0.1", port), Hub))
        started[0].serve_forever()

    thread = threading.Thread(target=start)
    thread.start()
    yield f"http://127.0.0.1:{port}"
    started[0].shutdown()
    started[0].server_close()
    thread.join()


def test_a_hub_that_starts_is_waited_for_and_its_refusal_is_final(late_hub: str) -> None:
    told: list[Text] = []
    assert enrol(late_hub, "token", "n", b"key", wait_seconds=30, tell=told.append) == {"node_id": "n"}
    assert len(told) == 1
    with pytest.raises(Refused):
        enrol(late_hub, "other", "n", b"key", wait_seconds=30, tell=told.append)
    assert len(told) == 1


def test_nobody_is_waited_for_longer_than_said() -> None:
    with pytest.raises(Unavailable):
        enrol(f"http://127.0.0.1:{free_port()}", "token", "n", b"key", wait_seconds=0.3)
