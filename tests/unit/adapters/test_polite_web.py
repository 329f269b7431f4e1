"""The polite reader against a real HTTP server, and against every address that it must not connect to."""

import gzip
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from datong.adapters.judged_web import forbidden_reason
from datong.adapters.polite_web import PoliteWeb
from datong.federation import BODY_BYTES_MAX, Document, ReaderTerms
from datong.kernel import Corrupt, NotFound, Refused, TooLarge, Unavailable

Answer = tuple[int, Mapping[str, str], bytes]


class Origin:
    """A server whose answers a test sets by path; it keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        origin = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                origin.asked.append((self.path, dict(self.headers.items())))
                answers = origin.answers.get(self.path, [(404, {}, b"")])
                status, headers, body = answers.pop(0) if len(answers) > 1 else answers[0]
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def says(self, path: str, *answers: Answer) -> str:
        self.answers[path] = list(answers)
        return self.url + path

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


@pytest.fixture
def origin() -> Iterator[Origin]:
    server = Origin()
    yield server
    server.server.shutdown()
    server.server.server_close()


def no_pause(seconds: float) -> None:
    """Go on at once."""
    del seconds


class Sleeps(list[float]):
    def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def reader() -> Iterator[Callable[..., PoliteWeb]]:
    opened: list[PoliteWeb] = []

    def make(
        *,
        robots: bool = False,
        private: bool = True,
        sleep: Callable[[float], None] = no_pause,
        body_bytes_max: int = BODY_BYTES_MAX,
    ) -> PoliteWeb:
        terms = ReaderTerms(allow_private=private, follow_robots=robots, requests_per_minute=6000)
        web = PoliteWeb(user_agent="Datong/test", terms=terms, sleep=sleep, body_bytes_max=body_bytes_max)
        opened.append(web)
        return web

    yield make
    for web in opened:
        web.close()


def fixed(*numbers: str) -> Callable[[str, int], Sequence[str]]:
    return lambda _host, _port: numbers


def get(web: PoliteWeb, address: str) -> Document:
    return web.get(address, accept="text/turtle")


def test_a_document_with_its_validators(origin: Origin, reader: Callable[..., PoliteWeb]) -> None:
    headers = {"Content-Type": "text/turtle; charset=GBK", "ETag": '"7"', "Content-Encoding": "gzip"}
    address = origin.says("/c", (200, headers, gzip.compress(b"<a>")))
    found = get(reader(), address)
    assert found == Document(address=address, media_type="text/turtle", charset="GBK", body=b"<a>", etag='"7"')
    _, sent = origin.asked[0]
    assert sent["User-Agent"] == "Datong/test"
    assert sent["Host"] == origin.url.removeprefix("http://")
    origin.says("/c", (304, {"ETag": '"7"'}, b""))
    assert reader().get(address, accept="*/*", etag='"7"', last_modified="x").unmodified
    assert origin.asked[1][1]["If-None-Match"] == '"7"'
    assert origin.asked[1][1]["If-Modified-Since"] == "x"


def test_pauses_that_the_origin_asks_for_are_kept(origin: Origin, reader: Callable[..., PoliteWeb]) -> None:
    sleeps = Sleeps()
    address = origin.says("/busy", (429, {"Retry-After": "7"}, b""), (503, {}, b""), (200, {}, b"ok"))
    assert get(reader(sleep=sleeps), address).body == b"ok"
    assert 7.0 in sleeps
    origin.says("/busy", (429, {"Retry-After": "86400"}, b""))
    origin.asked.clear()
    with pytest.raises(Unavailable):
        get(reader(), address)
    assert len(origin.asked) == 1
    origin.says("/busy", (500, {}, b""))
    origin.asked.clear()
    with pytest.raises(Unavailable):
        get(reader(), address)
    assert len(origin.asked) == 4


def test_robots_are_obeyed(origin: Origin, reader: Callable[..., PoliteWeb]) -> None:
    origin.says("/robots.txt", (200, {}, b"User-agent: *\nCrawl-delay: 3\nDisallow: /api/\n"))
    free, closed = origin.says("/free", (200, {}, b"1")), origin.says("/api/x", (200, {}, b"2"))
    sleeps = Sleeps()
    web = reader(robots=True, sleep=sleeps)
    assert get(web, free).body == b"1"
    assert max(sleeps) > 2
    with pytest.raises(Refused, match="robots"):
        get(web, closed)
    assert origin.paths == ["/robots.txt", "/free"]
    assert get(reader(robots=False), closed).body == b"2"
    del origin.answers["/robots.txt"]
    assert get(reader(robots=True), closed).body == b"2"
    origin.says("/robots.txt", (503, {}, b""))
    with pytest.raises(Unavailable):
        get(reader(robots=True), closed)


def test_redirects_are_followed_and_checked_each_time(origin: Origin, reader: Callable[..., PoliteWeb]) -> None:
    end = origin.says("/end", (200, {}, b"here"))
    address = origin.says("/start", (302, {"Location": "/end"}, b""))
    found = get(reader(), address)
    assert (found.address, found.body) == (end, b"here")
    for target in ("http://169.254.169.254/latest/meta-data", "file:///etc/passwd", "gopher://x/", "http://u:p@x/"):
        origin.says("/start", (302, {"Location": target}, b""))
        with pytest.raises(Refused):
            get(reader(), address)
    origin.says("/start", (302, {"Location": "/start"}, b""))
    with pytest.raises(Corrupt):
        get(reader(), address)


def test_a_private_address_is_refused_unless_the_operator_allows_it(
    origin: Origin, reader: Callable[..., PoliteWeb]
) -> None:
    address = origin.says("/x", (200, {}, b"x"))
    with pytest.raises(Refused):
        get(reader(private=False), address)
    assert origin.asked == []


def test_a_name_that_resolves_differently_a_moment_later_changes_nothing(origin: Origin) -> None:
    answers = iter([("127.0.0.1",), ("127.0.0.2",)])
    asked: list[str] = []

    def rebinding(host: str, _port: int) -> tuple[str, ...]:
        asked.append(host)
        return next(answers)

    origin.says("/x", (200, {}, b"x"))
    port = origin.server.server_address[1]
    terms = ReaderTerms(allow_private=True, follow_robots=False)
    web = PoliteWeb(user_agent="t", terms=terms, resolver=rebinding, sleep=Sleeps())
    assert get(web, f"http://catalogue.example:{port}/x").body == b"x"
    assert asked == ["catalogue.example"]
    assert origin.asked[0][1]["Host"] == f"catalogue.example:{port}"
    web.close()


def test_the_checked_address_is_the_one_connected_to_and_the_name_is_in_the_handshake() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, stream=httpx.ByteStream(b"ok"))

    terms = ReaderTerms(follow_robots=False)
    for number in ("93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"):
        only = fixed(number)
        web = PoliteWeb(user_agent="t", terms=terms, resolver=only, transport=httpx.MockTransport(answer))
        assert get(web, "https://data.example/x?y=1").body == b"ok"
        assert seen[-1].url.host == number
        assert seen[-1].headers["host"] == "data.example"
        assert seen[-1].extensions["sni_hostname"] == "data.example"
        web.close()
    web = PoliteWeb(
        user_agent="t",
        terms=terms,
        resolver=fixed("93.184.216.34", "10.0.0.1"),
        transport=httpx.MockTransport(answer),
    )
    with pytest.raises(Refused):
        get(web, "https://data.example/")
    web.close()


def test_an_answer_is_never_longer_than_its_limit(origin: Origin, reader: Callable[..., PoliteWeb]) -> None:
    plain = origin.says("/plain", (200, {}, b"x" * 2000))
    bomb = origin.says("/bomb", (200, {"Content-Encoding": "gzip"}, gzip.compress(b"\0" * 5_000_000)))
    for address in (plain, bomb):
        with pytest.raises(TooLarge):
            get(reader(body_bytes_max=1000), address)
    for encoding, body in (("br", b"x"), ("gzip", b"no gzip"), ("gzip", gzip.compress(b"x" * 99)[:-9])):
        address = origin.says("/broken", (200, {"Content-Encoding": encoding}, body))
        with pytest.raises(Corrupt):
            get(reader(), address)


@pytest.mark.parametrize(("status", "kind"), [(404, NotFound), (410, NotFound), (403, Refused), (418, Corrupt)])
def test_other_statuses(origin: Origin, reader: Callable[..., PoliteWeb], status: int, kind: type[Exception]) -> None:
    address = origin.says("/x", (status, {}, b""))
    with pytest.raises(kind):
        get(reader(), address)


@pytest.mark.parametrize(
    "number",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.168.1.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "nonsense",
    ],  # fmt: skip
)
def test_no_public_address(number: str) -> None:
    assert forbidden_reason(number, allow_private=False) is not None


def test_what_an_operator_may_allow() -> None:
    for number in ("10.1.2.3", "127.0.0.1", "::1", "192.168.1.1", "fc00::1"):
        assert forbidden_reason(number, allow_private=True) is None
    for number in ("169.254.169.254", "fe80::1", "224.0.0.1", "::ffff:169.254.169.254"):
        assert forbidden_reason(number, allow_private=True) is not None
    assert forbidden_reason("93.184.216.34", allow_private=False) is None
