"""Asking servers of others: connected to as judged, again when they ask for patience, and never more than is bounded.

An address is resolved once, judged, and connected to as judged: the request goes to the numeric address with the name
in `Host` and in the TLS handshake, so that a name that resolves differently later changes nothing. Proxies of the
environment are not used, since they would resolve by themselves.
"""

import email.utils
import ipaddress
import socket
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import httpx

from datong.kernel import Corrupt, Refused, Text, TooLarge
from datong.kernel.tls import tls_context

RESPONSE_SECONDS_MAX = 300.0
"""A server that sends a byte now and then is given up after so long."""
RETRY_AFTER_SECONDS_MAX = 120.0
"""A server that asks for a longer pause is not waited for."""
REDIRECTS_MAX = 5
CHUNK_BYTES = 64 * 1024
REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})

Resolver = Callable[[str, int], Sequence[str]]
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
METADATA: frozenset[IpAddress] = frozenset(
    ipaddress.ip_address(one) for one in ("100.100.100.200", "192.0.0.192", "fd00:ec2::254")
)
"""Where clouds hand out a machine's credentials, besides the link-local addresses; nobody's business, ever."""
Found = TypeVar("Found")


class Transient(Exception):
    """The server may answer later; `seconds` is the pause it asked for."""

    def __init__(self, detail: str, seconds: float | None = None) -> None:
        super().__init__(detail)
        self.seconds = seconds


def pinned_client(timeout: httpx.Timeout | float, transport: httpx.BaseTransport | None = None) -> httpx.Client:
    """Return a client for `pinned_send`; it follows no redirect by itself."""
    return httpx.Client(
        timeout=timeout,
        follow_redirects=False,
        trust_env=False,
        verify=tls_context("https:"),
        transport=transport,
        # A kept connection is known by its numeric address only, and two names may share one.
        limits=httpx.Limits(max_keepalive_connections=0),
    )


def pinned_send(
    http: httpx.Client,
    method: str,
    url: httpx.URL,
    numeric: str,
    headers: Mapping[str, str],
    data: Mapping[str, str] | None = None,
    content: bytes | None = None,
) -> httpx.Response:
    """Send a request to `numeric`, a judged address of `url`; the body of the answer is still to be read.

    Raises:
        Transient: nobody answers.
    """
    request = http.build_request(
        method,
        url.copy_with(host=numeric),
        headers={**headers, "Host": url.netloc.decode("ascii")},
        data=data,
        content=content,
        extensions={"sni_hostname": url.raw_host.decode("ascii")},
    )
    try:
        return http.send(request, stream=True)
    except httpx.TransportError as error:
        raise Transient(type(error).__name__) from error


def patiently(
    ask: Callable[[], Found], *, attempts: int, backoff_seconds: float, sleep: Callable[[float], None]
) -> Found:
    """Return what `ask` finds; ask again, a bounded number of times, after the pause it asks for or a doubling one.

    Raises:
        Transient: it has no answer, or wants to be left alone for longer than `RETRY_AFTER_SECONDS_MAX`.
    """
    attempt = 0
    while True:
        try:
            return ask()
        except Transient as error:
            pause = error.seconds if error.seconds is not None else backoff_seconds * 2**attempt
            attempt += 1
            if pause > RETRY_AFTER_SECONDS_MAX or attempt == attempts:
                raise
            sleep(pause)


def resolve(host: str, port: int) -> Sequence[str]:
    """Return the numeric addresses of a host, in the order of the system's preference."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


class JudgedTransport(httpx.HTTPTransport):
    """Connects to private addresses too, within `networks`, and to each as it was judged; for links that last.

    A name that nobody knows is `httpx.ConnectError`, as elsewhere in httpx. Of one host only: a kept connection is
    known by its numeric address.

    Raises:
        Refused: what `forbidden` makes of a reason.
    """

    def __init__(
        self,
        address: str,
        *,
        networks: Sequence[IpNetwork],
        forbidden: Callable[[Text], Refused],
        resolver: Resolver = resolve,
    ) -> None:
        super().__init__(verify=tls_context(address), trust_env=False)
        self._networks, self._forbidden, self._resolver = networks, forbidden, resolver

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; its `Host` stays the name."""
        url = request.url
        try:
            numeric = judged_address(
                url, self._resolver, allow_private=True, networks=self._networks, forbidden=self._forbidden
            )
        except Transient as error:
            raise httpx.ConnectError(str(error), request=request) from error
        request.extensions = {**request.extensions, "sni_hostname": url.raw_host.decode("ascii")}
        request.url = url.copy_with(host=numeric)
        return super().handle_request(request)


def judged_address(
    url: httpx.URL,
    resolver: Resolver,
    *,
    allow_private: bool,
    forbidden: Callable[[Text], Refused],
    networks: Sequence[IpNetwork] = (),
) -> str:
    """Return the numeric address of `url` to connect to; `forbidden` makes the error of a reason.

    Raises:
        Refused: one of its addresses must not be connected to. Transient: it has none now.
    """
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        numbers = resolver(url.host, port)
    except (OSError, UnicodeError) as error:
        raise Transient("DNS") from error
    if not numbers:
        raise Transient("DNS")
    for number in numbers:
        reason = forbidden_reason(number, allow_private=allow_private, networks=networks)
        if reason is not None:
            raise forbidden(reason)
    return numbers[0]


def forbidden_reason(number: str, *, allow_private: bool, networks: Sequence[IpNetwork] = ()) -> Text | None:
    """Return why an IP address must not be connected to, or None.

    Where private ones are allowed, `networks` says which; none there means any.
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
    if found in METADATA:
        return Text(zh=f"{found} 是云主机的凭据地址", en=f"{found} is where a cloud hands out credentials")
    if found.is_global:
        return None
    if not allow_private:
        return Text(zh=f"{found} 是内网地址", en=f"{found} is an address of a private network")
    if networks and not any(found in network for network in networks):
        return Text(zh=f"{found} 不在允许的内网范围（DATONG_INTRANETS）", en=f"{found} is in none of DATONG_INTRANETS")
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
                raise Transient("too slow")
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
