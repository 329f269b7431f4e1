"""Entries get their places in runs, in whatever order their transactions commit."""

import random
import threading
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Connection, insert, select, text

from datong.app.schema import MIGRATIONS
from datong.app.upgrade import alembic_config
from datong.kernel import Database
from datong.ledger.places import GAPS_MAX, PLACE, Gap, Run, all_runs, near, number, outside, runs_between, serial_at
from datong.ledger.tables import ENTRIES, GAPS, RUNS
from tests.unit.ledger.logs import SmallLog


def commit(connection: Connection, *serials: int) -> None:
    """Let entries appear that were given these serials."""
    same = {"kind": "exchange.batch", "subject": "s", "at": datetime.now(UTC), "leaf": b"{}", "leaf_hash": "0" * 64}
    connection.execute(insert(ENTRIES), [{**same, "serial": serial, "id": f"entry-{serial}"} for serial in serials])


class Numbers:
    """Where numbering stands."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.position, self.next_serial = 0, 1

    def step(self, *, most: int = 4096, settle: bool = False) -> None:
        with self.database.transaction() as connection:
            given, self.next_serial = number(
                connection, position=self.position, next_serial=self.next_serial, most=most, settle=settle
            )
        self.position += given

    def places(self) -> dict[int, int]:
        with self.database.snapshot() as connection:
            return {
                row.position: row.serial
                for row in connection.execute(select(PLACE, ENTRIES.c.serial))
                if row.position is not None
            }


def test_entries_that_appear_late_get_the_next_places(control_database: Database) -> None:
    numbers = Numbers(control_database)
    with control_database.transaction() as connection:
        commit(connection, 1, 2, 5, 6, 9)
    numbers.step()
    with control_database.transaction() as connection:
        assert all_runs(connection) == [Run(0, 1, 2), Run(2, 5, 2), Run(4, 9, 1)]
        assert [tuple(row) for row in connection.execute(select(GAPS))] == [(3, 5), (7, 9)]
        commit(connection, 4, 10, 11)
    numbers.step()
    with control_database.transaction() as connection:
        commit(connection, 12)
    numbers.step()
    with control_database.snapshot() as connection:
        # What goes on with the newest run makes it longer.
        assert all_runs(connection)[3:] == [Run(5, 4, 1), Run(6, 10, 3)]
        assert [tuple(row) for row in connection.execute(select(GAPS))] == [(3, 4), (7, 9)]
        assert runs_between(connection, 1, 6) == [Run(1, 2, 1), Run(2, 5, 2), Run(4, 9, 1), Run(5, 4, 1)]
        assert [serial_at(connection, place) for place in (0, 5, 8, 9)] == [1, 4, 12, None]
        assert outside(all_runs(connection)) == [Gap(0, 1), Gap(3, 4), Gap(7, 9), Gap(13, 2**63 - 1)]
    assert numbers.places() == dict(enumerate([1, 2, 5, 6, 9, 4, 10, 11, 12]))


@pytest.mark.parametrize("seed", range(3))
def test_every_entry_gets_one_place_in_whatever_order_they_appear(control_database: Database, seed: int) -> None:
    dice = random.Random(seed)
    numbers, left, seen = Numbers(control_database), list(range(1, 160)), set[int]()
    rolled_back = set(dice.sample(left, 30))
    while left:
        # Serials come in order, transactions commit out of it.
        chosen = {left[min(int(dice.expovariate(0.2)), len(left) - 1)] for _ in range(dice.randrange(1, 12))}
        left = [serial for serial in left if serial not in chosen]
        seen |= chosen - rolled_back
        if chosen - rolled_back:
            with control_database.transaction() as connection:
                commit(connection, *sorted(chosen - rolled_back))
        if dice.random() < 0.6:
            numbers.step(most=dice.choice([1, 3, 100]))
    before = -1
    while before != numbers.position:
        before = numbers.position
        numbers.step(most=7)
    places = numbers.places()
    assert sorted(places) == list(range(len(seen)))
    assert set(places.values()) == seen
    with control_database.snapshot() as connection:
        runs = all_runs(connection)
        assert all(before.position + before.length == after.position for before, after in pairwise(runs))
        assert [run for group in near(runs) for run in group] == runs


def test_gaps_are_done_with_once_nobody_writes(control_database: Database) -> None:
    numbers = Numbers(control_database)
    with control_database.transaction() as connection:
        commit(connection, *range(2, 2 * GAPS_MAX + 6, 2))
    numbers.step()
    holding, done = threading.Event(), threading.Event()

    def hold() -> None:
        with control_database.transaction() as connection:
            commit(connection, 1)
            holding.set()
            done.wait()

    def gaps() -> int:
        with control_database.snapshot() as connection:
            return len(connection.execute(select(GAPS)).all())

    if not control_database.is_sqlite:
        writer = threading.Thread(target=hold)
        writer.start()
        holding.wait()
        numbers.step(settle=True)
        assert gaps() == GAPS_MAX + 2
        done.set()
        writer.join()
    numbers.step(settle=True)
    assert gaps() == 0
    assert set(numbers.places().values()) >= ({1, 2} if not control_database.is_sqlite else {2})


def test_an_older_log_keeps_its_places(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'control.sqlite'}")
    places = {1: 0, 2: 1, 5: 2, 6: 3, 4: 4, 7: 5, 8: None, 10: 6}
    with database.transaction() as connection:
        command.upgrade(alembic_config(connection, MIGRATIONS), "0049")
        connection.execute(text("INSERT INTO ledger_state VALUES (1, 7, 7)"))
        for serial, position in places.items():
            connection.execute(
                text("INSERT INTO ledger_entry VALUES (:serial, :serial, :position, 'k', 's', '2026-01-01', 'l', 'h')"),
                {"serial": serial, "position": position},
            )
            connection.execute(text("INSERT INTO ledger_entry_department VALUES ('d', :serial)"), {"serial": serial})
        command.upgrade(alembic_config(connection, MIGRATIONS), "head")
        kept = {row.serial: row.position for row in connection.execute(select(ENTRIES.c.serial, PLACE))}
        assert kept == places
        assert [tuple(row) for row in connection.execute(select(RUNS.c.length).order_by(RUNS.c.position))] == [
            (2,), (2,), (1,), (1,), (1,)
        ]  # fmt: skip
        assert [tuple(row) for row in connection.execute(select(GAPS))] == [(3, 4), (8, 10)]
        assert connection.scalar(text("SELECT next_serial FROM ledger_state")) == 11
    database.close()
    log = SmallLog(tmp_path, database=Database(f"sqlite:///{tmp_path / 'control.sqlite'}"))
    with log.database.transaction() as connection:
        assert number(connection, position=7, next_serial=11, most=10, settle=False) == (1, 11)
