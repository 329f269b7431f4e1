"""Reading other people's servers: politely, within limits, and never an address inside our own network by accident.

Every address, redirects included, is resolved once, checked, and connected to as checked: the request goes to the
numeric address with the name in `Host` and in the TLS handshake, so that a name that resolves differently later changes
nothing. Proxies of the environment are not used, since they would resolve by themselves.
"""

import email.utils
import ipaddress
import socket
import time
import zlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from urllib.parse import urljoin, urlsplit
from urllib.robotparser import RobotFileParser

import httpx

from datong.federation import BODY_BYTES_MAX, ROBOTS_BYTES_MAX, Document, ReaderTerms
from datong.kernel import Corrupt, NotFound, Refused, Text, TooLarge, Unavailable

CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0
RESPONSE_SECONDS_MAX = 300.0
"""A server that sends a byte now and then is given up after so long."""
ATTEMPTS_MAX = 4
BACKOFF_SECONDS = 1.0
RETRY_AFTER_SECONDS_MAX = 120.0
"""An origin that asks for a longer pause is harvested at the next turn instead."""
CRAWL_DELAY_SECONDS_MAX = 60.0
REDIRECTS_MAX = 5
CHUNK_BYTES = 64 * 1024
TRANSIENT_STATUSES = frozenset({429, 500, 502, 503, 504})
REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})

Resolver = Callable[[str, int], Sequence[str]]
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def resolve(host: str, port: int) -> Sequence[str]:
    """Return the numeric addresses of a host, in the order of the system's preference."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


class _Transient(Exception):
    """The origin may answer later; `seconds` is the pause it asked for."""

    def __init__(self, detail: str, seconds: float | None = None) -> None:
        super().__init__(detail)
        self.seconds = seconds


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
    ) -> None:
        self._agent, self._terms, self._resolve, self._sleep = user_agent, terms, resolver, sleep
        self._interval = 60.0 / terms.requests_per_minute
        self._body_bytes_max = body_bytes_max
        self._next_at = 0.0
        self._robots: dict[str, RobotFileParser] = {}
        self._http = httpx.Client(
            timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            follow_redirects=False,
            trust_env=False,
            transport=transport,
            # A kept connection is known by its numeric address only, and two names may share one.
            limits=httpx.Limits(max_keepalive_connections=0),
        )

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
            Unavailable: there is none, or the origin wants to be left alone for longer.
        """
        detail = ""
        for attempt in range(ATTEMPTS_MAX):
            try:
                return self._ask(address, headers, bytes_max)
            except _Transient as error:
                detail = str(error)
                pause = error.seconds if error.seconds is not None else BACKOFF_SECONDS * 2**attempt
                if pause > RETRY_AFTER_SECONDS_MAX or attempt == ATTEMPTS_MAX - 1:
                    break
                self._sleep(pause)
        raise Unavailable(
            "adapters.origin_unavailable",
            what=Text(zh=f"{address} 没有应答（{detail}）。", en=f"{address} does not answer ({detail})."),
            remedy=Text(zh="到下一次计划时间会重试。", en="It is tried again at the next scheduled time."),
            context={"address": address},
        )

    def _ask(self, address: str, headers: dict[str, str], bytes_max: int) -> Document | str:
        url, numeric = self._checked(address)
        wait = self._next_at - time.monotonic()
        if wait > 0:
            self._sleep(wait)
        self._next_at = time.monotonic() + self._interval
        request = self._http.build_request(
            "GET",
            url.copy_with(host=numeric),
            headers={
                **headers,
                "Host": url.netloc.decode("ascii"),
                "User-Agent": self._agent,
                "Accept-Encoding": "gzip",
            },
            extensions={"sni_hostname": url.raw_host.decode("ascii")},
        )
        try:
            response = self._http.send(request, stream=True)
        except (httpx.TimeoutException, httpx.TransportError) as error:
            raise _Transient(type(error).__name__) from error
        try:
            return _document(address, response, bytes_max)
        except (httpx.TimeoutException, httpx.TransportError) as error:
            raise _Transient(type(error).__name__) from error
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
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            numbers = self._resolve(url.host, port)
        except (OSError, UnicodeError) as error:
            raise _Transient("DNS") from error
        if not numbers:
            raise _Transient("DNS")
        for number in numbers:
            reason = forbidden_reason(number, allow_private=self._terms.allow_private)
            if reason is not None:
                raise _forbidden(address, reason)
        return url, numbers[0]


