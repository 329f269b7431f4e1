"""The world under attack, once for all attacks: they only read, or are refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from datong.kernel import Database, OffsetClock
from datong.library import FixedLanding
from tests.integration.open.serving import served
from tests.integration.redteam.world import RedTeamWorld, build, library


@pytest.fixture(scope="module")
def world(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedTeamWorld]:
    home = tmp_path_factory.mktemp("redteam")
    file = home / "control.sqlite"
    file.write_bytes(migrated_sqlite.read_bytes())
    database, landing = Database(f"sqlite:///{file}"), FixedLanding(())
    clock = OffsetClock(home / "clock")
    with served(database, home / "hub", clock=clock, library=lambda services: library(services, landing)) as hub:
        built = build(hub, landing, home)
        with built.opened:
            yield built
    database.close()
