"""Passkeys of accounts: added by their owners under a name, used alone or after another way, removed; on record."""

from collections.abc import Sequence
from datetime import datetime
from importlib import import_module
from ipaddress import ip_address
from typing import Any, Literal
from urllib.parse import urlsplit

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
    Refused,
    Text,
    Value,
    new_id,
    sha256_hex,
)
from datong.ledger import Ledger
from datong.sharing import sign_in_tables, tables
from datong.sharing.accounts import Account, Session, account_from, record_account
from datong.sharing.credentials import invalid_field
from datong.sharing.passkeys.ceremonies import (
    KnownKey,
    NewKey,
    Party,
    assertion_options,
    named_credential,
    passkey_refused,
    registration_options,
)
from datong.sharing.people import People
from datong.sharing.principals import Role
from datong.sharing.sign_in_attempts import Attempt, attempt_over, opened_attempt, sealed_attempt
from datong.sharing.sign_in_evidence import passkey_digest
from datong.sharing.sign_in_methods import WITH_PASSKEY, SignedInBy, SignInMethod, rules_of, sufficient

KEYS_MAX = 10
NAME_CHARS_MAX = 60
APPROVING = frozenset({Role.AUTHORITY, Role.DATA_OFFICER, Role.DEPARTMENT_HEAD})
"""Whoever approves must be seen by their authenticator (PIN, finger, face), not only be in possession of it."""
ALONE, ADD, SECOND = "passkey/alone", "passkey/add", "passkey/second"
Use = Literal["off", "second", "alone"]


class Passkey(Value):
    """A passkey as its owner sees it."""

    id: str
    name: str
    verifies: bool
    added_at: datetime
    used_at: datetime | None


class Ceremony(Value):
    """What a browser is asked to do, and what it must keep until it answers; `adds`: a key is made."""

    options: dict[str, JsonValue]
    cookie: str
    adds: bool = False
    next_page: str = ""


