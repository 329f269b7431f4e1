"""Webhooks as the Standard Webhooks specification has them (standardwebhooks.com): headers, signature, retries.

A subscription's secret is made of the hub's own key, its id and a generation; it stands nowhere. After a renewal both
secrets sign for a day, so that the subscriber can change over.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from datong.kernel import Invalid, Text, Unreachable

PREFIX = "whsec_"
RETRY_SECONDS = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Pauses before the second and further attempts; after the last one a delivery is dead."""
OVERLAP_SECONDS = 86_400
GONE = 410
"""The status with which a receiver says that it wants no more."""
_LABEL = b"datong webhook secret v1\n"


class WebhookSender(Protocol):
    """Sends what a subscriber is told; implementations guard against targets that nobody may reach through the hub."""

    def check(self, url: str) -> None:
        """Let an address pass that may be sent to now.

        Raises:
            Invalid: it is none. Refused: it must not be reached. Unreachable: its name is not known now.
        """
        ...

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Send one message to an address that is judged anew, and return the status of the answer.

        Raises:
            Invalid, Refused: see `check`. Unreachable: nobody answers in time.
        """
        ...


class RecordingSender:
    """Keeps what it is asked to send, for tests; answers with `statuses` in turn, the last one for ever."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses or (200,))
        self.sent: list[tuple[str, Mapping[str, str], bytes]] = []
        self.on_post: Callable[[], None] = lambda: None

    def check(self, url: str) -> None:
        """Let HTTPS pass."""
        if not url.startswith("https://"):
            raise webhook_url_invalid(Text(zh="须为 https 地址", en="it must be an https address"))

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Keep a message; status 0 stands for nobody who answers."""
        self.check(url)
        self.sent.append((url, dict(headers), body))
        self.on_post()
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if not status:
            raise webhook_unanswered("ConnectError")
        return status


def secret_of(hub_secret: bytes, subscription_id: str, generation: int) -> str:
    """Return the secret of a subscription as its subscriber keeps it."""
    said = _LABEL + f"{subscription_id}\n{generation}".encode()
    return PREFIX + base64.b64encode(hmac.new(hub_secret, said, hashlib.sha256).digest()).decode()


def signed_headers(secrets: tuple[str, ...], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the headers of a message, signed with each of the secrets (HMAC-SHA256 over id, time and body)."""
    timestamp = str(int(at.timestamp()))
    signed = f"{message_id}.{timestamp}.".encode() + body
    signatures = [
        hmac.new(base64.b64decode(one.removeprefix(PREFIX)), signed, hashlib.sha256).digest() for one in secrets
    ]
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{base64.b64encode(one).decode()}" for one in signatures),
    }


def next_attempt(attempts: int, now: datetime) -> datetime | None:
    """Return when a delivery is tried again after so many attempts; None: never."""
    return now + timedelta(seconds=RETRY_SECONDS[attempts - 1]) if attempts <= len(RETRY_SECONDS) else None


def webhook_url_invalid(what: Text) -> Invalid:
    """Return the error of an address that is none to send to."""
    return Invalid(
        "sharing.webhook_url_invalid",
        what=Text(zh=f"回调地址不可用：{what.zh}。", en=f"The address is none to send to: {what.en}."),
        remedy=Text(zh="请填写 https 地址，不含账号口令。", en="Give an https address without credentials in it."),
        field="/url",
    )


def webhook_unanswered(detail: str) -> Unreachable:
    """Return the error of a subscriber that does not answer."""
    return Unreachable(
        "sharing.webhook_unanswered",
        what=Text(zh=f"回调地址没有应答（{detail}）。", en=f"The subscriber does not answer ({detail})."),
        remedy=Text(zh="平台会按退避时间重试。", en="It is tried again after a pause."),
    )
