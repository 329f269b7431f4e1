"""Machine credentials: access tokens of the hub (Ed25519 JWT) and the signed assertions of nodes (RFC 7523).

The hub signs through the `Signer` protocol, so that its key may live in a file or in a module; `joserfc` checks.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry

from datong.kernel import Actor, ActorKind, DepartmentCode, Text, Unauthenticated, Value
from datong.kernel.ids import new_id
from datong.ledger import Signer, key_id_of
from datong.sharing.assertions import ENDPOINT_PATH

ALGORITHM = "Ed25519"
ALGORITHMS = frozenset({ALGORITHM, "EdDSA"})
"""The name of RFC 9864, and the older one of RFC 8037 that most libraries still write."""
ASSERTION_SECONDS_MAX = 300
CLOCK_SKEW_SECONDS = 60
TOKEN_CHARS_MAX = 8192
BEARER = "Bearer"
MACHINES = frozenset({ActorKind.NODE.value, ActorKind.APPLICATION.value, ActorKind.SANDBOX.value})


class _Ed25519Only(JWSRegistry):
    """Knows one signature under its two names; `joserfc` itself warns about the older one at every call."""

    algorithms = dict.fromkeys(ALGORITHMS, JWSRegistry.algorithms[ALGORITHM])


_REGISTRY = _Ed25519Only(algorithms=ALGORITHMS)


class AccessToken(Value):
    """A machine's access token, as RFC 6749 §5.1 returns it."""

    access_token: str
    token_type: str = BEARER
    expires_in: int


class Verified(Value):
    """What a verified access token says; `key_id` is empty for a node and for an application without keys."""

    actor: Actor
    expires_at: datetime
    key_id: str


class Assertion(Value):
    """A node's verified assertion."""

    node_id: str
    key_id: str
    jti: str
    expires_at_seconds: int


class AccessTokens:
    """Issues and verifies the hub's access tokens. `issuer` is the hub's public address.

    `keys` gives the hub's public keys that may sign now: while its key is being replaced, another process signs with
    the other one.
    """

    def __init__(
        self,
        *,
        signer: Signer,
        issuer: str,
        lifetime_seconds: int,
        keys: Callable[[], Sequence[bytes]] = lambda: (),
    ) -> None:
        self._signer = signer
        self._keys = keys
        self._issuer = issuer.rstrip("/")
        self._lifetime_seconds = lifetime_seconds
        self._key = public_jwk(signer.public_key)

    @property
    def audience(self) -> str:
        """What the `aud` claim of an access token must be."""
        return f"{self._issuer}/api"

    @property
    def assertion_audiences(self) -> tuple[str, str]:
        """What the `aud` claim of a node's assertion may be: the token endpoint, or the hub."""
        return (self._issuer + ENDPOINT_PATH, self._issuer)

    def issue(self, actor: Actor, now: datetime, *, key_id: str = "") -> AccessToken:
        """Return a token for a node or an application; `key_id` is the application's key that it was got with."""
        issued_at = int(now.timestamp())
        claims = {
            "iss": self._issuer,
            "aud": self.audience,
            "sub": actor.id,
            "kind": actor.kind.value,
            "department": actor.department,
            "name": actor.name,
            "iat": issued_at,
            "exp": issued_at + self._lifetime_seconds,
            "jti": new_id(),
            "key": key_id,
        }
        header = {"alg": ALGORITHM, "typ": "at+jwt", "kid": self._signer.key_id}
        signed = f"{_segment(header)}.{_segment(claims)}"
        token = f"{signed}.{_base64url(self._signer.sign(signed.encode()))}"
        return AccessToken(access_token=token, expires_in=self._lifetime_seconds)

    def verify(self, token: str, now: datetime) -> Verified:
        """Return in whose name `token` speaks, until when, and by which key it was got.

        Raises:
            Unauthenticated: it is no token of this hub, has another audience or issuer, or has expired.
        """
        header, claims = _decode(token, self._key_of)
        if header.get("typ") != "at+jwt":
            raise unrecognised("type")
        _check(claims, now, issuer=(self._issuer,), audience=(self.audience,))
        kind = claims.get("kind")
        department = claims.get("department")
        name = claims.get("name")
        if kind not in MACHINES or not isinstance(department, str):
            raise unrecognised("kind")
        actor = Actor(
            kind=ActorKind(kind),
            id=str(claims["sub"]),
            department=DepartmentCode(department),
            name=name if isinstance(name, str) else "",
        )
        expires_at = datetime.fromtimestamp(int(str(claims["exp"])), tz=UTC)
        return Verified(actor=actor, expires_at=expires_at, key_id=str(claims.get("key") or ""))

    def _key_of(self, key_id: str) -> OKPKey:
        if key_id == self._signer.key_id:
            return self._key
        found = next((key for key in self._keys() if key_id_of(key) == key_id), None)
        return self._key if found is None else public_jwk(found)

    def verify_assertion(
        self, assertion: str, key_of: Callable[[str], tuple[str, bytes] | None], now: datetime
    ) -> Assertion:
        """Check a `private_key_jwt` assertion (RFC 7523 §3); `key_of` maps a key id to its node and public key.

        Raises:
            Unauthenticated: the key is unknown or revoked, or the assertion is not for this hub, not from that
                node, too old or valid for too long.
        """
        found: dict[str, str] = {}

        def key_for(key_id: str) -> OKPKey:
            known = key_of(key_id)
            if known is None:
                raise unrecognised("kid")
            found["node"], found["kid"] = known[0], key_id
            return public_jwk(known[1])

        _, claims = _decode(assertion, key_for)
        node_id = found["node"]
        _check(claims, now, issuer=(node_id,), audience=self.assertion_audiences)
        expires_at, jti = claims["exp"], claims.get("jti")
        if not isinstance(expires_at, int) or claims["sub"] != node_id:
            raise unrecognised("sub")
        if expires_at > now.timestamp() + ASSERTION_SECONDS_MAX + CLOCK_SKEW_SECONDS:
            raise unrecognised("exp", now)
        if not isinstance(jti, str) or not 8 <= len(jti) <= 128:
            raise unrecognised("jti")
        return Assertion(node_id=node_id, key_id=found["kid"], jti=jti, expires_at_seconds=expires_at)


