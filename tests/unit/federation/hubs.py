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
from datong.ledger import Ed25519Signer, Ledger, LogKeyBook, MemoryTileStore, Succession
from datong.norms import NormPack
from tests.unit.catalogue.conftest import AUTHORITY, AUTHORITY_ACTOR, Office, make_office


@dataclass
class CascadeHub:
    """One hub with its links."""

    name: str
    office: Office
    signer: Ed25519Signer
    foreign: ForeignEntries
    peers: Peers
    superiors: dict[str, "CascadeHub"]

    @property
    def cascade(self) -> Cascade:
        return Cascade(
            database=self.office.database,
            clock=self.office.clock,
            departments=self.office.departments,
            foreign=self.foreign,
            peers=self.peers,
            signer=self.signer,
            hub=self.name,
        )

    def replace_key(self, *, vouched: bool) -> None:
        """Have the hub sign with a new key, which the old one vouches for or, in an emergency, does not."""
        office, old, new = self.office, self.signer, Ed25519Signer.generate()
        succession = Succession.make(self.name, old.public_key, new, voucher=old if vouched else None)
        book = LogKeyBook(database=office.database, clock=office.clock, ledger=office.ledger)
        assert book.replace(succession, AUTHORITY_ACTOR, "rotation")
        self.signer = new
        # As a process does that was started anew: the log signs with the new key, and tells of those up to it.
        ledger = Ledger(
            database=office.database, clock=office.clock, signer=new, origin=self.name, tiles=MemoryTileStore()
        )
        self.peers = peers_of(office, ledger, self.foreign)

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


def peers_of(office: Office, ledger: Ledger, foreign: ForeignEntries) -> Peers:
    """Return the links of a hub whose log is `ledger`."""
    return Peers(
        database=office.database, clock=office.clock, ledger=ledger, departments=office.departments, foreign=foreign
    )


def make_hub(name: str, database: Database, pack: NormPack) -> CascadeHub:
    """Return a hub named `name`, with the departments of the catalogue's tests."""
    signer = Ed25519Signer.generate()
    office = make_office(database, pack, origin=name, signer=signer)
    foreign = ForeignEntries(clock=office.clock, ledger=office.ledger)
    peers = peers_of(office, office.ledger, foreign)
    return CascadeHub(name=name, office=office, signer=signer, foreign=foreign, peers=peers, superiors={})


def settings(name: str, **changes: object) -> PeerSettings:
    return PeerSettings.model_validate({"name": name, "department": AUTHORITY, **changes})
