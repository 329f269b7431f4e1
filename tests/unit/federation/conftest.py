"""A hub that harvests from a web in memory, over a control database of its own."""

import json
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from datong.catalogue import ForeignEntries, Resource, ResourceState
from datong.federation import (
    Document,
    Harvester,
    HarvestRun,
    Harvests,
    HarvestSource,
    MemoryWeb,
    RunMode,
    SourceKind,
    SourceSettings,
)
from datong.kernel import Database, DepartmentCode
from datong.norms import NormPack, load_pack
from tests.unit.catalogue.conftest import AUTHORITY_ACTOR, CIVIL, POLICE, Office, make_office

PORTAL = "http://data.example.gov"


@dataclass
class Portal:
    """A CKAN portal in memory that answers as CKAN 2.10 does: paged search, list of names, show."""

    packages: dict[str, dict[str, object]] = field(default_factory=dict)
    page_rows_max: int = 3
    announced_more: int = 0

    def web(self, *, pages_before: int = 1_000_000, fault: BaseException | None = None) -> MemoryWeb:
        """Return the portal's web; after so many answers every question ends in `fault`."""
        return PortalWeb(self, pages_before, fault)


class PortalWeb(MemoryWeb):
    """Answers from the portal's packages as they are at the moment of the question."""

    def __init__(self, portal: Portal, pages_before: int, fault: BaseException | None) -> None:
        super().__init__({})
        self._portal, self._pages_before, self._fault = portal, pages_before, fault

    def get(self, address: str, *, accept: str, etag: str = "", last_modified: str = "") -> Document:
        if self._fault is not None and len(self.asked) >= self._pages_before:
            raise self._fault
        action = urlsplit(address).path.rsplit("/", 1)[-1]
        query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        packages = self._portal.packages
        if action == "package_list":
            self.pages[address] = answer(address, [package["name"] for package in packages.values()])
        elif action == "package_show":
            if query["id"] in packages:
                self.pages[address] = answer(address, packages[query["id"]])
            else:
                self.pages.pop(address, None)
        else:
            since = query.get("fq", "").removeprefix("metadata_modified:[").partition(" TO ")[0].rstrip("Z")
            found = [p for _, p in sorted(packages.items()) if str(p["metadata_modified"]) >= since]
            start, rows = int(query["start"]), min(int(query["rows"]), self._portal.page_rows_max)
            total = len(found) + self._portal.announced_more
            self.pages[address] = answer(address, {"count": total, "results": found[start : start + rows]})
        return super().get(address, accept=accept, etag=etag, last_modified=last_modified)


class OneAnswer(MemoryWeb):
    """Gives the same answer to every question."""

    def __init__(self, document: Document) -> None:
        super().__init__({})
        self._document = document

    def get(self, address: str, *, accept: str, etag: str = "", last_modified: str = "") -> Document:
        self.asked.append(f"{address} {accept} {etag} {last_modified}")
        return self._document


def answer(address: str, result: object) -> Document:
    body = json.dumps({"help": address, "success": True, "result": result}).encode()
    return Document(address=address, media_type="application/json", body=body)


def package(name: str, *, modified: str = "2026-11-01T00:00:00.000000", **more: object) -> dict[str, object]:
    """A package in CKAN's shape."""
    return {
        "id": f"id-{name}",
        "name": name,
        "title": f"数据集{name}",
        "notes": f"{name} 的说明",
        "metadata_modified": modified,
        "organization": {"id": "o1", "name": "gongan", "title": "公安局"},
        "tags": [{"name": "人口", "display_name": "人口"}],
        "extras": [],
        "resources": [
            {
                "id": f"r-{name}",
                "name": "CSV",
                "format": "CSV",
                "url": f"{PORTAL}/{name}.csv",
                "size": 12,
                "created": modified,
                "last_modified": modified,
            }
        ],
        **more,
    }


@dataclass
class HarvestingHub:
    """Everything a test of harvesting needs."""

    office: Office
    harvests: Harvests
    foreign: ForeignEntries
    pack: NormPack
    web: MemoryWeb

    def harvester(self, worker: str = "hub", web: MemoryWeb | None = None) -> Harvester:
        return Harvester(
            database=self.office.database,
            clock=self.office.clock,
            ledger=self.office.ledger,
            departments=self.office.departments,
            foreign=self.foreign,
            pack=self.pack,
            open_reader=lambda _: web or self.web,
            worker=worker,
        )

    def add(self, **changes: object) -> HarvestSource:
        settings = {
            "name": "示例门户",
            "kind": SourceKind.CKAN,
            "address": PORTAL,
            "fallback_department": POLICE,
            **changes,
        }
        return self.harvests.create(SourceSettings.model_validate(settings), AUTHORITY_ACTOR)

    def harvest(
        self, source: HarvestSource, *, mode: RunMode | None = None, accept_removals: bool = False
    ) -> HarvestRun:
        self.office.clock.advance(timedelta(hours=25))
        started = self.harvests.start(source.id, "test", mode=mode, accept_removals=accept_removals)
        performed = self.harvester().perform_next()
        assert performed is not None
        assert performed.id == started.id
        return performed

    def visible(self, department: DepartmentCode | None = None) -> dict[str, Resource]:
        page = self.office.catalogue.find(department=department, state=ResourceState.PUBLISHED, limit=200)
        return {found.content.title.zh: found for found in page.rows}


@pytest.fixture(scope="session")
def pack() -> NormPack:
    return load_pack()


@pytest.fixture
def portal() -> Portal:
    return Portal()


@pytest.fixture
def hub(control_database: Database, pack: NormPack, portal: Portal) -> HarvestingHub:
    office = make_office(control_database, pack)
    foreign = ForeignEntries(clock=office.clock, ledger=office.ledger)
    harvests = Harvests(
        database=office.database,
        clock=office.clock,
        ledger=office.ledger,
        departments=office.departments,
        foreign=foreign,
    )
    return HarvestingHub(office=office, harvests=harvests, foreign=foreign, pack=pack, web=portal.web())


__all__ = ["AUTHORITY_ACTOR", "CIVIL", "POLICE", "PORTAL", "HarvestingHub", "OneAnswer", "Portal", "answer", "package"]
