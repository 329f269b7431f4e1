import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from datong.adapters.hub_link import HubLink
from datong.federation import Standing
from datong.kernel import Corrupt, DatongError, Refused, SystemClock, Unavailable
from datong.ledger import Ed25519Signer

TOKEN = json.dumps({"access_token": "t", "expires_in": 600, "token_type": "Bearer", "scope": "x"}).encode()
Answer = tuple[int, bytes, dict[str, str]]
Link = Callable[[Answer, Answer], HubLink]


@pytest.fixture
def link() -> Iterator[Link]:
    """Yield what links to a server that gives one answer to requests for a token and one to all others."""
    closing: list[Callable[[], None]] = []

    def made(token: Answer, other: Answer) -> HubLink:
        class Server(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", "0")))
                self._answer(token if self.path.endswith("/oauth/token") else other)

            def do_GET(self) -> None:
                self._answer(other)

            def _answer(self, answer: Answer) -> None:
                status, body, headers = answer
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_request(self, code: object = "-", size: object = "-") -> None:
                """Say nothing."""

        server = HTTPServer(("127.0.0.1", 0), Server)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}"
        found = HubLink(address=address, node_id="node", signer=Ed25519Signer.generate(), clock=SystemClock())
        closing.extend([found.close, server.shutdown, thread.join, server.server_close])
        return found

    yield made
    for close in closing:
        close()


def test_a_standing_is_read(link: Link) -> None:
    standing = Standing(serial=3, entries=2, digest="d")
    assert link((200, TOKEN, {}), (200, standing.model_dump_json().encode(), {})).standing() == standing


@pytest.mark.parametrize(
    ("token", "other", "kind"),
    [
        ((200, TOKEN, {}), (200, b"<html>", {}), Unavailable),
        ((200, TOKEN, {}), (200, b"not gzip", {"Content-Encoding": "gzip"}), Unavailable),
        ((200, TOKEN, {}), (200, b"\xff\xfe", {}), Unavailable),
        ((200, TOKEN, {}), (500, b"{}", {}), Unavailable),
        ((200, TOKEN, {}), (403, b"{}", {}), Unavailable),
        ((200, TOKEN, {}), (403, b'{"code": "x.y", "detail_zh": "\xe4\xb8\x8d", "detail_en": "No."}', {}), Refused),
        ((200, TOKEN, {}), (200, b"[1]", {}), Corrupt),
        ((200, TOKEN, {}), (200, b'{"serial": "many"}', {}), Corrupt),
        ((200, b"{}", {}), (200, b"{}", {}), Corrupt),
        ((200, b"[]", {}), (200, b"{}", {}), Corrupt),
        ((200, b'{"access_token": "t", "expires_in": "soon"}', {}), (200, b"{}", {}), Corrupt),
        ((302, b"{}", {"Location": "http://127.0.0.1:9/"}), (200, b"{}", {}), Unavailable),
    ],
)
def test_whatever_a_hub_answers_wrongly_is_an_error_in_words(
    link: Link, token: Answer, other: Answer, kind: type[DatongError]
) -> None:
    with pytest.raises(kind) as caught:
        link(token, other).standing()
    assert caught.value.what.zh
    assert caught.value.what.en
