"""A hub is killed just before and just after the commit that spends a privacy budget: all happened, or nothing."""

from pathlib import Path

from datong.kernel import Database
from datong.ledger import EntryKind
from datong.sharing.statistics import PrivateStatistics
from tests.fault.statistics_worker import KILLED, ask_until_killed
from tests.processes import PROCESSES
from tests.unit.sharing.released import NAME, FixedDatasets, people
from tests.unit.sharing.test_statistics import ASKER, COUNT, grant
from tests.unit.sharing.world import World

CHILD_SECONDS_MAX = 300


def test_a_kill_at_the_commit_spends_all_or_nothing(control_database: Database, tmp_path: Path) -> None:
    # Each database once: the kill before the commit strikes SQLite, the one after it PostgreSQL.
    after = not control_database.is_sqlite
    world = World(control_database)
    library = FixedDatasets(tmp_path, people(60))
    asked = PrivateStatistics(database=world.database, clock=world.clock, ledger=world.ledger, library=library)
    grant(asked, 150)
    url = control_database.engine.url.render_as_string(hide_password=False)
    child = PROCESSES.Process(target=ask_until_killed, args=(url, library, COUNT, after))
    child.start()
    child.join(CHILD_SECONDS_MAX)
    assert child.exitcode == KILLED
    told = [entry for entry in world.ledger.entries(kind=EntryKind.STATISTIC).rows if entry.facts["action"] == "answer"]
    kept = asked.answers(NAME).rows
    assert len(told) == len(kept) == int(after)
    assert asked.budget(NAME).spent_milli == 100 * int(after)
    # Asking again costs what it costs once, and what was kept is what is told.
    answer = asked.ask(COUNT, ASKER)
    assert not after or answer == kept[0]
    assert asked.budget(NAME).spent_milli == 100
