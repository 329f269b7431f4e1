"""Gossip: a hub that shows two nodes two logs is found, and what is found convinces anybody who has the log's key."""

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from datong.cli.ledger import app
from datong.kernel import Corrupt, DatongError, FixedClock, NotFound
from datong.ledger import (
    Ed25519Signer,
    Gossip,
    LogKeys,
    PeerNote,
    PinnedKeys,
    Witness,
    read_split,
    standalone_verifier,
    verify_split,
)
from datong.ledger.gossip import SILENT_AFTER
from tests.unit.ledger.logs import LOG_KEY, NOW, ORIGIN, WITNESS_KEY, SmallLog

KEY = LOG_KEY.public_key
OTHER_KEY = Ed25519Signer.from_private_bytes(b"\x03" * 32)
SIGNERS = {"node-1": WITNESS_KEY, "node-2": OTHER_KEY}
Fetch = Callable[[str], bytes]


class Node:
    """A node with its witness and its gossip; it is shown one log."""

    def __init__(self, name: str, folder: Path, clock: FixedClock) -> None:
        self.name = name
        folder.mkdir(parents=True, exist_ok=True)
        self.witness = Witness(
            name=name,
            signer=SIGNERS[name],
            state_path=folder / "witness.json",
            clock=clock,
            keys=PinnedKeys(LogKeys(origin=ORIGIN, newest=KEY)),
        )
        self.gossip = Gossip(name=name, folder=folder, clock=clock, keys=PinnedKeys(LogKeys(origin=ORIGIN, newest=KEY)))

    def look(self, fetch: Fetch) -> None:
        self.witness.update(fetch)

    def word(self, note: bytes | None = None) -> PeerNote:
        own = self.witness.remembered()
        told = note if note is not None or own is None else own.encode()
        return PeerNote(
            name=self.name,
            department="tax",
            public_key=base64.b64encode(SIGNERS[self.name].public_key).decode(),
            note=None if told is None else told.decode(),
        )

    def hear(self, fetch: Fetch, *words: PeerNote) -> list[tuple[str, str]]:
        own = self.witness.remembered()
        assert own is not None
        return [(trouble.peer, trouble.kind) for trouble in self.gossip.hear(own, words, fetch)]


class World:
    """One hub's key over two logs, and two nodes."""

    def __init__(self, folder: Path) -> None:
        self.log, self.lie = SmallLog(folder / "log"), SmallLog(folder / "lie")
        self.clock = FixedClock(NOW)
        self.one = Node("node-1", folder / "one", self.clock)
        self.two = Node("node-2", folder / "two", self.clock)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.mark.parametrize(("first", "second"), [(5, 5), (5, 300), (300, 7)])
def test_a_hub_that_shows_two_views_is_found_and_convicted(world: World, first: int, second: int) -> None:
    world.log.grow(first)
    world.lie.grow(second, prefix="other")
    world.one.look(world.log.fetch)
    world.two.look(world.lie.fetch)
    # Whoever has seen more finds it; the hub has to relay words, or both fall silent.
    hearer, fetch, word = (
        (world.one, world.log.fetch, world.two.word())
        if first >= second
        else (world.two, world.lie.fetch, world.one.word())
    )
    with pytest.raises(Corrupt) as caught:
        hearer.hear(fetch, word)
    assert caught.value.code == "ledger.split_view"
    # From then on it cosigns nothing.
    with pytest.raises(Corrupt) as caught:
        hearer.gossip.require_one_view()
    assert str(hearer.gossip.proof_path) in caught.value.what.en
    # The file convinces others: the platform's verifier, the one in one file, the command line.
    proof = hearer.gossip.proof_path.read_bytes()
    report = verify_split(read_split(proof), log_key=KEY)
    assert (report.size, report.larger_size) == (min(first, second), max(first, second))
    assert report.root_signed != report.root_shown
    assert f"size {min(first, second)}" in standalone_verifier.verify_split(json.loads(proof), KEY)
    ran = CliRunner().invoke(
        app, ["verify", str(hearer.gossip.proof_path), "--key", KEY.hex()], env={"DATONG_LANGUAGE": "en"}
    )
    assert "A split view is proved" in ran.output


def test_nodes_that_are_shown_one_log_agree_however_far_they_are(world: World) -> None:
    world.log.grow(3)
    world.two.look(world.log.fetch)
    early = world.two.word()
    world.log.grow(400)
    world.one.look(world.log.fetch)
    assert world.one.hear(world.log.fetch, early, world.one.word()) == []
    world.two.look(world.log.fetch)
    assert world.one.hear(world.log.fetch, world.two.word()) == []
    (peer,) = world.one.gossip.peers()
    assert (peer.size, peer.compared, peer.behind_since) == (403, True, None)


