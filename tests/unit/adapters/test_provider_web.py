"""Asking identity providers over HTTP: judged addresses, no redirect, bounded answers."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_network

import pytest

from datong.adapters.provider_web import JudgedProviderWeb
from datong.kernel import Refused, TooLarge, Unreachable
from datong.sharing.oidc import PROVIDER_ANSWER_BYTES_MAX


class _Provider(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(302 if self.path == "/away" else 200)
        self.send_header("Location", "http://169.254.169.254/")
        self.end_headers()
        self.wfile.write(b"x" * (PROVIDER_ANSWER_BYTES_MAX + 1) if self.path == "/long" else b"{}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(400)
        self.end_headers()
        self.wfile.write(body + b" " + self.headers["authorization"].encode())

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), _Provider) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_provider_is_asked_once_and_within_bounds(port: int) -> None:
    web = JudgedProviderWeb(user_agent="tests", allow_private=True)
    here = f"http://127.0.0.1:{port}"
    assert web.ask(f"{here}/keys").body == b"{}"
    assert web.ask(f"{here}/away").status == 302
    answer = web.ask(f"{here}/token", headers={"Authorization": "Basic eA=="}, form={"code": "a&b"})
    assert (answer.status, answer.body) == (400, b"code=a%26b Basic eA==")
    with pytest.raises(TooLarge):
        web.ask(f"{here}/long")


def _resolved(number: str, _host: str, _port: int) -> list[str]:
    return [number]


def test_no_provider_leads_into_closed_networks() -> None:
    for number, allowed in (("10.1.2.3", False), ("169.254.169.254", True), ("192.168.0.1", True)):
        web = JudgedProviderWeb(
            user_agent="tests",
            allow_private=allowed,
            networks=(ip_network("10.0.0.0/8"),),
            resolver=partial(_resolved, number),
        )
        with pytest.raises(Refused):
            web.ask("https://id.example/keys")


def test_who_does_not_answer_is_unreachable(port: int) -> None:
    def nobody(_host: str, _port: int) -> list[str]:
        raise OSError

    with pytest.raises(Unreachable):
        JudgedProviderWeb(user_agent="tests", resolver=nobody).ask("https://id.example/")
    with pytest.raises(Unreachable):
        JudgedProviderWeb(user_agent="tests", allow_private=True).ask(f"https://127.0.0.1:{port}/")
