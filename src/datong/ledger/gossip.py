"""Gossip: nodes compare the checkpoints they were shown, so that a log cannot show each of them another history.

A node hears what the others cosigned: through the hub, which it does not trust, or by file. It compares each with the
history it follows itself. What contradicts becomes a proof for anybody (`splits`) and ends its cosigning. A hub that
keeps two views apart must keep the words of the others back, and cannot make them up, since each is signed with a key
that the hearer remembers: whom nothing is heard of any more is named (docs/adr/0183).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from pydantic import AwareDatetime, Field, ValidationError

from datong.kernel import Clock, JsonValue, Misconfigured, NotFound, Text, Value, canonical_json
from datong.kernel.files import replace_file
from datong.ledger.faults import corrupt
from datong.ledger.log_keys import PinnedKeys
from datong.ledger.notes import Checkpoint, Note, cosignature_by, decode_base64, witness_key_of
from datong.ledger.splits import SPLIT_FILE, SplitView, compare, read_split, verify_split

SIGHTINGS_TYPE = "datong.ledger.sightings/1"
SILENT_AFTER = timedelta(minutes=10)
"""So long a peer may be behind, or ahead of what the hub shows, before it is named."""
NOTES_MAX = 2_000


class PeerNote(Value):
    """What the hub says that another witness cosigned last: its raw key in base64, and the note; None: nothing yet."""

    name: str = Field(max_length=200)
    department: str = Field(max_length=64)
    public_key: str = Field(max_length=64)
    note: str | None = Field(max_length=16_384)


class Peer(Value):
    """What a node remembers of another: the key it first had, its newest word, and since when it owes one.

    `compared`: its newest word was found to be of the history that this node follows.

    `behind_since` and `behind_size`: when this node had first seen a checkpoint, and its size, that the peer had not
    cosigned. `ahead_since`: since when it has cosigned more than the hub shows here. `offered_key`: another key that
    the hub names for it now.
    """

    name: str
    department: str
    public_key: str
    note: str | None = None
    size: int = 0
    compared: bool = False
    heard_at: AwareDatetime | None = None
    behind_since: AwareDatetime | None = None
    behind_size: int = 0
    ahead_since: AwareDatetime | None = None
    offered_key: str | None = None


class Known(Value):
    """The file of a node's gossip."""

    peers: tuple[Peer, ...] = ()


class GossipTrouble(Value):
    """What is not right with a peer (`silent`, `held_back`: the hub shows it more than us, `other_key`), since when."""

    peer: str
    kind: str
    since: datetime | None

    @property
    def what(self) -> Text:
        """Say it in words."""
        since = "" if self.since is None else self.since.isoformat(timespec="seconds")
        said = {
            "silent": Text(
                zh=f"自 {since} 起没有听到见证方 {self.peer} 的消息：它停了，或枢纽扣下了它的话。",
                en=f"Nothing was heard of the witness {self.peer} since {since}: it is off, or the hub keeps it back.",
            ),
            "held_back": Text(
                zh=f"自 {since} 起，枢纽给见证方 {self.peer} 看的日志比给本机看的长。",
                en=f"Since {since} the hub has shown the witness {self.peer} more of the log than it shows here.",
            ),
            "other_key": Text(
                zh=f"枢纽说见证方 {self.peer} 换了密钥。请向该部门核实，再用 datong node gossip accept 采信。",
                en=f"The hub says that the witness {self.peer} has another key. Ask its department, then take it by "
                "datong node gossip accept.",
            ),
        }
        return said[self.kind]


