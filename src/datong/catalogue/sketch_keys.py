"""How the nodes come to share a secret that the hub never sees, though every message goes through the hub.

Each node registers an X25519 key, signed by its registered Ed25519 key. The first node to ask makes the secret of a new
epoch and seals it (HPKE, RFC 9180) to every node; any node that has it seals it to nodes that come later. The hub keeps
and hands on envelopes that it cannot open, each signed by the node that sealed it. A commitment to the secret, in the
ledger before anything is sealed, lets every node see that it got the same one.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import IntegrityError

from datong.catalogue.sketch_key_values import (
    Envelope,
    ReceivedEnvelope,
    Recipient,
    SketchEpoch,
    SketchKeyWork,
    envelope_message,
    sealing_key_message,
)
from datong.catalogue.source_tables import sealing_key, sketch_envelope, sketch_epoch
from datong.catalogue.tables import department_key
from datong.kernel import (
    Actor,
    Clock,
    Conflict,
    Database,
    DepartmentCode,
    Invalid,
    JsonValue,
    NodeId,
    NotFound,
    Refused,
    Text,
    sha256_hex,
)
from datong.ledger import EntryKind, Ledger, verify_signature

RUNNING = "running"
X25519_KEY_BYTES = 32
ENVELOPES_MAX = 1000


class SketchKeys:
    """The hub's part: it registers keys, keeps epochs and hands envelopes on."""

    def __init__(self, *, database: Database, clock: Clock, ledger: Ledger) -> None:
        self._database, self._clock, self._ledger = database, clock, ledger

    def register(self, actor: Actor, public_key: bytes, signature: bytes) -> None:
        """Register the sealing key of the acting node; the same key again changes nothing.

        Raises:
            Invalid: it is no X25519 key. Corrupt: the node's registered key did not sign it. Refused: no node acts.
        """
        node_id, department = _node(actor)
        if len(public_key) != X25519_KEY_BYTES:
            raise Invalid(
                "catalogue.sealing_key_malformed",
                what=Text(zh="应为 32 字节的 X25519 公钥。", en="The key must be 32 bytes of X25519."),
                remedy=Text(zh="请由前置机重新生成。", en="Let the node make it again."),
                field="/public_key",
            )
        with self._database.transaction() as connection:
            signer = _signing_key(connection, node_id)
            verify_signature(signer["public_key"], sealing_key_message(node_id, public_key), signature)
            known = connection.execute(select(sealing_key).where(sealing_key.c.node_id == node_id)).mappings().first()
            if known is not None and known["public_key"] == public_key:
                return
            if known is not None:
                # What was sealed to the old key cannot be opened any more.
                connection.execute(sketch_envelope.delete().where(sketch_envelope.c.node_id == node_id))
                connection.execute(sealing_key.delete().where(sealing_key.c.node_id == node_id))
            connection.execute(
                sealing_key.insert().values(
                    node_id=node_id,
                    department=department,
                    public_key=public_key,
                    key_id=signer["key_id"],
                    signature=signature,
                    registered_at=self._clock.now(),
                )
            )
            self._record(
                connection,
                node_id,
                actor,
                {"action": "register_sealing_key", "node_id": node_id, "public_key": public_key.hex()},
            )

    def work(self, actor: Actor) -> SketchKeyWork:
        """Return what the acting node must do next."""
        node_id, _ = _node(actor)
        with self._database.snapshot() as connection:
            registered = (
                connection.execute(select(sealing_key.c.node_id).where(sealing_key.c.node_id == node_id)).first()
                is not None
            )
            epoch = running_epoch(connection)
            if epoch is None or not registered:
                return SketchKeyWork(
                    registered=registered,
                    epoch=epoch,
                    envelope=None,
                    waiting=_recipients(connection, None) if registered else (),
                )
            return SketchKeyWork(
                registered=True,
                epoch=epoch,
                envelope=_envelope(connection, epoch.id, node_id),
                waiting=_recipients(connection, epoch.id),
            )

    def open_epoch(self, actor: Actor, epoch: str, commitment: str, envelopes: Sequence[Envelope]) -> SketchEpoch:
        """Begin an epoch whose secret the acting node made, unless one is running: then return that one."""
        node_id, _ = _node(actor)
        try:
            with self._database.transaction() as connection:
                running = running_epoch(connection)
                if running is not None:
                    return running
                connection.execute(
                    sketch_epoch.insert().values(
                        id=epoch,
                        standing=RUNNING,
                        made_by=node_id,
                        commitment=commitment,
                        made_at=self._clock.now(),
                    )
                )
                self._record(
                    connection,
                    epoch,
                    actor,
                    {"action": "open_epoch", "epoch": epoch, "commitment": commitment, "node_id": node_id},
                )
                self._put(connection, actor, _running(connection), envelopes)
                return _running(connection)
        except IntegrityError as error:
            # Another node's epoch began between our look and our insert.
            with self._database.snapshot() as connection:
                found = running_epoch(connection)
            if found is None:
                raise _no_epoch() from error
            return found

    def hand_in(self, actor: Actor, epoch: str, envelopes: Sequence[Envelope]) -> None:
        """Keep envelopes of the running epoch for their addressees; whoever has one already keeps that.

        Raises:
            Conflict: another epoch is running. Corrupt: a signature does not verify.
        """
        with self._database.transaction() as connection:
            running = running_epoch(connection)
            if running is None or running.id != epoch:
                raise _no_epoch()
            self._put(connection, actor, running, envelopes)

    def end_epoch(self, actor: Actor, reason: str) -> SketchEpoch:
        """End the running epoch: the nodes make a new secret and take every sketch again.

        Raises:
            NotFound: none is running.
        """
        with self._database.transaction() as connection:
            running = running_epoch(connection)
            if running is None:
                raise NotFound(
                    "catalogue.no_sketch_epoch",
                    what=Text(zh="还没有正在使用的草图密钥。", en="No sketch key is in use yet."),
                    remedy=Text(zh="请等待前置机生成。", en="Wait until a node makes one."),
                )
            now = self._clock.now()
            connection.execute(
                update(sketch_epoch).where(sketch_epoch.c.id == running.id).values(standing=running.id, ended_at=now)
            )
            self._record(
                connection,
                running.id,
                actor,
                {"action": "end_epoch", "epoch": running.id, "reason_sha256": sha256_hex(reason.encode())},
            )
        return running.model_copy(update={"ended_at": now})

    def epochs(self) -> tuple[SketchEpoch, ...]:
        """Return every epoch, newest first."""
        with self._database.snapshot() as connection:
            rows = connection.execute(
                select(sketch_epoch).order_by(sketch_epoch.c.made_at.desc(), sketch_epoch.c.id.desc())
            ).mappings()
            return tuple(_epoch(dict(row)) for row in rows)

    def _put(self, connection: Connection, actor: Actor, epoch: SketchEpoch, envelopes: Sequence[Envelope]) -> None:
        node_id, _ = _node(actor)
        signer = _signing_key(connection, node_id)
        known = {recipient.node_id for recipient in _recipients(connection, epoch.id)}
        kept = [envelope for envelope in envelopes if envelope.node_id in known]
        if not kept:
            return
        for envelope in kept:
            message = envelope_message(epoch.id, epoch.commitment, envelope.node_id, envelope.sealed)
            verify_signature(signer["public_key"], message, envelope.signature)
            connection.execute(
                sketch_envelope.insert().values(
                    epoch=epoch.id,
                    node_id=envelope.node_id,
                    sealed=envelope.sealed,
                    sealed_by=node_id,
                    key_id=signer["key_id"],
                    signature=envelope.signature,
                    sealed_at=self._clock.now(),
                )
            )
        recipients = sorted(envelope.node_id for envelope in kept)
        self._record(
            connection,
            epoch.id,
            actor,
            {"action": "seal", "epoch": epoch.id, "node_id": node_id, "recipients": recipients},
        )

    def _record(self, connection: Connection, subject: str, actor: Actor, facts: dict[str, JsonValue]) -> None:
        self._ledger.append(connection, kind=EntryKind.SKETCH_KEY, subject=subject, actor=actor, facts=facts)


