"""The lower hub's side of a link: joins, pushes what changed, pulls what the higher hub shows, compares.

Every connection goes from the lower hub to the higher. Whatever is interrupted goes on from the number that the
receiver says it has applied.
"""

from collections.abc import Callable
from typing import Protocol

from datong.federation.cascade import Cascade
from datong.federation.links import Peer, PeerId, PeerSettings, PeerSide, PeerState, SignedBatch, Standing
from datong.federation.peers import Peers
from datong.kernel import PLATFORM_ACTOR, Actor, Base64Bytes, Conflict, DatongError, Text, Value
from datong.ledger import LogKeys

BATCHES_MAX = 100_000
"""Batches of one exchange; what is left goes with the next."""


class Joined(Value):
    """What the higher hub answers to a hub that joins: its name, its key, and the caller's id there."""

    hub: str
    public_key: Base64Bytes
    node_id: str


class Superior(Protocol):
    """A higher hub, as seen from below."""

    def standing(self) -> Standing:
        """Return how far it has applied what this hub sent, with the digest of what it holds."""
        ...

    def push(self, signed: SignedBatch) -> Standing:
        """Hand over a batch; the answer names the number to go on from."""
        ...

    def pull(self, after: int) -> SignedBatch:
        """Return what it shows this hub after a number."""
        ...

    def report(self, standing: Standing) -> bool:
        """Tell it how far this hub has applied what it showed; return whether both hold the same."""
        ...

    def log_keys(self) -> LogKeys:
        """Return the keys with which it has signed, the newest last."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class LocalSuperior:
    """A higher hub in the same process: what `HubLink` does over HTTP, without it."""

    def __init__(self, *, cascade: Cascade, peer_id: PeerId) -> None:
        self._cascade, self._peer_id = cascade, peer_id

    def standing(self) -> Standing:
        """Return how far it has applied what the lower hub sent."""
        return self._cascade.incoming_standing(self._peer_id)

    def push(self, signed: SignedBatch) -> Standing:
        """Take a batch, as bytes would have brought it."""
        return self._cascade.receive(
            self._peer_id, SignedBatch.model_validate_json(signed.model_dump_json()), PLATFORM_ACTOR
        )

    def pull(self, after: int) -> SignedBatch:
        """Return what it shows after a number."""
        self._cascade.look(self._peer_id)
        signed = self._cascade.outgoing_batch(self._peer_id, after)
        return SignedBatch.model_validate_json(signed.model_dump_json())

    def report(self, standing: Standing) -> bool:
        """Take note of how far its entries were applied."""
        return self._cascade.acknowledge(self._peer_id, standing)

    def log_keys(self) -> LogKeys:
        """Return the keys with which it has signed."""
        return self._cascade.log_keys()

    def close(self) -> None:
        """Nothing is open."""


OpenSuperior = Callable[[str, str], Superior]
"""Opens the higher hub at an address, calling as a node id."""
JoinSuperior = Callable[[str, str, str], Joined]
"""Redeems a token at an address in the name of this hub: (address, token, this hub's name for people)."""


class Exchanges:
    """Joins higher hubs and exchanges with them."""

    def __init__(self, *, cascade: Cascade, peers: Peers, join: JoinSuperior, open_superior: OpenSuperior) -> None:
        self._cascade, self._peers = cascade, peers
        self._join, self._open = join, open_superior

    def join(self, settings: PeerSettings, *, address: str, token: str, own_name: str, actor: Actor) -> Peer:
        """Join the higher hub at `address` with the token that it issued.

        Raises:
            Unauthenticated, Refused: the token is not valid. Unavailable: the hub does not answer.
            Conflict: this hub has joined it already, or it is this hub itself.
        """
        joined = self._join(address, token, own_name)
        if joined.hub == self._cascade.hub:
            raise Conflict(
                "federation.own_superior",
                what=Text(zh="上级平台与本平台同名，不能级联。", en="The higher hub has this hub's own name."),
                remedy=Text(zh="请为两个平台设置不同的 DATONG_LOG_ORIGIN。", en="Set two values of DATONG_LOG_ORIGIN."),
            )
        return self._peers.add_superior(
            settings,
            address=address,
            hub=joined.hub,
            node_id=joined.node_id,
            public_key=joined.public_key,
            actor=actor,
        )

    def exchange_all(self) -> bool:
        """Exchange with every active higher hub; what fails is noted and tried again later. Returns False."""
        for peer in self._peers.all():
            if peer.side is PeerSide.SUPERIOR and peer.state is PeerState.ACTIVE:
                try:
                    self.exchange(peer.id)
                except DatongError as error:
                    self._cascade.failed(peer.id, error.what)
        return False

    def exchange(self, peer_id: PeerId) -> Peer:
        """Exchange with one higher hub now, and compare both directions.

        Raises:
            Unavailable, Refused, Corrupt, Conflict: what went wrong; what was applied before stays.
        """
        peer = self._peers.get(peer_id)
        superior = self._open(peer.address, peer.node_id)
        try:
            self._push(peer_id, superior)
            self._pull(peer_id, superior)
            up = self._cascade.acknowledge(peer_id, superior.standing())
            down = superior.report(self._cascade.incoming_standing(peer_id))
            if up and not down:
                self._cascade.note_step(peer_id, in_step=False)
        finally:
            superior.close()
        return self._peers.get(peer_id)

    def _push(self, peer_id: PeerId, superior: Superior) -> None:
        self._cascade.look(peer_id)
        serial = superior.standing().serial
        for _ in range(BATCHES_MAX):
            signed = self._cascade.outgoing_batch(peer_id, serial)
            if not signed.batch.entries:
                return
            serial = superior.push(signed).serial

    def _pull(self, peer_id: PeerId, superior: Superior) -> None:
        serial = self._peers.get(peer_id).received_serial
        for _ in range(BATCHES_MAX):
            signed = superior.pull(serial)
            if not signed.batch.entries:
                return
            if not self._cascade.knows_sender(peer_id, signed):
                # The higher hub's key may have been replaced: the one known here must vouch for the new one.
                self._peers.follow_key(peer_id, superior.log_keys(), PLATFORM_ACTOR)
            serial = self._cascade.receive(peer_id, signed, PLATFORM_ACTOR).serial
