"""Asking one web interface: at its pace, again when it asks for patience, and nobody else than it.

Redirects and next pages must stay at the interface's own scheme, host and port, so that credentials go nowhere else.
Addresses are judged and connected to by `adapters.judged_web`.
"""

import base64
import json
import re
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

import httpx

from datong.adapters.judged_web import (
    REDIRECT_STATUSES,
    REDIRECTS_MAX,
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
from datong.adapters.web_api_definition import ApiAuth, ApiDefinition
from datong.kernel import Corrupt, DatongError, NotFound, Refused, Text, Unavailable

PAGE_BYTES_MAX = 256 * 1024 * 1024
TOKEN_BYTES_MAX = 65_536
BACKOFF_SECONDS = 0.5
TOKEN_MARGIN_SECONDS = 30.0
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_NEXT_LINK = re.compile(r'<([^>]*)>\s*;[^<]*?\brel\s*=\s*"?(?:[^";,]*\s)?next\b')


class Answer(NamedTuple):
    """A page: its address, text and Link header."""

    address: str
    body: str
    link: str


class WebApiClient:
    """One interface; requests one at a time."""

    def __init__(
        self,
        definition: ApiDefinition,
        *,
        resolver: Resolver = resolve,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._definition, self._resolve, self._sleep, self._clock = definition, resolver, sleep, clock
        self._interval = 60.0 / definition.requests_per_minute
        self._next_at = 0.0
        self._token, self._token_until = "", 0.0
        self._http = pinned_client(definition.timeout_seconds)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, address: str, params: Mapping[str, str]) -> Answer:
        """Return the page at `address`, redirects within the interface followed.

        Raises:
            Unavailable: it does not answer in time. Refused: it refuses, or leads elsewhere. NotFound, Corrupt,
                TooLarge: it answers otherwise than it should.
        """
        url = httpx.URL(address).copy_merge_params(dict(params))
        for _ in range(REDIRECTS_MAX + 1):
            self._require_own(str(url))
            answer, target = self._patiently(url)
            if target is None:
                return answer
            url = httpx.URL(urljoin(str(url), target))
        raise Corrupt(
            "adapters.redirects_endless",
            what=Text(zh=f"{_plain(address)} 反复跳转。", en=f"{_plain(address)} redirects again and again."),
            remedy=Text(zh="请填写最终地址。", en="Enter the final address."),
        )

    def next_link(self, answer: Answer) -> str | None:
        """Return the address of the next page by the Link header of an answer."""
        found = _NEXT_LINK.search(answer.link)
        return None if found is None else urljoin(answer.address, found[1])

    def _require_own(self, address: str) -> None:
        if _origin(address) != _origin(self._definition.url):
            raise Refused(
                "adapters.api_elsewhere",
                what=Text(
                    zh=f"接口 {self._definition.name} 要求转到别的主机 {_plain(address)}，已拒绝。",
                    en=f"The interface {self._definition.name} leads to another host, {_plain(address)}: refused.",
                ),
                remedy=Text(zh="请在定义中填写最终地址。", en="Put the final address into the definition."),
            )

    def _patiently(self, url: httpx.URL) -> tuple[Answer, str | None]:
        try:
            return patiently(
                lambda: self._ask(url),
                attempts=self._definition.attempts_max,
                backoff_seconds=BACKOFF_SECONDS,
                sleep=self._sleep,
            )
        except Transient as error:
            raise Unavailable(
                "adapters.source_unavailable",
                what=Text(
                    zh=f"接口 {self._definition.name} 没有应答（{error}）。",
                    en=f"The interface {self._definition.name} does not answer ({error}).",
                ),
                remedy=Text(zh="请检查接口和网络。", en="Check the interface and the network."),
            ) from error

    def _ask(self, url: httpx.URL) -> tuple[Answer, str | None]:
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip", **self._definition.headers}
        headers |= self._credentials()
        response = self._send("GET", url, headers)
        try:
            status = response.status_code
            if status in REDIRECT_STATUSES and "location" in response.headers:
                return Answer("", "", ""), str(response.headers["location"])
            if status in _TRANSIENT:
                raise Transient(f"HTTP {status}", retry_pause(response.headers.get("retry-after", "")))
            if status == httpx.codes.UNAUTHORIZED and self._token:
                # The token was withdrawn early: one new one is asked for.
                self._token, self._token_until = "", 0.0
                raise Transient("HTTP 401", 0.0)
            _require_good(self._definition.name, _plain(str(url)), status)
            body = bounded_body(_plain(str(url)), response, PAGE_BYTES_MAX)
        except httpx.TransportError as error:
            raise Transient(type(error).__name__) from error
        finally:
            response.close()
        try:
            text = body.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise _not_json(self._definition.name) from error
        return Answer(str(url), text, response.headers.get("link", "")), None

    def _send(
        self, method: str, url: httpx.URL, headers: Mapping[str, str], data: Mapping[str, str] | None = None
    ) -> httpx.Response:
        wait = self._next_at - self._clock()
        if wait > 0:
            self._sleep(wait)
        self._next_at = self._clock() + self._interval
        numeric = judged_address(
            url,
            self._resolve,
            allow_private=self._definition.allow_private,
            forbidden=lambda reason: _forbidden(url, reason),
        )
        return pinned_send(self._http, method, url, numeric, headers, data)

    def _credentials(self) -> dict[str, str]:
        auth = self._definition.auth
        match auth.kind:
            case "basic":
                return {"Authorization": _basic(auth.username, auth.password)}
            case "bearer":
                return {"Authorization": f"Bearer {auth.token}"}
            case "header":
                return {auth.header: auth.value}
            case "oauth2":
                return {"Authorization": f"Bearer {self._access_token(auth)}"}
        return {}

    def _access_token(self, auth: ApiAuth) -> str:
        """Return a token by client credentials (RFC 6749 §4.4), kept until shortly before it ends."""
        if self._token and self._clock() < self._token_until:
            return self._token
        form = {"grant_type": "client_credentials"} | ({"scope": auth.scope} if auth.scope else {})
        headers = {"Authorization": _basic(auth.client_id, auth.client_secret), "Accept": "application/json"}
        response = self._send("POST", httpx.URL(auth.token_url), headers, form)
        try:
            if response.status_code in _TRANSIENT:
                raise Transient(f"HTTP {response.status_code}", retry_pause(response.headers.get("retry-after", "")))
            _require_good(self._definition.name, _plain(auth.token_url), response.status_code)
            answer = json.loads(bounded_body(_plain(auth.token_url), response, TOKEN_BYTES_MAX))
            self._token = str(answer["access_token"])
            lifetime = float(answer.get("expires_in", TOKEN_MARGIN_SECONDS * 2))
        except httpx.TransportError as error:
            raise Transient(type(error).__name__) from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise _not_json(self._definition.name) from error
        finally:
            response.close()
        self._token_until = self._clock() + lifetime - TOKEN_MARGIN_SECONDS
        return self._token


def _forbidden(url: httpx.URL, reason: Text) -> Refused:
    return Refused(
        "adapters.address_forbidden",
        what=Text(zh=f"不能连接 {url.host}：{reason.zh}。", en=f"{url.host} is not asked: {reason.en}."),
        remedy=Text(
            zh="确属内网接口时，在定义中写 allow_private: true。",
            en="For an interface inside the network write allow_private: true into its definition.",
        ),
    )


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")


def _origin(address: str) -> tuple[str, str, int]:
    parts = urlsplit(address)
    try:
        port = parts.port
    except ValueError:
        port = 0
    return parts.scheme, (parts.hostname or "").lower(), port or (443 if parts.scheme == "https" else 80)


def _plain(address: str) -> str:
    """Return an address without its parameters, which may be nobody's business."""
    return address.split("?", 1)[0]


def _require_good(name: str, address: str, status: int) -> None:
    """Check that an answer is one.

    Raises:
        Refused, NotFound, Corrupt.
    """
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise Refused(
            "adapters.api_refuses",
            what=Text(
                zh=f"接口 {name} 不接受凭据（HTTP {status}）。",
                en=f"The interface {name} does not accept the credentials (HTTP {status}).",
            ),
            remedy=Text(zh="请核对定义中的 auth。", en="Check `auth` in the definition."),
        )
    if status in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
        raise NotFound(
            "adapters.api_empty",
            what=Text(
                zh=f"{address} 没有内容（HTTP {status}）。", en=f"There is nothing at {address} (HTTP {status})."
            ),
            remedy=Text(zh="请核对定义中的 path。", en="Check `path` in the definition."),
        )
    if not 200 <= status < 300:
        raise Corrupt(
            "adapters.api_status",
            what=Text(zh=f"{address} 应答 HTTP {status}。", en=f"{address} answers HTTP {status}."),
            remedy=Text(zh="请核对定义中的参数。", en="Check the parameters in the definition."),
        )


def _not_json(name: str) -> DatongError:
    return Corrupt(
        "adapters.api_unreadable",
        what=Text(zh=f"接口 {name} 的应答不是 UTF-8 的 JSON。", en=f"The interface {name} answers no JSON in UTF-8."),
        remedy=Text(
            zh="请核对定义，或联系接口的提供方。", en="Check the definition, or tell whoever runs the interface."
        ),
    )
