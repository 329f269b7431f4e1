"""Capture from MariaDB's binary log under kill -9 at each step in turn: every change arrives, none is lost."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from datong.adapters.binlog_stream import position_number
from datong.exchange import TransferMode
from datong.node import Step
from tests.capture_scene import CHANGE_STEPS, NEVER, SNAPSHOT_STEPS, CaptureScene
from tests.exchange_world import exchange_world
from tests.mariadb_source import MariadbSource
from tests.servers import MariadbServer

FIRST_ROWS = 250
ROWS = 150
BATCH_ROWS = 100


@pytest.fixture
def source(mariadb_server: MariadbServer) -> Iterator[MariadbSource]:
    source = MariadbSource(mariadb_server)
    source.run(
        "CREATE TABLE people (id BIGINT UNSIGNED PRIMARY KEY, name TEXT)",
        f"INSERT INTO people SELECT seq, CONCAT('a', seq) FROM seq_1_to_{FIRST_ROWS}",
    )
    yield source
    mariadb_server.drop_database(source.url)


@pytest.fixture
def scene(tmp_path: Path, source: MariadbSource, mariadb_server: MariadbServer) -> Iterator[CaptureScene]:
    target = mariadb_server.create_database()
    with exchange_world(tmp_path, source=source.url, target=target) as world:
        task = world.task("people", ("id", "name"), ("id",), TransferMode.CAPTURE, BATCH_ROWS)
        yield CaptureScene(world, task, position_number)
    mariadb_server.drop_database(target)


def test_kills_in_the_snapshot(scene: CaptureScene, source: MariadbSource) -> None:
    for number, step in enumerate(SNAPSHOT_STEPS, 1):
        times = 1 if step in {Step.SLOT_MADE, Step.RUN_FINISHED} else 2
        assert scene.capture(NEVER, step, times) == -signal.SIGKILL
        source.run(f"DELETE FROM people WHERE id = {number}", f"UPDATE people SET name = 'b' WHERE id = {number + 100}")
    assert scene.capture(source.place().number) == 0
    scene.check()


def test_kills_in_the_changes(scene: CaptureScene, source: MariadbSource) -> None:
    assert scene.capture(source.place().number) == 0
    for number, step in enumerate(CHANGE_STEPS, 1):
        first = FIRST_ROWS + ROWS * (number - 1)
        source.run(
            f"INSERT INTO people SELECT seq, 'c' FROM seq_{first + 1}_to_{first + ROWS}",
            f"UPDATE people SET id = id + 100000 WHERE id BETWEEN {first - 10} AND {first}",
            f"DELETE FROM people WHERE id BETWEEN {first + 1} AND {first + 5}",
            f"UPDATE people SET name = CONCAT(name, '!') WHERE id % 50 = {number}",
        )
        assert scene.capture(NEVER, step, 1 if step is Step.PLACE_WRITTEN else 2) == -signal.SIGKILL
    assert scene.capture(source.place().number) == 0
    scene.check()
    modes = [record.manifest.mode for record in scene.world.hub.exchange.batches(scene.task.id)]
    assert modes.count(TransferMode.SNAPSHOT) == 3
