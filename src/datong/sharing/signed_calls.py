"""The call style of the national platform (国家平台): each call signs its headers with a secret of limited time.

`gjgxjhpt_sign` is the Base64 of HMAC-SHA256 under the secret over service, requester and time. The secret is refreshed
by an application with its access token. It is made of the hub's own key, the application and the hour, so it stands
nowhere; a hub process knows those of this hour and of the one before.

The signature does not cover the body. Each one is therefore good for one body only (`once_of`): the first it came with.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from datong.kernel import Actor, ActorKind, Clock, Invalid, NotFound, Refused, ResourceId, Text, Unauthenticated, Value
from datong.sharing.gateway_calls import Once
from datong.sharing.machines import Machines
from datong.sharing.principals import Principal

REQUESTER_HEADER = "gjgxjhpt_rid"
SERVICE_HEADER = "gjgxjhpt_sid"
TIME_HEADER = "gjgxjhpt_rtime"
SIGNATURE_HEADER = "gjgxjhpt_sign"
SIGNED_HEADERS = (REQUESTER_HEADER, SERVICE_HEADER, TIME_HEADER, SIGNATURE_HEADER)
SECRET_SECONDS = 3600
"""How long a secret is the newest; it is accepted for as long again."""
CLOCK_SKEW_SECONDS = 300
CALLERS_MAX = 10_000
"""Applications that a process keeps read; whether one was revoked is looked up with every call."""
VALUE_CHARS_MAX = 200
MILLISECONDS_DIGITS_MAX = 13
_KEY_SEPARATOR = "."
_LABEL = b"datong gateway signed call secret v1\n"


class SigningSecret(Value):
    """The secret with which an application signs its calls."""

    rid: str
    secret: str
    expires_at: datetime


class SignedHeaders(NamedTuple):
    """The four headers of a signed call."""

    requester: str
    service: str
    time: str
    signature: str

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> "SignedHeaders | None":
        """Return the headers of a call in this style; None: it has none of them.

        Raises:
            Unauthenticated: it has some of them only, or one is not what it must be.
        """
        values = [headers.get(name) for name in SIGNED_HEADERS]
        if not any(value is not None for value in values):
            return None
        if not all(value and len(value) <= VALUE_CHARS_MAX for value in values):
            raise _unrecognised("headers")
        return cls(*(value or "" for value in values))


class SignedCalls:
    """Knows callers by their signatures; `secret` is the hub's own."""

    def __init__(self, *, clock: Clock, machines: Machines, secret: bytes) -> None:
        self._clock = clock
        self._machines = machines
        self._secret = secret
        self._known: dict[str, Principal] = {}

    def secret_of(self, principal: Principal) -> SigningSecret:
        """Return the present secret of the application that asks.

        Raises:
            Refused: the caller is no application.
        """
        if principal.actor.kind is not ActorKind.APPLICATION:
            raise Refused(
                "sharing.applications_only",
                what=Text(zh="只有应用可以领取签名密钥。", en="Only applications sign their calls so."),
                remedy=Text(zh="请使用应用的访问令牌。", en="Use the access token of an application."),
            )
        period = int(self._clock.now().timestamp()) // SECRET_SECONDS
        until = datetime.fromtimestamp((period + 2) * SECRET_SECONDS, tz=UTC)
        # The key by which the application came stands in the name it signs with, so that revoking the key ends both.
        requester = _KEY_SEPARATOR.join(filter(None, (principal.actor.id, principal.key_id)))
        return SigningSecret(rid=requester, secret=self._made(requester, period), expires_at=until)

    def verify(self, said: SignedHeaders, resource_id: ResourceId) -> None:
        """Check the signature of a call of `resource_id`; nothing is read.

        Raises:
            Unauthenticated: it is wrong, too old, from the future, or for another service.
        """
        verify_signature(said, resource_id, self._clock.now(), self._made)

    def known(self, said: SignedHeaders) -> Principal | None:
        """Return who signed a call, if this process has read it before."""
        return self._known.get(said.requester)

    def principal_of(self, said: SignedHeaders) -> Principal:
        """Return who signed a call; whether it was revoked since is for the gateway to look up.

        Raises:
            Unauthenticated: there is no such application.
        """
        client_id, _, key_id = said.requester.partition(_KEY_SEPARATOR)
        try:
            found = self._machines.application(client_id)
        except NotFound as error:
            raise _unrecognised("requester") from error
        if len(self._known) >= CALLERS_MAX:
            self._known.clear()
        actor = Actor(kind=ActorKind.APPLICATION, id=found.client_id, department=found.department, name=found.name)
        return self._known.setdefault(said.requester, Principal(actor=actor, key_id=key_id))

    def _made(self, requester: str, period: int) -> str:
        made = hmac.new(self._secret, _LABEL + f"{requester}\n{period}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(made).decode()


def verify_signature(
    said: SignedHeaders, resource_id: ResourceId, now: datetime, secret_of: Callable[[str, int], str]
) -> None:
    """Check a signature; `secret_of` gives the secret of a requester in an hour.

    Raises:
        Unauthenticated: see `SignedCalls.verify`.
    """
    if said.service != resource_id:
        raise _unrecognised("service")
    if not (said.time.isascii() and said.time.isdigit() and len(said.time) <= MILLISECONDS_DIGITS_MAX):
        raise _unrecognised("time")
    at = datetime.fromtimestamp(int(said.time) / 1000, tz=UTC)
    if abs(now - at) > timedelta(seconds=CLOCK_SKEW_SECONDS):
        raise _unrecognised("time")
    period = int(now.timestamp()) // SECRET_SECONDS
    text = f"{said.service}{said.requester}{said.time}"
    given = said.signature.encode()
    valid = [
        hmac.compare_digest(given, signature(secret_of(said.requester, one), text).encode())
        for one in (period, period - 1)
    ]
    if not any(valid):
        raise _unrecognised("signature")


def signature(secret: str, text: str) -> str:
    """Return the signature over `text`, which is service, requester and time, one after the other."""
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()).decode()


