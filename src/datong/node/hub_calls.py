"""One request of a node to the hub: outbound HTTP, token by signed assertion, bounded retries on unavailability."""

import json
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import httpx

from datong.kernel import Clock, DatongError, Unauthenticated, Unavailable
from datong.kernel.limits import RETRY_ATTEMPTS_MAX, RETRY_DELAY_SECONDS_MAX
from datong.kernel.tls import tls_context
from datong.ledger import Signer
from datong.node.hub_answers import TIMEOUT_SECONDS, error_of, hub_unavailable
from datong.sharing import token_request

OAUTH_PATH = "/api/v1/oauth/token"
TOKEN_MARGIN_SECONDS = 30
CLOCK_ERROR_SECONDS_MIN = 20.0
"""A smaller difference is not why an assertion was refused."""
RETRY_DELAY_SECONDS = 0.2
RETRY_GROWTH = 1.5
"""Doubling lets a node sleep as long again as the hub was away; so it is half as long at most."""


class HubCalls:
    """Calls the hub in the name of one node; what it asks is said by `HubClient`."""

    def __init__(
        self,
        *,
        hub_url: str,
        node_id: str,
        signer: Signer,
        clock: Clock,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._hub_url = hub_url.rstrip("/")
        self._node_id = node_id
        self._signer = signer
        self._clock = clock
        self._sleep = sleep
        self._token = ""
        self._token_until = 0.0
        self.clock_error_seconds = 0.0
        """How far the hub's clock is ahead of this machine's, once that mattered; 0 before."""
        self._http = httpx.Client(
            base_url=self._hub_url,
            timeout=TIMEOUT_SECONDS,
            transport=transport,
            trust_env=False,
            verify=tls_context(self._hub_url),
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> httpx.Response:
        """Send one request; try again, a bounded number of times, while the hub is unavailable.

        A refused token is renewed once, whenever that happens: it may run out while the hub is away.
        """
        payload = content if body is None else json.dumps(body, ensure_ascii=False).encode()
        sent = {"Content-Type": "application/json"} if body is not None else {}
        renewed = False
        for attempt in range(RETRY_ATTEMPTS_MAX):
            try:
                return self._once(method, path, payload, {**sent, **(headers or {})}, params, timeout_seconds)
            except Unauthenticated:
                if renewed:
                    raise
                self._token, renewed = "", True
            except Unavailable:
                if attempt == RETRY_ATTEMPTS_MAX - 1:
                    raise
                self._sleep(delay_seconds(attempt))
        raise hub_unavailable(self._hub_url)

    def _once(
        self,
        method: str,
        path: str,
        content: bytes | None,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None,
        timeout_seconds: float,
    ) -> httpx.Response:
        authorised = {**headers, "Authorization": f"Bearer {self._access_token()}"}
        try:
            response = self._http.request(
                method, path, content=content, headers=authorised, params=params, timeout=timeout_seconds
            )
        except httpx.TransportError as error:
            raise hub_unavailable(self._hub_url) from error
        if response.is_success:
            return response
        raise error_of(response)

    def _access_token(self) -> str:
        if self._token and time.monotonic() < self._token_until:
            return self._token
        response = self._ask_for_token()
        if not response.is_success and self._learn_of_time(error_of(response)):
            response = self._ask_for_token()
        if not response.is_success:
            raise error_of(response)
        answer = response.json()
        self._token = str(answer["access_token"])
        self._token_until = time.monotonic() + float(answer["expires_in"]) - TOKEN_MARGIN_SECONDS
        return self._token

    def _ask_for_token(self) -> httpx.Response:
        now = self._clock.now() + timedelta(seconds=self.clock_error_seconds)
        form = token_request(self._signer, node_id=self._node_id, hub_url=self._hub_url, now=now)
        try:
            return self._http.post(OAUTH_PATH, data=form)
        except httpx.TransportError as error:
            raise hub_unavailable(self._hub_url) from error

    def _learn_of_time(self, error: DatongError) -> bool:
        """Return whether the hub refused for its clock says otherwise than ours; from now on its time is used."""
        try:
            hub_now = datetime.fromisoformat(str(error.context["now"]))
        except (KeyError, ValueError):
            return False
        seconds = (hub_now - self._clock.now()).total_seconds()
        if abs(seconds - self.clock_error_seconds) < CLOCK_ERROR_SECONDS_MIN:
            return False
        self.clock_error_seconds = seconds
        return True


def delay_seconds(attempt: int) -> float:
    """Return how long to wait after failed attempt number `attempt`: growing, bounded, up to a quarter less by chance.

    Chance spreads out the nodes that all lost the hub at the same moment.
    """
    longest = min(RETRY_DELAY_SECONDS_MAX, RETRY_DELAY_SECONDS * RETRY_GROWTH**attempt)
    return longest * (1 - 0.25 * secrets.randbelow(1000) / 1000)