def public_jwk(public_key: bytes) -> OKPKey:
    """Return the 32 raw bytes of an Ed25519 public key as a JWK."""
    return OKPKey.import_key(Ed25519PublicKey.from_public_bytes(public_key))


def unrecognised(detail: str, now: datetime | None = None) -> Unauthenticated:
    """Return the one answer to bad machine credentials; `detail` names the part that was wrong, never its value.

    `now` is told where time decided, so that a machine whose clock is wrong can find out by how much.
    """
    return Unauthenticated(
        "sharing.token_invalid",
        what=Text(
            zh="访问令牌或断言无效、已过期，或不是发给本平台的。", en="The token or assertion is not valid here."
        ),
        remedy=Text(zh="请重新获取访问令牌。", en="Obtain a new access token."),
        context={"part": detail} if now is None else {"part": detail, "now": now.isoformat()},
    )


def _decode(token: str, key_for: Callable[[str], OKPKey]) -> tuple[Mapping[str, object], dict[str, object]]:
    """Check size, algorithm and signature; return header and claims."""
    if len(token) > TOKEN_CHARS_MAX:
        raise unrecognised("size")
    try:
        header = jws.extract_compact(token.encode()).headers()
        key_id = header.get("kid")
        if header.get("alg") not in ALGORITHMS or not isinstance(key_id, str):
            raise unrecognised("header")
        decoded = jwt.decode(token, key_for(key_id), registry=_REGISTRY)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise unrecognised("signature") from error
    if not isinstance(decoded.claims, dict):
        raise unrecognised("claims")
    return decoded.header, decoded.claims


def _check(claims: Mapping[str, object], now: datetime, *, issuer: tuple[str, ...], audience: tuple[str, ...]) -> None:
    registry = jwt.JWTClaimsRegistry(
        now=int(now.timestamp()),
        leeway=CLOCK_SKEW_SECONDS,
        iss={"essential": True, "values": list(issuer)},
        aud={"essential": True, "values": list(audience)},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
    )
    try:
        registry.validate(dict(claims))
    except (JoseError, ValueError, TypeError) as error:
        raise unrecognised("claims", now) from error


def _segment(value: Mapping[str, object]) -> str:
    return _base64url(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
