"""Asking identity providers: judged addresses only, no redirect followed, answers bounded in bytes and time."""

from collections.abc import Mapping, Sequence

import httpx

from datong.adapters.judged_web import (
    IpNetwork,
    Resolver,
    Transient,
    bounded_body,
    judged_address,
    pinned_client,
    pinned_send,
    resolve,
)
from datong.kernel import Refused, Text
from datong.sharing.oidc import PROVIDER_ANSWER_BYTES_MAX, ProviderAnswer, provider_unanswered

TIMEOUT_SECONDS = 10.0


class JudgedProviderWeb:
    """A `sharing.oidc.ProviderWeb` over HTTP; with `allow_private` providers of private networks are asked as well.

    `networks` says of which; empty means any. That an address is https, or on this machine, was seen when it was read.
    """

    def __init__(
        self,
        *,
        user_agent: str,
        allow_private: bool = False,
        networks: Sequence[IpNetwork] = (),
        resolver: Resolver = resolve,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._user_agent, self._timeout_seconds = user_agent, timeout_seconds
        self._allow_private, self._networks, self._resolver = allow_private, networks, resolver

    def ask(
        self, address: str, *, headers: Mapping[str, str] | None = None, form: Mapping[str, str] | None = None
    ) -> ProviderAnswer:
        """Return a provider's answer; see `ProviderWeb.ask`."""
        try:
            url = httpx.URL(address)
        except (httpx.InvalidURL, ValueError) as error:
            raise _forbidden(Text(zh="地址写法不对", en="it is malformed")) from error
        sent = {**(headers or {}), "User-Agent": self._user_agent, "Accept-Encoding": "identity"}
        method = "GET" if form is None else "POST"
        try:
            numeric = judged_address(
                url, self._resolver, allow_private=self._allow_private, networks=self._networks, forbidden=_forbidden
            )
            with pinned_client(self._timeout_seconds) as http:
                response = pinned_send(http, method, url, numeric, sent, data=form)
                try:
                    body = bounded_body(url.host, response, PROVIDER_ANSWER_BYTES_MAX)
                finally:
                    response.close()
        except (Transient, httpx.TransportError) as error:
            detail = str(error) if isinstance(error, Transient) else type(error).__name__
            raise provider_unanswered(detail) from error
        return ProviderAnswer(status=response.status_code, body=body)


def _forbidden(reason: Text) -> Refused:
    return Refused(
        "adapters.provider_forbidden",
        what=Text(zh=f"不能连接身份提供方：{reason.zh}。", en=f"The identity provider is not asked: {reason.en}."),
        remedy=Text(
            zh="专网内的身份提供方请运维人员设置 DATONG_OIDC_PRIVATE。",
            en="For a provider inside a closed network let the operators set DATONG_OIDC_PRIVATE.",
        ),
    )
