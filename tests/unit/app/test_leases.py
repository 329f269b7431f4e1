"""Which of several processes on one PostgreSQL does which job: each one in one process, wherever processes begin and
end."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import func, update

from datong.app.leases import LEASE_SECONDS, WORKER, EveryTurn, Leases
from datong.app.tables import lease
from datong.kernel import Database
from tests.conftest import sqlalchemy_url
from tests.reused_database import ReusedDatabase

NAMES = ("log", "duties", "notices", "terms", "alarms")
LONG_SECONDS = 3600.0
"""However slow the machine, a lease ends in these tests only when it is made to."""
Join = Callable[[str], Leases]


@pytest.fixture
def database(reused_postgresql: ReusedDatabase) -> Iterator[Database]:
    database = Database(sqlalchemy_url(reused_postgresql.take()))
    yield database
    database.close()
    reused_postgresql.give_back()


@pytest.fixture
def join(database: Database) -> Join:
    def joined(name: str) -> Leases:
        made = Leases(database, name, NAMES, lease_seconds=LONG_SECONDS)
        made.renew()
        made.renew()
        return made

    return joined


def held(*processes: Leases) -> list[set[str]]:
    return [{name for name in NAMES if process.holds(name)} for process in processes]


def run_out(database: Database, name: str) -> None:
    """Let the time of a worker's leases be over, as after its kill."""
    with database.transaction() as connection:
        holder = connection.execute(lease.select().where(lease.c.name == f"{WORKER}{name}")).one().holder
        ended = update(lease).where(lease.c.holder == holder)
        connection.execute(ended.values(until=func.now() - timedelta(minutes=1)))


def test_jobs_are_shared_out_and_taken_over(database: Database, join: Join) -> None:
    first = join("a")
    assert held(first) == [set(NAMES)]
    second, third = join("b"), join("c")
    for _ in range(3):
        for process in (first, second, third):
            process.renew()
    shares = held(first, second, third)
    assert sorted(map(len, shares)) == [1, 2, 2]
    assert set.union(*shares) == set(NAMES)
    assert first.live() == frozenset("abc")
    # One is killed: the others take over what was its, once its time is over.
    run_out(database, "a")
    for _ in range(2):
        for process in (second, third):
            process.renew()
    shares = held(second, third)
    assert set.union(*shares) == set(NAMES)
    assert not set.intersection(*shares)
    assert second.live() == frozenset("bc")
    # One ends in good order: what was its is free at once.
    third.begin()
    third.end()
    assert held(third) == [set()]
    second.renew()
    assert held(second) == [set(NAMES)]
    assert second.live() == frozenset("b")


def test_of_two_processes_with_one_name_one_works(
    database: Database, join: Join, caplog: pytest.LogCaptureFixture
) -> None:
    first, twin = join("a"), join("a")
    assert held(first, twin) == [set(NAMES), set()]
    assert "another process works under the name a" in caplog.text
    run_out(database, "a")
    twin.renew()
    assert held(twin) == [set(NAMES)]


def test_a_process_that_sleeps_does_not_rely_on_its_lease(database: Database) -> None:
    now = [100.0]
    process = Leases(database, "a", NAMES, seconds=lambda: now[0])
    process.renew()
    process.renew()
    assert process.holds("log")
    now[0] += LEASE_SECONDS
    assert not process.holds("log")
    assert process.live() is None


def test_on_an_embedded_database_everything_is_ones_own() -> None:
    turns = EveryTurn()
    turns.begin()
    assert turns.holds("anything")
    assert turns.live() is None
    turns.end()
