"""Both directions of a link: what a peer is to be told, and what is done with what it tells. The same at either end."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from datong.catalogue import (
    ChangedResource,
    Departments,
    ForeignEntries,
    ForeignEntry,
    Resource,
    changed_resources,
    published_among,
)
from datong.federation.links import (
    BATCH_MAX,
    CascadeBatch,
    CascadeEntry,
    Peer,
    PeerId,
    PeerSettings,
    PeerSide,
    PeerState,
    SignedBatch,
    Standing,
    entry_of,
    is_shown,
    origin_of,
    require_next,
    root_of,
)
from datong.federation.peers import Peers, peer_from, peer_not_found
from datong.federation.tables import incoming, outgoing
from datong.federation.tables import peer as peers
from datong.kernel import (
    PLATFORM_ACTOR,
    Actor,
    Clock,
    Conflict,
    Corrupt,
    Database,
    JsonValue,
    NotFound,
    Refused,
    ResourceId,
    Text,
    sha256_hex,
)
from datong.ledger import LogKeys, Signer, key_id_of

LOOK_MAX = 500
BATCH_BYTES_MAX = 4 * 1024 * 1024
"""Half of what a hub takes as the body of a request."""
OVERLAP = timedelta(minutes=10)
"""A change is looked for this long after its own time: its transaction may have committed later."""
SHOWN, SHADOWED, OWN, WITHDRAWN = "shown", "shadowed", "own", "withdrawn"
_GONE = Text(zh="来源平台已撤回", en="withdrawn by its hub")


class Cascade:
    """What goes over links. `hub` is this hub's name in paths and signatures: the origin of its log."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        departments: Departments,
        foreign: ForeignEntries,
        peers: Peers,
        signer: Signer,
        hub: str,
    ) -> None:
        self._database, self._clock = database, clock
        self._departments, self._foreign, self._peers = departments, foreign, peers
        self._signer, self.hub = signer, hub

    def look(self, peer_id: PeerId) -> None:
        """Number what changed for a peer since the last look; cheap when nothing did."""
        with self._database.snapshot() as connection:
            row = _row(connection, peer_id)
        started, since, settings = self._clock.now(), row["looked_at"], row["settings"]
        after: ChangedResource | None = None
        while True:
            with self._database.transaction() as connection:
                row = _row(connection, peer_id, lock=True)
                changed = changed_resources(
                    connection, since=since - OVERLAP if since else None, after=after, limit=LOOK_MAX
                )
                self._number(connection, row, changed)
                if len(changed) < LOOK_MAX:
                    # A change of settings in the meantime wants everything looked at again.
                    if row["settings"] == settings:
                        connection.execute(update(peers).where(peers.c.id == peer_id).values(looked_at=started))
                    return
                after = changed[-1]

    def outgoing_batch(self, peer_id: PeerId, after: int) -> SignedBatch:
        """Return the changes that follow number `after`, signed; an empty batch when there are none.

        Raises:
            NotFound: no such peer. Conflict: it is not linked now.
        """
        with self._database.snapshot() as connection:
            row = _row(connection, peer_id)
            _require_active(row)
            changes = connection.execute(
                select(outgoing)
                .where(outgoing.c.peer_id == peer_id, outgoing.c.serial > after)
                .order_by(outgoing.c.serial)
                .limit(BATCH_MAX)
            ).all()
            visible = published_among(
                connection, [ResourceId(change.resource_id) for change in changes if not change.withdrawn]
            )
        entries: list[CascadeEntry] = []
        size_bytes = 0
        for change in changes:
            found = visible.get(ResourceId(change.resource_id))
            told = None if found is None else self._entry(found, row, change.serial)
            entry = told or CascadeEntry(serial=change.serial, remote_id=change.resource_id)
            size_bytes += len(entry.model_dump_json().encode())
            if entries and size_bytes > BATCH_BYTES_MAX:
                break
            entries.append(entry)
        until = entries[-1].serial if entries else after
        batch = CascadeBatch(sender=self.hub, receiver=row["hub"], after=after, until=until, entries=tuple(entries))
        return SignedBatch(batch=batch, signature=self._signer.sign(batch.message))

    def shows(self, peer_id: PeerId, resource_id: ResourceId) -> bool:
        """Whether a peer is shown a resource now."""
        table = outgoing
        query = select(table.c.serial).where(
            table.c.peer_id == peer_id, table.c.resource_id == resource_id, table.c.withdrawn.is_(False)
        )
        with self._database.snapshot() as connection:
            return connection.execute(query).first() is not None

    def acknowledge(self, peer_id: PeerId, standing: Standing) -> bool:
        """Take note of how far a peer has come; return whether both ends hold the same.

        A peer that has come less far than it said asks to be told again, and is.
        """
        with self._database.transaction() as connection:
            row = _row(connection, peer_id, lock=True)
            told = outgoing_standing(connection, peer_id)
            equal = standing.serial == row["sent_serial"] and (standing.entries, standing.digest) == (
                told.entries,
                told.digest,
            )
            if standing.serial > row["acknowledged_serial"]:
                facts: dict[str, JsonValue] = {
                    "action": "acknowledged",
                    "hub": row["hub"],
                    "serial": standing.serial,
                    "entries": standing.entries,
                    "digest": standing.digest,
                }
                self._peers.record(connection, peer_id, PLATFORM_ACTOR, facts)
            connection.execute(
                update(peers)
                .where(peers.c.id == peer_id)
                .values(
                    acknowledged_serial=min(standing.serial, row["sent_serial"]),
                    exchanged_at=self._clock.now(),
                    in_step=equal,
                    failure=None,
                )
            )
        return equal

    def incoming_standing(self, peer_id: PeerId) -> Standing:
        """Return how far what comes from a peer has been applied here, and the digest of what it holds."""
        with self._database.snapshot() as connection:
            row = _row(connection, peer_id)
            rows = connection.execute(
                select(incoming.c.remote_id, incoming.c.digest).where(
                    incoming.c.peer_id == peer_id, incoming.c.standing != WITHDRAWN
                )
            ).all()
        return Standing(serial=row["received_serial"], entries=len(rows), digest=_set_digest(rows))

    def log_keys(self) -> LogKeys:
        """Return the keys with which this hub has signed."""
        return self._peers.log_keys()

    def knows_sender(self, peer_id: PeerId, signed: SignedBatch) -> bool:
        """Whether a batch is signed by a key that is known for its sender."""
        return any(self._signed_by(signed, key) for key in self._keys_of(self._peers.get(peer_id)))

    def receive(self, peer_id: PeerId, signed: SignedBatch, actor: Actor) -> Standing:
        """Apply a batch in one transaction with its evidence; the same batch again changes nothing.

        The answer names the number from which the sender goes on, without the digest of everything.

        Raises:
            Corrupt: the signature is not the peer's.
            Refused: it is not from that peer to this hub.
            Conflict: it does not follow what was received; or the link is not active.
        """
        batch = signed.batch
        known = self._keys_of(self._peers.get(peer_id))
        key = next((one for one in known if self._signed_by(signed, one)), None)
        with self._database.transaction() as connection:
            row = _row(connection, peer_id, lock=True)
            _require_active(row)
            signed.verify(bytes(row["public_key"]) if key is None else key)
            if (batch.sender, batch.receiver) != (row["hub"], self.hub):
                raise Refused(
                    "federation.wrong_hub",
                    what=Text(zh="批次不是该平台发给本平台的。", en="The batch is not from that hub to this one."),
                    remedy=Text(zh="请核对级联配置。", en="Check the link."),
                )
            if require_next(batch, row["received_serial"]):
                again = self._apply(connection, row, batch, actor)
                serial = 0 if again else batch.until
                connection.execute(
                    update(peers)
                    .where(peers.c.id == peer_id)
                    .values(received_serial=serial, exchanged_at=self._clock.now())
                )
                facts: dict[str, JsonValue] = {
                    "action": "received",
                    "hub": batch.sender,
                    "after": batch.after,
                    "until": batch.until,
                    "entries": len(batch.entries),
                    "batch_digest": batch.digest,
                    "signature": signed.signature.hex(),
                }
                self._peers.record(connection, peer_id, actor, facts)
                received = serial
            else:
                received = row["received_serial"]
        return Standing(serial=received)

    def _keys_of(self, peer: Peer) -> tuple[bytes, ...]:
        """Return the keys of a peer: of a lower hub, which is a node here, every one that is not revoked."""
        if peer.side is PeerSide.SUPERIOR or not peer.node_id:
            return (peer.public_key,)
        try:
            held = self._departments.keys(self._departments.key(key_id_of(peer.public_key)).department)
        except NotFound:
            return (peer.public_key,)
        return tuple(one.public_key for one in held if one.node_id == peer.node_id and one.revoked_at is None)

    @staticmethod
    def _signed_by(signed: SignedBatch, key: bytes) -> bool:
        try:
            signed.verify(key)
        except Corrupt:
            return False
        return True

    def note_step(self, peer_id: PeerId, *, in_step: bool) -> None:
        """Note whether both ends hold the same."""
        with self._database.transaction() as connection:
            connection.execute(update(peers).where(peers.c.id == peer_id).values(in_step=in_step))

    def failed(self, peer_id: PeerId, failure: Text) -> None:
        """Note that an exchange did not come to its end."""
        with self._database.transaction() as connection:
            connection.execute(
                update(peers).where(peers.c.id == peer_id).values(failure=failure.model_dump(), in_step=None)
            )

    def _entry(self, found: Resource, row: RowMapping, serial: int) -> CascadeEntry | None:
        settings = PeerSettings.model_validate(row["settings"])
        if not is_shown(found, settings, row["hub"]):
            return None
        return entry_of(
            found,
            settings,
            hub=self.hub,
            region=settings.region,
            publisher_name=self._departments.get(found.department).name.zh,
            serial=serial,
        )

    def _number(self, connection: Connection, row: RowMapping, changed: Sequence[ChangedResource]) -> None:
        """Give the next numbers to those of the changed resources of which the peer is told something new."""
        known = {
            entry.resource_id: entry
            for entry in connection.execute(
                select(outgoing).where(
                    outgoing.c.peer_id == row["id"], outgoing.c.resource_id.in_([entry.id for entry in changed])
                )
            )
        }
        names = {department.code: department.name.zh for department in self._departments.all()}
        settings = PeerSettings.model_validate(row["settings"])
        serial = row["sent_serial"]
        rows: list[dict[str, object]] = []
        for entry in changed:
            found, before = entry.published, known.get(entry.id)
            shown = found is not None and is_shown(found, settings, row["hub"])
            digest = ""
            if shown and found is not None:
                told = entry_of(
                    found,
                    settings,
                    hub=self.hub,
                    region=settings.region,
                    publisher_name=names.get(found.department, ""),
                )
                digest = told.digest
            if (before is None and not shown) or (before is not None and before.digest == digest):
                continue
            serial += 1
            rows.append({"resource_id": entry.id, "serial": serial, "digest": digest, "withdrawn": not shown})
        if rows:
            insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
            statement = insert(outgoing)
            replaced = {name: statement.excluded[name] for name in ("serial", "digest", "withdrawn")}
            connection.execute(
                statement.on_conflict_do_update(index_elements=["peer_id", "resource_id"], set_=replaced),
                [{"peer_id": row["id"], **values} for values in rows],
            )
            connection.execute(update(peers).where(peers.c.id == row["id"]).values(sent_serial=serial))

    def _apply(self, connection: Connection, row: RowMapping, batch: CascadeBatch, actor: Actor) -> bool:
        """Apply entries; return whether the peer should tell everything again.

        That is so when an entry disappears which had shadowed the same entry from another way.
        """
        peer_id = PeerId(row["id"])
        settings = PeerSettings.model_validate(row["settings"])
        known = {
            entry.remote_id: entry
            for entry in connection.execute(
                select(incoming).where(
                    incoming.c.peer_id == peer_id,
                    incoming.c.remote_id.in_([entry.remote_id for entry in batch.entries]),
                )
            )
        }
        elsewhere = self._shown_elsewhere(connection, peer_id, batch.entries)
        standings = {entry.remote_id: self._standing(entry, elsewhere) for entry in batch.entries}
        show = [
            entry
            for entry in batch.entries
            if standings[entry.remote_id] == SHOWN
            and not (
                entry.remote_id in known
                and known[entry.remote_id].standing == SHOWN
                and known[entry.remote_id].digest == entry.digest
            )
        ]
        facts: dict[str, JsonValue] = {"peer": peer_id, "serial": batch.until}
        ids = self._foreign.receive(
            connection,
            [
                ForeignEntry(
                    resource_id=known[entry.remote_id].resource_id if entry.remote_id in known else None,
                    department=settings.department,
                    content=entry.content.model_copy(
                        update={
                            "origin": origin_of(entry, peer_id),
                            "open": entry.content.open and settings.open_here,
                        }
                    ),
                )
                for entry in show
                if entry.content is not None
            ],
            actor=actor,
            facts=facts,
        )
        made = dict(zip((entry.remote_id for entry in show), ids, strict=True))
        hide = [
            ResourceId(entry.resource_id)
            for entry in known.values()
            if entry.standing == SHOWN and standings[entry.remote_id] != SHOWN
        ]
        self._foreign.withdraw(connection, hide, actor=actor, reason=_GONE, facts=facts)
        self._remember(connection, peer_id, batch.entries, standings, known, made)
        gone_roots = [entry.root for entry in known.values() if entry.standing == SHOWN and entry.remote_id not in made]
        return self._ask_again(connection, peer_id, [root for root in gone_roots if root])

    def _standing(self, entry: CascadeEntry, elsewhere: frozenset[str]) -> str:
        if entry.content is None:
            return WITHDRAWN
        if self.hub in entry.path:
            return OWN
        return SHADOWED if root_of(entry) in elsewhere else SHOWN

    def _shown_elsewhere(
        self, connection: Connection, peer_id: PeerId, entries: Sequence[CascadeEntry]
    ) -> frozenset[str]:
        """Return the roots among `entries` that another peer's entry already shows here."""
        roots = [root_of(entry) for entry in entries if entry.content is not None]
        found = connection.execute(
            select(incoming.c.root).where(
                incoming.c.root.in_(roots), incoming.c.peer_id != peer_id, incoming.c.standing == SHOWN
            )
        )
        return frozenset(found.scalars())

    def _remember(
        self,
        connection: Connection,
        peer_id: PeerId,
        entries: Sequence[CascadeEntry],
        standings: dict[str, str],
        known: dict[str, Any],
        made: dict[str, ResourceId],
    ) -> None:
        if not entries:
            return
        insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        statement = insert(incoming)
        replaced = {name: statement.excluded[name] for name in ("root", "resource_id", "digest", "standing")}
        connection.execute(
            statement.on_conflict_do_update(index_elements=["peer_id", "remote_id"], set_=replaced),
            [
                {
                    "peer_id": peer_id,
                    "remote_id": entry.remote_id,
                    "root": root_of(entry) if entry.content else getattr(known.get(entry.remote_id), "root", ""),
                    "resource_id": made.get(entry.remote_id)
                    or getattr(known.get(entry.remote_id), "resource_id", None),
                    "digest": entry.digest,
                    "standing": standings[entry.remote_id],
                }
                for entry in entries
            ],
        )

    def _ask_again(self, connection: Connection, peer_id: PeerId, roots: list[str]) -> bool:
        """Have the peers whose entry was shadowed by a vanished one tell everything again."""
        if not roots:
            return False
        shadowed = set(
            connection.execute(
                select(incoming.c.peer_id).where(incoming.c.root.in_(roots), incoming.c.standing == SHADOWED)
            ).scalars()
        )
        for other in shadowed - {peer_id}:
            connection.execute(
                update(peers).where(peers.c.id == bindparam("of_id")).values(received_serial=0), [{"of_id": other}]
            )
        return peer_id in shadowed


