"""A web interface for tests, in a process of its own: every way of paging and signing in, and some misbehaviour.

`python -m tests.web_api_server PORT`. It holds 250 records; `/turnstile` answers 429 to every second request.
"""

import base64
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

RECORDS = [
    {
        "id": n,
        "name": f"站{n}𠮷",
        "at": f"2026-01-01T00:{n // 60:02d}:{n % 60:02d}Z",
        "deep": {"v": n / 4},
        "none": None,
    }
    for n in range(250)
]
SIZE = 100
TOKEN = "issued"
BASIC = "Basic " + base64.b64encode("节点:口令".encode()).decode()


class Handler(BaseHTTPRequestHandler):
    """Answers GET and, for the token, POST."""

    protocol_version = "HTTP/1.1"
    turns = 0

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        params = {name: values[0] for name, values in parse_qs(parts.query).items()}
        answer = getattr(self, "answer_" + parts.path.strip("/").replace("/", "_"), None)
        if answer is None:
            self.send(404, {})
        else:
            answer(params)

    def do_POST(self) -> None:
        form = self.rfile.read(int(self.headers["Content-Length"])).decode()
        right = self.headers["Authorization"] == "Basic " + base64.b64encode(b"client:secret").decode()
        if right and "grant_type=client_credentials" in form:
            self.send(200, {"access_token": TOKEN, "expires_in": 3600})
        else:
            self.send(401, {})

    def answer_page(self, params: dict[str, str]) -> None:
        start = (int(params["page"]) - 1) * int(params["size"])
        self.send(200, {"data": {"items": RECORDS[start : start + int(params["size"])]}})

    def answer_offset(self, params: dict[str, str]) -> None:
        found = [one for one in RECORDS if str(one["at"]) >= params.get("since", "")]
        start = int(params["offset"])
        self.send(200, found[start : start + SIZE])

    def answer_cursor(self, params: dict[str, str]) -> None:
        start = int(params.get("after", "0"))
        following = str(start + SIZE) if start + SIZE < len(RECORDS) else None
        self.send(200, {"items": RECORDS[start : start + SIZE], "meta": {"next": following}})

    def answer_link(self, params: dict[str, str]) -> None:
        start = int(params.get("start", "0"))
        link = f'</link?start=0>; rel="first", </link?start={start + SIZE}>; rel="next"'
        self.send(200, RECORDS[start : start + SIZE], {"Link": link} if start + SIZE < len(RECORDS) else {})

    def answer_next(self, params: dict[str, str]) -> None:
        start = int(params.get("start", "0"))
        following = f"/next?start={start + SIZE}" if start + SIZE < len(RECORDS) else None
        self.send(200, {"items": RECORDS[start : start + SIZE], "next": following})

    def answer_endless(self, _params: dict[str, str]) -> None:
        self.send(200, {"items": RECORDS[:1], "next": "/endless"})

    def answer_away(self, _params: dict[str, str]) -> None:
        self.send(200, {"items": RECORDS[:1], "next": "http://example.org/stolen"})

    def answer_turnstile(self, _params: dict[str, str]) -> None:
        Handler.turns += 1
        if Handler.turns % 2:
            self.send(429, {}, {"Retry-After": "1"})
        else:
            self.send(200, RECORDS[:3])

    def answer_moved(self, _params: dict[str, str]) -> None:
        self.send(302, {}, {"Location": "/offset?offset=0"})

    def answer_elsewhere(self, _params: dict[str, str]) -> None:
        self.send(302, {}, {"Location": "http://example.org/"})

    def answer_bearer(self, _params: dict[str, str]) -> None:
        self.guarded(self.headers["Authorization"] == f"Bearer {TOKEN}")

    def answer_basic(self, _params: dict[str, str]) -> None:
        self.guarded(self.headers["Authorization"] == BASIC)

    def answer_header(self, _params: dict[str, str]) -> None:
        self.guarded(self.headers["X-Key"] == "k")

    def answer_broken(self, _params: dict[str, str]) -> None:
        self.send_bytes(200, b'{"items": [1, ', {})

    def answer_mistyped(self, _params: dict[str, str]) -> None:
        self.send(200, [{"id": "不是数"}])

    def answer_failing(self, _params: dict[str, str]) -> None:
        self.send(503, {})

    def guarded(self, is_right: bool) -> None:
        self.send(200 if is_right else 401, RECORDS[:2] if is_right else {})

    def send(self, status: int, document: object, headers: dict[str, str] | None = None) -> None:
        self.send_bytes(status, json.dumps(document, ensure_ascii=False).encode(), headers or {})

    def send_bytes(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
