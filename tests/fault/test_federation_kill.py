"""Kill a hub while it harvests: taken up again, the catalogue comes out the same."""

import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from datong.catalogue import Department, Departments, public_part
from datong.kernel import PLATFORM_ACTOR, Database, SystemClock
from datong.ledger import Ed25519Signer, Ledger, MemoryTileStore
from tests.catalogue_filling import fill
from tests.integration.federation.hub_processes import HubProcess, hub_process, settle
from tests.integration.federation.test_own_hub import open_contents
from tests.integration.open.serving import BUREAU, served

ROUNDS = max(int(os.environ.get("DATONG_FAULT_ROUNDS", "3")) // 10, 3)


@pytest.fixture
def hubs(tmp_path: Path) -> Iterator[dict[str, HubProcess]]:
    made = {name: hub_process(name, tmp_path) for name in ("city",)}
    yield made
    for hub in made.values():
        hub.kill()


def test_a_hub_killed_while_harvesting_ends_with_the_same_catalogue(
    hubs: dict[str, HubProcess], migrated_sqlite: Path, tmp_path: Path
) -> None:
    dice = random.Random(os.environ.get("DATONG_FAULT_SEED", "harvest"))
    shutil.copy(migrated_sqlite, tmp_path / "origin.sqlite")
    database = Database(f"sqlite:///{tmp_path / 'origin.sqlite'}")
    second = hubs["city"]
    second.prepare(0, seed=1)
    with served(database, tmp_path / "origin") as origin:
        fill(database, origin.services.pack, 900, open_percent=70)
        second.start()
        settings = {
            "name": "源",
            "kind": "ckan",
            "address": origin.url,
            "allow_private": True,
            "requests_per_minute": 6000,
            "page_rows": 50,
            "fallback_department": BUREAU,
        }
        bureau = origin.services.departments.get(BUREAU)
        kept = second.database
        register(second, kept, bureau)
        source = second.call("POST", "/harvests", settings).json()["id"]
        for _ in range(ROUNDS):
            time.sleep(dice.uniform(0.3, 2.0))
            second.kill()
            second.start()
        settle(lambda: second.call("GET", f"/harvests/{source}").json()["last_run"]["state"] == "succeeded")
        run = second.call("GET", f"/harvests/{source}").json()["last_run"]
        here = {key: public_part(found.content) for key, found in open_contents(database).items()}
        there = {
            found.content.origin.remote_id: public_part(found.content)
            for found in second.visible()
            if found.content.origin is not None
        }
        assert there == here
        assert all(found.version == 1 for found in second.visible())
        assert (run["seen"], run["added"], run["unchanged"]) == (len(here), len(here), 0)
        kept.close()
    database.close()


def register(hub: HubProcess, database: Database, department: Department) -> None:
    """Register a department through the service, as the process does."""
    clock = SystemClock()
    ledger = Ledger(
        database=database, clock=clock, signer=Ed25519Signer.generate(), origin=hub.name, tiles=MemoryTileStore()
    )
    Departments(database=database, clock=clock, ledger=ledger).register(department, PLATFORM_ACTOR)
