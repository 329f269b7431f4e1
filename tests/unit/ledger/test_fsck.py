"""`fsck` on a log alone: what differs is named, and what does not is not."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, MetaData, String, Table, insert, select, text, update

from datong.kernel import Database, EntryId, Text
from datong.ledger import Area, EntryContent, EntryKind, FsckReport, Held, MemoryTileStore, Stated
from datong.ledger.tables import COSIGNATURES, ENTRIES
from tests.unit.ledger.harms import SWAPPED
from tests.unit.ledger.logs import SmallLog

THINGS = Table("thing", MetaData(), Column("id", String, primary_key=True), Column("rows", String), Column("entry_id"))
ENTRIES_COUNT = 290


def _stated(entry: EntryContent) -> Stated:
    return Stated(entry.subject, entry.facts, adds="rows" not in entry.facts)


def _held(connection: Connection) -> Iterator[Held]:
    for row in connection.execute(select(THINGS)):
        yield Held(row.id, {"thing": {"rows": row.rows}}, EntryId(str(row.entry_id)))


def area(*, own_entry: bool = False) -> Area:
    kinds = frozenset({EntryKind.BATCH})
    return Area("thing", Text(zh="东西", en="Thing"), kinds, _stated, _held, own_entry=own_entry)


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> SmallLog:
    made = SmallLog(tmp_path_factory.mktemp("grown"))
    made.grow(ENTRIES_COUNT)
    made.cosign()
    made.grow(10, prefix="later")
    made.database.close()
    return made


@pytest.fixture
def log(grown: SmallLog, tmp_path: Path) -> Iterator[SmallLog]:
    """A copy of the grown log, to be tampered with."""
    shutil.copy(grown.folder / "control.sqlite", tmp_path)
    tiles = MemoryTileStore()
    tiles.files = dict(grown.tiles.files) if isinstance(grown.tiles, MemoryTileStore) else {}
    database = Database(f"sqlite:///{tmp_path / 'control.sqlite'}")
    yield SmallLog(tmp_path, tiles=tiles, database=database)
    database.close()


def test_an_untouched_log_has_no_fault(log: SmallLog) -> None:
    log.append(3)
    told: list[tuple[int, int]] = []
    report = log.ledger.fsck([], progress=lambda done, of: told.append((done, of)))
    assert report.faults == ()
    assert (report.size, report.pending, report.cosignatures) == (ENTRIES_COUNT + 10, 3, 1)
    assert told[-1] == (ENTRIES_COUNT + 10, ENTRIES_COUNT + 10)


def _edit(log: SmallLog, statement: str) -> FsckReport:
    with log.database.transaction() as connection:
        connection.execute(text("DELETE FROM ledger_entry_department WHERE serial IN (1, 43, 300)"))
        connection.execute(text(statement))
    return log.ledger.fsck([])


def _leaf(log: SmallLog) -> FsckReport:
    with log.database.transaction() as connection:
        leaf = connection.execute(select(ENTRIES.c.leaf).where(ENTRIES.c.serial == 271)).scalar_one()
        changed = leaf.replace(b"node-1", b"node-2")
        connection.execute(update(ENTRIES).where(ENTRIES.c.serial == 271).values(leaf=changed))
    return log.ledger.fsck([])


def _swap(log: SmallLog) -> FsckReport:
    with log.database.transaction() as connection:
        for statement in SWAPPED:
            connection.execute(text(statement))
    return log.ledger.fsck([])


def _file(log: SmallLog) -> FsckReport:
    files = log.tiles.files if isinstance(log.tiles, MemoryTileStore) else {}
    files["tile/entries/000"] = files["tile/entries/000"].replace(b'"subject-20"', b'"subject-2o"')
    return log.ledger.fsck([])


@pytest.mark.parametrize(
    ("code", "index", "tamper"),
    [
        ("ledger.entry_edited", 270, _leaf),
        ("ledger.entry_edited", 5, _swap),
        ("ledger.file_edited", 20, _file),
        ("ledger.entries_missing", 42, lambda log: _edit(log, "DELETE FROM ledger_entry WHERE serial = 43")),
        ("ledger.entries_missing", 299, lambda log: _edit(log, "DELETE FROM ledger_entry WHERE serial = 300")),
        (
            "ledger.entry_column",
            7,
            lambda log: _edit(log, "UPDATE ledger_entry SET subject = 'other' WHERE serial = 8"),
        ),
        (
            "ledger.entry_column",
            8,
            lambda log: _edit(log, "UPDATE ledger_entry SET kind = 'exchange.receipt' WHERE serial = 9"),
        ),
        (
            "ledger.entry_column",
            9,
            lambda log: _edit(log, "UPDATE ledger_entry SET at = '2020-01-01 00:00:00' WHERE serial = 10"),
        ),
        (
            "ledger.entry_departments",
            0,
            lambda log: _edit(log, "SELECT 1"),
        ),
    ],
)
def test_what_was_done_to_the_entries_is_named(
    log: SmallLog, code: str, index: int, tamper: Callable[[SmallLog], FsckReport]
) -> None:
    assert (code, index) in {(fault.code, fault.index) for fault in tamper(log).faults}


def test_a_checkpoint_of_another_key_and_a_cosignature_of_another_log_are_named(log: SmallLog) -> None:
    with log.database.transaction() as connection:
        line = connection.execute(select(COSIGNATURES.c.line)).scalar_one()
        mark = line[-12]
        forged = line[:-12] + ("A" if mark != "A" else "B") + line[-11:]
        connection.execute(update(COSIGNATURES).values(line=forged))
    assert {fault.code for fault in log.ledger.fsck([]).faults} == {"ledger.cosignature_differs"}


@pytest.mark.parametrize("own_entry", [False, True])
def test_rows_are_compared_with_their_evidence(log: SmallLog, own_entry: bool) -> None:
    with log.database.transaction() as connection:
        connection.execute(text("CREATE TABLE thing (id TEXT PRIMARY KEY, rows TEXT, entry_id TEXT)"))
        connection.execute(text("DELETE FROM ledger_entry_department"))
        connection.execute(text("DELETE FROM ledger_entry"))
        connection.execute(text("UPDATE ledger_state SET numbered_size = 0, published_size = NULL"))
        connection.execute(text("DELETE FROM ledger_cosignature"))
        connection.execute(text("DELETE FROM ledger_checkpoint"))
    fresh = SmallLog(log.folder, database=log.database)
    ids = fresh.append(4, prefix="thing", rows="5")
    with log.database.transaction() as connection:
        rows = [
            {"id": "thing-0", "rows": "5", "entry_id": ids[0]},
            {"id": "thing-1", "rows": "6", "entry_id": ids[1]},
            {"id": "thing-2", "rows": "5", "entry_id": ids[2]},
            {"id": "thing-9", "rows": "5", "entry_id": ids[0]},
        ]
        connection.execute(insert(THINGS), rows)
    fresh.integrate()
    report = fresh.ledger.fsck([area(own_entry=own_entry)])
    assert report.compared == {"thing": 4}
    assert {(fault.code, fault.key) for fault in report.faults} == {
        ("ledger.state_differs", "thing-1"),
        ("ledger.state_without_evidence", "thing-9"),
        ("ledger.state_missing", "thing-3"),
    }
    differing = next(fault for fault in report.faults if fault.key == "thing-1")
    assert "'6'" in differing.what.en
    assert "'5'" in differing.what.zh


def test_what_an_entry_adds_stands_beside_what_was_said_before(log: SmallLog) -> None:
    with log.database.transaction() as connection:
        connection.execute(text("CREATE TABLE thing (id TEXT PRIMARY KEY, rows TEXT, entry_id TEXT)"))
        connection.execute(insert(THINGS), [{"id": "added-0", "rows": "5", "entry_id": ""}])
    log.append(1, prefix="added", rows="5")
    log.append(1, prefix="added", other="x")
    faults = log.ledger.fsck([area()]).faults
    assert not [fault for fault in faults if fault.key == "added-0"]
