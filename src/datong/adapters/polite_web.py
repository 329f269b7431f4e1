"""Reading other people's servers: politely, within limits, and never an address inside our own network by accident.

Every address, redirects included, is judged and connected to by `adapters.judged_web`.
"""

import time
from collections.abc import Callable, Sequence
from urllib.parse import urljoin, urlsplit
from urllib.robotparser import RobotFileParser

import httpx

from datong.adapters.judged_web import (
    REDIRECT_STATUSES,
    REDIRECTS_MAX,
    IpNetwork,
    Resolver,
    Transient,
    bounded_body,
    judged_address,
    patiently,
    pinned_client,
    pinned_send,
    resolve,
    retry_pause,
)
from datong.federation import BODY_BYTES_MAX, ROBOTS_BYTES_MAX, Document, ReaderTerms
from datong.kernel import Corrupt, NotFound, Refused, Text, TooLarge, Unreachable

CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0
ATTEMPTS_MAX = 4
BACKOFF_SECONDS = 1.0
CRAWL_DELAY_SECONDS_MAX = 60.0
TRANSIENT_STATUSES = frozenset({429, 500, 502, 503, 504})


class PoliteWeb:
    """A `federation.WebReader` over HTTP; one request at a time, spaced by the source's rate and its robots.txt."""

    def __init__(
        self,
        *,
        user_agent: str,
        terms: ReaderTerms,
        resolver: Resolver = resolve,
        sleep: Callable[[float], None] = time.sleep,
        transport: httpx.BaseTransport | None = None,
        body_bytes_max: int = BODY_BYTES_MAX,
        networks: Sequence[IpNetwork] = (),
    ) -> None:
        self._networks = networks
        self._agent, self._terms, self._resolve, self._sleep = user_agent, terms, resolver, sleep
        self._interval = 60.0 / terms.requests_per_minute
        self._body_bytes_max = body_bytes_max
        self._next_at = 0.0
        self._robots: dict[str, RobotFileParser] = {}
        self._http = pinned_client(httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS), transport)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, address: str, *, accept: str, etag: str = "", last_modified: str = "") -> Document:
        """Return the document at `address`; see `federation.WebReader`."""
        headers = {"Accept": accept}
        if etag:
            headers["If-None-Match"] = etag
        if last_modified:
            headers["If-Modified-Since"] = last_modified
        for _ in range(REDIRECTS_MAX + 1):
            self._require_robots(address)
            found = self._patiently(address, headers, self._body_bytes_max)
            if not isinstance(found, str):
                return found
            address = _redirected(address, found)
        raise Corrupt(
            "adapters.redirects_endless",
            what=Text(zh=f"{address} 反复跳转。", en=f"{address} redirects again and again."),
            remedy=Text(zh="请填写最终地址。", en="Enter the final address."),
        )

    def _require_robots(self, address: str) -> None:
        """Obey robots.txt (RFC 9309): absent means allowed, unreachable means wait.

        Raises:
            Refused: it forbids the address to this program.
        """
        if not self._terms.follow_robots:
            return
        parts = urlsplit(address)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in self._robots:
            self._robots[origin] = self._read_robots(origin)
        robots = self._robots[origin]
        if not robots.can_fetch(self._agent, address):
            raise Refused(
                "adapters.robots_forbid",
                what=Text(
                    zh=f"{origin}/robots.txt 不允许采集 {address}。", en=f"{origin}/robots.txt forbids {address}."
                ),
                remedy=Text(
                    zh="请与来源商定；对方同意程序读取该接口后，可在来源设置中不按 robots.txt。",
                    en="Agree with the origin; once it consents, tell the source's settings not to follow robots.txt.",
                ),
                context={"address": address},
            )

    def _read_robots(self, origin: str) -> RobotFileParser:
        robots = RobotFileParser()
        address = f"{origin}/robots.txt"
        lines: list[str] = []
        try:
            for _ in range(REDIRECTS_MAX):
                found = self._patiently(address, {"Accept": "text/plain"}, ROBOTS_BYTES_MAX)
                if not isinstance(found, str):
                    lines = found.body.decode("utf-8", "replace").splitlines()
                    break
                address = _redirected(address, found)
        except (NotFound, Corrupt, TooLarge):
            lines = []
        robots.parse(lines)
        delay = robots.crawl_delay(self._agent)
        if delay is not None:
            self._interval = max(self._interval, min(float(delay), CRAWL_DELAY_SECONDS_MAX))
            self._next_at = max(self._next_at, time.monotonic() + self._interval)
        return robots

    def _patiently(self, address: str, headers: dict[str, str], bytes_max: int) -> Document | str:
        """Ask until there is an answer, with a bound; a text is the address that the answer redirects to.

        Raises:
            Unreachable: there is none, or the origin wants to be left alone for longer.
        """
        try:
            return patiently(
                lambda: self._ask(address, headers, bytes_max),
                attempts=ATTEMPTS_MAX,
                backoff_seconds=BACKOFF_SECONDS,
                sleep=self._sleep,
            )
        except Transient as error:
            raise Unreachable(
                "adapters.origin_unavailable",
                what=Text(zh=f"{address} 没有应答（{error}）。", en=f"{address} does not answer ({error})."),
                remedy=Text(zh="到下一次计划时间会重试。", en="It is tried again at the next scheduled time."),
                context={"address": address},
            ) from error

    def _ask(self, address: str, headers: dict[str, str], bytes_max: int) -> Document | str:
        url, numeric = self._checked(address)
        wait = self._next_at - time.monotonic()
        if wait > 0:
            self._sleep(wait)
        self._next_at = time.monotonic() + self._interval
        sent = {**headers, "User-Agent": self._agent, "Accept-Encoding": "gzip"}
        response = pinned_send(self._http, "GET", url, numeric, sent)
        try:
            return _document(address, response, bytes_max)
        except httpx.TransportError as error:
            raise Transient(type(error).__name__) from error
        finally:
            response.close()

    def _checked(self, address: str) -> tuple[httpx.URL, str]:
        """Return the address and the numeric address to connect to.

        Raises:
            Refused: the scheme is not HTTP, it holds credentials, or it leads where it must not.
        """
        try:
            url = httpx.URL(address)
        except (httpx.InvalidURL, ValueError) as error:
            raise _forbidden(address, Text(zh="地址写法不对", en="it is malformed")) from error
        if url.scheme not in ("http", "https") or not url.host:
            raise _forbidden(address, Text(zh="只允许 http 和 https", en="only http and https are allowed"))
        if url.userinfo:
            raise _forbidden(address, Text(zh="地址中不能有口令", en="it must not hold credentials"))
        numeric = judged_address(
            url,
            self._resolve,
            allow_private=self._terms.allow_private,
            networks=self._networks,
            forbidden=lambda reason: _forbidden(address, reason),
        )
        return url, numeric


