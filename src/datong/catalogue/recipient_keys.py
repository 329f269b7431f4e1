"""Recipient keys: the X25519 keys of departments' nodes to which payloads are sealed.

Each is signed by the node's registered signing key, so that who seals need not believe the hub that handed it on. A
node may have several in force: it adds a new one, and revokes the old one once nothing sealed to it is on its way.
"""

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from sqlalchemy import ColumnElement, Connection, Select, select, update

from datong.catalogue.recipient_proof import forged, recipient_key_message
from datong.catalogue.tables import department_key, recipient_key
from datong.catalogue.values import RecipientKey
from datong.kernel import (
    Actor,
    Clock,
    Conflict,
    Corrupt,
    Database,
    DepartmentCode,
    Invalid,
    NodeId,
    NotFound,
    Refused,
    Text,
    sha256_hex,
)
from datong.ledger import EntryKind, Ledger, key_id_of, verify_signature

KEY_BYTES = 32
KEYS_IN_FORCE_MAX = 8
"""Recipient keys of one node in force at once."""


class RecipientKeys:
    """The hub's register of recipient keys; every key and every revocation is evidenced in the ledger."""

    def __init__(self, *, database: Database, clock: Clock, ledger: Ledger) -> None:
        self._database, self._clock, self._ledger = database, clock, ledger

    def register(self, actor: Actor, public_key: bytes, signature: bytes) -> RecipientKey:
        """Register a key of the acting node; the same key again returns the same record.

        Raises:
            Invalid: it is no X25519 key. Corrupt: the node's signing key did not sign it. Refused: no node acts.
            Conflict: `catalogue.recipient_key_taken`, `catalogue.recipient_keys_too_many`.
        """
        _check_point(public_key)
        if actor.department is None:
            raise Refused(
                "catalogue.not_a_node",
                what=Text(zh="只有部门前置机可以这样做。", en="Only a department's node may do this."),
                remedy=Text(zh="请由前置机办理。", en="Let the node do it."),
            )
        node_id, key_id = NodeId(actor.id), key_id_of(public_key)
        with self._database.transaction() as connection:
            signer_id = self._signer_of(connection, actor, public_key, signature)
            known = _keys(connection, recipient_key.c.key_id == key_id)
            if known:
                if known[0].node_id != node_id or known[0].revoked_at is not None:
                    raise Conflict(
                        "catalogue.recipient_key_taken",
                        what=Text(
                            zh="该收件密钥已属于别的前置机或已被撤销。",
                            en="The recipient key belongs to another node, or is revoked.",
                        ),
                        remedy=Text(zh="请让前置机生成新的密钥。", en="Let the node make a new key."),
                    )
                return known[0]
            in_force = _keys(connection, recipient_key.c.node_id == node_id, recipient_key.c.revoked_at.is_(None))
            if len(in_force) >= KEYS_IN_FORCE_MAX:
                raise Conflict(
                    "catalogue.recipient_keys_too_many",
                    what=Text(
                        zh=f"前置机已有 {len(in_force)} 个有效的收件密钥。",
                        en=f"The node has {len(in_force)} recipient keys in force.",
                    ),
                    remedy=Text(zh="请先撤销不再使用的密钥。", en="Revoke those that are no longer used first."),
                )
            connection.execute(
                recipient_key.insert().values(
                    key_id=key_id,
                    department=actor.department,
                    node_id=node_id,
                    public_key=public_key,
                    signed_by=signer_id,
                    signature=signature,
                    registered_at=self._clock.now(),
                )
            )
            self._ledger.append(
                connection,
                kind=EntryKind.DEPARTMENT_KEY,
                subject=key_id,
                actor=actor,
                facts={
                    "action": "register_recipient_key",
                    "department": actor.department,
                    "public_key": public_key.hex(),
                    "node_id": node_id,
                    "key_id": signer_id,
                },
            )
            return _keys(connection, recipient_key.c.key_id == key_id)[0]

    def revoke(self, key_id: str, actor: Actor, reason: str) -> RecipientKey:
        """Revoke a key from now on: nothing more is sealed to it, and what is sealed to it is no longer accepted.

        Raises:
            NotFound: `catalogue.recipient_key_unknown`.
        """
        with self._database.transaction() as connection:
            found = self._found(connection, key_id)
            if found.revoked_at is not None:
                return found
            now = self._clock.now()
            connection.execute(update(recipient_key).where(recipient_key.c.key_id == key_id).values(revoked_at=now))
            self._ledger.append(
                connection,
                kind=EntryKind.DEPARTMENT_KEY,
                subject=key_id,
                actor=actor,
                facts={
                    "action": "revoke_recipient_key",
                    "department": found.department,
                    "node_id": found.node_id,
                    "reason_sha256": sha256_hex(reason.encode()),
                },
            )
        return found.model_copy(update={"revoked_at": now})

    def of_department(self, code: DepartmentCode) -> tuple[RecipientKey, ...]:
        """Return a department's recipient keys, revoked ones included, oldest first."""
        with self._database.snapshot() as connection:
            return _keys(connection, recipient_key.c.department == code)

    def all(self) -> tuple[RecipientKey, ...]:
        """Return every department's recipient keys, revoked ones included, oldest first."""
        with self._database.snapshot() as connection:
            return _keys(connection)

    def in_force(self, department: DepartmentCode, node_id: NodeId) -> tuple[RecipientKey, ...]:
        """Return the keys to which may be sealed what `node_id` of `department` shall open, oldest first."""
        with self._database.snapshot() as connection:
            return _keys(
                connection,
                recipient_key.c.department == department,
                recipient_key.c.node_id == node_id,
                recipient_key.c.revoked_at.is_(None),
                department_key.c.revoked_at.is_(None),
            )

    def key(self, key_id: str) -> RecipientKey:
        """Return the key `key_id`.

        Raises:
            NotFound: `catalogue.recipient_key_unknown`.
        """
        with self._database.snapshot() as connection:
            return self._found(connection, key_id)

    def _found(self, connection: Connection, key_id: str) -> RecipientKey:
        found = _keys(connection, recipient_key.c.key_id == key_id)
        if not found:
            raise NotFound(
                "catalogue.recipient_key_unknown",
                what=Text(zh=f"没有收件密钥 {key_id}。", en=f"There is no recipient key {key_id}."),
                remedy=Text(zh="请核对密钥编号。", en="Check the key's id."),
            )
        return found[0]

    def _signer_of(self, connection: Connection, actor: Actor, public_key: bytes, signature: bytes) -> str:
        """Return the id of the node's signing key in force that signed `public_key`."""
        rows = connection.execute(
            select(department_key.c.key_id, department_key.c.public_key).where(
                department_key.c.node_id == actor.id, department_key.c.revoked_at.is_(None)
            )
        ).all()
        message = recipient_key_message(actor.department or "", actor.id, public_key)
        for row in rows:
            try:
                verify_signature(row.public_key, message, signature)
            except Corrupt:
                continue
            return str(row.key_id)
        raise forged(key_id_of(public_key))


def _keys(connection: Connection, *where: ColumnElement[bool]) -> tuple[RecipientKey, ...]:
    columns = [column for column in recipient_key.c if column.name != "signed_by"]
    query: Select[tuple[object, ...]] = (
        select(*columns, department_key.c.public_key.label("signing_key"))
        .join(department_key, department_key.c.key_id == recipient_key.c.signed_by)
        .where(*where)
        .order_by(recipient_key.c.registered_at, recipient_key.c.key_id)
    )
    return tuple(RecipientKey.model_validate(dict(row)) for row in connection.execute(query).mappings())


def _check_point(public_key: bytes) -> None:
    """Check that a key is one that a secret can be agreed upon with (RFC 7748 §6.1: no point of small order)."""
    try:
        X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(public_key))
    except ValueError as error:
        raise Invalid(
            "catalogue.recipient_key_malformed",
            what=Text(zh="应为 32 字节的 X25519 公钥。", en="The key must be 32 bytes of X25519."),
            remedy=Text(zh="请让前置机重新生成。", en="Let the node make it again."),
            field="/public_key",
        ) from error
