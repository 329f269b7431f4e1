"""A hub with something of everything, to be explored: the red team's world, and what there is in it by name."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datong.kernel import Database, OffsetClock
from datong.library import FixedLanding
from tests.integration.contract.exploring import Known
from tests.integration.open.serving import BUREAU, served
from tests.integration.redteam.world import CASE, POLICE, PURPOSE, SCHOOLS, TAX, RedTeamWorld, build, library


@contextmanager
def filled_hub(migrated: Path, home: Path) -> Iterator[RedTeamWorld]:
    """Serve a hub in which there is a catalogue, agreements, a library, files, applications and nodes."""
    file = home / "control.sqlite"
    file.write_bytes(migrated.read_bytes())
    database, landing = Database(f"sqlite:///{file}"), FixedLanding(())
    with served(
        database, home / "hub", clock=OffsetClock(home / "clock"), library=lambda made: library(made, landing)
    ) as hub:
        built = build(hub, landing, home)
        with built.opened:
            yield built
    database.close()


def known_in(world: RedTeamWorld) -> Known:
    """Return what exists, by the name under which it is asked for."""
    services = world.services
    entries = tuple(entry.entry_id for entry in services.ledger.entries(limit=20).rows)
    resources = (str(world.residents), str(world.depots))
    agreements = tuple(str(one.id) for one in services.agreements.of_consumer(SCHOOLS))
    found: dict[str, tuple[str, ...]] = {
        "resource_id": resources,
        "agreement_id": agreements,
        "request_id": tuple(str(one.request_id) for one in services.agreements.of_consumer(SCHOOLS)),
        "entity_id": world.people,
        "file_id": (world.file,),
        "entry_id": entries,
        "correction_id": tuple(one.id for one in services.corrections.find(department=SCHOOLS).rows),
        "code": (POLICE, SCHOOLS, TAX, BUREAU),
        "department": (POLICE, SCHOOLS, TAX, BUREAU),
        "consumer": (SCHOOLS,),
        "provider": (POLICE,),
        "client_id": (world.client_id,),
        "node_id": (world.node,),
        "name": ("population", "closed_facility"),
        "library": ("population", "closed_facility"),
        "dataset": ("population",),
        "collection_id": ("population",),
        "element": ("person_name", "citizen_id"),
        "action": ("package_list", "package_search", "package_show", "organization_list", "status_show"),
        "number": ("1",),
        "version": ("1",),
        "step": ("blinded",),
        "period": ("2026-11",),
        "service_item": (PURPOSE,),
        "case_number": (CASE,),
    }
    return {name: values for name, values in found.items() if values}