def forbidden_reason(number: str, *, allow_private: bool) -> Text | None:
    """Return why an IP address must not be connected to, or None.

    Addresses that carry another one inside (IPv4-mapped, 6to4, NAT64) are judged by that one.
    """
    try:
        found: IpAddress = ipaddress.ip_address(number.partition("%")[0])
    except ValueError:
        return Text(zh="不是 IP 地址", en="that is no IP address")
    found = _inner(found)
    if (
        found.is_link_local
        or found.is_multicast
        or found.is_unspecified
        or (found.is_reserved and not found.is_loopback)
    ):
        return Text(zh=f"{found} 是链路本地、组播或保留地址", en=f"{found} is link-local, multicast or reserved")
    if not found.is_global and not allow_private:
        return Text(zh=f"{found} 是内网地址", en=f"{found} is an address of a private network")
    return None


def _inner(found: IpAddress) -> IpAddress:
    if isinstance(found, ipaddress.IPv4Address):
        return found
    if found.ipv4_mapped is not None:
        return found.ipv4_mapped
    if found.sixtofour is not None:
        return found.sixtofour
    if found in ipaddress.IPv6Network("64:ff9b::/96"):
        return ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
    return found


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
        raise _Transient(f"HTTP {status}", retry_pause(response.headers.get("retry-after", "")))
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


def bounded_body(address: str, response: httpx.Response, bytes_max: int) -> bytes:
    """Read a body, inflating it piece by piece so that a small answer cannot become a large one.

    Raises:
        TooLarge: it is longer than `bytes_max` once inflated.
        Corrupt: its encoding is not the one that was asked for.
    """
    encoding = response.headers.get("content-encoding", "identity").lower().strip() or "identity"
    if encoding not in ("identity", "gzip"):
        raise _damaged(address)
    inflate = zlib.decompressobj(16 + zlib.MAX_WBITS) if encoding == "gzip" else None
    body = bytearray()
    ends_at = time.monotonic() + RESPONSE_SECONDS_MAX
    try:
        for raw in response.iter_raw(CHUNK_BYTES):
            body += raw if inflate is None else inflate.decompress(raw, bytes_max + 1 - len(body))
            if len(body) > bytes_max:
                raise TooLarge(
                    "adapters.origin_too_large",
                    what=Text(zh=f"{address} 超过 {bytes_max} 字节。", en=f"{address} is over {bytes_max} bytes."),
                    remedy=Text(zh="请使用分页的目录地址。", en="Use the address of a paged catalogue."),
                )
            if time.monotonic() > ends_at:
                raise _Transient("too slow")
    except zlib.error as error:
        raise _damaged(address) from error
    if inflate is not None and not inflate.eof:
        raise _damaged(address)
    return bytes(body)


def _damaged(address: str) -> Corrupt:
    return Corrupt(
        "adapters.origin_encoding",
        what=Text(zh=f"{address} 的压缩内容无法解开。", en=f"The compressed answer of {address} cannot be read."),
        remedy=Text(zh="请稍后重试，或联系来源。", en="Try again later, or tell the origin."),
    )


def retry_pause(retry_after: str) -> float | None:
    """Return the seconds that a Retry-After header asks for, as a number or as a date."""
    text = retry_after.strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        at = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return max((at - datetime.now(UTC)).total_seconds(), 0.0)
