import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from datong.kernel import Conflict, Database, DepartmentCode, EntryId, Misconfigured, NotFound
from datong.ledger import EntryKind, Ledger, MemoryTileStore, verify_log
from datong.ledger.places import PLACE
from datong.ledger.sequencer import ENTRIES_PER_STEP_MAX
from datong.ledger.tables import ENTRIES
from datong.ledger.tiles import TilePath, tiles_of
from tests.unit.ledger.logs import LOG_KEY, NODE, NOW, ORIGIN, SmallLog


@pytest.fixture
def log(control_database: Database, tmp_path: Path) -> SmallLog:
    return SmallLog(tmp_path, database=control_database)


def test_an_entry_commits_and_vanishes_with_its_transaction(log: SmallLog) -> None:
    def append_and_fail() -> None:
        with log.database.transaction() as connection:
            log.ledger.append(connection, kind=EntryKind.TASK, subject="t", actor=NODE, facts={})
            raise KeyError("undone")

    with pytest.raises(KeyError):
        append_and_fail()
    (entry_id,) = log.append(1)
    assert log.ledger.entries().total == 1
    assert log.ledger.entry(entry_id).index is None
    log.integrate()
    assert log.ledger.entry(entry_id).index == 0


def test_entries_are_found_newest_first(log: SmallLog) -> None:
    ids = log.append(5)
    with log.database.transaction() as connection:
        task = log.ledger.append(
            connection, kind=EntryKind.TASK, subject="task-1", actor=NODE, facts={"consumer": "C", "provider": "P"}
        )
    page = log.ledger.entries(limit=2)
    assert [entry.entry_id for entry in page.rows] == [task, ids[4]]
    assert (page.total, page.next_offset) == (6, 2)
    assert [entry.entry_id for entry in log.ledger.entries(kind=EntryKind.TASK).rows] == [task]
    assert [entry.entry_id for entry in log.ledger.entries(subject="subject-3").rows] == [ids[3]]
    assert [entry.entry_id for entry in log.ledger.entries(department=DepartmentCode("P")).rows] == [task]
    assert log.ledger.entries(department=NODE.department).total == 6
    assert log.ledger.entries(offset=9).rows == ()


def test_entries_between_two_times(log: SmallLog) -> None:
    first = log.append(1)
    log.clock.advance(timedelta(hours=1))
    second = log.append(2)
    between = log.ledger.entries_between(
        kinds={EntryKind.BATCH}, since=NOW, until=NOW + timedelta(hours=1, microseconds=1)
    )
    assert [entry.entry_id for entry in between] == first + second
    until = NOW + timedelta(hours=1, microseconds=1)
    assert list(log.ledger.each_between(kinds={EntryKind.BATCH}, since=NOW, until=until)) == between
    assert log.ledger.entries_between(kinds={EntryKind.BATCH}, since=NOW, until=NOW + timedelta(hours=1))[0].at == NOW
    assert log.ledger.entries_between(kinds={EntryKind.TASK}, since=NOW, until=NOW + timedelta(days=1)) == []


def test_indices_are_gap_free_in_order_of_appending(log: SmallLog) -> None:
    ids = [entry_id for count in (1, 300, 0, 256) for entry_id in log.grow(count)]
    assert [log.ledger.entry(entry_id).index for entry_id in ids] == list(range(557))
    assert log.ledger.size() == 557


def test_a_late_commit_with_an_early_serial_is_numbered_later(log: SmallLog) -> None:
    if log.database.is_sqlite:
        with log.database.transaction() as connection:
            early = log.ledger.append(connection, kind=EntryKind.TASK, subject="early", actor=NODE, facts={})
        log.integrate()
        (late,) = log.grow(1)
    else:
        with log.database.transaction() as connection:
            late = log.ledger.append(connection, kind=EntryKind.TASK, subject="late", actor=NODE, facts={})
            (early,) = log.grow(1)
        log.integrate()
    assert [log.ledger.entry(entry_id).index for entry_id in (early, late)] == [0, 1]


