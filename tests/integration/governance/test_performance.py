"""Tables of periods that are not over: one is counted at a time, and a costly one is kept for a while."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from datong.governance import Indicators
from datong.governance.monitor import Monitor
from datong.governance.observations import GivenEvidence, Observation
from datong.governance.performance import COSTLY_SECONDS, KEPT_FACTOR, KeptTable
from datong.kernel import Database, DepartmentCode, Text
from datong.norms import load_pack
from tests.integration.governance.test_monitor import World


class Slow(GivenEvidence):
    """Counts how many read it at once, and lets nobody go before the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.go, self.lock = threading.Event(), threading.Lock()
        self.now = self.most = self.looks = 0

    def observations(self, *, since: datetime, until: datetime) -> Sequence[Observation]:
        with self.lock:
            self.now, self.looks = self.now + 1, self.looks + 1
            self.most = max(self.most, self.now)
        self.go.wait(60)
        with self.lock:
            self.now -= 1
        return super().observations(since=since, until=until)


def test_one_table_is_counted_at_a_time(control_database: Database) -> None:
    world, evidence = World(control_database), Slow()
    monitor: Monitor = world.monitor
    indicators = Indicators(
        clock=world.clock,
        pack=load_pack(None),
        evidence=evidence,
        monitor=monitor,
        departments=dict,
    )
    assert not indicators.keep_up()
    assert evidence.looks == 0, "nobody has looked"
    with ThreadPoolExecutor(3) as several:
        asked = [several.submit(indicators.compute) for _ in range(3)]
        evidence.go.set()
        assert {one.result().departments for one in asked} == {()}
    # What is cheap is counted for each look, one after the other.
    assert (evidence.most, evidence.looks) == (1, 3)
    assert not indicators.keep_up()
    assert evidence.looks == 3, "a cheap table is not kept up"


def test_a_costly_table_is_kept_for_a_multiple_of_what_it_took(control_database: Database) -> None:
    table = World(control_database).indicators.compute()
    now, names = time.monotonic(), dict[DepartmentCode, Text]()
    cheap = KeptTable(names, table, now, COSTLY_SECONDS / 2)
    costly = KeptTable(names, table, now, 1000.0)
    old = KeptTable(names, table, now - 1.5 * KEPT_FACTOR * 1000.0, 1000.0)
    assert [one.serves(names, KEPT_FACTOR) for one in (cheap, costly, old)] == [False, True, False]
    assert old.serves(names, 2 * KEPT_FACTOR), "it is shown while it is counted anew"
    assert not costly.serves({next(iter(table.departments)).department: Text(zh="新", en="new")}, KEPT_FACTOR)
