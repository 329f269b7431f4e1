"""A watched folder through a hub to another department's database: each file once, wherever a node is stopped."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from datong.adapters.watched_table import FILE, ORDER
from datong.exchange import TransferMode
from tests.exchange_world import exchange_world

COLUMNS = (*ORDER, FILE, "id")


def put(folder: Path, name: str, content: str) -> None:
    """Put a file there that has not changed for long."""
    path = folder / "reports" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    os.utime(path, (1_700_000_000, 1_700_000_000))


def received(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT {FILE}, id FROM received ORDER BY {', '.join(ORDER)}").fetchall()


@pytest.mark.parametrize("stopped_at", [0, 2, 4, 6, 8])
def test_each_file_moves_once_wherever_a_node_is_stopped(tmp_path: Path, stopped_at: int) -> None:
    files, target = tmp_path / "files", tmp_path / "target.sqlite"
    put(files, "a.csv", "id\n1\n2\n3\n")
    put(files, "b.csv", 'id\n"4')
    put(files, "c.csv", "id\n5\n")
    with exchange_world(tmp_path, source=f"files://{files}", target=f"sqlite:///{target}") as world:
        task = world.task("reports", COLUMNS, ORDER, TransferMode.INCREMENT, rows=2, cursor=ORDER[0])
        world.work_off("police", kill_at=stopped_at)
        world.work_off("police")
        world.work_off("education", kill_at=stopped_at)
        world.work_off("education")
        first = [("reports/a.csv", "1"), ("reports/a.csv", "2"), ("reports/a.csv", "3"), ("reports/c.csv", "5")]
        assert received(target) == first
        # The damaged file is corrected, another comes in under an old date, a known one is copied there again.
        put(files, "b.csv", 'id\n"4"\n')
        put(files, "0.csv", "id\n6\n")
        put(files, "a.csv", "id\n1\n2\n3\n")
        world.request(task)
        world.work_off("police", kill_at=stopped_at)
        world.work_off("police")
        world.work_off("education")
        assert received(target) == [*first, ("reports/0.csv", "6"), ("reports/b.csv", "4")]
        world.request(task)
        world.work_off("police")
        world.work_off("education")
        assert len(received(target)) == 6