class Passkeys:
    """The passkeys of a hub at `base_url`, which `use` allows after another way only, alone too, or not at all."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        ledger: Ledger,
        people: People,
        secret: bytes,
        base_url: str,
        use: Use,
    ) -> None:
        self._database, self._clock, self._ledger = database, clock, ledger
        self._people, self._secret, self._use = people, secret, use
        self._party = Party(host=urlsplit(base_url).hostname or "", origin=base_url)

    @property
    def available(self) -> bool:
        """Whether passkeys can be used: browsers bind them to a name, never to a numeric address."""
        return self._use != "off" and not _is_numeric(self._party.host)

    @property
    def alone(self) -> bool:
        """Whether somebody may sign in by a passkey and nothing else."""
        return self.available and self._use == "alone"

    def of(self, person: str) -> tuple[Passkey, ...]:
        """Return a person's passkeys, oldest first."""
        with self._database.snapshot() as connection:
            return tuple(_passkey(row) for row in _rows(connection, person))

    def begin_adding(self, person: PersonId) -> Ceremony:
        """Ask for a new key of somebody who is signed in.

        Raises:
            Refused: passkeys are off here. Conflict: they have as many as may be.
        """
        self._require_available()
        return self._asked_to_add(Attempt.begin(ADD, self._clock.now(), person=person))

    def add(self, person: PersonId, cookie: str | None, said: str, name: str, *, actor: Actor) -> Passkey:
        """Take the key that a browser made for somebody who is signed in.

        Raises:
            Unauthenticated: it proves nothing, or the attempt is over. Invalid: the name will not do.
            Conflict: the key is known, or they have as many as may be. Refused: passkeys are off here.
        """
        self._require_available()
        attempt = opened_attempt(cookie, self._secret, self._clock.now(), way=ADD)
        if attempt.person != person:
            raise attempt_over()
        return self._add(attempt, said, name, actor)

    def remove(self, person: str, passkey_id: str, *, actor: Actor) -> None:
        """Remove a key and end the sessions that began by a passkey.

        Raises:
            NotFound: the person has no such key.
        """
        table, session = sign_in_tables.passkey, tables.session
        with self._database.transaction() as connection:
            here = (table.c.id == passkey_id, table.c.account_id == person)
            if not connection.execute(delete(table).where(*here)).rowcount:
                raise _unknown()
            ways = [one.value for one in SignInMethod if one in WITH_PASSKEY.values() or one is SignInMethod.PASSKEY]
            connection.execute(delete(session).where(session.c.account_id == person, session.c.method.in_(ways)))
            facts = {"passkey_id": passkey_id}
            record_account(self._ledger, connection, _account(connection, person), "passkey_remove", actor, facts)

    def rename(self, person: str, passkey_id: str, name: str, *, actor: Actor) -> Passkey:
        """Give a key another name; the name itself stays out of the log, a digest of both is in it.

        Raises:
            NotFound: the person has no such key. Invalid: the name will not do.
        """
        table, chosen = sign_in_tables.passkey, _checked_name(name)
        with self._database.transaction() as connection:
            here = (table.c.id == passkey_id, table.c.account_id == person)
            if not connection.execute(update(table).where(*here).values(name=chosen)).rowcount:
                raise _unknown()
            row = connection.execute(select(table).where(*here)).mappings().one()
            facts = {"passkey_id": passkey_id, "passkey_sha256": passkey_digest(row)}
            record_account(self._ledger, connection, _account(connection, person), "passkey_rename", actor, facts)
        return _passkey(row)

    def begin_alone(self, next_page: str = "") -> Ceremony:
        """Ask for any key that its owner signs in with and nothing else.

        Raises:
            Refused: that is not allowed here.
        """
        if not self.alone:
            raise _off()
        attempt = Attempt.begin(ALONE, self._clock.now(), next_page=next_page)
        challenge = attempt.derived(self._secret, "challenge")
        options = assertion_options(self._party, challenge, known=(), verify=True)
        return Ceremony(options=options, cookie=attempt.sealed(self._secret), next_page=next_page)

    def second_step(self, person: PersonId, by: SignedInBy, next_page: str) -> str | None:
        """Return what a browser keeps for the second step of somebody whom another way recognised.

        None: no passkey would make it suffice.
        """
        together = WITH_PASSKEY.get(by.method)
        account = self._people.account(person)
        with self._database.snapshot() as connection:
            enough = sufficient(account.roles, {rule.role: rule.methods for rule in rules_of(connection)})
        if not self.available or together is None or together not in enough or account.disabled:
            return None
        way = f"{SECOND}/{by.method.value}/{by.provider}"
        return Attempt.begin(way, self._clock.now(), person=person, next_page=next_page).sealed(self._secret)

    def begin_second(self, cookie: str | None) -> Ceremony:
        """Ask for a key of who is half in; of who has none, to make one.

        Raises:
            Unauthenticated: nobody is.
        """
        attempt = sealed_attempt(cookie, self._secret, self._clock.now())
        _first_way(attempt)
        with self._database.snapshot() as connection:
            account, known = _account(connection, attempt.person), _known(_rows(connection, attempt.person))
        if not known:
            return self._asked_to_add(attempt)
        challenge = attempt.derived(self._secret, "challenge")
        options = assertion_options(self._party, challenge, known=known, verify=must_verify(account.roles))
        return Ceremony(options=options, cookie=attempt.sealed(self._secret), next_page=attempt.next_page)

    def sign_in(
        self, cookie: str | None, said: str, *, device: str, address: str, name: str = ""
    ) -> tuple[Session, str]:
        """Take a browser's answer, alone or as the second step; return the session and the page to go on to.

        Raises:
            Unauthenticated: it proves nothing, or the attempt is over. Refused: a role asks for another way.
            Invalid, Conflict: see `add`, where a first key is made.
        """
        self._require_available()
        attempt = sealed_attempt(cookie, self._secret, self._clock.now())
        if attempt.way == ALONE and not self.alone:
            raise _off()
        by = SignedInBy(method=SignInMethod.PASSKEY) if attempt.way == ALONE else _first_way(attempt)
        person = attempt.person
        if person and not self.of(person):
            account = self._people.account(PersonId(person))
            self._add(attempt, said, name, account.principal.actor)
        else:
            person = self._proven(attempt, said)
        by = by.model_copy(update={"device": device, "address": address})
        return self._people.open_session(PersonId(person), by), attempt.next_page

    def _proven(self, attempt: Attempt, said: str) -> str:
        """Return whose key answers an attempt; its counter and its last use are noted."""
        table, digest = sign_in_tables.passkey, sha256_hex(named_credential(said).encode())
        with self._database.transaction() as connection:
            attempt.use(connection, self._secret)
        with self._database.transaction() as connection:
            query = select(table).where(table.c.credential_hash == digest).with_for_update()
            row = connection.execute(query).mappings().first()
            if row is None or attempt.person not in ("", row["account_id"]):
                raise passkey_refused("unknown")
            roles = _account(connection, row["account_id"]).roles
            [key] = _known([row])
            challenge = attempt.derived(self._secret, "challenge")
            verify = attempt.way == ALONE or must_verify(roles)
            count: int = _verifying().proven_count(said, key, self._party, challenge, verify=verify)
            values = {"sign_count": count, "used_at": self._clock.now()}
            connection.execute(update(table).where(table.c.id == row["id"]).values(values))
            return str(row["account_id"])

    def _asked_to_add(self, attempt: Attempt) -> Ceremony:
        with self._database.snapshot() as connection:
            account, known = _account(connection, attempt.person), _known(_rows(connection, attempt.person))
        if len(known) >= KEYS_MAX:
            raise _too_many()
        options = registration_options(
            self._party,
            attempt.derived(self._secret, "challenge"),
            person=account.id,
            username=account.username,
            name=account.name,
            known=known,
            verify=must_verify(account.roles),
        )
        return Ceremony(options=options, cookie=attempt.sealed(self._secret), adds=True, next_page=attempt.next_page)

    def _add(self, attempt: Attempt, said: str, name: str, actor: Actor) -> Passkey:
        chosen = _checked_name(name)
        with self._database.transaction() as connection:
            attempt.use(connection, self._secret)
        table, now = sign_in_tables.passkey, self._clock.now()
        with self._database.transaction() as connection:
            # Locked, so that two additions at once are counted one after the other.
            here = tables.account.c.id == attempt.person
            connection.execute(select(tables.account.c.id).where(here).with_for_update())
            account = _account(connection, attempt.person)
            challenge = attempt.derived(self._secret, "challenge")
            key: NewKey = _verifying().made_key(said, self._party, challenge, verify=must_verify(account.roles))
            if len(_rows(connection, attempt.person)) >= KEYS_MAX:
                raise _too_many()
            row = key.model_dump(exclude={"transports"}) | {
                "id": new_id(),
                "account_id": attempt.person,
                "credential_hash": sha256_hex(key.credential_id.encode()),
                "transports": list(key.transports),
                "name": chosen,
                "added_at": now,
                "used_at": None,
            }
            try:
                with connection.begin_nested():
                    connection.execute(insert(table).values(row))
            except IntegrityError as error:
                raise Conflict(
                    "sharing.passkey_known",
                    what=Text(zh="这个通行密钥已经登记过。", en="This passkey is known already."),
                    remedy=Text(zh="请换一个。", en="Use another one."),
                ) from error
            facts = {"passkey_id": row["id"], "verifies": key.verifies, "passkey_sha256": passkey_digest(row)}
            record_account(self._ledger, connection, account, "passkey_add", actor, facts)
        return _passkey(row)

    def _require_available(self) -> None:
        if not self.available:
            raise _off()


