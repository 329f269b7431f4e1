"""Sessions of people: opened by whichever way recognised them, looked up with each call, ended in one place or all."""

from datetime import timedelta

from sqlalchemy import Connection, delete, func, insert, select

from datong.kernel import Clock, Database, NotFound, PersonId, Text, Unauthenticated
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.ledger import Ledger
from datong.sharing import sign_in_tables, tables
from datong.sharing.accounts import Account, OpenSession, Session, account_from, record_account
from datong.sharing.credentials import new_token, token_hash
from datong.sharing.principals import Principal
from datong.sharing.sign_in_methods import SignedInBy, SignInMethod, require_method
from datong.sharing.standing import principal_of_session

DEVICE_CHARS_MAX = 200
ADDRESS_CHARS_MAX = 45
"""An IPv6 address with an IPv4 address in it."""
SESSION_ID_CHARS = 20
"""So many digits of a token's hash name a session to the person whose it is."""


class Sessions:
    """The sessions of people, and how each of them began."""

    def __init__(self, *, database: Database, clock: Clock, ledger: Ledger, session_life: timedelta) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._session_life = session_life

    def open_session(self, person: PersonId, by: SignedInBy) -> Session:
        """Open a session for somebody whom a way of signing in has recognised; that they came so is on record.

        Raises:
            Unauthenticated: the account is closed. Refused: `sharing.method_insufficient`.
        """
        with self._database.transaction() as connection:
            row = connection.execute(select(tables.account).where(tables.account.c.id == person)).mappings().first()
            if row is None or row["disabled"]:
                raise Unauthenticated(
                    "sharing.account_closed",
                    what=Text(zh="该账号已停用。", en="The account is closed."),
                    remedy=Text(zh="请联系平台运维员。", en="Ask an operator."),
                )
            account = account_from(row)
            require_method(connection, account.roles, by.method)
            return self._begin(connection, account, by)

    def _begin(self, connection: Connection, account: Account, by: SignedInBy) -> Session:
        """Write a fresh session, and put on record how it began, unless a password is the only way in."""
        token, now = new_token(), self._clock.now()
        connection.execute(delete(tables.session).where(tables.session.c.expires_at <= now))
        connection.execute(
            insert(tables.session).values(
                token_hash=token_hash(token),
                account_id=account.id,
                created_at=now,
                expires_at=now + self._session_life,
                device=by.device[:DEVICE_CHARS_MAX],
                address=by.address[:ADDRESS_CHARS_MAX],
                method=by.method.value,
                provider=by.provider,
            )
        )
        if by.method is not SignInMethod.PASSWORD or _has_another_way(connection, account.id):
            facts = {"method": by.method.value, "provider": by.provider}
            record_account(self._ledger, connection, account, "sign_in", account.principal.actor, facts)
        return Session(token=token, account=account, expires_at=now + self._session_life)

    def session(self, token: str) -> Principal:
        """Return who holds a session, or for whom they act in it (`standing`).

        Raises:
            Unauthenticated: there is no such session, it has expired, or the account is disabled.
        """
        with self._database.snapshot() as connection:
            principal = principal_of_session(connection, token_hash(token), self._clock.now())
        if principal is None:
            raise Unauthenticated(
                "sharing.session_unknown",
                what=Text(zh="登录已失效。", en="The session is over."),
                remedy=Text(zh="请重新登录。", en="Sign in again."),
            )
        return principal

    def end_session(self, token: str) -> None:
        """End a session; an unknown one is already over."""
        with self._database.transaction() as connection:
            connection.execute(delete(tables.session).where(tables.session.c.token_hash == token_hash(token)))

    def sessions(self, person: str, *, token: str | None = None) -> tuple[OpenSession, ...]:
        """Return a person's open sessions, newest first; `token` is that of the one that asks."""
        table = tables.session
        query = select(table).where(table.c.account_id == person, table.c.expires_at > self._clock.now())
        query = query.order_by(table.c.created_at.desc(), table.c.token_hash).limit(PAGE_ROWS_MAX)
        asking = None if token is None else token_hash(token)
        with self._database.snapshot() as connection:
            return tuple(
                OpenSession(
                    id=row["token_hash"][:SESSION_ID_CHARS],
                    device=row["device"],
                    address=row["address"],
                    method=SignInMethod(row["method"]),
                    provider=row["provider"],
                    created_at=row["created_at"],
                    expires_at=row["expires_at"],
                    present=row["token_hash"] == asking,
                )
                for row in connection.execute(query).mappings()
            )

    def revoke_session(self, person: str, session_id: str) -> None:
        """End one of a person's sessions by its id, wherever it is open.

        Raises:
            NotFound: the person has no such session.
        """
        table = tables.session
        own = delete(table).where(
            table.c.account_id == person, func.substr(table.c.token_hash, 1, SESSION_ID_CHARS) == session_id
        )
        with self._database.transaction() as connection:
            if not connection.execute(own).rowcount:
                raise NotFound(
                    "sharing.session_gone",
                    what=Text(zh="没有这个登录，或已失效。", en="There is no such session, or it is over."),
                    remedy=Text(zh="请刷新列表。", en="Look at the list again."),
                )

    def end_other_sessions(self, person: str, token: str) -> int:
        """End every session of a person but that of `token`; return how many there were."""
        table = tables.session
        others = delete(table).where(table.c.account_id == person, table.c.token_hash != token_hash(token))
        with self._database.transaction() as connection:
            return connection.execute(others).rowcount

    def began_by(self, token: str) -> SignedInBy | None:
        """Return how the session of `token` began; None if there is none."""
        query = select(tables.session).where(tables.session.c.token_hash == token_hash(token))
        with self._database.snapshot() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            return None
        return SignedInBy(
            method=SignInMethod(row["method"]), provider=row["provider"], device=row["device"], address=row["address"]
        )


def _has_another_way(connection: Connection, person: PersonId) -> bool:
    for table in (sign_in_tables.identity_link, sign_in_tables.passkey):
        if connection.scalar(select(table.c.id).where(table.c.account_id == person).limit(1)) is not None:
            return True
    return False