def test_a_hub_that_keeps_words_back_is_noticed(world: World) -> None:
    world.log.grow(3)
    for node in (world.one, world.two):
        node.look(world.log.fetch)
    silenced = world.two.word()
    assert world.one.hear(world.log.fetch, silenced) == []
    world.log.grow(1)
    world.one.look(world.log.fetch)
    assert world.one.hear(world.log.fetch, silenced) == []
    world.clock.advance(SILENT_AFTER + timedelta(seconds=1))
    # It repeats an old word, or says that there is no such witness: both are silence.
    assert world.one.hear(world.log.fetch, silenced) == [("node-2", "silent")]
    assert world.one.hear(world.log.fetch) == [("node-2", "silent")]
    world.two.look(world.log.fetch)
    assert world.one.hear(world.log.fetch, world.two.word()) == []


def test_a_node_that_is_shown_less_than_others_is_told(world: World) -> None:
    world.log.grow(3)
    frozen = {path: world.log.fetch(path) for path in ("checkpoint", "tile/0/000.p/3")}
    world.one.look(frozen.__getitem__)
    world.log.grow(5)
    world.two.look(world.log.fetch)
    assert world.one.hear(frozen.__getitem__, world.two.word()) == []
    world.clock.advance(SILENT_AFTER + timedelta(seconds=1))
    assert world.one.hear(frozen.__getitem__, world.two.word()) == [("node-2", "held_back")]


def test_words_cannot_be_made_up(world: World) -> None:
    world.log.grow(3)
    world.one.look(world.log.fetch)
    world.two.look(world.log.fetch)
    world.one.hear(world.log.fetch, world.two.word())
    made_up = world.two.word(world.log.ledger.checkpoint())
    with pytest.raises(Corrupt) as caught:
        world.one.hear(world.log.fetch, made_up)
    assert caught.value.code == "ledger.peer_unsigned"
    # A key of the hub's own is named, and not believed until the department was asked.
    own_key = base64.b64encode(LOG_KEY.public_key).decode()
    swapped = world.two.word().model_copy(update={"public_key": own_key})
    assert world.one.hear(world.log.fetch, swapped) == [("node-2", "other_key")]
    assert "node-2" in world.one.gossip.troubles()[0].what.en
    with pytest.raises(NotFound):
        world.one.gossip.accept_key("node-3")
    assert world.one.gossip.accept_key("node-2").public_key == own_key
    assert world.one.gossip.troubles() == ()


def test_checkpoints_are_compared_by_file_without_the_hub(world: World) -> None:
    world.log.grow(9)
    world.lie.grow(9, prefix="other")
    world.one.look(world.log.fetch)
    own = world.one.witness.remembered()
    assert own is not None
    for text in (b"{}", b"[]", b"\xff", b'{"notes": [1]}', b'{"notes": ["x"]}'):
        with pytest.raises(Corrupt):
            world.one.gossip.take_in(own, text, world.log.fetch)
    assert world.one.gossip.take_in(own, world.one.gossip.sightings(own), world.log.fetch) == 1
    world.two.look(world.lie.fetch)
    other = world.two.witness.remembered()
    assert other is not None
    with pytest.raises(Corrupt) as caught:
        world.one.gossip.take_in(own, world.two.gossip.sightings(other), world.log.fetch)
    assert caught.value.code == "ledger.split_view"


def test_a_witness_that_is_shown_another_past_keeps_the_proof(world: World) -> None:
    world.log.grow(5)
    world.lie.grow(300, prefix="other")
    world.one.look(world.log.fetch)
    with pytest.raises(Corrupt):
        world.one.look(world.lie.fetch)
    with pytest.raises(Corrupt) as caught:
        world.one.gossip.require_one_view()
    assert caught.value.code == "ledger.split_view"


def test_two_checkpoints_that_fit_prove_nothing(world: World, tmp_path: Path) -> None:
    world.log.grow(5)
    world.lie.grow(300, prefix="other")
    world.one.look(world.log.fetch)
    with pytest.raises(Corrupt):
        world.one.look(world.lie.fetch)
    split = json.loads(world.one.gossip.proof_path.read_bytes())
    honest = {**split, "larger": split["smaller"]}
    other = {**split, "larger_began_with": base64.b64encode(b"\0" * 32).decode()}
    short = {**split, "proof": split["proof"][:-1]}
    for changed in (honest, other, short, {**split, "type": "x"}, {**split, "smaller": split["larger"]}, {}):
        with pytest.raises(Corrupt):
            verify_split(changed, log_key=KEY)
    with pytest.raises(Corrupt):
        verify_split(split, log_key=WITNESS_KEY.public_key)
    for changed in (honest, other, short):
        path = tmp_path / "changed.json"
        path.write_text(json.dumps(changed))
        ran = subprocess.run(
            [sys.executable, standalone_verifier.__file__, str(path), "--key", KEY.hex()],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 1
        assert "✗" in ran.stderr


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    world = World(tmp_path_factory.mktemp("proof"))
    world.log.grow(5)
    world.lie.grow(70, prefix="other")
    world.one.look(world.log.fetch)
    with pytest.raises(Corrupt):
        world.one.look(world.lie.fetch)
    return world.one.gossip.proof_path.read_bytes()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_changed_proof_proves_the_same_or_nothing(proof: bytes, data: st.DataObject) -> None:
    raw = bytearray(proof)
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        report = verify_split(read_split(bytes(raw)), log_key=KEY)
    except DatongError:
        return
    assert (report.size, report.larger_size) == (5, 70)