def running_epoch(connection: Connection) -> SketchEpoch | None:
    """Return the epoch whose sketches are compared now."""
    row = connection.execute(select(sketch_epoch).where(sketch_epoch.c.standing == RUNNING)).mappings().first()
    return None if row is None else _epoch(dict(row))


def _running(connection: Connection) -> SketchEpoch:
    found = running_epoch(connection)
    if found is None:
        raise _no_epoch()
    return found


def _epoch(row: dict[str, object]) -> SketchEpoch:
    return SketchEpoch.model_validate({key: value for key, value in row.items() if key != "standing"})


def _node(actor: Actor) -> tuple[NodeId, DepartmentCode]:
    if actor.department is None:
        raise Refused(
            "catalogue.not_a_node",
            what=Text(zh="只有部门前置机可以这样做。", en="Only a department's node may do this."),
            remedy=Text(zh="请由前置机办理。", en="Let the node do it."),
        )
    return NodeId(actor.id), actor.department


def _signing_key(connection: Connection, node_id: NodeId) -> dict[str, bytes]:
    row = (
        connection.execute(
            select(department_key)
            .where(department_key.c.node_id == node_id, department_key.c.revoked_at.is_(None))
            .order_by(department_key.c.registered_at.desc())
        )
        .mappings()
        .first()
    )
    if row is None:
        raise NotFound(
            "catalogue.node_key_missing",
            what=Text(zh="该前置机没有有效的签名密钥。", en="The node has no signing key in force."),
            remedy=Text(zh="请重新登记前置机。", en="Enrol the node again."),
        )
    return dict(row)