def outgoing_standing(connection: Connection, peer_id: PeerId) -> Standing:
    """Return what a peer holds once it has applied everything it was told."""
    rows = connection.execute(
        select(outgoing.c.resource_id, outgoing.c.digest).where(
            outgoing.c.peer_id == peer_id, outgoing.c.withdrawn.is_(False)
        )
    ).all()
    serial = connection.execute(select(func.max(outgoing.c.serial)).where(outgoing.c.peer_id == peer_id)).scalar()
    return Standing(serial=serial or 0, entries=len(rows), digest=_set_digest(rows))


def _set_digest(rows: Sequence[Any]) -> str:
    """Return the SHA-256 of a set of (id, digest), in the order of the ids."""
    return sha256_hex("\n".join(sorted(f"{key} {digest}" for key, digest in rows)).encode())


def _row(connection: Connection, peer_id: PeerId, *, lock: bool = False) -> RowMapping:
    statement = select(peers).where(peers.c.id == peer_id)
    row = connection.execute(statement.with_for_update() if lock else statement).mappings().first()
    if row is None:
        raise peer_not_found(peer_id)
    return row


def _require_active(row: RowMapping) -> None:
    peer: Peer = peer_from(row)
    if peer.state is not PeerState.ACTIVE:
        raise Conflict(
            "federation.link_inactive",
            what=Text(zh=f"级联{peer.state.label.zh}。", en=f"The link is: {peer.state.label.en}."),
            remedy=Text(zh="请先恢复级联。", en="Resume the link first."),
        )
