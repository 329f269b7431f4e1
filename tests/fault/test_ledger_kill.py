"""The sequencer is killed before and after each of its file operations; the next one must heal the log."""

import multiprocessing
import os
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import select

from datong.adapters.directory_store import DirectoryStore
from datong.kernel import Database
from datong.ledger import File, TileStore, verify_log
from datong.ledger.places import PLACE
from datong.ledger.tables import ENTRIES
from tests.unit.ledger.logs import SmallLog

KILLED = 77
ROUNDS = int(os.environ.get("DATONG_FAULT_ROUNDS", "8"))


class KillingStore:
    """A store that ends the process before or after its n-th change, as a power cut would."""

    def __init__(self, inner: TileStore, *, at: int, after: bool) -> None:
        self._inner = inner
        self._left = at
        self._after = after

    def read(self, path: str) -> bytes:
        return self._inner.read(path)

    def write(self, path: str, content: bytes) -> None:
        self._strike(before=True)
        self._inner.write(path, content)
        self._strike(before=False)

    def write_all(self, files: Sequence[File]) -> None:
        for path, content in files:
            self.write(path, content)

    def discard(self, path: str) -> None:
        self._strike(before=True)
        self._inner.discard(path)
        self._strike(before=False)

    def _strike(self, *, before: bool) -> None:
        if self._left == 0 and before is not self._after:
            os._exit(KILLED)
        if not before:
            self._left -= 1


def integrate_until_killed(url: str, folder: Path, at: int, *, after: bool) -> None:
    database = Database(url)
    store = KillingStore(DirectoryStore(folder / "tiles"), at=at, after=after)
    SmallLog(folder, tiles=store, database=database).integrate()
    os._exit(0)


def run_and_kill(log: SmallLog, at: int, *, after: bool) -> bool:
    """Integrate in another process; return whether it was killed before it ended."""
    url = log.database.engine.url.render_as_string(hide_password=False)
    # A fork starts in milliseconds; it must inherit no open connection.
    log.database.close()
    process = multiprocessing.get_context("fork").Process(
        target=integrate_until_killed, args=(url, log.folder, at), kwargs={"after": after}
    )
    process.start()
    process.join()
    assert process.exitcode in {0, KILLED}
    return process.exitcode == KILLED


def check(log: SmallLog, folder: Path, expected: int) -> None:
    log.integrate()
    log.cosign()
    log.ledger.export(folder)
    assert verify_log(folder).size == expected
    with log.database.snapshot() as connection:
        places = sorted(connection.scalars(select(PLACE).select_from(ENTRIES)))
    assert places == list(range(expected))


@pytest.mark.parametrize("after", [False, True])
def test_a_kill_at_every_file_operation_is_healed(control_database: Database, tmp_path: Path, *, after: bool) -> None:
    log = SmallLog(tmp_path, tiles=DirectoryStore(tmp_path / "tiles"), database=control_database)
    total = len(log.grow(250))
    for at in range(9):
        # Enough to fill a tile at every second kill: partial and full tiles, bundles, and discards are all struck.
        total += len(log.append(130, prefix=f"kill-{at}"))
        killed = run_and_kill(log, at, after=after)
        # Each step has at least three operations: a bundle and a tile on each of two levels.
        assert killed or at >= 3
        check(log, tmp_path / f"export-{at}", total)


def test_kills_upon_kills_are_healed(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    log = SmallLog(tmp_path, tiles=DirectoryStore(tmp_path / "tiles"))
    log.integrate()
    log.witness().update(log.fetch)
    total = 0
    for number in range(ROUNDS):
        total += len(log.append(chance.choice([1, 3, 255, 256, 300]), prefix=f"round-{number}"))
        run_and_kill(log, chance.randrange(8), after=chance.random() < 0.5)
    check(log, tmp_path / "export", total)


def test_a_store_that_fails_is_tried_again(tmp_path: Path) -> None:
    class FailingStore(KillingStore):
        def _strike(self, *, before: bool) -> None:
            if before and self._left == 0:
                self._left = -1
                raise OSError("the disk is full")
            if not before:
                self._left -= 1

    for at in range(5):
        folder = tmp_path / str(at)
        log = SmallLog(folder, tiles=FailingStore(DirectoryStore(folder / "tiles"), at=at, after=False))
        log.append(300)
        with pytest.raises(OSError, match="full"):
            log.integrate()
        assert log.ledger.size() == 0
        assert log.ledger.entries(limit=1).rows[0].index is None
        check(log, folder / "export", 300)
