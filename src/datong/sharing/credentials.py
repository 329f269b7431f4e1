"""Passwords, random tokens and the rule that slows guessing down."""

import hashlib
import secrets
import threading
from datetime import datetime, timedelta
from typing import Protocol

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from datong.kernel import Invalid, Text, Unavailable
from datong.kernel.limits import NAME_CHARS_MAX

TOKEN_BYTES = 32
PASSWORD_CHARS_MIN = 8
PASSWORD_CHARS_MAX = 256
LOGIN_WAIT_SECONDS = 10.0
FREE_FAILURES = 5
"""Wrong passwords in a row that cost nothing but time to type."""
BLOCK_SECONDS_FIRST = 30
BLOCK_SECONDS_MAX = 15 * 60
HASH_KIBIBYTES = 47_104
"""One of the settings of equal strength in OWASP's Password Storage Cheat Sheet (46 MiB, one round, one lane): the one
that costs an officer, and a hub that many sign in to, least."""
FAILURES_FORGOTTEN_AFTER = timedelta(hours=24)


def new_token() -> str:
    """Return an unguessable URL-safe token of 256 bits."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_hash(token: str) -> str:
    """Return what is stored of a random token: its SHA-256. Random tokens need no salt and no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def blocked_until(failures: int, last_failure_at: datetime) -> datetime | None:
    """Return until when sign-in is blocked after `failures` wrong passwords in a row; None if it is not.

    The block doubles with each further failure, from 30 seconds to a quarter of an hour.
    """
    if failures < FREE_FAILURES:
        return None
    seconds = min(BLOCK_SECONDS_FIRST * 2 ** min(failures - FREE_FAILURES, 10), BLOCK_SECONDS_MAX)
    return last_failure_at + timedelta(seconds=seconds)


class PasswordHasher(Protocol):
    """Hashes passwords slowly."""

    def hash(self, password: str) -> str:
        """Return a salted hash of `password`."""
        ...

    def verify(self, password: str, hashed: str) -> bool:
        """Whether `hashed` was made from `password`."""
        ...


class BoundedArgon2:
    """Argon2id with at most `at_once_max` hashes at a time, because each takes 46 MiB.

    Others wait for `wait_seconds` and are then turned away. `memory_kibibytes` may be lowered where no attacker reads
    the database, for example in tests. A hash names its parameters, so older ones stay valid.
    """

    def __init__(
        self,
        *,
        at_once_max: int,
        memory_kibibytes: int = HASH_KIBIBYTES,
        wait_seconds: float = LOGIN_WAIT_SECONDS,
    ) -> None:
        self._wait_seconds = wait_seconds
        self._hasher = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=memory_kibibytes, parallelism=1),))
        self._slots = threading.BoundedSemaphore(at_once_max)

    def hash(self, password: str) -> str:
        """Return the PHC string of a fresh salted hash.

        Raises:
            Unavailable: too many passwords are being checked now.
        """
        self._enter()
        try:
            return self._hasher.hash(password)
        finally:
            self._slots.release()

    def verify(self, password: str, hashed: str) -> bool:
        """Whether `hashed` was made from `password`.

        Raises:
            Unavailable: too many passwords are being checked now.
        """
        self._enter()
        try:
            return self._hasher.verify(password, hashed)
        finally:
            self._slots.release()

    def _enter(self) -> None:
        if not self._slots.acquire(timeout=self._wait_seconds):
            raise Unavailable(
                "sharing.logins_busy",
                what=Text(zh="同时登录的人太多。", en="Too many people are signing in at once."),
                remedy=Text(zh="请稍候再试。", en="Try again in a moment."),
            )


def invalid_field(field: str, what: Text) -> Invalid:
    """Return the error for one wrong field of an account, an application or a node."""
    return Invalid(
        f"sharing.{field}_invalid",
        what=what,
        remedy=Text(zh="请修改后重新提交。", en="Correct it and submit again."),
        field=f"/{field}",
    )


def require_name(value: str, field: str) -> None:
    """Let a name of one to NAME_CHARS_MAX characters pass.

    Raises:
        Invalid: it is empty or too long.
    """
    if not 0 < len(value.strip()) <= NAME_CHARS_MAX:
        raise invalid_field(
            field,
            Text(zh=f"名称须为 1 到 {NAME_CHARS_MAX} 个字符。", en=f"A name has 1 to {NAME_CHARS_MAX} characters."),
        )
