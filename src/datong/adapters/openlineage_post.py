"""Posts lineage events to an OpenLineage HTTP endpoint (Marquez, DataHub and others take them)."""

import httpx

from datong.exchange import LineageEvent
from datong.kernel import Refused, Text, Unavailable
from datong.kernel.tls import tls_context

TIMEOUT_SECONDS = 10.0
_TRY_AGAIN = {408, 425, 429}


class OpenLineagePost:
    """Satisfies `exchange.LineageReceiver`. `url` is the endpoint's own, such as `https://marquez/api/v1/lineage`."""

    def __init__(self, *, url: str, token: str = "", transport: httpx.BaseTransport | None = None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._url = url
        self._http = httpx.Client(
            timeout=TIMEOUT_SECONDS, headers=headers, transport=transport, trust_env=False, verify=tls_context(url)
        )

    def post(self, event: LineageEvent) -> None:
        """Post one event.

        Raises:
            Unavailable: the endpoint does not answer, or asks to come again. Refused: it does not take the event.
        """
        try:
            status = self._http.post(self._url, json=event).status_code
        except httpx.TransportError as error:
            raise _unavailable(self._url, str(error)) from error
        if status in _TRY_AGAIN or status >= 500:
            raise _unavailable(self._url, f"HTTP {status}")
        if status >= 300:
            raise Refused(
                "adapters.lineage_refused",
                what=Text(
                    zh=f"血缘接口 {self._url} 不接收事件：HTTP {status}。",
                    en=f"The lineage endpoint {self._url} does not take the event: HTTP {status}.",
                ),
                remedy=Text(
                    zh="请核对 DATONG_OPENLINEAGE_URL 与令牌。", en="Check DATONG_OPENLINEAGE_URL and the token."
                ),
            )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def _unavailable(url: str, reason: str) -> Unavailable:
    return Unavailable(
        "adapters.lineage_unavailable",
        what=Text(
            zh=f"血缘接口 {url} 暂时不可用：{reason}。", en=f"The lineage endpoint {url} is not available: {reason}."
        ),
        remedy=Text(zh="稍后会自动重试。", en="It is tried again by itself."),
    )
