"""Sealed tasks: exactly once under kills, no value at the hub, and nothing applied of what does not open."""

import shutil
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from datong.adapters.connections import open_connector, open_target
from datong.adapters.file_keys import load_or_create_signer
from datong.exchange import Task, TransferMode
from datong.kernel import PLATFORM_ACTOR, NodeId, SystemClock
from datong.node import NodeProgram, Step
from datong.norms import load_pack
from tests.fault.test_exchange_kill import ROWS, World

CHANGED = "1987-06-05"
"""When the rows changed: a cursor, and a date that nothing else here bears."""
STEPS = (
    Step.BATCH_SPOOLED,
    Step.BATCH_COMMITTED,
    Step.PAYLOAD_FETCHED,
    Step.BATCH_APPLIED,
)
KEYS = "recipient-keys.json"
OFFERED_SECONDS_MAX = 120.0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    world.start_hub()
    yield world
    world.stop_hub()


def program_of(folder: Path) -> NodeProgram:
    return NodeProgram(
        directory=folder,
        clock=SystemClock(),
        load_signer=load_or_create_signer,
        open_connector=open_connector,
        open_target=open_target,
        load_pack=lambda: load_pack(None),
        sleep=lambda _seconds: None,
    )


def one_round(world: World, party: str) -> list[str]:
    """Let a node work for one round, and return what it tells."""
    told: list[str] = []
    program = program_of(world.folder / party)
    client = program.client()
    program.loop(client, lambda text: told.append(text.en)).round(0)
    client.close()
    return told


def offered_again(world: World, party: str) -> None:
    """Wait until the hub offers the node its work again: after a failure it first lets some seconds pass."""
    until = time.monotonic() + OFFERED_SECONDS_MAX
    while world.hub.exchange.work_for(NodeId(f"node-{party}")).is_empty:
        assert time.monotonic() < until
        time.sleep(0.1)


def sealed_task(world: World, mode: TransferMode = TransferMode.INCREMENT) -> Task:
    """Make the consumer's key known, then a sealed task."""
    one_round(world, "education")
    return world.task(mode, sealed=True)


def bytes_at_hub(world: World) -> dict[Path, bytes]:
    """Return every file of the hub's home."""
    return {path: path.read_bytes() for path in (world.folder / "hub").rglob("*") if path.is_file()}


def applied_rows(world: World) -> int:
    with closing(sqlite3.connect(world.database("education"))) as connection:
        table = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'received'").fetchone()
        return int(connection.execute("SELECT count(*) FROM received").fetchone()[0]) if table[0] else 0


def payloads(world: World, task: Task) -> list[Path]:
    return sorted((world.folder / "hub" / "lake" / "batches" / task.id).iterdir())


@pytest.mark.parametrize("step", STEPS)
def test_a_sealed_task_is_exactly_once_and_the_hub_holds_no_value(world: World, step: Step) -> None:
    world.fill(0, ROWS, CHANGED)
    task = sealed_task(world)
    party = "education" if step in {Step.PAYLOAD_FETCHED, Step.BATCH_APPLIED} else "police"
    if party == "education":
        assert world.node("police") == 0
    assert world.node(party, step, 3) == -signal.SIGKILL
    assert world.node("police") == 0
    assert world.node("education") == 0
    world.check_equal(task, ROWS)
    names = [f"人{number}".encode() for number in range(100, 200)]
    for path, content in bytes_at_hub(world).items():
        assert CHANGED.encode() not in content, path
        assert not any(name in content for name in names), path
    for path in payloads(world, task):
        with pytest.raises(pa.ArrowInvalid):
            pa.ipc.open_stream(path.read_bytes())
    assert not list((world.folder / "education" / "fetched").iterdir())


