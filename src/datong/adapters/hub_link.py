"""The higher hub over HTTP: joined with a token, called as a node whose key is this hub's own."""

import base64
import json
import time
from collections.abc import Sequence
from typing import Any, TypeVar

import httpx
from pydantic import ValidationError, model_validator

from datong.adapters.judged_web import IpNetwork, JudgedTransport
from datong.federation import Joined, SignedBatch, Standing
from datong.kernel import (
    Clock,
    Corrupt,
    DepartmentCode,
    Invalid,
    NodeId,
    Refused,
    Text,
    Unreachable,
    Value,
    answered_error,
)
from datong.ledger import LogKeys, Signer
from datong.sharing import SealedLiveAnswer, SealedLiveCall, token_request
from datong.sharing.relay import (
    RelayedDecision,
    RelayedEnd,
    RelayedOrder,
    RelayedQuestion,
    RelayedRows,
    RelayedSignature,
    RelayedStanding,
    RelayedWork,
)

OAUTH_PATH = "/api/v1/oauth/token"
TOKEN_MARGIN_SECONDS = 30
TIMEOUT_SECONDS = 120.0
PORT_MAX = 65535
LINK_PATH = "/api/v1/cascade/link"
Answer = TypeVar("Answer", bound=Value)


class _AccessToken(Value):
    access_token: str
    expires_in: float

    @model_validator(mode="before")
    @classmethod
    def _only_these(cls, values: object) -> object:
        # RFC 6749 lets the other end say more than is used here.
        return {key: values.get(key) for key in cls.model_fields} if isinstance(values, dict) else values


class _Calls(Value):
    calls: tuple[SealedLiveCall, ...]


