"""Identity tokens: who a provider says has signed in. OpenID Connect Core 1.0 §3.1.3.7, step by step."""

import hmac
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeGuard

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from datong.kernel import Text, Unauthenticated
from datong.sharing.oidc.documents import TOKEN_CHARS_MAX, SigningKey
from datong.sharing.oidc.providers import Provider

CLOCK_SKEW_SECONDS = 60
AGE_SECONDS_MAX = 600
"""The token was made for this very sign-in: an older one belongs to another."""
SUBJECT_CHARS_MAX = 255
TYPES = (None, "JWT", "jwt")
_JWS_DOTS = 2


class KeyUnknown(Exception):
    """None of the known keys can have signed the token: the provider may have changed them."""


def verified_claims(
    token: str, provider: Provider, keys: Sequence[SigningKey], *, nonce: str, now: datetime
) -> dict[str, Any]:
    """Return the claims of a token that `provider` signed for this hub and this attempt.

    Raises:
        KeyUnknown: with other keys it might verify.
        Unauthenticated: it does not verify, is not for this hub or this attempt, or its time is not now.
    """
    if len(token) > TOKEN_CHARS_MAX or token.count(".") != _JWS_DOTS or not token.isascii():
        raise token_refused("form")
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise token_refused("header") from error
    # Step 6 and 7: the algorithm is one that the operator admits, whatever the token or the provider says. An access
    # token (typ at+jwt, RFC 9068) or a logout token is no identity token, though the same key signs it.
    algorithm, key_id = header.get("alg"), header.get("kid")
    if algorithm not in provider.algorithms or header.get("typ") not in TYPES or "crit" in header:
        raise token_refused("header")
    if not isinstance(key_id, str | None):
        raise token_refused("header")
    key = _key_for(str(algorithm), key_id, keys)
    try:
        claims = jwt.decode(token, key, algorithms=[str(algorithm)]).claims
    except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise token_refused("signature") from error
    _require_for_us(claims, provider)
    _require_now(claims, now)
    # Step 11: the token answers the very question that this browser was sent with.
    stated = claims.get("nonce")
    if not isinstance(stated, str) or not stated.isascii() or not hmac.compare_digest(stated, nonce):
        raise token_refused("nonce")
    return claims


def token_refused(part: str) -> Unauthenticated:
    """Return the one answer to tokens that do not identify anybody; `part` names what was wrong, never its value."""
    return Unauthenticated(
        "sharing.identity_token_invalid",
        what=Text(
            zh=f"身份提供方的凭据未通过核验（{part}）。",
            en=f"What the identity provider sent does not verify ({part}).",
        ),
        remedy=Text(zh="请重新登录；仍不行请联系平台运维员。", en="Sign in again; if it stays so, ask an operator."),
        context={"part": part},
    )


def _key_for(algorithm: str, key_id: str | None, keys: Sequence[SigningKey]) -> RSAKey | ECKey:
    """Return the one key that can have signed.

    Raises:
        KeyUnknown: there is none. Unauthenticated: the token does not say which of several.
    """
    kind = ECKey if algorithm.startswith("ES") else RSAKey
    fit = [one for one in keys if isinstance(one.key, kind) and one.algorithm in (None, algorithm)]
    named = fit if key_id is None else [one for one in fit if one.key_id == key_id]
    if not named:
        raise KeyUnknown
    if len(named) > 1:
        raise token_refused("kid")
    return named[0].key


def _require_for_us(claims: dict[str, Any], provider: Provider) -> None:
    """Steps 2 to 5: who says it, to whom, and about whom."""
    if claims.get("iss") != provider.issuer:
        raise token_refused("iss")
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or provider.client_id not in audiences:
        raise token_refused("aud")
    party = claims.get("azp")
    if (len(audiences) > 1 or party is not None) and party != provider.client_id:
        raise token_refused("azp")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_CHARS_MAX or not subject.isprintable():
        raise token_refused("sub")


def _require_now(claims: dict[str, Any], now: datetime) -> None:
    """Steps 9 and 10: the token has not expired, and was made just now."""
    at = now.timestamp()
    expires, issued, begins = claims.get("exp"), claims.get("iat"), claims.get("nbf", 0)
    if not _is_time(expires) or at >= expires + CLOCK_SKEW_SECONDS:
        raise token_refused("exp")
    if not _is_time(issued) or not at - AGE_SECONDS_MAX <= issued <= at + CLOCK_SKEW_SECONDS:
        raise token_refused("iat")
    if not _is_time(begins) or begins > at + CLOCK_SKEW_SECONDS:
        raise token_refused("nbf")


def _is_time(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**53