def test_the_same_search_finds_the_values_of_a_task_that_is_not_sealed(world: World) -> None:
    world.fill(0, ROWS, CHANGED)
    task = world.task(TransferMode.INCREMENT)
    assert world.node("police") == 0
    assert any(CHANGED.encode() in content for content in bytes_at_hub(world).values())
    rows = pa.ipc.open_stream(payloads(world, task)[0].read_bytes()).read_all()
    assert "人24" in rows["name"].to_pylist()


def test_increments_go_on_from_a_cursor_that_the_hub_cannot_read(world: World) -> None:
    world.fill(0, ROWS, CHANGED)
    task = sealed_task(world)
    assert world.node("police") == 0
    before = world.hub.exchange.progress(task.id)
    world.fill(ROWS - 10, ROWS + 30, "1987-07-06")
    world.hub.exchange.request_run(task.id, actor=PLATFORM_ACTOR)
    assert world.node("police") == 0
    assert world.node("education") == 0
    assert world.hub.exchange.progress(task.id).rows - before.rows == 40
    world.check_equal(task, ROWS + 30)


def test_a_node_that_lost_its_cursor_key_says_so(world: World) -> None:
    world.fill(0, ROWS, CHANGED)
    task = sealed_task(world)
    assert world.node("police") == 0
    (world.folder / "police" / KEYS).unlink()
    world.hub.exchange.request_run(task.id, actor=PLATFORM_ACTOR)
    assert any("cursor was sealed under another key" in text for text in one_round(world, "police"))


def test_without_the_consumers_key_nothing_is_cut(world: World) -> None:
    world.fill(0, ROWS, CHANGED)
    task = world.task(TransferMode.INCREMENT, sealed=True)
    assert any("no recipient key" in text for text in one_round(world, "police"))
    assert not world.hub.exchange.batches(task.id)
    one_round(world, "education")
    offered_again(world, "police")
    assert world.node("police") == 0
    assert world.node("education") == 0
    world.check_equal(task, ROWS)


def test_a_node_without_the_key_applies_nothing(world: World) -> None:
    world.fill(0, ROWS, CHANGED)
    sealed_task(world)
    assert world.node("police") == 0
    (world.folder / "education" / KEYS).rename(world.folder / "kept")
    assert any("sealed to other keys" in text for text in one_round(world, "education"))
    assert applied_rows(world) == 0
    (world.folder / "kept").replace(world.folder / "education" / KEYS)
    offered_again(world, "education")
    assert world.node("education") == 0
    assert applied_rows(world) == ROWS


def test_after_a_rotation_old_and_new_batches_open_and_a_revoked_key_gets_none(world: World) -> None:
    world.fill(0, ROWS, CHANGED)
    task = sealed_task(world)
    assert world.node("police") == 0
    old = world.hub.exchange.batches(task.id)[0].manifest.sealing
    newest = program_of(world.folder / "education").rotate_recipient_key(revoke_others=True)
    world.fill(ROWS, ROWS + 50, "1987-08-09")
    world.hub.exchange.request_run(task.id, actor=PLATFORM_ACTOR)
    assert world.node("police") == 0
    new = world.hub.exchange.batches(task.id)[-1].manifest.sealing
    assert old is not None
    assert new is not None
    assert new.key_ids == (newest.key_id,)
    assert newest.key_id not in old.key_ids
    assert world.node("education") == 0
    world.check_equal(task, ROWS + 50)


def test_payloads_that_the_hub_changed_or_swapped_are_not_applied(world: World) -> None:
    world.fill(0, ROWS, CHANGED)
    task = sealed_task(world)
    assert world.node("police") == 0
    first, second, *_ = payloads(world, task)
    good = first.read_bytes()
    for wrong in (good[:-1] + bytes([good[-1] ^ 1]), good[: len(good) // 2], second.read_bytes()):
        first.write_bytes(wrong)
        offered_again(world, "education")
        assert one_round(world, "education")
        assert applied_rows(world) == 0
        shutil.rmtree(world.folder / "education" / "fetched")
    first.write_bytes(good)
    offered_again(world, "education")
    assert world.node("education") == 0
    world.check_equal(task, ROWS)