def test_a_long_queue_takes_several_steps(tmp_path: Path) -> None:
    log = SmallLog(tmp_path)
    log.append(ENTRIES_PER_STEP_MAX + 1)
    assert log.ledger.integrate() is True
    assert log.ledger.size() == ENTRIES_PER_STEP_MAX
    assert log.ledger.integrate() is False
    assert log.ledger.size() == ENTRIES_PER_STEP_MAX + 1
    log.ledger.export(tmp_path / "export")
    assert verify_log(tmp_path / "export").size == ENTRIES_PER_STEP_MAX + 1


def test_only_the_published_tiles_are_served(log: SmallLog) -> None:
    log.grow(300)
    for tile in tiles_of(300):
        assert log.ledger.tile(str(tile))
    for path in ("tile/0/001.p/45", "tile/0/001", "tile/1/000", "tile/entries/001.p/45", "tile/2/000.p/1", "x"):
        with pytest.raises(NotFound):
            log.ledger.tile(path)


def test_partial_tiles_go_when_full_ones_come_and_are_still_served(tmp_path: Path) -> None:
    log = SmallLog(tmp_path)
    log.grow(3)
    partial = {path: log.ledger.tile(path) for path in ("tile/0/000.p/3", "tile/entries/000.p/3")}
    log.grow(260)
    assert isinstance(log.tiles, MemoryTileStore)
    assert not any(path.startswith(("tile/0/000.p", "tile/entries/000.p")) for path in log.tiles.files)
    assert {path: log.ledger.tile(path) for path in partial} == partial


def test_no_checkpoint_before_the_first_step(log: SmallLog) -> None:
    with pytest.raises(NotFound):
        log.ledger.checkpoint()
    log.integrate()
    assert log.ledger.checkpoint().startswith(f"{ORIGIN}\n0\n".encode())


def test_an_export_needs_an_empty_folder(tmp_path: Path) -> None:
    log = SmallLog(tmp_path)
    log.grow(1)
    with pytest.raises(Conflict):
        log.ledger.export(tmp_path)


def test_unknown_entries(log: SmallLog) -> None:
    with pytest.raises(NotFound):
        log.ledger.entry(EntryId("nothing"))


@pytest.mark.parametrize("origin", ["", "a b", "a+b"])
def test_an_unusable_origin_is_refused(tmp_path: Path, origin: str) -> None:
    log = SmallLog(tmp_path)
    with pytest.raises(Misconfigured):
        Ledger(database=log.database, clock=log.clock, signer=LOG_KEY, origin=origin, tiles=log.tiles)


def test_writers_and_sequencers_at_once(log: SmallLog) -> None:
    writers, each = 4, 25
    running = threading.Event()
    running.set()

    def write(number: int) -> None:
        for round_number in range(each):
            log.append(2, prefix=f"{number}-{round_number}")

    def sequence() -> None:
        while running.is_set():
            log.ledger.integrate()

    with ThreadPoolExecutor(writers + 3) as threads:
        sequencing = [threads.submit(sequence) for _ in range(3)]
        writing = [threads.submit(write, number) for number in range(writers)]
        for done in writing:
            done.exception()
        running.clear()
        for done in writing + sequencing:
            done.result()
    log.integrate()
    assert log.ledger.size() == writers * each * 2
    with log.database.snapshot() as connection:
        positions = sorted(connection.scalars(select(PLACE).select_from(ENTRIES)))
    assert positions == list(range(writers * each * 2))
    log.ledger.export(log.folder / "export")
    assert verify_log(log.folder / "export").size == writers * each * 2


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (TilePath(level=0, number=0), "tile/0/000"),
        (TilePath(level=63, number=5, width=1), "tile/63/005.p/1"),
        (TilePath(level=None, number=1234067), "tile/entries/x001/x234/067"),
        (TilePath(level=1, number=1000, width=255), "tile/1/x001/000.p/255"),
    ],
)
def test_names_of_tiles(tile: TilePath, path: str) -> None:
    assert str(tile) == path
    assert TilePath.parse(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0/0",
        "tile/0/x000/001",
        "tile/00/000",
        "tile/64/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/001/000",
        "tile/data/000",
        "tile/0/../000",
        "tile/0/" + "x001/" * 30 + "000",
        "tile/0/٠٠٠",
    ],
)
def test_what_is_no_name_of_a_tile(path: str) -> None:
    with pytest.raises(NotFound):
        TilePath.parse(path)
