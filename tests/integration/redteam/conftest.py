"""The world under attack, once for all attacks: they only read, are refused, or change what no other file looks at."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from datong.kernel import PLATFORM_ACTOR, Database, OffsetClock
from datong.library import FixedLanding
from datong.sharing import Role
from tests.integration.open.serving import BUREAU, served
from tests.integration.redteam.world import PASSWORD, RedTeamWorld, build, library


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def authority(world: RedTeamWorld) -> Iterator[httpx.Client]:
    """The authority's officer, signed in."""
    world.services.identity.create_account(
        username="convener",
        password=PASSWORD,
        name="召集人",
        roles=frozenset({Role.AUTHORITY}),
        actor=PLATFORM_ACTOR,
        department=BUREAU,
    )
    with world.hub.visitor() as client:
        answer = client.post("/api/v1/session", json={"username": "convener", "password": PASSWORD})
        client.headers["Authorization"] = f"Bearer {answer.json()['token']}"
        yield client