def must_verify(roles: frozenset[Role]) -> bool:
    """Whether an authenticator must see who it is that holds these roles."""
    return not roles.isdisjoint(APPROVING)


def _verifying() -> Any:
    """Return the module that checks what browsers answer."""
    return import_module("datong.sharing.passkeys.verifying")


def _first_way(attempt: Attempt) -> SignedInBy:
    """Return how somebody who is half in was recognised, as a session says it once both ways are through.

    Raises:
        Unauthenticated: nobody is half in.
    """
    head, _, rest = attempt.way.removeprefix(SECOND).partition("/")
    method, _, provider = rest.partition("/")
    if head or not attempt.way.startswith(SECOND) or method not in WITH_PASSKEY or not attempt.person:
        raise attempt_over()
    return SignedInBy(method=WITH_PASSKEY[SignInMethod(method)], provider=provider)


def _rows(connection: Connection, person: str) -> Sequence[tables.Row]:
    table = sign_in_tables.passkey
    query = select(table).where(table.c.account_id == person).order_by(table.c.added_at, table.c.id)
    return connection.execute(query).mappings().all()


def _account(connection: Connection, person: str) -> Account:
    query = select(tables.account).where(tables.account.c.id == person)
    return account_from(connection.execute(query).mappings().one())


def _known(rows: Sequence[tables.Row]) -> tuple[KnownKey, ...]:
    return tuple(
        KnownKey(
            credential_id=row["credential_id"],
            public_key=row["public_key"],
            sign_count=row["sign_count"],
            transports=tuple(row["transports"]),
        )
        for row in rows
    )


def _passkey(row: tables.Row) -> Passkey:
    return Passkey(**{name: row[name] for name in Passkey.model_fields})


def _is_numeric(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return not host
    return True


def _checked_name(name: str) -> str:
    """Return a key's name without spaces around it.

    Raises:
        Invalid: it is empty or too long.
    """
    if not 0 < len(name.strip()) <= NAME_CHARS_MAX:
        raise invalid_field(
            "name",
            Text(zh=f"名称须为 1 到 {NAME_CHARS_MAX} 个字符。", en=f"A name has 1 to {NAME_CHARS_MAX} characters."),
        )
    return name.strip()


def _unknown() -> NotFound:
    return NotFound(
        "sharing.passkey_unknown",
        what=Text(zh="没有这个通行密钥，或已移除。", en="There is no such passkey, or it was removed."),
        remedy=Text(zh="请刷新页面。", en="Reload the page."),
    )


def _too_many() -> Conflict:
    return Conflict(
        "sharing.passkeys_many",
        what=Text(zh=f"一个账号至多 {KEYS_MAX} 个通行密钥。", en=f"An account has {KEYS_MAX} passkeys at most."),
        remedy=Text(zh="请先移除不用的。", en="Remove one that is not used first."),
    )


def _off() -> Refused:
    return Refused(
        "sharing.passkeys_off",
        what=Text(zh="本平台没有启用这种通行密钥登录。", en="Passkeys are not used in this way here."),
        remedy=Text(zh="请用其他方式登录。", en="Sign in another way."),
    )