class Gossip:
    """What one node heard. `folder` keeps `gossip.json`, and `split-view.json` once a split was proved."""

    def __init__(self, *, name: str, folder: Path, clock: Clock, keys: PinnedKeys) -> None:
        self._name = name
        self._path = folder / "gossip.json"
        self.proof_path = folder / SPLIT_FILE
        self._clock = clock
        self._keys = keys

    def require_one_view(self) -> None:
        """Pass if no split view was proved.

        Raises:
            Corrupt: `ledger.split_view`: it was, and nothing is cosigned until somebody has looked into it.
        """
        if self.proof_path.exists():
            report = verify_split(read_split(self.proof_path.read_bytes()))
            if decode_base64(report.log_key) not in self._keys.known.all:
                # Somebody else's file says nothing of this log.
                return
            raise corrupt(
                "split_view",
                zh=f"日志分叉：它对大小 {report.size} 签出了两段不同的历史，证明在 {self.proof_path}；不再见证。",
                en=f"Split view: the log signed two histories at size {report.size}; the proof is {self.proof_path}. "
                "Nothing is cosigned any more.",
                size=report.size,
            )

    def hear(self, own: Note, others: Sequence[PeerNote], fetch: Callable[[str], bytes]) -> tuple[GossipTrouble, ...]:
        """Compare what other witnesses cosigned with the newest checkpoint that this node did; return all troubles.

        `fetch` gives the files of the log as this node is shown it.

        Raises:
            Corrupt: `ledger.split_view`; its proof is kept. Or what the hub told of a peer is not signed by it.
        """
        known = {peer.name: peer for peer in self.peers()}
        for other in others[:NOTES_MAX]:
            if other.name != self._name:
                peer = known.get(other.name) or Peer(**other.model_dump(include={"name", "department", "public_key"}))
                known[other.name] = self._heard(peer, other)
        size, now = Checkpoint.parse(own.text).size, self._clock.now()
        known = {name: _timed(peer, size, now) for name, peer in known.items()}
        self._remember(known)
        read = cache(fetch)
        for name, peer in known.items():
            if peer.note is not None and peer.size <= size and not peer.compared:
                self._same_view(own, Note.parse(peer.note.encode()), read)
                known[name] = peer.model_copy(update={"compared": True})
        self._remember(known)
        return self.troubles()

    def take_in(self, own: Note, data: bytes, fetch: Callable[[str], bytes]) -> int:
        """Compare the checkpoints in a file that another node wrote (`sightings`); return how many fitted.

        Those that are larger than what this node has seen are left out: it has to follow the log first.

        Raises:
            Corrupt: `ledger.split_view`; or it is not such a file of this log.
        """
        try:
            document = json.loads(data)
            notes = [Note.parse(text.encode()) for text in document["notes"][:NOTES_MAX]]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise corrupt(
                "sightings_malformed",
                zh="这不是前置机导出的检查点文件。",
                en="This is not a file of checkpoints that a node exported.",
            ) from error
        size = Checkpoint.parse(own.text).size
        fitting = [note for note in notes if Checkpoint.parse(note.text).size <= size]
        for note in fitting:
            self._same_view(own, note, fetch)
        return len(fitting)

    def sightings(self, own: Note) -> bytes:
        """Return the file of what this node saw and heard, to be carried to another by hand."""
        notes: list[JsonValue] = [own.encode().decode()]
        notes += [peer.note for peer in self.peers() if peer.note is not None]
        return canonical_json({"type": SIGHTINGS_TYPE, "origin": self._keys.known.origin, "notes": notes})

    def peers(self) -> tuple[Peer, ...]:
        """Return the other witnesses that this node knows, by name.

        Raises:
            Misconfigured: its file is unreadable.
        """
        try:
            return Known.model_validate_json(self._path.read_bytes()).peers
        except FileNotFoundError:
            return ()
        except (ValidationError, ValueError) as error:
            raise Misconfigured(
                "ledger.gossip_unreadable",
                what=Text(zh=f"文件 {self._path} 无法读取。", en=f"The file {self._path} cannot be read."),
                remedy=Text(zh="请从备份恢复该文件。", en="Restore it from a backup."),
            ) from error

    def troubles(self) -> tuple[GossipTrouble, ...]:
        """Return which peers are silent for too long, are shown more than this node, or came with another key."""
        long_ago = self._clock.now() - SILENT_AFTER
        found: list[GossipTrouble] = []
        for peer in self.peers():
            if peer.offered_key is not None:
                found.append(GossipTrouble(peer=peer.name, kind="other_key", since=None))
            if peer.ahead_since is not None and peer.ahead_since < long_ago:
                found.append(GossipTrouble(peer=peer.name, kind="held_back", since=peer.ahead_since))
            if peer.behind_since is not None and peer.behind_since < long_ago:
                found.append(GossipTrouble(peer=peer.name, kind="silent", since=peer.behind_since))
        return tuple(found)

    def accept_key(self, name: str) -> Peer:
        """Take the key that the hub now names for a peer as its own, after asking the peer's department.

        Raises:
            NotFound: the peer came with no other key.
        """
        peers = {peer.name: peer for peer in self.peers()}
        peer = peers.get(name)
        if peer is None or peer.offered_key is None:
            raise NotFound(
                "ledger.peer_key_same",
                what=Text(zh=f"见证方 {name} 没有换过密钥。", en=f"The witness {name} came with no other key."),
                remedy=Text(zh="请核对名称。", en="Check the name."),
            )
        peers[name] = peer.model_copy(update={"public_key": peer.offered_key, "offered_key": None})
        self._remember(peers)
        return peers[name]

    def keep(self, split: SplitView) -> None:
        """Keep the proof of a split view."""
        replace_file(self.proof_path, split.encode())

    def _heard(self, peer: Peer, other: PeerNote) -> Peer:
        """Return what is known of a peer after the hub told its newest word."""
        if other.public_key != peer.public_key:
            # Whoever relays words could make them up under a key of its own.
            return peer.model_copy(update={"offered_key": other.public_key})
        if other.note is None or other.note == peer.note:
            return peer
        note = Note.parse(other.note.encode())
        cosignature = cosignature_by(note, witness_key_of(peer.name, decode_base64(peer.public_key) or b""))
        if cosignature is None:
            raise corrupt(
                "peer_unsigned",
                zh=f"枢纽转来的检查点上没有见证方 {peer.name} 的签名。",
                en=f"The checkpoint that the hub relayed bears no cosignature of {peer.name}.",
                witness=peer.name,
            )
        size = Checkpoint.parse(note.text).size
        if size < peer.size:
            return peer
        new = {"note": other.note, "size": size, "heard_at": cosignature.signed_at, "compared": False}
        return peer.model_copy(update=new)

    def _same_view(self, own: Note, other: Note, fetch: Callable[[str], bytes]) -> None:
        split = compare(own, other, keys=self._keys.known, fetch=fetch)
        if split is not None:
            self.keep(split)
            self.require_one_view()

    def _remember(self, peers: Mapping[str, Peer]) -> None:
        replace_file(self._path, Known(peers=tuple(peers[name] for name in sorted(peers))).model_dump_json().encode())


def _timed(peer: Peer, size: int, now: datetime) -> Peer:
    """Return a peer with the times since when it is behind, or ahead of, the checkpoint of `size` seen here."""
    ahead = (peer.ahead_since or now) if peer.size > size else None
    if peer.size >= size:
        return peer.model_copy(update={"ahead_since": ahead, "behind_since": None, "behind_size": 0})
    if peer.behind_since is None or peer.size >= peer.behind_size:
        return peer.model_copy(update={"ahead_since": None, "behind_since": now, "behind_size": size})
    return peer.model_copy(update={"ahead_since": None})
