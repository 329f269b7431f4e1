"""Webhooks over HTTP: to judged addresses only, no redirect followed, nothing of the answer read but its status."""

from collections.abc import Mapping, Sequence

import httpx

from datong.adapters.judged_web import (
    IpNetwork,
    Resolver,
    Transient,
    judged_address,
    pinned_client,
    pinned_send,
    resolve,
)
from datong.kernel import Refused, Text
from datong.sharing import webhook_unanswered, webhook_url_invalid

TIMEOUT_SECONDS = 10.0
URL_CHARS_MAX = 2000


class WebhookPost:
    """Sends webhooks; with `allow_private` into private networks and without TLS as well.

    `networks` says into which; empty means any.
    """

    def __init__(
        self,
        *,
        user_agent: str,
        allow_private: bool = False,
        networks: Sequence[IpNetwork] = (),
        resolver: Resolver = resolve,
    ) -> None:
        self._user_agent = user_agent
        self._networks = networks
        self._allow_private = allow_private
        self._resolver = resolver

    def check(self, url: str) -> None:
        """Let an address pass that may be sent to now; see `WebhookSender.check`."""
        self._judged(url)

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Send one message and return the status of the answer; see `WebhookSender.post`."""
        target, numeric = self._judged(url)
        try:
            with pinned_client(TIMEOUT_SECONDS) as http:
                sent = {**headers, "User-Agent": self._user_agent}
                response = pinned_send(http, "POST", target, numeric, sent, content=body)
                response.close()
                return response.status_code
        except Transient as error:
            raise webhook_unanswered(str(error)) from error

    def _judged(self, url: str) -> tuple[httpx.URL, str]:
        """Return an address in its parts, and the numeric one to connect to."""
        try:
            target = httpx.URL(url)
        except (httpx.InvalidURL, ValueError) as error:
            raise webhook_url_invalid(Text(zh="格式不对", en="it has not the form of one")) from error
        schemes = ("https", "http") if self._allow_private else ("https",)
        if target.scheme not in schemes or not target.host or len(url) > URL_CHARS_MAX:
            raise webhook_url_invalid(Text(zh="须为 https 地址", en="it must be an https address"))
        if target.userinfo:
            raise webhook_url_invalid(Text(zh="不得含有账号口令", en="it holds credentials"))
        try:
            numeric = judged_address(
                target,
                self._resolver,
                allow_private=self._allow_private,
                networks=self._networks,
                forbidden=_forbidden,
            )
        except Transient as error:
            raise webhook_unanswered(str(error)) from error
        return target, numeric


def _forbidden(reason: Text) -> Refused:
    return Refused(
        "sharing.webhook_target_forbidden",
        what=Text(zh=f"不得向该地址发送：{reason.zh}。", en=f"Nothing is sent to that address: {reason.en}."),
        remedy=Text(
            zh="请使用公网地址；专网部署请运维人员设置 DATONG_WEBHOOKS_PRIVATE。",
            en="Use a public address; in a closed network let the operators set DATONG_WEBHOOKS_PRIVATE.",
        ),
    )
