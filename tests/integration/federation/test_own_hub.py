"""Harvesting our own hub into a second hub gives an equal catalogue, over CKAN and over DCAT in its three forms."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, update

from datong.app.hub import Hub
from datong.catalogue import OpenOrder, OpenSort, Resource, public_part, published_among
from datong.catalogue.records import hide, show
from datong.catalogue.tables import listing, resource, version
from datong.federation import HarvestRun, HarvestSource, RunMode, RunState, SourceKind, SourceSettings
from datong.kernel import PLATFORM_ACTOR, Database, ResourceId, Settings, Text
from tests.catalogue_filling import Filled, fill
from tests.integration.open.serving import OpenHub, served

RESOURCES = int(os.environ.get("DATONG_HARVEST_RESOURCES", "420"))
"""docs/harvest.md has the figures for 5,000 open ones; the test takes fewer."""
FORMS = {
    "ckan": (SourceKind.CKAN, ""),
    "turtle": (SourceKind.DCAT, "/catalog.ttl"),
    "json-ld": (SourceKind.DCAT, "/catalog.jsonld"),
    "rdf-xml": (SourceKind.DCAT, "/catalog.rdf"),
}


@dataclass
class Pair:
    """An origin that answers over HTTP, and a hub that harvests it."""

    origin: OpenHub
    filled: Filled
    second: Hub
    home: Path

    def source(self, form: str) -> HarvestSource:
        kind, path = FORMS[form]
        settings = SourceSettings(
            name="源", kind=kind, address=self.origin.url + path, allow_private=True, requests_per_minute=6000
        )
        return self.second.services.harvests.create(settings, PLATFORM_ACTOR)

    def harvest(self, source: HarvestSource, mode: RunMode | None = None) -> HarvestRun:
        self.second.services.harvests.start(source.id, "test", mode=mode)
        run = self.second.harvester().perform_next()
        assert run is not None
        assert run.state is RunState.SUCCEEDED, run
        return run

    def compare(self) -> int:
        """Assert that both open catalogues are equal, field by field; return how many entries there are."""
        here, there = open_contents(self.origin.services.database), open_contents(self.second.database)
        of_origin = {key: (found.department, public_part(found.content)) for key, found in here.items()}
        received: dict[str, tuple[str, object]] = {}
        for found in there.values():
            assert found.content.origin is not None
            key = found.content.origin.remote_id.removeprefix(f"{self.origin.url}/open/").removesuffix("#dataset")
            received[key] = (found.department, public_part(found.content))
        assert received == of_origin
        return len(received)


def open_contents(database: Database) -> dict[str, Resource]:
    with database.snapshot() as connection:
        ids = [
            ResourceId(key)
            for key in connection.execute(select(listing.c.resource_id).where(listing.c.open.is_(True))).scalars()
        ]
        found: dict[str, Resource] = {}
        for start in range(0, len(ids), 500):
            found |= {str(key): value for key, value in published_among(connection, ids[start : start + 500]).items()}
    return found


@pytest.fixture
def pair(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Pair]:
    file = tmp_path / "origin.sqlite"
    shutil.copy(migrated_sqlite, file)
    database = Database(f"sqlite:///{file}")
    second = Hub(Settings(home=tmp_path / "second", log_origin="second.example/log"))
    with served(database, tmp_path / "origin") as origin:
        filled = fill(database, origin.services.pack, RESOURCES, open_percent=55)
        for department in origin.services.departments.all():
            second.services.departments.register(department, PLATFORM_ACTOR)
        yield Pair(origin, filled, second, tmp_path)
    second.close()
    database.close()


def change_origin(pair: Pair) -> tuple[int, int]:
    """Change some open resources of the origin and hide others, as publishing does; return how many of each."""
    database, clock = pair.origin.services.database, pair.origin.services.clock
    found = open_contents(database)
    keys = sorted(found)
    changed, hidden = keys[:20], keys[20:30]
    with database.transaction() as connection:
        rewritten = [
            found[key].model_copy(
                update={
                    "content": found[key].content.model_copy(
                        update={"title": Text(zh=f"改：{found[key].content.title.zh}", en="Changed")}
                    ),
                    "published_at": clock.now(),
                    "updated_at": clock.now(),
                }
            )
            for key in changed
        ]
        for entry in rewritten:
            connection.execute(resource.update().where(resource.c.id == entry.id).values(updated_at=clock.now()))
        _write_contents(connection, rewritten)
        show(connection, rewritten)
        for key in hidden:
            hide(connection, ResourceId(key))
    return len(changed), len(hidden)


def _write_contents(connection: Connection, rewritten: list[Resource]) -> None:
    for entry in rewritten:
        connection.execute(
            update(version)
            .where(version.c.resource_id == entry.id, version.c.version == entry.version)
            .values(content=entry.content.model_dump(mode="json"), updated_at=entry.updated_at)
        )


@pytest.mark.parametrize("form", FORMS)
def test_the_second_hub_has_an_equal_catalogue(pair: Pair, form: str) -> None:
    source = pair.source(form)
    first = pair.harvest(source)
    assert first.rejected == first.adjusted == 0
    assert pair.compare() == first.added == len(pair.filled.open_ids)
    again = pair.harvest(source, RunMode.FULL)
    assert (again.added, again.changed, again.removed) == (0, 0, 0)
    changed, hidden = change_origin(pair)
    run = pair.harvest(source)
    assert (run.added, run.changed, run.removed) == (0, changed, hidden)
    if form == "ckan":
        assert run.mode is RunMode.INCREMENTAL
        assert run.seen < first.seen
    pair.compare()
    open_catalogue = pair.second.services.open_catalogue
    assert open_catalogue.find(order=(OpenSort(by=OpenOrder.ID),), limit=1).total == first.added - hidden


def test_two_hubs_that_harvest_each_other_offer_nothing_back(pair: Pair) -> None:
    """What the second hub took is the first one's own, even when the first has changed it since."""
    opened = len(pair.filled.open_ids)
    assert pair.harvest(pair.source("ckan")).added == opened
    change_origin(pair)
    origin = Hub(Settings(home=pair.home / "again", database_url=pair.origin.services.database.url))
    with served(pair.second.database, pair.home / "second-served") as second:
        settings = SourceSettings(
            name="回程", kind=SourceKind.CKAN, address=second.url, allow_private=True, requests_per_minute=6000
        )
        back = origin.services.harvests.create(settings, PLATFORM_ACTOR)
        origin.services.harvests.start(back.id, "test")
        run = origin.harvester().perform_next()
        assert run is not None
        assert (run.state, run.seen, run.added, run.rejected) == (RunState.SUCCEEDED, opened, 0, opened)
        reasons = {note.reason.zh for note in origin.services.harvests.notes(run.id, limit=50).rows}
        assert reasons == {"是本平台自己的资源，由来源转载"}
    origin.close()