def once_of(said: SignedHeaders, digest: str, key: str | None) -> Once:
    """Return what lets a signature pass with one body only, and what makes a repeated call the same call.

    Raises:
        Invalid: the call has an Idempotency-Key (`key`) as well.
    """
    if key is not None:
        raise Invalid(
            "sharing.idempotency_key_twice",
            what=Text(
                zh="签名调用由请求时间与签名标识，不能再带 Idempotency-Key。",
                en="A signed call is known by its time and signature; it takes no Idempotency-Key.",
            ),
            remedy=Text(zh="请去掉 Idempotency-Key。", en="Leave the Idempotency-Key out."),
            field="Idempotency-Key",
        )
    return Once(f"{TIME_HEADER}\n{said.time}\n{said.signature}", digest)


def _unrecognised(part: str) -> Unauthenticated:
    return Unauthenticated(
        "sharing.signature_refused",
        what=Text(
            zh=f"签名调用未通过核验（{_PARTS[part].zh}）。",
            en=f"The signed call does not verify ({_PARTS[part].en}).",
        ),
        remedy=Text(
            zh="请核对四个 gjgxjhpt_ 头与本机时间，并领取新的签名密钥。",
            en="Check the four gjgxjhpt_ headers and your clock, and fetch a new secret.",
        ),
    )


_PARTS = {
    "headers": Text(zh="头缺失或过长", en="a header is missing or too long"),
    "service": Text(zh="服务与地址不符", en="the service is not that of the address"),
    "time": Text(zh="请求时间不可用", en="the time of the request"),
    "signature": Text(zh="签名或密钥有效期", en="the signature, or the term of the secret"),
    "requester": Text(zh="请求者", en="the requester"),
}
