"""What surrounds the programs fails: the disk of the hub or of a node fills up, or a node's clock is an hour wrong."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fault.exchange_world import World

DISK_MEGABYTES = 48
STARVED_SECONDS = 6.0
HOUR_SECONDS = 3600
STATUS_SECONDS_MAX = 240.0
POLL_SECONDS = 0.2


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    """Let `folder` be a disk of its own that is soon full."""
    folder.mkdir(parents=True, exist_ok=True)
    mounted = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mounted, check=False, capture_output=True).returncode != 0:
        pytest.skip("mounting a small disk needs root and CAP_SYS_ADMIN")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _fill(folder: Path) -> Path:
    """Write until the disk of `folder` is full."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(65_536))
            except OSError:
                return filler


@pytest.mark.parametrize("full", ["hub", "producer"])
def test_a_full_disk_loses_nothing_and_work_goes_on_when_there_is_room(tmp_path: Path, full: str) -> None:
    with _disk(tmp_path / full):
        world = World(tmp_path, control="sqlite", seed=3)
        try:
            world.start()
            world.change()
            world.request()
            world.settle()
            world.check()
            filler = _fill(tmp_path / full)
            world.change()
            filler.unlink()
            world.request()
            _fill(tmp_path / full)
            time.sleep(STARVED_SECONDS)
            assert world.programs[full].alive, world.state()
            filler.unlink()
            world.settle()
            world.check()
            world.check_log()
        finally:
            world.close()


def _statuses(world: World) -> dict[str, str]:
    """Return what each node told the hub of itself at last."""
    told = {node.id: node.last_status for node in world.hub.services.identity.nodes()}
    return {name: told[node.id] for name, node in world.nodes.items()}


def test_nodes_whose_clocks_are_an_hour_wrong_transfer_as_others_do(tmp_path: Path) -> None:
    world = World(tmp_path, control="sqlite", seed=4)
    for name, seconds in {"producer": HOUR_SECONDS, "consumer": -HOUR_SECONDS}.items():
        offset = tmp_path / f"{name}-offset"
        offset.write_text(str(seconds))
        world.programs[name].environment["DATONG_CLOCK_OFFSET_FILE"] = str(offset)
    try:
        world.start()
        world.change()
        world.request()
        world.settle()
        world.check()
        # A node tells its state at the end of a turn, which may come after the last receipt.
        until = time.monotonic() + STATUS_SECONDS_MAX
        while time.monotonic() < until and not all(_statuses(world).values()):
            time.sleep(POLL_SECONDS)
        for name, sign in (("producer", "+"), ("consumer", "-")):
            assert f"clock: {sign}3" in _statuses(world)[name]
    finally:
        world.close()