def _forbidden(address: str, reason: Text) -> Refused:
    return Refused(
        "adapters.address_forbidden",
        what=Text(zh=f"不能读取 {address}：{reason.zh}。", en=f"{address} is not read: {reason.en}."),
        remedy=Text(
            zh="请改用公网地址；确属内网的来源，由平台运维员在来源设置中允许。",
            en="Use a public address; for an origin inside the network an operator allows it in the source's settings.",
        ),
        context={"address": address},
    )


def _redirected(address: str, location: str) -> str:
    """Return where a redirect leads.

    Raises:
        Refused: it leaves HTTPS for HTTP.
    """
    target = urljoin(address, location)
    if urlsplit(address).scheme == "https" and urlsplit(target).scheme == "http":
        raise _forbidden(target, Text(zh="从 https 跳转到了 http", en="it was redirected from https to http"))
    return target


def _document(address: str, response: httpx.Response, bytes_max: int) -> Document | str:
    """Return the body of a good answer, or the address that it redirects to."""
    status = response.status_code
    if status in REDIRECT_STATUSES and response.headers.get("location"):
        return str(response.headers["location"])
    if status in TRANSIENT_STATUSES:
        raise Transient(f"HTTP {status}", retry_pause(response.headers.get("retry-after", "")))
    validators = {
        "etag": response.headers.get("etag", "")[:200],
        "last_modified": response.headers.get("last-modified", "")[:100],
    }
    if status == httpx.codes.NOT_MODIFIED:
        return Document(address=address, unmodified=True, **validators)
    if status in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
        raise NotFound(
            "federation.address_empty",
            what=Text(
                zh=f"{address} 没有内容（HTTP {status}）。", en=f"There is nothing at {address} (HTTP {status})."
            ),
            remedy=Text(zh="请核对地址。", en="Check the address."),
        )
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise Refused(
            "adapters.origin_refuses",
            what=Text(zh=f"{address} 拒绝访问（HTTP {status}）。", en=f"{address} refuses (HTTP {status})."),
            remedy=Text(zh="请与来源确认接口是否公开。", en="Ask the origin whether the interface is public."),
        )
    if not 200 <= status < 300:
        raise Corrupt(
            "adapters.origin_status",
            what=Text(zh=f"{address} 应答 HTTP {status}。", en=f"{address} answers HTTP {status}."),
            remedy=Text(zh="请核对地址和类型。", en="Check the address and the kind."),
        )
    kind, _, parameters = response.headers.get("content-type", "").partition(";")
    charset = parameters.partition("charset=")[2].split(";")[0].strip(" \"'")
    return Document(
        address=address,
        media_type=kind.strip().lower(),
        charset=charset,
        body=bounded_body(address, response, bytes_max),
        **validators,
    )
