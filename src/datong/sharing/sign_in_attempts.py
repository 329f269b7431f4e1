"""What a browser keeps while it is away to sign in: sealed by the hub, good for ten minutes and for one answer.

Nothing is written before an answer comes, so that visitors cannot fill a table. All that must be unguessable in an
attempt (state, nonce, PKCE verifier, challenge) is derived from its seal by the hub's secret: whoever holds the cookie
alone knows none of it, and nobody makes up an attempt that the hub did not begin.
"""

import base64
import hashlib
import hmac
import secrets
from datetime import UTC, datetime, timedelta
from typing import Self

from pydantic import Field, ValidationError
from sqlalchemy import Connection, delete, insert
from sqlalchemy.exc import IntegrityError

from datong.kernel import Text, Unauthenticated, Value
from datong.sharing import sign_in_tables as tables

ATTEMPT_LIFE = timedelta(minutes=10)
NEXT_CHARS_MAX = 1000
COOKIE_CHARS_MAX = 3500
_SECRET_LABEL = b"datong.sign-in/1 attempts"


def attempt_secret(index_key: bytes) -> bytes:
    """Return the secret with which attempts are sealed, from one that outlives the hub's signing key (`HubSecrets`)."""
    return hmac.digest(index_key, _SECRET_LABEL, "sha256")


class Attempt(Value):
    """An attempt to sign in by `way`, or, with `person`, an act of somebody who is signed in or half of the way in."""

    way: str = Field(max_length=80)
    person: str = Field("", max_length=64)
    next_page: str = Field("", max_length=NEXT_CHARS_MAX)
    begun_at: int = Field(ge=0, le=2**40)
    salt: str = Field(min_length=16, max_length=64)

    @classmethod
    def begin(cls, way: str, now: datetime, *, person: str = "", next_page: str = "") -> Self:
        """Return a fresh attempt; a page to go on to that is too long is forgotten."""
        return cls(
            way=way,
            person=person,
            next_page=next_page if len(next_page) <= NEXT_CHARS_MAX else "",
            begun_at=int(now.timestamp()),
            salt=secrets.token_urlsafe(24),
        )

    def sealed(self, secret: bytes) -> str:
        """Return the attempt as a cookie holds it."""
        body = _base64url(self.model_dump_json().encode())
        return f"{body}.{_base64url(_mac(secret, 'seal', body.encode()))}"

    def derived(self, secret: bytes, purpose: str) -> str:
        """Return 256 unguessable bits of this attempt for `purpose`, in 43 URL-safe characters."""
        return _base64url(_mac(secret, purpose, self.model_dump_json().encode()))

    def use(self, connection: Connection, secret: bytes) -> None:
        """Use the attempt up.

        Raises:
            Unauthenticated: that was done before.
        """
        table, begun = tables.used_attempt, datetime.fromtimestamp(self.begun_at, tz=UTC)
        connection.execute(delete(table).where(table.c.expires_at < begun))
        digest = _mac(secret, "used", self.model_dump_json().encode()).hex()
        try:
            with connection.begin_nested():
                connection.execute(insert(table).values(attempt_hash=digest, expires_at=begun + ATTEMPT_LIFE))
        except IntegrityError as error:
            raise attempt_over() from error


def opened_attempt(cookie: str | None, secret: bytes, now: datetime, *, way: str) -> Attempt:
    """Return the attempt by `way` that a cookie holds.

    Raises:
        Unauthenticated: see `sealed_attempt`, or it is another way's.
    """
    attempt = sealed_attempt(cookie, secret, now)
    if attempt.way != way:
        raise attempt_over()
    return attempt


def sealed_attempt(cookie: str | None, secret: bytes, now: datetime) -> Attempt:
    """Return the attempt that a cookie holds.

    Raises:
        Unauthenticated: there is none, it was made up, or began too long ago.
    """
    body, _, seal = (cookie or "").partition(".")
    if not body or len(body) > COOKIE_CHARS_MAX or not body.isascii() or not seal.isascii():
        raise attempt_over()
    if not hmac.compare_digest(_base64url(_mac(secret, "seal", body.encode())), seal):
        raise attempt_over()
    try:
        attempt = Attempt.model_validate_json(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValidationError, ValueError) as error:
        raise attempt_over() from error
    age = now - datetime.fromtimestamp(attempt.begun_at, tz=UTC)
    if not timedelta(seconds=-5) <= age <= ATTEMPT_LIFE:
        raise attempt_over()
    return attempt


def attempt_over() -> Unauthenticated:
    """Return the one answer to attempts that are unknown, too old, or were used before."""
    return Unauthenticated(
        "sharing.sign_in_over",
        what=Text(zh="这次登录已经过期或用过。", en="This attempt to sign in is over or was used."),
        remedy=Text(zh="请重新开始登录。", en="Begin again."),
    )


def _mac(secret: bytes, purpose: str, said: bytes) -> bytes:
    return hmac.new(secret, purpose.encode() + b"\0" + said, hashlib.sha256).digest()


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
