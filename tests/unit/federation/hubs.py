"""Hubs in one process, linked in a chain, each over a control database of its own."""

from dataclasses import dataclass

from datong.catalogue import ForeignEntries, Resource, ResourceState
from datong.federation import (
    Cascade,
    Exchanges,
    Joined,
    LocalSuperior,
    Peer,
    PeerId,
    Peers,
    PeerSettings,
    Superior,
)
from datong.kernel import Database, NodeId
from datong.ledger import Ed25519Signer
from datong.norms import NormPack
from tests.unit.catalogue.conftest import AUTHORITY, AUTHORITY_ACTOR, Office, make_office


@dataclass
class CascadeHub:
    """One hub with its links."""

    name: str
    office: Office
    signer: Ed25519Signer
    peers: Peers
    cascade: Cascade
    superiors: dict[str, "CascadeHub"]

    @property
    def exchanges(self) -> Exchanges:
        return Exchanges(cascade=self.cascade, peers=self.peers, join=self._join, open_superior=self._open)

    def _join(self, address: str, token: str, _own_name: str) -> Joined:
        above = self.superiors[address]
        node_id = NodeId(f"node-of-{self.name}")
        above.peers.join(
            token=token,
            node_id=node_id,
            hub=self.name,
            public_key=self.signer.public_key,
            actor=AUTHORITY_ACTOR,
        )
        return Joined(hub=above.name, public_key=above.signer.public_key, node_id=node_id)

    def _open(self, address: str, node_id: str) -> Superior:
        above = self.superiors[address]
        return LocalSuperior(cascade=above.cascade, peer_id=above.peers.of_node(NodeId(node_id)).id)

    def join(self, above: "CascadeHub", *, up: PeerSettings, down: PeerSettings) -> Peer:
        """Join `above`: `up` is what this hub shows it, `down` what it shows this hub."""
        token = f"token-of-{self.name}"
        above.peers.expect_subordinate(down, token, AUTHORITY_ACTOR)
        address = f"http://{above.name}"
        self.superiors[address] = above
        return self.exchanges.join(up, address=address, token=token, own_name=self.name, actor=AUTHORITY_ACTOR)

    def exchange(self, peer_id: PeerId) -> Peer:
        return self.exchanges.exchange(peer_id)

    def visible(self) -> dict[str, Resource]:
        page = self.office.catalogue.find(state=ResourceState.PUBLISHED, limit=200)
        return {found.content.title.zh: found for found in page.rows}


def make_hub(name: str, database: Database, pack: NormPack) -> CascadeHub:
    """Return a hub named `name`, with the departments of the catalogue's tests."""
    office = make_office(database, pack)
    foreign = ForeignEntries(clock=office.clock, ledger=office.ledger)
    peers = Peers(
        database=database, clock=office.clock, ledger=office.ledger, departments=office.departments, foreign=foreign
    )
    signer = Ed25519Signer.generate()
    cascade = Cascade(
        database=database,
        clock=office.clock,
        departments=office.departments,
        foreign=foreign,
        peers=peers,
        signer=signer,
        hub=name,
    )
    return CascadeHub(name=name, office=office, signer=signer, peers=peers, cascade=cascade, superiors={})


def settings(name: str, **changes: object) -> PeerSettings:
    return PeerSettings.model_validate({"name": name, "department": AUTHORITY, **changes})
