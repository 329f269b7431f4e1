"""The library over a real control database: builds, versions, lookups, evidence, and what survives."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from deltalake import DeltaTable

from datong.kernel import PLATFORM_ACTOR, Conflict, Database, EntityId, FixedClock, NotFound
from datong.ledger import Ed25519Signer, EntryKind, Ledger, MemoryTileStore
from datong.library import BuildState, FixedLanding, Following, Library, WholeReason
from datong.norms import load_pack
from tests.library_sources import landed_city, with_increment

PEOPLE = 300


class Hub:
    """A library with everything it needs around it."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.clock = FixedClock(datetime(2026, 1, 5, 1, 0, tzinfo=UTC))
        self.ledger = Ledger(
            database=database,
            clock=self.clock,
            signer=Ed25519Signer.generate(),
            origin="test.local/log",
            tiles=MemoryTileStore(),
        )
        self.landing = FixedLanding()
        self.library = Library(
            database=database,
            clock=self.clock,
            ledger=self.ledger,
            pack=load_pack(None),
            lake=folder / "lake",
            landing=self.landing,
        )


@pytest.fixture
def hub(control_database: Database, tmp_path: Path) -> Hub:
    return Hub(control_database, tmp_path)


def test_a_library_is_built_published_and_read(hub: Hub, tmp_path: Path) -> None:
    library = hub.library
    with pytest.raises(Conflict, match=r"library\.nothing_landed"):
        library.request_build("population", actor=PLATFORM_ACTOR)
    sources, _ = landed_city(tmp_path, people=PEOPLE)
    hub.landing.landed = sources
    requested = library.request_build("population", actor=PLATFORM_ACTOR)
    assert library.request_build("population", actor=PLATFORM_ACTOR).id == requested.id
    assert library.pending_builds() == (requested.id,)
    built = library.run_build(requested.id)
    assert built.state is BuildState.PUBLISHED
    assert built.version == 1
    assert set(built.step_seconds) == {"conform", "link", "fuse", "publish"}
    assert library.run_build(requested.id) == built
    assert library.pending_builds() == ()
    assert library.builds("population").rows == (built,)

    golden = library.dataset("population")
    assert golden.rows == built.entities
    assert golden.digest == built.digest
    assert DeltaTable(str(golden.delta_path), version=golden.delta_version).to_pyarrow_table().num_rows == golden.rows
    names = {dataset.name for dataset in library.datasets()}
    assert names == {
        "population",
        *(
            f"resource:{source.resource_id}"
            for source in sources
            if "sex" in source.elements or source.resource_id in ("low_income", "property")
        ),
    }

    (resident,) = library.lookup("resource:residents", "row_key", "RY000000001")
    citizen_id = resident.cells["citizen_id"].value
    assert citizen_id is not None
    (row,) = library.lookup("population", "citizen_id", citizen_id.lower())
    assert row.entity_id == resident.entity_id
    assert row.cells["person_name"].value == "陈志强"
    assert row.cells["annual_income"].department == library.dataset("resource:insured").department
    assert row.entity_id is not None
    view = library.entity("population", row.entity_id)
    assert {member.resource_id for member in view.members} >= {"residents", "insured", "marriages"}
    assert view.cells == row.cells
    (hit,) = (hit for hit in library.find_entities("population", "陈志强") if hit.entity_id == row.entity_id)
    assert hit.summary["person_name"] == "陈志强"
    assert hit.summary["citizen_id"] == citizen_id[:6] + "*" * 10 + citizen_id[-2:]
    assert library.find_entities("population", citizen_id)[0].entity_id == row.entity_id
    assert library.links("population").num_rows == built.records
    assert library.report("population").entities == built.entities
    with pytest.raises(NotFound, match=r"library\.key_unknown"):
        library.lookup("population", "annual_income", "96000")
    with pytest.raises(NotFound, match=r"library\.entity_unknown"):
        library.entity("population", EntityId("0" * 32))

    (entry,) = hub.ledger.entries(kind=EntryKind.DATASET).rows
    assert entry.subject == "population/1"
    assert entry.facts["golden_digest"] == built.digest


def test_a_second_version_replaces_the_first_and_keeps_ids(hub: Hub, tmp_path: Path) -> None:
    sources, _ = landed_city(tmp_path, people=PEOPLE)
    hub.landing.landed = sources
    library = hub.library
    library.run_build(library.request_build("population", actor=PLATFORM_ACTOR).id)
    (before,) = library.lookup("resource:residents", "row_key", "RY000000001")
    first = library.dataset("population")
    residents = next(source for source in sources if source.resource_id == "residents")
    moved = {name: cell.raw or cell.value for name, cell in before.cells.items()} | {
        "phone": "13711112222",
        "updated_at": "2026-01-05 10:00:00",
    }
    row = tuple(moved[element or ""] for element in residents.columns.values())
    following = Following(library, rest_seconds=60)
    assert following.request_due(0) == ()
    hub.landing.landed = tuple(
        with_increment(source, tmp_path, [row]) if source is residents else source for source in sources
    )
    assert following.request_due(100) == following.request_due(159) == ()
    (requested,) = following.request_due(160)
    assert following.request_due(1000) == (), "a build is on its way"
    built = library.run_build(requested)
    assert following.request_due(2000) == ()
    assert (built.version, built.requested_by) == (2, PLATFORM_ACTOR)
    report = library.report("population")
    assert (report.base, report.changed, report.whole) == (first.build_id, 1, None)
    assert hub.ledger.entries(kind=EntryKind.DATASET).rows[0].facts["base"] == first.build_id
    assert [dataset.version for dataset in library.dataset_versions("population")] == [2, 1]
    assert before.entity_id is not None
    view = library.entity("population", before.entity_id)
    assert view.version == 2
    assert view.cells["phone"].value == "13711112222"
    assert view.cells["phone"].batch_id == "residents-2"
    old = DeltaTable(str(first.delta_path), version=first.delta_version).to_pyarrow_table()
    assert "13711112222" not in old.column("phone").to_pylist()
    anew = library.run_build(library.request_build("population", actor=PLATFORM_ACTOR, whole=True).id)
    assert (anew.whole, anew.digest) == (True, built.digest)
    assert library.report("population").whole == WholeReason.ASKED


def test_divisions_are_open_and_looked_up_by_parent(hub: Hub, tmp_path: Path) -> None:
    hub.landing.landed, _ = landed_city(tmp_path, people=10)
    library = hub.library
    built = library.run_build(library.request_build("geography", actor=PLATFORM_ACTOR).id)
    dataset = library.dataset("geography")
    assert dataset.open
    assert dataset.rows == built.entities == 44_700
    districts = library.lookup("geography", "parent_division_code", "440600")
    assert "禅城区" in {row.cells["division_name"].value for row in districts}
    assert library.entity("geography", EntityId("440604")).cells["division_level"].value == "3"
