"""The register of other hubs: made, joined, changed, ended; each decision evidenced in the same transaction."""

import hashlib

from sqlalchemy import Connection, RowMapping, select, update

from datong.catalogue import Departments, ForeignEntries
from datong.federation.faults import department_unknown
from datong.federation.links import Peer, PeerId, PeerSettings, PeerSide, PeerState
from datong.federation.tables import incoming
from datong.federation.tables import peer as peers
from datong.kernel import (
    Actor,
    Clock,
    Conflict,
    Database,
    JsonValue,
    NodeId,
    NotFound,
    Refused,
    ResourceId,
    Text,
    canonical_json,
    new_id,
    sha256_hex,
)
from datong.ledger import EntryKind, Ledger, LogKeys

WITHDRAWN_PER_TRANSACTION = 200


def peer_from(row: RowMapping) -> Peer:
    """A row of `federation_peer`."""
    values = {name: value for name, value in row.items() if name not in ("token_digest", "looked_at")}
    failure = Text.model_validate(row["failure"]) if row["failure"] else None
    settings = PeerSettings.model_validate(row["settings"])
    return Peer.model_validate(
        {**values, "public_key": bytes(row["public_key"]), "settings": settings, "failure": failure}
    )


class Peers:
    """The hubs above and below this one."""

    def __init__(
        self, *, database: Database, clock: Clock, ledger: Ledger, departments: Departments, foreign: ForeignEntries
    ) -> None:
        self._database, self._clock, self._ledger = database, clock, ledger
        self._departments, self._foreign = departments, foreign

    def all(self) -> tuple[Peer, ...]:
        """Return every peer, the higher ones first."""
        with self._database.snapshot() as connection:
            rows = connection.execute(select(peers).order_by(peers.c.side.desc(), peers.c.created_at)).mappings()
            return tuple(peer_from(row) for row in rows)

    def get(self, peer_id: PeerId) -> Peer:
        """Return one peer, or raise NotFound."""
        with self._database.snapshot() as connection:
            row = connection.execute(select(peers).where(peers.c.id == peer_id)).mappings().first()
        if row is None:
            raise peer_not_found(peer_id)
        return peer_from(row)

    def of_node(self, node_id: NodeId) -> Peer:
        """Return the lower hub that calls as this node, or raise NotFound."""
        with self._database.snapshot() as connection:
            row = (
                connection.execute(
                    select(peers).where(peers.c.node_id == node_id, peers.c.side == PeerSide.SUBORDINATE.value)
                )
                .mappings()
                .first()
            )
        if row is None:
            raise peer_not_found(node_id)
        return peer_from(row)

    def expect_subordinate(self, settings: PeerSettings, token: str, actor: Actor) -> Peer:
        """Register a lower hub that may join with `token`, an enrolment token of its department.

        Raises:
            Invalid: the department is not registered.
        """
        return self._insert(settings, PeerSide.SUBORDINATE, PeerState.WAITING, actor, token=token)

    def add_superior(
        self, settings: PeerSettings, *, address: str, hub: str, node_id: str, public_key: bytes, actor: Actor
    ) -> Peer:
        """Register the higher hub that this one has joined; joining it again renews the link.

        Raises:
            Invalid: the department is not registered.
        """
        with self._database.snapshot() as connection:
            known = connection.execute(
                select(peers.c.id).where(
                    peers.c.hub == hub,
                    peers.c.side == PeerSide.SUPERIOR.value,
                    peers.c.state != PeerState.ENDED.value,
                )
            ).scalar()
        if known is not None:
            raise Conflict(
                "federation.already_joined",
                what=Text(zh="已经接入了这个上级平台。", en="This hub has joined that higher hub already."),
                remedy=Text(zh="请先终止原有的级联。", en="End the existing link first."),
            )
        return self._insert(
            settings,
            PeerSide.SUPERIOR,
            PeerState.ACTIVE,
            actor,
            address=address.rstrip("/"),
            hub=hub,
            node_id=node_id,
            public_key=public_key,
        )

    def join(self, *, token: str, node_id: NodeId, hub: str, public_key: bytes, actor: Actor) -> Peer:
        """Bind a lower hub, calling as a node, to what was registered for its token; again gives the same answer.

        Raises:
            Refused: the token is none of a lower hub, or was used by another.
        """
        with self._database.transaction() as connection:
            row = (
                connection.execute(select(peers).where(peers.c.token_digest == _token_digest(token)).with_for_update())
                .mappings()
                .first()
            )
            if row is None or row["node_id"] not in ("", node_id) or row["state"] == PeerState.ENDED.value:
                raise Refused(
                    "federation.token_refused",
                    what=Text(
                        zh="接入令牌不是下级平台的令牌，或已被使用。", en="The token is no lower hub's, or was used."
                    ),
                    remedy=Text(zh="请向上级平台索取新的接入令牌。", en="Ask the higher hub for a new one."),
                )
            if row["state"] == PeerState.WAITING.value:
                values = {"node_id": node_id, "hub": hub, "public_key": public_key, "state": PeerState.ACTIVE.value}
                connection.execute(update(peers).where(peers.c.id == row["id"]).values(**values))
                self.record(
                    connection, PeerId(row["id"]), actor, {"action": "join", "hub": hub, "key": public_key.hex()}
                )
        return self.get(PeerId(row["id"]))

    def log_keys(self) -> LogKeys:
        """Return the keys with which this hub itself has signed."""
        return self._ledger.keys()

    def follow_key(self, peer_id: PeerId, keys: LogKeys, actor: Actor) -> None:
        """Take the newest of a higher hub's keys for its own, if the one known so far vouches for it; on record.

        Raises:
            Corrupt: it does not, or they are another hub's. NotFound: there is no such peer.
        """
        with self._database.transaction() as connection:
            row = _locked(connection, peer_id)
            if keys.origin != row["hub"] or row["side"] != PeerSide.SUPERIOR.value:
                raise Refused(
                    "federation.wrong_hub",
                    what=Text(zh="所示的密钥属于别的平台。", en="The keys that are shown are another hub's."),
                    remedy=Text(zh="请核对级联配置。", en="Check the link."),
                )
            later = keys.since(bytes(row["public_key"]))
            if later.successions:
                connection.execute(update(peers).where(peers.c.id == peer_id).values(public_key=later.newest))
                vouched: list[JsonValue] = [one.text() for one in later.successions]
                facts: dict[str, JsonValue] = {"hub": keys.origin, "key": later.newest.hex(), "vouched": vouched}
                self.record(connection, peer_id, actor, {"action": "follow_key", **facts})

    def edit(self, peer_id: PeerId, settings: PeerSettings, actor: Actor) -> Peer:
        """Change what a peer is shown; the whole catalogue is looked through again.

        Raises:
            NotFound, Invalid: no such peer; the department is not registered.
        """
        self._require_department(settings)
        with self._database.transaction() as connection:
            _locked(connection, peer_id)
            connection.execute(
                update(peers)
                .where(peers.c.id == peer_id)
                .values(settings=settings.model_dump(mode="json"), looked_at=None)
            )
            self.record(connection, peer_id, actor, {"action": "edit", **_facts(settings)})
        return self.get(peer_id)

    def set_state(self, peer_id: PeerId, state: PeerState, actor: Actor) -> Peer:
        """Pause, resume or end a link; an ended one has what it brought retired.

        Raises:
            NotFound: no such peer.
            Conflict: it was ended, or has not joined yet.
        """
        with self._database.transaction() as connection:
            row = _locked(connection, peer_id)
            waiting = row["state"] == PeerState.WAITING.value and state is not PeerState.ENDED
            if row["state"] == PeerState.ENDED.value or waiting or state is PeerState.WAITING:
                raise Conflict(
                    "federation.link_state",
                    what=Text(zh="级联处于不能这样改变的状态。", en="The link's state does not allow this."),
                    remedy=Text(zh="已终止的级联请重新接入。", en="Join anew where a link was ended."),
                )
            connection.execute(update(peers).where(peers.c.id == peer_id).values(state=state.value))
            self.record(connection, peer_id, actor, {"action": state.value})
        if state is PeerState.ENDED:
            self.retire_all(peer_id, actor)
        return self.get(peer_id)

    def retire_all(self, peer_id: PeerId, actor: Actor) -> None:
        """Retire what an ended link brought, in steps; calling it again heals a kill in between."""
        reason = Text(zh="级联已终止", en="the link was ended")
        while True:
            with self._database.transaction() as connection:
                rows = connection.execute(
                    select(incoming.c.remote_id, incoming.c.resource_id)
                    .where(incoming.c.peer_id == peer_id)
                    .limit(WITHDRAWN_PER_TRANSACTION)
                ).all()
                if not rows:
                    return
                shown = [ResourceId(row.resource_id) for row in rows if row.resource_id]
                facts: dict[str, JsonValue] = {"peer": peer_id, "serial": None}
                self._foreign.withdraw(connection, shown, actor=actor, reason=reason, facts=facts)
                connection.execute(
                    incoming.delete().where(
                        incoming.c.peer_id == peer_id, incoming.c.remote_id.in_([row.remote_id for row in rows])
                    )
                )

    def record(self, connection: Connection, peer_id: PeerId, actor: Actor, facts: dict[str, JsonValue]) -> None:
        """Append evidence about a link."""
        self._ledger.append(connection, kind=EntryKind.CASCADE, subject=peer_id, actor=actor, facts=facts)

    def _insert(
        self,
        settings: PeerSettings,
        side: PeerSide,
        state: PeerState,
        actor: Actor,
        *,
        token: str = "",
        address: str = "",
        hub: str = "",
        node_id: str = "",
        public_key: bytes = b"",
    ) -> Peer:
        self._require_department(settings)
        peer_id = PeerId(new_id())
        with self._database.transaction() as connection:
            connection.execute(
                peers.insert().values(
                    id=peer_id,
                    side=side.value,
                    settings=settings.model_dump(mode="json"),
                    state=state.value,
                    address=address,
                    hub=hub,
                    node_id=node_id,
                    token_digest=_token_digest(token) if token else "",
                    public_key=public_key,
                    created_at=self._clock.now(),
                    sent_serial=0,
                    acknowledged_serial=0,
                    received_serial=0,
                )
            )
            self.record(
                connection,
                peer_id,
                actor,
                {"action": f"add_{side.value}", "hub": hub, "address": address, **_facts(settings)},
            )
        return self.get(peer_id)

    def _require_department(self, settings: PeerSettings) -> None:
        if settings.department not in {department.code for department in self._departments.all()}:
            raise department_unknown(settings.department, "/department")


def peer_not_found(peer_id: str) -> NotFound:
    """No such peer."""
    return NotFound(
        "federation.peer_not_found",
        what=Text(zh="没有这个上下级平台。", en="There is no such higher or lower hub."),
        remedy=Text(zh="请核对编号，或重新接入。", en="Check the id, or join anew."),
        context={"peer_id": peer_id},
    )


def _locked(connection: Connection, peer_id: PeerId) -> RowMapping:
    row = connection.execute(select(peers).where(peers.c.id == peer_id).with_for_update()).mappings().first()
    if row is None:
        raise peer_not_found(peer_id)
    return row


def _facts(settings: PeerSettings) -> dict[str, JsonValue]:
    return {
        "department": settings.department,
        "scope": settings.scope.value,
        "settings_digest": sha256_hex(canonical_json(settings.model_dump(mode="json"))),
    }


def _token_digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