class HubLink:
    """A `federation.Superior` and a `sharing.relay.HigherHub`.

    Redirects are not followed: what is signed goes where it was meant to go.
    """

    def __init__(
        self, *, address: str, node_id: str, signer: Signer, clock: Clock, networks: Sequence[IpNetwork] = ()
    ) -> None:
        self._address, self._node_id = address.rstrip("/"), node_id
        self._signer, self._clock = signer, clock
        self._token, self._token_until = "", 0.0
        self._http = _client(self._address, networks)

    @property
    def node_id(self) -> NodeId:
        """What this hub is called there."""
        return NodeId(self._node_id)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def standing(self) -> Standing:
        """Return how far the hub has applied what was sent."""
        return self._read(Standing, self._call("GET", f"{LINK_PATH}/standing"))

    def push(self, signed: SignedBatch) -> Standing:
        """Hand over a batch."""
        return self._read(Standing, self._call("POST", f"{LINK_PATH}/batches", signed.model_dump(mode="json")))

    def pull(self, after: int) -> SignedBatch:
        """Return what the hub shows after a number."""
        return self._read(SignedBatch, self._call("GET", f"{LINK_PATH}/batches?after={after}"))

    def report(self, standing: Standing) -> bool:
        """Tell the hub how far its entries were applied."""
        answer = self._call("POST", f"{LINK_PATH}/standing", standing.model_dump())
        return isinstance(answer, dict) and answer.get("in_step") is True

    def order(self, order: RelayedOrder) -> RelayedStanding:
        """Have a request made there, or learn how it stands."""
        return self._read(RelayedStanding, self._call("POST", f"{LINK_PATH}/orders", order.model_dump(mode="json")))

    def work(self, page: int) -> RelayedWork:
        """Return a page (from 0) of what this hub has to do."""
        return self._read(RelayedWork, self._call("GET", f"{LINK_PATH}/work?page={page}"))

    def decide(self, decision: RelayedDecision) -> None:
        """Answer an order."""
        self._call("POST", f"{LINK_PATH}/decisions", decision.model_dump(mode="json"))

    def sign(self, signature: RelayedSignature) -> None:
        """Confirm and sign an agreement there."""
        self._call("POST", f"{LINK_PATH}/signatures", signature.model_dump(mode="json"))

    def end(self, end: RelayedEnd) -> None:
        """Give up or end what was agreed there."""
        self._call("POST", f"{LINK_PATH}/ends", end.model_dump(mode="json"))

    def ask(self, question: RelayedQuestion) -> RelayedRows:
        """Have its gateway answer a call, as an application would."""
        body: dict[str, object] = {
            "key": {question.key_column: question.key_value},
            "purpose": question.purpose,
            "case_number": question.case_number,
        }
        body |= {"items": question.columns} if question.claims is None else {"claims": dict(question.claims)}
        path = f"/gateway/v1/{question.resource_id}/{'query' if question.claims is None else 'verify'}"
        answer = self._call("POST", path, body)
        said = answer if isinstance(answer, dict) else {}
        return self._read(RelayedRows, {name: said[name] for name in RelayedRows.model_fields if name in said})

    def live_calls(self, key: bytes, wait_seconds: float) -> tuple[SealedLiveCall, ...]:
        """Return the calls that wait for this hub, sealed to `key`."""
        answer = self._call("GET", f"/api/v1/nodes/me/calls?key={key.hex()}&wait={wait_seconds:g}")
        return self._read(_Calls, {"calls": answer}).calls

    def answer_live_call(self, sealed: SealedLiveAnswer) -> None:
        """Hand in the answer to a call."""
        self._call("POST", f"/api/v1/nodes/me/calls/{sealed.call_id}/answer", sealed.model_dump(mode="json"))

    def replace_key(self, public_key: bytes, *, by_old: bytes, by_new: bytes) -> None:
        """Register the key with which this hub signs from now on, vouched for by the present one."""
        parts = {"public_key": public_key, "by_old": by_old, "by_new": by_new}
        body = {name: base64.b64encode(part).decode() for name, part in parts.items()}
        self._call("POST", "/api/v1/nodes/me/signing-keys", body)

    def department(self) -> DepartmentCode:
        """Return the department under which the hub knows this one: its access token says it."""
        try:
            claims = json.loads(base64.urlsafe_b64decode(self._access_token().split(".")[1] + "=="))
            return DepartmentCode(str(claims["department"]))
        except (ValueError, LookupError, TypeError) as error:
            raise _unavailable(self._address) from error

    def log_keys(self) -> LogKeys:
        """Return the keys with which the hub has signed."""
        return LogKeys.parse(json.dumps(send(self._http, "GET", "/log/keys")).encode())

    def join(self, *, token: str, hub: str) -> Joined:
        """Bind this hub, already enrolled as a node, to the link that the token was issued for."""
        return self._read(Joined, self._call("POST", LINK_PATH, {"token": token, "hub": hub}))

    def _read(self, kind: type[Answer], answer: object) -> Answer:
        try:
            return kind.model_validate(answer)
        except ValidationError as error:
            raise Corrupt(
                "adapters.hub_answer_unreadable",
                what=Text(zh=f"{self._address} 的应答不可读。", en=f"The answer of {self._address} is not readable."),
                remedy=Text(zh="请核对地址和两端平台的版本。", en="Check the address and the versions of both hubs."),
            ) from error

    def _call(self, method: str, path: str, body: object = None) -> object:
        headers = {"Authorization": f"Bearer {self._access_token()}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        return send(self._http, method, path, content=content, headers=headers)

    def _access_token(self) -> str:
        if self._token and time.monotonic() < self._token_until:
            return self._token
        form = token_request(self._signer, node_id=self._node_id, hub_url=self._address, now=self._clock.now())
        answer = send(self._http, "POST", OAUTH_PATH, data=form)
        granted = self._read(_AccessToken, answer)
        self._token = granted.access_token
        self._token_until = time.monotonic() + granted.expires_in - TOKEN_MARGIN_SECONDS
        return self._token


def join_superior(
    address: str,
    token: str,
    *,
    name: str,
    hub: str,
    signer: Signer,
    clock: Clock,
    networks: Sequence[IpNetwork] = (),
) -> Joined:
    """Enrol at a higher hub with the token that it issued, and bind the link.

    Raises:
        Unauthenticated, Refused: the token is not valid. Unreachable: the hub does not answer.
    """
    key = base64.b64encode(signer.public_key).decode()
    body = json.dumps({"enrolment_token": token, "name": name, "public_key": key}, ensure_ascii=False).encode()
    with _client(address.rstrip("/"), networks) as http:
        answer = send(http, "POST", "/api/v1/nodes", content=body, headers={"Content-Type": "application/json"})
    node_id = str(answer.get("node_id", "")) if isinstance(answer, dict) else ""
    link = HubLink(address=address, node_id=node_id, signer=signer, clock=clock, networks=networks)
    try:
        return link.join(token=token, hub=hub)
    finally:
        link.close()


def send(http: httpx.Client, method: str, path: str, **options: Any) -> object:
    """Return the JSON of a good answer, or raise what the hub says.

    Raises:
        Unreachable: it does not answer, or not like a hub. Any other error: its own.
    """
    try:
        response = http.request(method, path, **options)
        answer: object = response.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise _unavailable(str(http.base_url)) from error
    if response.is_success:
        return answer
    refusal = answered_error(response.status_code, answer)
    if refusal is None or refusal.transient:
        raise _unavailable(str(http.base_url))
    raise refusal


def _unavailable(address: str) -> Unreachable:
    return Unreachable(
        "adapters.hub_unavailable",
        what=Text(zh=f"上级平台 {address} 没有应答。", en=f"The higher hub {address} does not answer."),
        remedy=Text(zh="会自动重试；请检查网络和地址。", en="It is tried again; check the network and the address."),
    )


def _client(address: str, networks: Sequence[IpNetwork]) -> httpx.Client:
    """Return a client of a higher hub, which mostly is in the government's own network.

    Raises:
        Invalid: `adapters.hub_address_invalid`.
    """
    try:
        url = httpx.URL(address)
    except (httpx.InvalidURL, ValueError) as error:
        raise _malformed() from error
    extra = url.userinfo or url.query or url.fragment
    if url.scheme not in ("http", "https") or not url.host or extra or (url.port or 0) > PORT_MAX:
        raise _malformed()
    return httpx.Client(
        base_url=url,
        timeout=TIMEOUT_SECONDS,
        trust_env=False,
        transport=JudgedTransport(address, networks=networks, forbidden=_forbidden),
    )


def _malformed() -> Invalid:
    return Invalid(
        "adapters.hub_address_invalid",
        what=Text(zh="上级平台的地址不可用。", en="The address of the higher hub is not usable."),
        remedy=Text(
            zh="请填写 http(s) 地址，不含账号口令与参数。",
            en="Give an http(s) address without credentials or parameters.",
        ),
        field="/address",
    )


def _forbidden(reason: Text) -> Refused:
    return Refused(
        "adapters.address_forbidden",
        what=Text(zh=f"不得连接该上级平台：{reason.zh}。", en=f"That higher hub is not connected to: {reason.en}."),
        remedy=Text(zh="请核对上级平台的地址。", en="Check the address of the higher hub."),
    )
