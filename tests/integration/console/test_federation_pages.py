"""Harvested catalogues, other hubs and catalogue quality: each page in both languages and at both widths."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from datong.catalogue import ForeignEntries
from datong.federation import Harvester, PeerSettings, SourceKind, SourceSettings
from datong.kernel import PLATFORM_ACTOR, Database, ResourceId
from datong.sharing import Role
from tests.catalogue_filling import fill
from tests.integration.console.browser import Visitor
from tests.integration.open.serving import BUREAU, OpenHub, served
from tests.unit.federation.conftest import PORTAL, Portal, package

PASSWORD = "correct horse battery"
PICTURES = os.environ.get("DATONG_PICTURES", "")


@dataclass
class Federated:
    """A hub with a source that was harvested, a hub below it, and scores."""

    hub: OpenHub
    paths: tuple[str, ...]


@pytest.fixture(scope="module")
def federated(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federated]:
    home = tmp_path_factory.mktemp("federated")
    shutil.copy(migrated_sqlite, home / "control.sqlite")
    database = Database(f"sqlite:///{home / 'control.sqlite'}")
    with served(database, home / "hub") as hub:
        services = hub.services
        fill(database, services.pack, 150, departments_max=8)
        services.identity.create_account(
            username="operator",
            password=PASSWORD,
            name="运维员",
            roles=frozenset({Role.OPERATOR, Role.AUTHORITY}),
            actor=PLATFORM_ACTOR,
            department=BUREAU,
        )
        source, run, foreign = harvest(hub)
        services.peers.expect_subordinate(
            PeerSettings(name="示例区平台", department=BUREAU, region="440604"), "t", PLATFORM_ACTOR
        )
        while services.quality.refresh():
            pass
        worst = services.quality.ranking()[-1].department
        yield Federated(
            hub,
            (
                "/harvests",
                "/harvests/new",
                f"/harvests/{source}",
                f"/harvests/{source}/edit",
                f"/harvests/runs/{run}",
                f"/harvests/runs/{run}?outcome=rejected",
                "/cascade",
                "/quality",
                f"/quality?department={worst}",
                f"/catalogue/{foreign}",
            ),
        )
    database.close()


def harvest(hub: OpenHub) -> tuple[str, str, ResourceId]:
    """Harvest a small portal; return source, run and one of its entries."""
    services = hub.services
    portal = Portal({f"id-{name}": package(name) for name in "abcdef"})
    portal.packages["id-x"] = {"metadata_modified": "2026-11-01", "title": "没有编号的数据集"}
    portal.packages["id-y"] = package("y", notes="长" * 9000)
    settings = SourceSettings(name="示例开放门户", kind=SourceKind.CKAN, address=PORTAL, fallback_department=BUREAU)
    source = services.harvests.create(settings, PLATFORM_ACTOR)
    run = services.harvests.start(source.id, "test")
    harvester = Harvester(
        database=services.database,
        clock=services.clock,
        ledger=services.ledger,
        departments=services.departments,
        foreign=ForeignEntries(clock=services.clock, ledger=services.ledger),
        pack=services.pack,
        open_reader=lambda _: portal.web(),
        worker="test",
    )
    assert harvester.perform_next() is not None
    note = next(note for note in services.harvests.notes(run.id).rows if note.resource_id)
    assert note.resource_id is not None
    return source.id, run.id, note.resource_id


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("width", [1280, 360])
def test_every_page_stands(federated: Federated, browser: Browser, language: str, width: int) -> None:
    visitor = Visitor(browser, federated.hub.url, language=language, width=width)
    visitor.sign_in("operator", PASSWORD)
    for place, path in enumerate(federated.paths):
        assert visitor.open(path) == 200, path
        assert visitor.overflowing() == [], path
        assert visitor.unlabelled() == [], path
        if PICTURES:
            visitor.page.screenshot(path=f"{PICTURES}/{place:02d}-{language}-{width}.png", full_page=True)
    visitor.close()


def test_a_source_is_made_run_and_paused_in_the_console(federated: Federated, browser: Browser) -> None:
    visitor = Visitor(browser, federated.hub.url, language="en")
    visitor.sign_in("operator", PASSWORD)
    page = visitor.page
    visitor.open("/harvests/new")
    page.fill("#name", "Another portal")
    page.fill("#address", "http://data.example.org")
    page.fill("#publishers", "no department here = 123")
    page.click("form.card button.primary")
    assert "not registered" in page.inner_text("[role=alert]")
    assert page.input_value("#name") == "Another portal"
    page.fill("#publishers", f"gongan = {BUREAU}")
    page.click("form.card button.primary")
    assert "put on record" in page.inner_text("main")
    page.click("text=Pause")
    assert "Paused" in page.inner_text("main")
    visitor.open("/cascade")
    page.fill("#lower-name", "County hub")
    page.click("text=Register and issue a token")
    assert len(page.inner_text(".notice.good code")) > 20
    visitor.close()
