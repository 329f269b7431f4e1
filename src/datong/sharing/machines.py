"""Machines: applications of departments with secrets, and departments' nodes with keys."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from datong.catalogue import RotationProof
from datong.kernel import (
    Actor,
    ActorKind,
    Clock,
    Database,
    DepartmentCode,
    NodeId,
    NotFound,
    Text,
    Unauthenticated,
    Value,
    new_id,
    sha256_hex,
)
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.ledger import EntryKind, Ledger
from datong.sharing import tables
from datong.sharing.applications.keys import KeyKind, keys_in_force, use_key
from datong.sharing.credentials import invalid_field, new_token, require_name, token_hash
from datong.sharing.outages import note_return
from datong.sharing.ports import DepartmentBook
from datong.sharing.principals import Principal
from datong.sharing.tokens import AccessToken, AccessTokens, unrecognised

ENROLMENT_DAYS = 7
Caller = tuple[ActorKind, str, str]
"""A machine: what it is, its id, and the key by which it came, if it has several."""
STATUS_CHARS_MAX = 2000
ED25519_KEY_BYTES = 32
TOKENS_MAX = 10_000
"""Verified access tokens that a process recognises by their digests."""
_NOT_REVOKED = select(tables.application.c.id, tables.application.c.blocked_at).where(
    tables.application.c.id.in_(bindparam("of_ids", expanding=True)), tables.application.c.revoked_at.is_(None)
)


class Application(Value):
    """A program of a department that calls the gateway."""

    client_id: str
    name: str
    department: DepartmentCode
    created_at: datetime
    revoked_at: datetime | None = None
    blocked_at: datetime | None = None
    """Since when it waits for its review, or is suspended."""

    @property
    def in_force(self) -> bool:
        """Whether it may use anything now."""
        return self.revoked_at is None and self.blocked_at is None


class ApplicationSecret(Value):
    """A fresh application with its secret, which is shown once."""

    application: Application
    client_secret: str


class Node(Value):
    """A department's node."""

    id: NodeId
    name: str
    department: DepartmentCode
    key_id: str
    enrolled_at: datetime
    last_seen_at: datetime | None
    last_status: str


