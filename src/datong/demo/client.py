"""How the story talks to the hub: plain HTTP with ordinary accounts, and patience while a process is being restarted.

What may safely be repeated is repeated, with a bound, when the connection breaks. An act that may not be repeated
blindly goes through `once`, which looks first whether it has happened.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import httpx

from datong.kernel.tls import tls_context

PATIENCE_SECONDS = 45.0
REQUEST_SECONDS_MAX = 30.0
_PAUSE_SECONDS = 0.1
_REPEATABLE = frozenset({"GET", "PUT", "DELETE"})

Found = TypeVar("Found")
Json = Any
"""A decoded JSON answer: its shape is the interface description's business."""


class LinkBroken(Exception):
    """The connection broke, or the hub was not ready, so it is unknown whether the act happened."""


class Problem(Exception):
    """The hub answered with a problem (RFC 9457)."""

    def __init__(self, status: int, body: Mapping[str, Json]) -> None:
        self.status = status
        self.code = str(body.get("code", ""))
        self.detail = str(body.get("detail", ""))
        self.body = body
        super().__init__(f"{status} {self.code}: {self.detail} {body.get('errors') or ''}")


class Hub:
    """The hub's address and one pool of connections to it."""

    def __init__(self, url: str, *, language: str) -> None:
        self.url = url
        self._http = httpx.Client(
            base_url=url,
            timeout=REQUEST_SECONDS_MAX,
            headers={"Accept-Language": language},
            trust_env=False,
            verify=tls_context(url),
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        json: Json = None,
        query: Mapping[str, str | int] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Send one request and return its answer, whatever its status.

        Raises:
            LinkBroken: there was no answer, or one that says that the hub is not ready.
        """
        try:
            answer = self._http.request(
                method,
                path,
                json=json,
                params=query,
                data=form,
                headers={"Authorization": f"Bearer {token}"} if token else {},
            )
        except httpx.TransportError as error:
            raise LinkBroken(f"{method} {path}: {error}") from error
        if answer.status_code in {httpx.codes.BAD_GATEWAY, httpx.codes.SERVICE_UNAVAILABLE}:
            raise LinkBroken(f"{method} {path}: {answer.status_code}")
        return answer


def decoded(answer: httpx.Response) -> Json:
    """Return the JSON of a good answer, or its bytes if it is none; raise `Problem` for any other."""
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if answer.is_success:
        return answer.json() if kind == "application/json" else answer.content
    body = answer.json() if kind.endswith("json") else {"code": "", "detail": answer.text[:500]}
    raise Problem(answer.status_code, body)


def patiently(act: Callable[[], Found], *, seconds: float = PATIENCE_SECONDS) -> Found:
    """Repeat `act` while the connection is broken, with a bound; `act` must be safe to repeat."""
    until = time.monotonic() + seconds
    while True:
        try:
            return act()
        except LinkBroken:
            if time.monotonic() > until:
                raise
            time.sleep(_PAUSE_SECONDS)


def once(find: Callable[[], Found | None], act: Callable[[], Found]) -> Found:
    """Return what `find` finds; otherwise do `act`, and look again before repeating it when the connection broke."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = patiently(find)
        if found is not None:
            return found
        try:
            return act()
        except LinkBroken:
            if time.monotonic() > until:
                raise
            time.sleep(_PAUSE_SECONDS)


def wait_until(find: Callable[[], Found | None], *, seconds: float, pause: float = 0.15) -> Found | None:
    """Return what `find` finds as soon as it finds something; None after `seconds`."""
    until = time.monotonic() + seconds
    while True:
        found = patiently(find)
        if found is not None or time.monotonic() > until:
            return found
        time.sleep(pause)


class Person:
    """Somebody with an account, who signs in when needed and again when the session has run out."""

    def __init__(self, hub: Hub, *, username: str, password: str) -> None:
        self.hub = hub
        self.username = username
        self._password = password
        self._token: str | None = None

    def sign_in(self) -> None:
        """Open a session.

        Raises:
            Problem: the account is unknown or the password wrong.
        """
        body = {"username": self.username, "password": self._password}
        self._token = patiently(lambda: decoded(self.hub.send("POST", "/api/v1/session", json=body)))["token"]

    def token(self) -> str:
        """Return the token of the present session, signing in if there is none."""
        if self._token is None:
            self.sign_in()
        return self._token or ""

    def call(self, method: str, path: str, *, json: Json = None, query: Mapping[str, str | int] | None = None) -> Json:
        """Send one request in this person's name and return the decoded answer.

        Raises:
            Problem: the hub refuses it.
            LinkBroken: the connection broke and the method may not be repeated blindly, or patience ran out.
        """
        if method in _REPEATABLE:
            return patiently(lambda: self._call(method, path, json, query))
        return self._call(method, path, json, query)

    def get(self, path: str, **query: str | int) -> Json:
        """Read something."""
        return self.call("GET", path, query=query or None)

    def post(self, path: str, json: Json = None) -> Json:
        """Do something that may not be repeated blindly; put it into `once`."""
        return self.call("POST", path, json=json if json is not None else {})

    def put(self, path: str, json: Json) -> Json:
        """Replace something."""
        return self.call("PUT", path, json=json)

    def _call(self, method: str, path: str, json: Json, query: Mapping[str, str | int] | None) -> Json:
        if self._token is None:
            self.sign_in()
        answer = self.hub.send(method, path, token=self._token, json=json, query=query)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            self.sign_in()
            answer = self.hub.send(method, path, token=self._token, json=json, query=query)
        return decoded(answer)


class Application:
    """A department's own system, which calls with client credentials."""

    def __init__(self, hub: Hub, *, client_id: str, client_secret: str) -> None:
        self.hub = hub
        self._form = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
        }
        self._token: str | None = None

    def post(self, path: str, json: Json) -> Json:
        """Call a service; a query or verification may be repeated.

        Raises:
            Problem: the hub refuses it.
        """
        return patiently(lambda: self._call(path, json))

    def _call(self, path: str, json: Json) -> Json:
        if self._token is None:
            self._sign_in()
        answer = self.hub.send("POST", path, token=self._token, json=json)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            self._sign_in()
            answer = self.hub.send("POST", path, token=self._token, json=json)
        return decoded(answer)

    def _sign_in(self) -> None:
        self._token = decoded(self.hub.send("POST", "/api/v1/oauth/token", form=self._form))["access_token"]
