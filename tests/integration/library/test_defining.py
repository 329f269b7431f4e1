"""Definitions that operators supply: planned, kept with evidence, in force at once, and never a bad one."""

from pathlib import Path

import pytest

from datong.kernel import PLATFORM_ACTOR, Conflict, Database, Invalid, NotFound
from datong.ledger import EntryKind
from tests.integration.library.test_derived import built, landed_families
from tests.integration.library.test_service import Hub
from tests.unit.library.test_definition_reading import TEXT


@pytest.fixture
def hub(control_database: Database, tmp_path: Path) -> Hub:
    return Hub(control_database, tmp_path)


def test_a_library_from_a_file_is_planned_defined_built_and_changed(hub: Hub, tmp_path: Path) -> None:
    library, defining = hub.library, hub.library.defining
    plan = defining.plan(TEXT)
    assert (plan.name, plan.version, plan.present_version, plan.problems) == ("large_families", 1, 0, ())
    assert plan.changes
    with pytest.raises(NotFound, match=r"library\.unknown"):
        library.definition("large_families")
    assert defining.define(TEXT, actor=PLATFORM_ACTOR) == plan
    assert library.definition("large_families").digest == plan.digest
    assert defining.define(TEXT, actor=PLATFORM_ACTOR).changes == (), "the same again changes nothing"
    (record,) = defining.versions("large_families")
    assert (record.version, record.text) == (1, TEXT)
    (entry,) = hub.ledger.entries(kind=EntryKind.LIBRARY_DEFINITION).rows
    assert entry.entry_id == record.entry_id
    assert entry.facts == {
        "version": 1, "replaces": 0, "digest": plan.digest, "kind": "derived", "inputs": ["population"],
    }  # fmt: skip

    hub.landing.landed = landed_families(tmp_path)
    built(hub, "population")
    built(hub, "large_families")
    (family,) = library.lookup("large_families", "household_id", "H2")
    assert (family.cells["children"].value, family.cells["verdict"].value) == ("1", "fail")

    changed = TEXT.replace("value: 2,", "value: 1,")
    (problem,) = defining.plan(changed).problems
    assert problem.field == "/version"
    with pytest.raises(Invalid, match=r"library\.definition_invalid"):
        defining.define(changed, actor=PLATFORM_ACTOR)
    waiting = library.request_build("large_families", actor=PLATFORM_ACTOR)
    defining.define(changed.replace("version: 1\n", "version: 2\n"), actor=PLATFORM_ACTOR)
    with pytest.raises(Conflict, match=r"library\.build_superseded"):
        library.run_build(waiting.id)
    (requested,) = library.refresh_derived()
    library.run_build(requested)
    assert library.lookup("large_families", "household_id", "H2")[0].cells["verdict"].value == "pass"
    assert [known.version for known in defining.versions("large_families")] == [2, 1]


def test_a_bad_definition_never_replaces_a_good_one(hub: Hub) -> None:
    library, defining = hub.library, hub.library.defining
    before = library.definitions()
    for text in (
        "",
        TEXT.replace("value: children,", "value: kids,"),
        TEXT.replace("name: large_families", "name: population"),
        TEXT.replace("library: population", "library: large_families"),
        TEXT.replace("kind: derived", "kind: reference"),
    ):
        assert defining.plan(text).problems
        with pytest.raises(Invalid, match=r"library\.definition_invalid"):
            defining.define(text, actor=PLATFORM_ACTOR)
    assert library.definitions() == before
    assert defining.stored() == ()
    assert hub.ledger.entries(kind=EntryKind.LIBRARY_DEFINITION).rows == ()


def test_a_shipped_thematic_library_takes_a_citys_own_limits(hub: Hub) -> None:
    shipped = (Path(__file__).parents[3] / "src/datong/library/definitions/low_income_family.yaml").read_text("utf-8")
    own = shipped.replace("value: 2000", "value: 1500").replace("version: 1\n", "version: 2\n")
    changes = {change.field: change.after for change in hub.library.defining.define(own, actor=PLATFORM_ACTOR).changes}
    assert changes == {"/version": "2", "/derivation/parameters/income_limit/value": "1500.0"}
    assert hub.library.definition("low_income_family").version == 2