def _recipients(connection: Connection, epoch: str | None) -> tuple[Recipient, ...]:
    """The nodes in force that have no envelope of `epoch` yet."""
    statement = (
        select(
            sealing_key.c.node_id,
            sealing_key.c.department,
            sealing_key.c.public_key,
            sealing_key.c.signature,
            sealing_key.c.key_id,
            department_key.c.public_key.label("signing_key"),
        )
        .join(department_key, department_key.c.key_id == sealing_key.c.key_id)
        .where(department_key.c.revoked_at.is_(None))
        .order_by(sealing_key.c.node_id)
        .limit(ENVELOPES_MAX)
    )
    if epoch is not None:
        sealed = select(sketch_envelope.c.node_id).where(sketch_envelope.c.epoch == epoch)
        statement = statement.where(sealing_key.c.node_id.not_in(sealed))
    return tuple(Recipient.model_validate(dict(row)) for row in connection.execute(statement).mappings())


def _envelope(connection: Connection, epoch: str, node_id: NodeId) -> ReceivedEnvelope | None:
    row = (
        connection.execute(
            select(
                sketch_envelope.c.node_id,
                sketch_envelope.c.sealed,
                sketch_envelope.c.signature,
                sketch_envelope.c.sealed_by,
                department_key.c.public_key.label("signing_key"),
            )
            .join(department_key, department_key.c.key_id == sketch_envelope.c.key_id)
            .where(sketch_envelope.c.epoch == epoch, sketch_envelope.c.node_id == node_id)
        )
        .mappings()
        .first()
    )
    return None if row is None else ReceivedEnvelope.model_validate(dict(row))


def _no_epoch() -> Conflict:
    return Conflict(
        "catalogue.sketch_epoch_over",
        what=Text(zh="该草图密钥已不在使用。", en="That sketch key is no longer in use."),
        remedy=Text(zh="前置机会自动改用新的密钥。", en="The node takes the new key by itself."),
    )
