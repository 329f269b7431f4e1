"""No address leads where it must not: private networks but the allowed ones, clouds' credentials, names that change."""

import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_network

import httpx
import pytest
from pydantic import ValidationError

from datong.adapters.hub_link import HubLink, join_superior
from datong.adapters.judged_web import IpNetwork, JudgedTransport, forbidden_reason
from datong.adapters.webhook_post import WebhookPost
from datong.kernel import Invalid, Refused, Settings, SystemClock, Text
from datong.ledger import Ed25519Signer

INTRANET: tuple[IpNetwork, ...] = (ip_network("10.20.0.0/16"), ip_network("fd12::/16"))
NEVER = (
    "169.254.169.254", "100.100.100.200", "192.0.0.192", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "0.0.0.0", "::",
    "224.0.0.1", "240.0.0.1", "255.255.255.255", "::ffff:169.254.169.254", "::ffff:100.100.100.200",
    "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "not an address", "",
)  # fmt: skip
"""Refused whatever is allowed: link-local, clouds' credentials, multicast, reserved, and those inside others."""
PRIVATE = (
    "127.0.0.1", "10.1.2.3", "192.168.1.1", "172.16.0.1", "100.64.0.1", "::1", "fc00::1", "::ffff:127.0.0.1",
    "64:ff9b::7f00:1", "2002:7f00:1::1",
)  # fmt: skip


@pytest.mark.parametrize("number", NEVER)
def test_some_addresses_are_never_connected_to(number: str) -> None:
    for networks in ((), INTRANET, (ip_network("0.0.0.0/0"), ip_network("::/0"))):
        assert forbidden_reason(number, allow_private=True, networks=networks) is not None


@pytest.mark.parametrize("number", PRIVATE)
def test_private_addresses_need_permission_and_the_right_network(number: str) -> None:
    assert forbidden_reason(number, allow_private=False) is not None
    assert forbidden_reason(number, allow_private=False, networks=INTRANET) is not None
    assert forbidden_reason(number, allow_private=True) is None
    assert forbidden_reason(number, allow_private=True, networks=INTRANET) is not None


@pytest.mark.parametrize("number", ["10.20.3.4", "::ffff:10.20.3.4", "fd12::1", "8.8.8.8", "2400:3200::1"])
def test_the_own_networks_and_the_public_one_are_reached(number: str) -> None:
    assert forbidden_reason(number, allow_private=True, networks=INTRANET) is None


def test_networks_are_read_from_the_environment() -> None:
    settings = Settings.from_environment({"DATONG_INTRANETS": "10.20.0.0/16, fd12::/16"})
    assert settings.intranets == INTRANET
    with pytest.raises(ValidationError):
        Settings.model_validate({"intranets": "10.20.0.1/16"})


@pytest.fixture
def heard() -> Iterator[tuple[int, list[str]]]:
    """Yield the port of a server on this machine, and the `Host` headers that it was told."""
    hosts: list[str] = []

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hosts.append(self.headers["Host"])
            self.send_response(302)
            self.send_header("Location", "http://169.254.169.254/latest/meta-data")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_request(self, code: object = "-", size: object = "-") -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server.server_port, hosts
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_name_that_changes_after_it_was_judged_changes_nothing(heard: tuple[int, list[str]]) -> None:
    """DNS rebinding: the second answer is a cloud's credentials; each request goes where it was judged."""
    port, hosts = heard
    answers = iter((["127.0.0.1"], ["169.254.169.254"], ["8.8.8.8", "127.0.0.1"]))

    def resolver(_host: str, _port: int) -> Sequence[str]:
        return next(answers)

    transport = JudgedTransport(
        "http://hub.example", networks=(ip_network("127.0.0.0/8"),), forbidden=_refused, resolver=resolver
    )
    with httpx.Client(base_url=f"http://hub.example:{port}", transport=transport, trust_env=False) as http:
        assert http.get("/").status_code == 302
        with pytest.raises(Refused):
            http.get("/")
    assert hosts == [f"hub.example:{port}"]
    other = JudgedTransport(
        "http://hub.example", networks=(ip_network("10.0.0.0/8"),), forbidden=_refused, resolver=resolver
    )
    with httpx.Client(transport=other, trust_env=False) as http, pytest.raises(Refused):
        http.get(f"http://hub.example:{port}/")


def test_a_name_that_nobody_knows_is_no_connection() -> None:
    def resolver(_host: str, _port: int) -> Sequence[str]:
        raise OSError("no such name")

    transport = JudgedTransport("http://hub.example", networks=(), forbidden=_refused, resolver=resolver)
    with httpx.Client(transport=transport, trust_env=False) as http, pytest.raises(httpx.ConnectError):
        http.get("http://hub.example/")


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("http://169.254.169.254/latest", Refused),
        ("http://[fe80::1]", Refused),
        ("http://0.0.0.0:8420", Refused),
        ("http://100.100.100.200", Refused),
        ("http://127.0.0.1:1", Refused),
        ("file:///etc/passwd", Invalid),
        ("gopher://hub", Invalid),
        ("http://user:secret@hub", Invalid),
        ("http://hub/?x=1", Invalid),
        ("http://hub:99999999", Invalid),
    ],
)
def test_no_higher_hub_is_where_none_can_be(address: str, error: type[Exception]) -> None:
    signer = Ed25519Signer.generate()
    with pytest.raises(error):
        join_superior(address, "token", name="市", hub="city", signer=signer, clock=SystemClock(), networks=INTRANET)
    with pytest.raises(error):
        HubLink(address=address, node_id="n", signer=signer, clock=SystemClock(), networks=INTRANET).standing()


def test_webhooks_keep_to_the_own_networks() -> None:
    numbers = {"inside": "10.20.3.4", "beside": "10.99.0.1", "here": "127.0.0.1", "outside": "8.8.8.8"}
    sender = WebhookPost(
        user_agent="t", allow_private=True, networks=INTRANET, resolver=lambda host, _port: [numbers[host]]
    )
    for host in ("inside", "outside"):
        sender.check(f"https://{host}/hook")
    for host in ("beside", "here"):
        with pytest.raises(Refused):
            sender.check(f"https://{host}/hook")


def _refused(reason: Text) -> Refused:
    return Refused("test.forbidden", what=reason, remedy=reason)
