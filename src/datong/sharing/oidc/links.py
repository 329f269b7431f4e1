"""Which account an identity provider's person is: by issuer and subject, which a provider never gives to another."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from datong.kernel import (
    Actor,
    Clock,
    Conflict,
    Database,
    JsonValue,
    NotFound,
    PersonId,
    Text,
    Value,
    new_id,
    random_bytes,
)
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.ledger import Ledger
from datong.sharing import sign_in_tables, tables
from datong.sharing.accounts import Account, account_from, record_account
from datong.sharing.oidc.providers import Provider
from datong.sharing.sign_in_evidence import SALT_BYTES, identity_commitment


class IdentityLink(Value):
    """An account and the person at a provider that it belongs to."""

    id: str
    account: PersonId
    username: str
    provider: str
    issuer: str
    subject: str
    linked_at: datetime
    used_at: datetime


class IdentityLinks:
    """The links of accounts to identity providers; making and cutting one is on record."""

    def __init__(self, *, database: Database, clock: Clock, ledger: Ledger) -> None:
        self._database, self._clock, self._ledger = database, clock, ledger

    def of(self, person: str | None = None) -> tuple[IdentityLink, ...]:
        """Return the links of a person, or of everybody by username, a thousand at most."""
        query = _LINKED.order_by(tables.account.c.username, _TABLE.c.provider).limit(PAGE_ROWS_MAX)
        if person is not None:
            query = query.where(_TABLE.c.account_id == person)
        with self._database.snapshot() as connection:
            return tuple(_link(row) for row in connection.execute(query).mappings())

    def find(self, issuer: str, subject: str) -> PersonId | None:
        """Return whose account an issuer's subject is."""
        query = select(_TABLE.c.account_id).where(_TABLE.c.issuer == issuer, _TABLE.c.subject == subject)
        with self._database.snapshot() as connection:
            found = connection.scalar(query)
        return None if found is None else PersonId(found)

    def link(self, person: PersonId, provider: Provider, subject: str, *, actor: Actor, how: str) -> None:
        """Link an account to a person at a provider; `how` says what that rests on (`claim`, `session`, `created`).

        Raises:
            Conflict: either has a link already.
        """
        now = self._clock.now()
        row = {
            "id": new_id(),
            "account_id": person,
            "issuer": provider.issuer,
            "subject": subject,
            "provider": provider.id,
            "linked_at": now,
            "used_at": now,
            "salt": random_bytes(SALT_BYTES).hex(),
        }
        try:
            with self._database.transaction() as connection:
                connection.execute(insert(_TABLE).values(row))
                told = {"how": how, "identity_commitment": identity_commitment(row)}
                self._record(connection, row, "link", actor, told)
        except IntegrityError as error:
            raise Conflict(
                "sharing.identity_linked",
                what=Text(
                    zh=f"该账号或该身份已与{provider.name.zh}关联。",
                    en=f"The account, or the person at {provider.name.en}, is linked already.",
                ),
                remedy=Text(zh="请先解除原有关联，或联系平台运维员。", en="Cut that link first, or ask an operator."),
            ) from error

    def used(self, issuer: str, subject: str) -> None:
        """Note that somebody signed in by a link now."""
        here = (_TABLE.c.issuer == issuer, _TABLE.c.subject == subject)
        with self._database.transaction() as connection:
            connection.execute(update(_TABLE).where(*here).values(used_at=self._clock.now()))

    def unlink(self, person: str, link_id: str, *, actor: Actor) -> None:
        """Cut a link and end the sessions that began by it.

        Raises:
            NotFound: the person has no such link.
        """
        with self._database.transaction() as connection:
            query = select(_TABLE).where(_TABLE.c.id == link_id, _TABLE.c.account_id == person).with_for_update()
            row = connection.execute(query).mappings().first()
            if row is None:
                raise NotFound(
                    "sharing.identity_link_unknown",
                    what=Text(zh="没有这个关联，或已解除。", en="There is no such link, or it was cut."),
                    remedy=Text(zh="请刷新页面。", en="Reload the page."),
                )
            connection.execute(delete(_TABLE).where(_TABLE.c.id == link_id))
            session = tables.session
            begun = (session.c.account_id == person, session.c.provider == row["provider"])
            connection.execute(delete(session).where(*begun))
            self._record(connection, row, "unlink", actor, {})

    def _record(
        self, connection: Connection, row: tables.Row, step: str, actor: Actor, told: Mapping[str, JsonValue]
    ) -> None:
        """Put it on record by account, provider and the link's id: the subject is the provider's name for a person."""
        query = select(tables.account).where(tables.account.c.id == row["account_id"])
        account: Account = account_from(connection.execute(query).mappings().one())
        facts = {"provider": row["provider"], "link_id": row["id"], **told}
        record_account(self._ledger, connection, account, step, actor, facts)


_TABLE = sign_in_tables.identity_link
_LINKED = select(_TABLE, tables.account.c.username).join(tables.account, tables.account.c.id == _TABLE.c.account_id)


def _link(row: tables.Row) -> IdentityLink:
    names = ("id", "username", "provider", "issuer", "subject", "linked_at", "used_at")
    return IdentityLink(account=PersonId(row["account_id"]), **{name: row[name] for name in names})
