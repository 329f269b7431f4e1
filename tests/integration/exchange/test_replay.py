"""A consumer applies once more what the hub still stores: asked to, or because its database was restored."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from datong.exchange import ReplayDraft, ReplayState, Task, TransferMode
from datong.kernel import PLATFORM_ACTOR, Conflict, Corrupt, NotFound
from tests.exchange_world import ExchangeWorld, Killed, exchange_world, killed_after

COLUMNS = ("id", "name", "changed")


class Replayed:
    """A source whose rows came to the target in several batches."""

    def __init__(self, folder: Path, world: ExchangeWorld, keys: tuple[str, ...], mode: TransferMode) -> None:
        self.source, self.target = folder / "source.sqlite", folder / "target.sqlite"
        self.world = world
        self.grow(0, 20)
        cursor = "changed" if mode is TransferMode.INCREMENT else None
        self.task: Task = world.task("people", COLUMNS, keys, mode, 8, cursor=cursor)
        self.move()

    def grow(self, first: int, end: int) -> None:
        with closing(sqlite3.connect(self.source)) as connection, connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS people (id INTEGER PRIMARY KEY, name TEXT, changed INTEGER NOT NULL)"
            )
            rows = [(n % 15, f"人{n}", n) for n in range(first, end)]
            connection.executemany("INSERT OR REPLACE INTO people VALUES (?, ?, ?)", rows)

    def move(self) -> None:
        assert not self.world.work_off("police")
        self.world.consume()

    def again(self, first: int, end: int) -> None:
        self.grow(first, end)
        self.world.request(self.task)
        self.move()

    def spoil(self) -> None:
        with closing(sqlite3.connect(self.target)) as connection, connection:
            connection.execute("DELETE FROM received WHERE id % 2 = 0")
            connection.execute("UPDATE received SET name = 'wrong'")

    def replay(self, from_sequence: int, kill_at: int | None = None, party: str = "education") -> int | None:
        """Replay; return how many batches that were, None when the node was stopped at step number `kill_at`."""
        try:
            return self.world.program(party, killed_after(kill_at)).replay(self.task.id, from_sequence)
        except Killed:
            return None

    @property
    def newest(self) -> int:
        return self.world.hub.exchange.progress(self.task.id).batches

    def rows(self) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.target)) as connection:
            return connection.execute("SELECT id, name, changed FROM received ORDER BY changed").fetchall()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ExchangeWorld]:
    urls = {name: f"sqlite:///{tmp_path / name}.sqlite" for name in ("source", "target")}
    with exchange_world(tmp_path / "world", **urls) as world:
        yield world


def test_spoiled_rows_come_again_without_a_word_to_the_producer(tmp_path: Path, world: ExchangeWorld) -> None:
    scene = Replayed(tmp_path, world, ("id",), TransferMode.INCREMENT)
    scene.again(20, 30)
    receipts, newest = world.hub.exchange.receipts(scene.task.id), scene.newest
    scene.spoil()
    assert not world.equal(scene.task)
    assert scene.replay(1) == newest
    assert world.equal(scene.task)
    assert world.hub.exchange.receipts(scene.task.id) == receipts
    # What was kept of the table's digest was of before it was spoiled; the next receipt says what the table holds.
    scene.again(30, 33)
    digest = world.hub.exchange.receipts(scene.task.id)[-1].signed.receipt.table_digest
    assert digest is not None
    assert digest == world.digest(scene.task)
    assert world.hub.exchange.task(scene.task.id).run_requested == 3
    (done,) = world.hub.exchange.replays.of_task(scene.task.id)
    assert (done.state, done.from_sequence, done.to_sequence) == (ReplayState.DONE, 1, newest)


def test_an_order_at_the_hub_is_carried_out_by_the_node_signed_and_on_record(
    tmp_path: Path, world: ExchangeWorld
) -> None:
    scene = Replayed(tmp_path, world, ("id",), TransferMode.INCREMENT)
    scene.spoil()
    replays = world.hub.exchange.replays
    ordered = replays.request(scene.task.id, ReplayDraft(from_sequence=2), actor=PLATFORM_ACTOR)
    assert replays.request(scene.task.id, ReplayDraft(from_sequence=2), actor=PLATFORM_ACTOR) == ordered
    with pytest.raises(Conflict, match="replay_waits"):
        replays.request(scene.task.id, ReplayDraft(from_sequence=1), actor=PLATFORM_ACTOR)
    assert replays.cancel(scene.task.id, ordered.id, actor=PLATFORM_ACTOR).state is ReplayState.CANCELLED
    replays.request(scene.task.id, ReplayDraft(from_sequence=1), actor=PLATFORM_ACTOR)
    # What a replay needs is kept, however old it is.
    world.hub.exchange.retention._keep *= 0
    world.hub.exchange.retention.sweep()
    world.consume()
    assert world.equal(scene.task)
    done = replays.of_task(scene.task.id)[0]
    assert done.state is ReplayState.DONE
    assert done.signed is not None
    assert done.signed.report.table_digest is not None
    assert done.signed.report.table_digest.rows == len(scene.rows())
    forged = done.signed.model_copy(update={"report": done.signed.report.model_copy(update={"batches": 9})})
    with pytest.raises(Corrupt, match="bad_signature"):
        replays.done(forged, actor=PLATFORM_ACTOR)
    world.hub.ledger.integrate()
    facts = [recorded.facts for recorded in world.hub.ledger.entries(limit=200).rows]
    found = {str(one["action"]): one for one in facts if one.get("replay")}
    assert set(found) == {"replay", "replay_cancelled", "replayed"}
    assert found["replayed"]["table_rows"] == len(scene.rows())
    assert found["replayed"]["signature"] == done.signed.signature


def test_a_replay_of_a_restored_target_applies_also_what_it_never_held(tmp_path: Path, world: ExchangeWorld) -> None:
    scene = Replayed(tmp_path, world, ("id",), TransferMode.INCREMENT)
    backup = tmp_path / "backup"
    shutil.copy(scene.target, backup)
    scene.again(20, 30)
    shutil.copy(backup, scene.target)
    scene.spoil()
    scene.replay(1)
    assert world.equal(scene.task)


@pytest.mark.parametrize("kill_at", range(6))
def test_a_node_that_dies_during_a_replay_catches_up(tmp_path: Path, world: ExchangeWorld, kill_at: int) -> None:
    scene = Replayed(tmp_path, world, ("id",), TransferMode.INCREMENT)
    scene.spoil()
    assert scene.replay(1, kill_at) is None
    if kill_at % 2:
        scene.again(20, 22)
        if kill_at < 2:
            scene.replay(1)
    else:
        scene.replay(1)
    assert world.equal(scene.task)


def test_a_snapshot_is_replayed_from_its_beginning(tmp_path: Path, world: ExchangeWorld) -> None:
    scene = Replayed(tmp_path, world, ("id",), TransferMode.SNAPSHOT)
    scene.spoil()
    with pytest.raises(Conflict, match="replay_start") as caught:
        scene.replay(2)
    assert caught.value.context["first_sequence"] == 1
    scene.replay(1)
    assert world.equal(scene.task)


def test_a_restored_database_gets_what_it_lacks_exactly_once(tmp_path: Path, world: ExchangeWorld) -> None:
    scene = Replayed(tmp_path, world, (), TransferMode.INCREMENT)
    backup = tmp_path / "backup"
    shutil.copy(scene.target, backup)
    scene.again(20, 30)
    shutil.copy(backup, scene.target)
    scene.again(30, 32)
    moved = [row[2] for row in scene.rows()]
    assert len(moved) == len(set(moved))
    assert set(range(20, 32)) <= set(moved)


def test_what_cannot_be_replayed_is_left_as_it_is(tmp_path: Path, world: ExchangeWorld) -> None:
    scene = Replayed(tmp_path, world, (), TransferMode.INCREMENT)
    before = scene.rows()
    with pytest.raises(Conflict, match="replay_mode"):
        scene.replay(1)
    with pytest.raises(NotFound, match="no_such_batch"):
        scene.replay(99)
    with pytest.raises(NotFound, match="not_subscribed"):
        scene.replay(1, party="police")
    assert scene.rows() == before


def test_what_the_hub_stores_no_longer_is_not_undone(tmp_path: Path, world: ExchangeWorld) -> None:
    scene = Replayed(tmp_path, world, ("id",), TransferMode.INCREMENT)
    world.hub.exchange.payload(world.hub.exchange.batches(scene.task.id)[0].manifest.batch_id)
    retention = world.hub.exchange.retention
    retention._keep *= 0
    retention.sweep()
    with pytest.raises(NotFound, match="payload_disposed"):
        scene.replay(1)
    assert world.equal(scene.task)