class Machines:
    """Applications, nodes, and the tokens they work with."""

    def __init__(
        self, *, database: Database, clock: Clock, ledger: Ledger, departments: DepartmentBook, tokens: AccessTokens
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._clock = clock
        self._departments = departments
        self._tokens = tokens
        self._verified: dict[bytes, tuple[Principal, datetime]] = {}

    def create_application(self, *, name: str, department: DepartmentCode, actor: Actor) -> ApplicationSecret:
        """Register a program of `department`; its secret is returned once.

        Raises:
            Invalid: the name is empty or too long.
            NotFound: the department is not registered.
        """
        require_name(name, "name")
        self._departments.get(department)
        secret = new_token()
        now = self._clock.now()
        application = Application(client_id=new_id(), name=name.strip(), department=department, created_at=now)
        with self._database.transaction() as connection:
            connection.execute(
                insert(tables.application).values(
                    id=application.client_id,
                    name=application.name,
                    department=department,
                    secret_hash=token_hash(secret),
                    created_by=actor.id,
                    created_at=now,
                )
            )
            self._record(connection, application, "create", actor)
        return ApplicationSecret(application=application, client_secret=secret)

    def applications(self, department: DepartmentCode | None = None) -> tuple[Application, ...]:
        """Return the applications of one department or of all, newest first."""
        query = select(tables.application).order_by(tables.application.c.created_at.desc()).limit(PAGE_ROWS_MAX)
        if department is not None:
            query = query.where(tables.application.c.department == department)
        with self._database.snapshot() as connection:
            return tuple(_application(row) for row in connection.execute(query).mappings())

    def application(self, client_id: str) -> Application:
        """Return an application, whether it is revoked or not.

        Raises:
            NotFound: there is none with that id.
        """
        with self._database.snapshot() as connection:
            query = select(tables.application).where(tables.application.c.id == client_id)
            row = connection.execute(query).mappings().first()
        if row is None:
            raise _not_found("application", Text(zh="应用", en="application"), client_id)
        return _application(row)

    def revoke_application(self, client_id: str, actor: Actor) -> Application:
        """Make an application's secret and tokens worthless at once.

        Raises:
            NotFound: there is no such application, or it is revoked.
        """
        revoked = self.application(client_id).model_copy(update={"revoked_at": self._clock.now()})
        with self._database.transaction() as connection:
            changed = connection.execute(
                update(tables.application)
                .where(tables.application.c.id == client_id, tables.application.c.revoked_at.is_(None))
                .values(revoked_at=revoked.revoked_at)
            ).rowcount
            if changed != 1:
                raise _not_found("application", Text(zh="应用", en="application"), client_id)
            self._record(connection, revoked, "revoke", actor)
        return revoked

    def token_for_application(self, client_id: str, client_secret: str) -> AccessToken:
        """Exchange a client id and secret for an access token (RFC 6749 §4.4).

        Raises:
            Unauthenticated: id or secret is wrong, or the application is revoked.
        """
        application, secret_hash = self._application_row(client_id)
        now = self._clock.now()
        if application is not None and secret_hash == token_hash(client_secret):
            return self._tokens.issue(_application_actor(application), now)
        with self._database.transaction() as connection:
            holder = use_key(connection, client_id, client_secret, now)
        if holder is None:
            raise unrecognised("client")
        kind = ActorKind.APPLICATION if holder.kind is KeyKind.LIVE else ActorKind.SANDBOX
        actor = Actor(kind=kind, id=client_id, department=holder.department, name=holder.name)
        return self._tokens.issue(actor, now, key_id=holder.key_id)

    def create_enrolment(self, *, department: DepartmentCode, actor: Actor) -> str:
        """Return a token with which one node of `department` can register its key, once, within a week.

        Raises:
            NotFound: the department is not registered.
        """
        self._departments.get(department)
        token = new_token()
        now = self._clock.now()
        with self._database.transaction() as connection:
            connection.execute(
                insert(tables.enrolment).values(
                    token_hash=token_hash(token),
                    department=department,
                    created_by=actor.id,
                    created_at=now,
                    expires_at=now + timedelta(days=ENROLMENT_DAYS),
                )
            )
        return token

    def redeem_enrolment(self, *, token: str, public_key: bytes, name: str) -> Node:
        """Register a node and its key; the same token with the same key gives the same node again.

        Raises:
            Unauthenticated: the token is unknown, expired, or was used with another key.
            Invalid: the key is not 32 bytes of Ed25519, or the name is empty.
        """
        require_name(name, "name")
        _require_key(public_key)
        now = self._clock.now()
        with self._database.transaction() as connection:
            table = tables.enrolment
            connection.execute(
                update(table)
                .where(table.c.token_hash == token_hash(token), table.c.node_id.is_(None), table.c.expires_at > now)
                .values(node_id=new_id(), public_key=public_key)
            )
            row = connection.execute(select(table).where(table.c.token_hash == token_hash(token))).mappings().first()
            if row is None or row["node_id"] is None or bytes(row["public_key"]) != public_key:
                raise _enrolment_refused()
            known = connection.execute(select(tables.node).where(tables.node.c.id == row["node_id"])).mappings().first()
            if known is None:
                connection.execute(
                    insert(tables.node).values(
                        id=row["node_id"],
                        name=name.strip(),
                        department=row["department"],
                        key_id=sha256_hex(public_key)[:16],
                        enrolled_at=now,
                        last_status="",
                    )
                )
        node_id, department = NodeId(row["node_id"]), DepartmentCode(row["department"])
        # The key is registered in the catalogue's own transaction; a crash in between is healed by redeeming again.
        if all(key.public_key != public_key for key in self._departments.keys(department)):
            actor = Actor(kind=ActorKind.NODE, id=node_id, department=department, name=name.strip())
            self._departments.register_key(department, public_key, node_id, actor)
        return self.node(node_id)

    def replace_node_key(self, node_id: NodeId, public_key: bytes, proof: RotationProof, actor: Actor) -> Node:
        """Have a node sign with another key from now on; the same again changes nothing, a crash in between is healed
        by it.

        Raises:
            NotFound, Refused, Corrupt, Invalid, Conflict: see `catalogue.Departments.replace_key`.
        """
        node, new_id_of_key = self.node(node_id), sha256_hex(public_key)[:16]
        if node.key_id == new_id_of_key:
            return node
        self._departments.replace_key(node.key_id, public_key, proof, actor)
        with self._database.transaction() as connection:
            connection.execute(update(tables.node).where(tables.node.c.id == node_id).values(key_id=new_id_of_key))
        return self.node(node_id)

    def node(self, node_id: NodeId) -> Node:
        """Return a node.

        Raises:
            NotFound: there is none with that id.
        """
        with self._database.snapshot() as connection:
            row = connection.execute(select(tables.node).where(tables.node.c.id == node_id)).mappings().first()
        if row is None:
            raise _not_found("node", Text(zh="节点", en="node"), node_id)
        return _node(row)

    def nodes(self, department: DepartmentCode | None = None) -> tuple[Node, ...]:
        """Return the nodes of one department or of all, in the order in which they enrolled."""
        query = select(tables.node).order_by(tables.node.c.enrolled_at, tables.node.c.id)
        if department is not None:
            query = query.where(tables.node.c.department == department)
        with self._database.snapshot() as connection:
            return tuple(_node(row) for row in connection.execute(query).mappings())

    def heartbeat(self, node_id: NodeId, status: str = "", *, running_seconds: int = 0, unanswered: int = 0) -> None:
        """Record that a node is alive, and what it says of itself; after a long silence that is evidence of an outage.

        `unanswered` is how often it called in vain before.
        """
        with self._database.transaction() as connection:
            note_return(
                connection,
                self._ledger,
                node_id,
                clock=self._clock,
                running_seconds=running_seconds,
                unanswered=unanswered,
            )
            connection.execute(
                update(tables.node)
                .where(tables.node.c.id == node_id)
                .values(last_seen_at=self._clock.now(), last_status=status[:STATUS_CHARS_MAX])
            )

    def token_for_assertion(self, assertion: str) -> AccessToken:
        """Exchange a node's `private_key_jwt` assertion for an access token (RFC 7523 §2.2).

        Raises:
            Unauthenticated: the assertion does not verify, or was used before.
        """
        now = self._clock.now()
        verified = self._tokens.verify_assertion(assertion, self._node_key, now)
        with self._database.transaction() as connection:
            connection.execute(delete(tables.assertion).where(tables.assertion.c.expires_at < now - timedelta(hours=1)))
            try:
                connection.execute(
                    insert(tables.assertion).values(
                        jti_hash=sha256_hex(f"{verified.node_id}\n{verified.jti}".encode()),
                        expires_at=datetime.fromtimestamp(verified.expires_at_seconds, tz=UTC),
                    )
                )
            except IntegrityError as error:
                raise unrecognised("jti") from error
        node = self.node(NodeId(verified.node_id))
        return self._tokens.issue(_node_actor(node), now)

    def verify_token(self, token: str) -> Principal:
        """Return the machine that holds an access token.

        Raises:
            Unauthenticated: the token does not verify, or its application, its application's key or its node's key
                was revoked since.
        """
        principal = self.read_token(token)
        self.require_in_force(principal)
        return principal

    def require_in_force(self, principal: Principal) -> None:
        """Let an application or a node pass that was not revoked.

        Raises:
            Unauthenticated: it was.
        """
        caller = caller_of(principal)
        if not self.callers_in_force([caller])[caller]:
            raise unrecognised("revoked")

    def read_token(self, token: str) -> Principal:
        """Return the machine that an access token names; whether it was revoked since, `callers_in_force` says.

        Nothing is read. A token that was verified once is recognised by its digest until it expires.

        Raises:
            Unauthenticated: the token does not verify.
        """
        now, digest = self._clock.now(), hashlib.sha256(token.encode()).digest()
        known = self._verified.get(digest)
        if known is not None and now < known[1]:
            return known[0]
        verified = self._tokens.verify(token, now)
        if len(self._verified) >= TOKENS_MAX:
            self._verified.clear()
        principal = Principal(actor=verified.actor, key_id=verified.key_id)
        self._verified[digest] = (principal, verified.expires_at)
        return principal

    def callers_in_force(self, callers: Sequence[Caller]) -> dict[Caller, bool]:
        """Return of each application whether neither it nor the key by which it came is revoked, of each node whether
        its key is not."""
        applications = [name for kind, name, _ in callers if kind is not ActorKind.NODE]
        keys = {key_id for _, _, key_id in callers if key_id}
        there: set[tuple[ActorKind, str]] = set()
        working: frozenset[str] = frozenset()
        if applications:
            with self._database.reading() as connection:
                for row in connection.execute(_NOT_REVOKED, {"of_ids": applications}):
                    there.add((ActorKind.SANDBOX, row.id))
                    if row.blocked_at is None:
                        there.add((ActorKind.APPLICATION, row.id))
                if keys:
                    working = keys_in_force(connection, sorted(keys), self._clock.now())
        return {
            (kind, name, key_id): self._node_key(self._key_id_of(name)) is not None
            if kind is ActorKind.NODE
            else (kind, name) in there and (not key_id or key_id in working)
            for kind, name, key_id in callers
        }

    def _record(self, connection: Connection, application: Application, step: str, actor: Actor) -> None:
        self._ledger.append(
            connection,
            kind=EntryKind.APPLICATION,
            subject=application.client_id,
            actor=actor,
            facts={"step": step, "application_id": application.client_id, "department": application.department},
        )

    def _application_row(self, client_id: str) -> tuple[Application | None, str]:
        with self._database.snapshot() as connection:
            row = (
                connection.execute(
                    select(tables.application).where(
                        tables.application.c.id == client_id,
                        tables.application.c.revoked_at.is_(None),
                        tables.application.c.blocked_at.is_(None),
                    )
                )
                .mappings()
                .first()
            )
        return (None, "") if row is None else (_application(row), row["secret_hash"])

    def _key_id_of(self, node_id: str) -> str:
        with self._database.snapshot() as connection:
            key_id = connection.execute(select(tables.node.c.key_id).where(tables.node.c.id == node_id)).scalar()
        return key_id or ""

    def _node_key(self, key_id: str) -> tuple[str, bytes] | None:
        try:
            key = self._departments.key(key_id)
        except NotFound:
            return None
        if key.revoked_at is not None or key.node_id is None:
            return None
        return key.node_id, key.public_key


def caller_of(principal: Principal) -> Caller:
    """Return a machine as `callers_in_force` wants it."""
    return principal.actor.kind, principal.actor.id, principal.key_id


def _application(row: tables.Row) -> Application:
    return Application(
        client_id=row["id"],
        name=row["name"],
        department=row["department"],
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
        blocked_at=row["blocked_at"],
    )


def _node(row: tables.Row) -> Node:
    return Node(
        id=row["id"],
        name=row["name"],
        department=row["department"],
        key_id=row["key_id"],
        enrolled_at=row["enrolled_at"],
        last_seen_at=row["last_seen_at"],
        last_status=row["last_status"],
    )


def _application_actor(application: Application) -> Actor:
    return Actor(
        kind=ActorKind.APPLICATION,
        id=application.client_id,
        department=application.department,
        name=application.name,
    )


def _node_actor(node: Node) -> Actor:
    return Actor(kind=ActorKind.NODE, id=node.id, department=node.department, name=node.name)


def _require_key(public_key: bytes) -> None:
    if len(public_key) != ED25519_KEY_BYTES:
        raise invalid_field(
            "public_key", Text(zh="公钥须为 32 字节的 Ed25519 公钥。", en="The key must be 32 bytes of Ed25519.")
        )


def _enrolment_refused() -> Unauthenticated:
    return Unauthenticated(
        "sharing.enrolment_refused",
        what=Text(
            zh="接入令牌无效、已过期，或已被另一把密钥使用。",
            en="The enrolment token is unknown, expired, or was used with another key.",
        ),
        remedy=Text(zh="请向本部门数据管理员索取新的接入令牌。", en="Ask your data officer for a new one."),
    )


def _not_found(kind: str, noun: Text, key: str) -> NotFound:
    return NotFound(
        f"sharing.{kind}_unknown",
        what=Text(zh=f"没有这个{noun.zh}：{key}。", en=f"There is no such {noun.en}: {key}."),
        remedy=Text(zh="请核对编号。", en="Check the id."),
    )
