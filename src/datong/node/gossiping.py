"""A node's gossip for who sits beside it: what it heard, checkpoints as files to carry, keys to accept."""

from collections.abc import Callable

from datong.kernel import Clock, NotFound, Text
from datong.ledger import Gossip, GossipTrouble, Note, PeerNote, PinnedKeys, Signer, Witness
from datong.node.home import NodeHome, NodeIdentity
from datong.node.hub_client import HubClient


def pinned_keys(home: NodeHome) -> PinnedKeys:
    """Return the log's keys as the node whose folder is `home` knows them, and goes on learning them."""
    return PinnedKeys(home.identity().log_keys, keep=home.keep_log_keys)


def gossip_of(home: NodeHome, identity: NodeIdentity, clock: Clock, keys: PinnedKeys) -> Gossip:
    """Return the gossip of the node whose folder is `home`."""
    return Gossip(
        name=identity.node_id,
        folder=home.directory,
        clock=clock,
        keys=keys,
    )


def witness_of(home: NodeHome, identity: NodeIdentity, signer: Signer, clock: Clock, keys: PinnedKeys) -> Witness:
    """Return the witness of the node whose folder is `home`."""
    return Witness(
        name=identity.node_id,
        signer=signer,
        state_path=home.witness_path,
        clock=clock,
        keys=keys,
    )


class Gossiping:
    """Carries out the commands of `datong node gossip`."""

    def __init__(self, *, gossip: Gossip, witness: Witness, client: Callable[[], HubClient]) -> None:
        self._gossip = gossip
        self._witness = witness
        self._client = client

    def show(self) -> dict[str, object]:
        """Return the peers that this node knows, whom it has trouble with, and where the proof of a split lies."""
        return {
            "split_view": str(self._gossip.proof_path) if self._gossip.proof_path.exists() else None,
            "peers": [peer.model_dump(mode="json") for peer in self._gossip.peers()],
            "troubles": [trouble.model_dump(mode="json") for trouble in self._gossip.troubles()],
        }

    def troubles(self) -> tuple[GossipTrouble, ...]:
        """Return whom this node has trouble with."""
        return self._gossip.troubles()

    def export(self) -> bytes:
        """Return the checkpoints that this node saw and heard.

        Raises:
            NotFound: it has seen none.
        """
        return self._gossip.sightings(self._own())

    def take_in(self, data: bytes) -> int:
        """Compare the checkpoints of another node's file with the log as this node is shown it; return how many.

        Raises:
            Corrupt: `ledger.split_view`, or the log does not continue what this node has seen.
        """
        client = self._client()
        try:
            self._witness.update(client.log_file)
            return self._gossip.take_in(self._own(), data, client.log_file)
        finally:
            client.close()

    def hear(self) -> tuple[GossipTrouble, ...]:
        """Ask the hub what the others cosigned, compare, and return whom this node has trouble with."""
        client = self._client()
        try:
            heard: tuple[PeerNote, ...] = client.witness_notes()
            self._witness.update(client.log_file)
            return self._gossip.hear(self._own(), heard, client.log_file)
        finally:
            client.close()

    def accept(self, name: str) -> None:
        """Take the key that the hub now names for a peer."""
        self._gossip.accept_key(name)

    def _own(self) -> Note:
        note = self._witness.remembered()
        if note is None:
            raise NotFound(
                "node.nothing_witnessed",
                what=Text(zh="该节点还没有见证过日志。", en="This node has witnessed nothing yet."),
                remedy=Text(zh="请先运行 datong node run。", en="Run datong node run first."),
            )
        return note
