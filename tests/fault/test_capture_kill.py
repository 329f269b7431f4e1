"""Change capture under kill -9 at each step: every change arrives, none is lost, and the slot never runs ahead."""

import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from datong.adapters.postgresql_capture import position_number
from datong.exchange import TransferMode
from datong.node import Step
from datong.node.capture import place_name
from tests.capture_scene import CHANGE_STEPS, NEVER, SNAPSHOT_STEPS, CaptureScene
from tests.exchange_world import ExchangeWorld, exchange_world
from tests.servers import PostgresqlServer

ROWS = 250
BATCH_ROWS = 100


class Scene:
    """A source that is captured by a node process, and a target."""

    def __init__(self, world: ExchangeWorld, connection: "psycopg.Connection[tuple[object, ...]]") -> None:
        self.connection = connection
        self.run("CREATE TABLE people (id bigint PRIMARY KEY, name text)", "ALTER TABLE people REPLICA IDENTITY FULL")
        self.run(f"INSERT INTO people SELECT n, 'a' || n FROM generate_series(1, {ROWS}) AS n")
        task = world.task("people", ("id", "name"), ("id",), TransferMode.CAPTURE, BATCH_ROWS)
        self.inner = CaptureScene(world, task, position_number)

    def run(self, *statements: str) -> None:
        for statement in statements:
            self.connection.execute(statement.encode())

    def text(self, query: str) -> str:
        row = self.connection.execute(query.encode()).fetchone()
        return "" if row is None else str(row[0])

    def capture(self, *fault: Step | int) -> int | None:
        self.run("SELECT pg_logical_emit_message(true, 'test', 'mark')")
        # A process that is to die goes on until it does.
        until = NEVER if fault else position_number(self.text("SELECT pg_current_wal_insert_lsn()::text"))
        return self.inner.capture(until, *fault)


@pytest.fixture
def scene(tmp_path: Path, postgresql_server: PostgresqlServer) -> Iterator[Scene]:
    source, target = postgresql_server.create_database(), postgresql_server.create_database()
    with (
        exchange_world(tmp_path, source=source, target=target) as world,
        psycopg.connect(source, autocommit=True) as connection,
    ):
        scene = Scene(world, connection)
        yield scene
        name = place_name(scene.inner.task.id)
        scene.run(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots "
            f"WHERE active_pid IS NOT NULL AND slot_name = '{name}'",
            f"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '{name}'",
        )
    postgresql_server.drop_database(source)
    postgresql_server.drop_database(target)


@pytest.mark.parametrize("step", SNAPSHOT_STEPS)
def test_a_kill_in_the_snapshot(scene: Scene, step: Step) -> None:
    number = 1 if step in {Step.SLOT_MADE, Step.RUN_FINISHED} else 2
    assert scene.capture(step, number) == -signal.SIGKILL
    scene.run("DELETE FROM people WHERE id <= 10", "UPDATE people SET name = 'b' WHERE id = 20")
    assert scene.capture() == 0
    scene.inner.check()


@pytest.mark.parametrize("step", CHANGE_STEPS)
def test_a_kill_in_the_changes(scene: Scene, step: Step) -> None:
    assert scene.capture() == 0
    scene.run(
        f"INSERT INTO people SELECT n, 'c' FROM generate_series({ROWS + 1}, {ROWS * 2}) AS n",
        "UPDATE people SET id = id + 10000 WHERE id <= 30",
    )
    if step is Step.PLACE_WRITTEN:
        # Only an idle stream rests: other tables' changes are passed, and then nothing comes.
        scene.run("CREATE TABLE other (n int)", "INSERT INTO other SELECT generate_series(1, 1000)")
    assert scene.capture(step, 1 if step is Step.PLACE_WRITTEN else 2) == -signal.SIGKILL
    scene.run("DELETE FROM people WHERE id % 3 = 0", "UPDATE people SET name = name || '!' WHERE id % 5 = 0")
    assert scene.capture() == 0
    scene.inner.check()
    modes = [record.manifest.mode for record in scene.inner.world.hub.exchange.batches(scene.inner.task.id)]
    assert modes.count(TransferMode.SNAPSHOT) == 3
