"""Profiles of Delta Sharing: bearer tokens of applications that read whole tables, with an end and rotation.

A profile file holds the token, which is shown once and stored as its SHA-256. A new profile may take the place of the
older ones: they go on working for a day, so that a running job can be changed over.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, insert, select, update

from datong.kernel import (
    Actor,
    ActorKind,
    Clock,
    Database,
    DepartmentCode,
    JsonValue,
    NotFound,
    Text,
    Unauthenticated,
    Value,
    new_id,
)
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.ledger import EntryKind, Ledger
from datong.sharing import tables
from datong.sharing.credentials import invalid_field, new_token, token_hash
from datong.sharing.delta_values import PROFILE_PREFIX
from datong.sharing.evidence import instant
from datong.sharing.principals import Principal

PROFILE_DAYS_MAX = 365
PROFILE_DAYS_DEFAULT = 90
CHANGE_OVER = timedelta(hours=24)
"""How long older profiles go on working once another has taken their place."""
PROFILE_VERSION = 1
TOKEN_CHARS_MAX = 128


class Profile(Value):
    """A profile as it is stored: whose it is, and until when it works."""

    id: str
    client_id: str
    department: DepartmentCode
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None


class ProfileFile(Value):
    """A fresh profile with its token, which is shown once."""

    profile: Profile
    endpoint: str
    token: str

    def document(self) -> dict[str, JsonValue]:
        """Return what the file says (profile format 1 of the protocol)."""
        return {
            "shareCredentialsVersion": PROFILE_VERSION,
            "endpoint": self.endpoint,
            "bearerToken": self.token,
            "expirationTime": self.profile.expires_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }


class Profiles:
    """Issues, rotates, revokes and recognises profiles; `endpoint` is where Delta Sharing answers."""

    def __init__(self, *, database: Database, clock: Clock, ledger: Ledger, endpoint: str) -> None:
        self._database, self._clock, self._ledger = database, clock, ledger
        self._endpoint = endpoint

    def issue(self, client_id: str, *, days: int, replace: bool, actor: Actor) -> ProfileFile:
        """Issue a profile for an application; with `replace`, its older ones end within a day.

        Raises:
            NotFound: there is no such application, or it was revoked.
            Invalid: the term is not 1 to PROFILE_DAYS_MAX days.
        """
        if not 1 <= days <= PROFILE_DAYS_MAX:
            raise invalid_field(
                "days",
                Text(zh=f"有效期须为 1 到 {PROFILE_DAYS_MAX} 天。", en=f"A term has 1 to {PROFILE_DAYS_MAX} days."),
            )
        token, now, profile_id = PROFILE_PREFIX + new_token(), self._clock.now(), new_id()
        with self._database.transaction() as connection:
            department = _department(connection, client_id)
            profile = Profile(
                id=profile_id,
                client_id=client_id,
                department=department,
                created_at=now,
                expires_at=now + timedelta(days=days),
            )
            ended = self._end_others(connection, client_id, now + CHANGE_OVER) if replace else 0
            connection.execute(
                insert(tables.profile).values(
                    id=profile.id,
                    application_id=client_id,
                    token_hash=token_hash(token),
                    created_by=actor.id,
                    created_at=now,
                    expires_at=profile.expires_at,
                )
            )
            self._record(connection, profile, "issue", actor, {"replaced": ended})
        return ProfileFile(profile=profile, endpoint=self._endpoint, token=token)

    def of_application(self, client_id: str) -> tuple[Profile, ...]:
        """Return an application's profiles, newest first, ended ones too."""
        query = (
            _joined().where(tables.profile.c.application_id == client_id).order_by(tables.profile.c.created_at.desc())
        )
        with self._database.snapshot() as connection:
            return tuple(_profile(row) for row in connection.execute(query.limit(PAGE_ROWS_MAX)).mappings())

    def get(self, profile_id: str) -> Profile:
        """Return a profile.

        Raises:
            NotFound: there is none with that id.
        """
        with self._database.snapshot() as connection:
            row = connection.execute(_joined().where(tables.profile.c.id == profile_id)).mappings().first()
        if row is None:
            raise _unknown(profile_id)
        return _profile(row)

    def revoke(self, profile_id: str, *, actor: Actor) -> Profile:
        """Make a profile worthless at once.

        Raises:
            NotFound: there is no such profile, or it was revoked.
        """
        profile, now = self.get(profile_id), self._clock.now()
        with self._database.transaction() as connection:
            changed = connection.execute(
                update(tables.profile)
                .where(tables.profile.c.id == profile_id, tables.profile.c.revoked_at.is_(None))
                .values(revoked_at=now)
            ).rowcount
            if changed != 1:
                raise _unknown(profile_id)
            revoked = profile.model_copy(update={"revoked_at": now})
            self._record(connection, revoked, "revoke", actor, {})
        return revoked

    def recognise(self, token: str) -> Principal:
        """Return the application that holds a profile's token.

        Raises:
            Unauthenticated: the token is unknown or expired, or it or its application was revoked.
        """
        query = _joined().where(
            tables.profile.c.token_hash == token_hash(token[:TOKEN_CHARS_MAX]),
            tables.profile.c.revoked_at.is_(None),
            tables.application.c.revoked_at.is_(None),
            tables.application.c.blocked_at.is_(None),
            tables.profile.c.expires_at > self._clock.now(),
        )
        with self._database.snapshot() as connection:
            row = connection.execute(query).mappings().first()
        if row is None or len(token) > TOKEN_CHARS_MAX:
            raise Unauthenticated(
                "sharing.profile_invalid",
                what=Text(zh="凭据文件无效、已到期或已作废。", en="The profile is unknown, expired or revoked."),
                remedy=Text(
                    zh="请在应用页面重新下载凭据文件。", en="Download a new profile from the application's page."
                ),
            )
        return Principal(
            actor=Actor(
                kind=ActorKind.APPLICATION,
                id=row["application_id"],
                department=DepartmentCode(row["department"]),
                name=row["name"],
            )
        )

    def _end_others(self, connection: Connection, client_id: str, at: datetime) -> int:
        table = tables.profile
        return connection.execute(
            update(table)
            .where(table.c.application_id == client_id, table.c.revoked_at.is_(None), table.c.expires_at > at)
            .values(expires_at=at)
        ).rowcount

    def _record(
        self, connection: Connection, profile: Profile, step: str, actor: Actor, more: dict[str, JsonValue]
    ) -> None:
        self._ledger.append(
            connection,
            kind=EntryKind.PROFILE,
            subject=profile.id,
            actor=actor,
            facts={
                "profile_id": profile.id,
                "application_id": profile.client_id,
                "consumer": profile.department,
                "step": step,
                "expires_at": instant(profile.expires_at),
                **more,
            },
        )


def _joined() -> Select[Any]:
    profile, application = tables.profile, tables.application
    return select(profile, application.c.department, application.c.name).join(
        application, application.c.id == profile.c.application_id
    )


def _department(connection: Connection, client_id: str) -> DepartmentCode:
    table = tables.application
    found = connection.execute(
        select(table.c.department).where(table.c.id == client_id, table.c.revoked_at.is_(None))
    ).scalar()
    if found is None:
        raise NotFound(
            "sharing.application_unknown",
            what=Text(zh=f"没有这个应用：{client_id}。", en=f"There is no such application: {client_id}."),
            remedy=Text(zh="请核对编号。", en="Check the id."),
        )
    return DepartmentCode(found)


def _profile(row: tables.Row) -> Profile:
    return Profile(
        id=row["id"],
        client_id=row["application_id"],
        department=DepartmentCode(row["department"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )


def _unknown(profile_id: str) -> NotFound:
    return NotFound(
        "sharing.profile_unknown",
        what=Text(
            zh=f"没有凭据文件 {profile_id}，或者已经作废。", en=f"There is no profile {profile_id}, or it was revoked."
        ),
        remedy=Text(zh="请核对编号。", en="Check the id."),
    )
