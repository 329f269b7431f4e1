"""Keys of registered applications: secrets for the token endpoint, with a term, rotation with an overlap, revocation.

A key is for real data (`live`) or for the sandbox. Secrets are random and stored as their SHA-256.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection, select, update

from datong.kernel import DepartmentCode, Text, Value
from datong.sharing import tables
from datong.sharing.credentials import token_hash

OVERLAP_HOURS_DEFAULT = 24
OVERLAP_HOURS_MAX = 24 * 30
KEY_DAYS_DEFAULT = 180
KEY_DAYS_MAX = 366
KEYS_IN_FORCE_MAX = 5


class KeyKind(StrEnum):
    """What a key opens."""

    LIVE = "live"
    SANDBOX = "sandbox"

    @property
    def label(self) -> Text:
        """The kind in words."""
        return _KINDS[self]


_KINDS = {KeyKind.LIVE: Text(zh="正式", en="live"), KeyKind.SANDBOX: Text(zh="沙箱", en="sandbox")}


class ApplicationKey(Value):
    """A key as it is stored."""

    id: str
    client_id: str
    kind: KeyKind
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    def works(self, now: datetime) -> bool:
        """Whether it opens anything now."""
        return self.revoked_at is None and now < self.expires_at


class IssuedKey(Value):
    """A fresh key with its secret, which is shown once."""

    key: ApplicationKey
    client_secret: str


class KeyHolder(Value):
    """Whose key a secret is."""

    key_id: str
    client_id: str
    name: str
    department: DepartmentCode
    kind: KeyKind


def use_key(connection: Connection, client_id: str, secret: str, now: datetime) -> KeyHolder | None:
    """Return whose key a secret is, and note the use; None: no key of that application that works now.

    A live key works while its application is approved; a sandbox key until it is retired.
    """
    key, application = tables.application_key, tables.application
    query = (
        select(key.c.id, key.c.kind, application.c.name, application.c.department, application.c.blocked_at)
        .join(application, application.c.id == key.c.application_id)
        .where(
            key.c.application_id == client_id,
            key.c.secret_hash == token_hash(secret),
            key.c.revoked_at.is_(None),
            key.c.expires_at > now,
            application.c.revoked_at.is_(None),
        )
    )
    row = connection.execute(query).mappings().first()
    if row is None or (row["kind"] == KeyKind.LIVE.value and row["blocked_at"] is not None):
        return None
    connection.execute(update(key).where(key.c.id == row["id"]).values(last_used_at=now))
    return KeyHolder(
        key_id=row["id"], client_id=client_id, name=row["name"], department=row["department"], kind=KeyKind(row["kind"])
    )


def keys_in_force(connection: Connection, key_ids: Sequence[str], now: datetime) -> frozenset[str]:
    """Return which of these keys are neither revoked nor over."""
    key = tables.application_key
    query = select(key.c.id).where(key.c.id.in_(key_ids), key.c.revoked_at.is_(None), key.c.expires_at > now)
    return frozenset(connection.execute(query).scalars())


def shortened(expires_at: datetime, now: datetime, overlap_hours: int) -> datetime:
    """Return when an older key ends once another has taken its place: after the overlap, or earlier if it does."""
    return min(expires_at, now + timedelta(hours=overlap_hours))
