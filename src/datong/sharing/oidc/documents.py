"""What identity providers answer, read with suspicion: discovery, keys, tokens, user info. Foreign input, all of it."""

import json
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, RSAKey
from pydantic import Field, ValidationError, field_validator

from datong.kernel import Corrupt, Text, Value
from datong.sharing.oidc.providers import URL_CHARS_MAX, Provider, is_secure_address

KEYS_MAX = 50
RSA_BITS_MIN = 2048
RSA_BITS_MAX = 8192
"""A longer key would make each check cost as much as an attacker likes."""
BITS_PER_CHARACTER = 6
"""Of a number in base64."""
TOKEN_CHARS_MAX = 64 * 1024
PublicKey = RSAKey | ECKey


class Metadata(Value, extra="ignore"):
    """The part of a provider's description (OpenID Connect Discovery 1.0 §3) that is used."""

    issuer: str
    authorization_endpoint: str = Field(max_length=URL_CHARS_MAX)
    token_endpoint: str = Field(max_length=URL_CHARS_MAX)
    jwks_uri: str = Field(max_length=URL_CHARS_MAX)
    userinfo_endpoint: str = Field("", max_length=URL_CHARS_MAX)
    end_session_endpoint: str = Field("", max_length=URL_CHARS_MAX)
    authorization_response_iss_parameter_supported: bool = False

    @field_validator(
        "authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint", "end_session_endpoint"
    )
    @classmethod
    def _secure(cls, value: str) -> str:
        if value and not is_secure_address(value):
            raise ValueError("not an https address")
        return value


class TokenAnswer(Value, extra="ignore"):
    """The part of a token answer (OpenID Connect Core 1.0 §3.1.3.3) that is used; it is kept nowhere."""

    id_token: str = Field(min_length=1, max_length=TOKEN_CHARS_MAX)
    access_token: str = Field("", max_length=TOKEN_CHARS_MAX)


class SigningKey:
    """A provider's public key with what it says of itself."""

    def __init__(self, key: PublicKey, key_id: str | None, algorithm: str | None) -> None:
        self.key, self.key_id, self.algorithm = key, key_id, algorithm


def read_metadata(body: bytes, provider: Provider) -> Metadata:
    """Return what a provider says of itself.

    Raises:
        Corrupt: it says something else, or speaks of another issuer.
    """
    try:
        metadata = Metadata.model_validate(_object(body))
    except ValidationError as error:
        raise answer_unusable(provider, "/".join(str(part) for part in error.errors()[0]["loc"])) from error
    if metadata.issuer != provider.issuer:
        raise answer_unusable(provider, "issuer")
    return metadata


def read_keys(body: bytes, provider: Provider) -> tuple[SigningKey, ...]:
    """Return the keys with which a provider signs; what is no public key for signatures is left out.

    Raises:
        Corrupt: it is no set of keys.
    """
    found = _object(body).get("keys")
    if not isinstance(found, list) or len(found) > KEYS_MAX:
        raise answer_unusable(provider, "keys")
    return tuple(key for one in found if isinstance(one, dict) and (key := _signing_key(one)) is not None)


def read_tokens(body: bytes, provider: Provider) -> TokenAnswer:
    """Return the tokens of an answer.

    Raises:
        Corrupt: there is no identity token in it.
    """
    try:
        return TokenAnswer.model_validate(_object(body))
    except ValidationError as error:
        raise answer_unusable(provider, "id_token") from error


def read_claims(body: bytes, provider: Provider, subject: str) -> dict[str, Any]:
    """Return what a provider says about the person with whose token it was asked.

    Raises:
        Corrupt: it speaks of somebody else (OpenID Connect Core 1.0 §5.3.2), or not in JSON.
    """
    claims = _object(body)
    if claims.get("sub") != subject:
        raise answer_unusable(provider, "sub")
    return claims


def answer_unusable(provider: Provider, part: str) -> Corrupt:
    """Return the error of an answer of a provider; `part` names what was wrong in it, never its value."""
    return Corrupt(
        "sharing.provider_answer_invalid",
        what=Text(
            zh=f"{provider.name.zh}的应答不可用（{part}）。",
            en=f"The answer of {provider.name.en} is not usable ({part}).",
        ),
        remedy=Text(zh="请重试；仍不行请联系平台运维员。", en="Try again; if it stays so, ask an operator."),
        context={"provider": provider.id, "part": part},
    )


def _object(body: bytes) -> dict[str, Any]:
    """Return a JSON object; anything else is an empty one, in which nothing is found."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _signing_key(stated: dict[str, Any]) -> SigningKey | None:
    if stated.get("kty") not in ("RSA", "EC") or stated.get("use", "sig") != "sig":
        return None
    key_id, algorithm = stated.get("kid"), stated.get("alg")
    if not isinstance(key_id, str | None) or not isinstance(algorithm, str | None):
        return None
    modulus = stated.get("n", "")
    if stated["kty"] == "RSA" and not (
        isinstance(modulus, str) and RSA_BITS_MIN <= len(modulus) * BITS_PER_CHARACTER <= RSA_BITS_MAX + 8
    ):
        return None
    # Only what makes the key: private parts, certificates and addresses of keys are not looked at.
    names = ("kty", "n", "e", "crv", "x", "y")
    try:
        key = JWKRegistry.import_key({name: stated[name] for name in names if isinstance(stated.get(name), str)})
        if not isinstance(key, RSAKey | ECKey):
            return None
        bits = key.public_key.key_size
    except (JoseError, ValueError, TypeError, KeyError, OverflowError):
        return None
    if isinstance(key, RSAKey) and not RSA_BITS_MIN <= bits <= RSA_BITS_MAX:
        return None
    return SigningKey(key, key_id, algorithm)
