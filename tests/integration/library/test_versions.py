"""Versions over time: what was known on a day, retention, holds, disposal with evidence, and what a kill leaves."""

import json
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable

from datong.kernel import Database, EntityId, NotFound, Unavailable
from datong.ledger import EntryKind, RecordedEntry
from datong.library import CorrectionAction, CorrectionDisposal, HoldOrder, HoldReason, RetentionOrder
from tests.integration.library.test_corrections import CLERK, OFFICER, REPORTER, RIGHT, STATEMENT, Hub, Killed
from tests.library_sources import with_increment
from tests.new_control import new_control
from tests.unit.library.test_definition_reading import TEXT

DISTRICT = EntityId("440604")
DAY = timedelta(days=1)
LATER = ("440605", "南海区", "3", "440600", "2026-03-01")


@pytest.fixture(scope="module")
def first_three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a library of divisions with three versions, ten days apart; the second corrects a name."""
    folder = tmp_path_factory.mktemp("versions")
    database = new_control(folder)
    made = Hub(database, folder)
    for row in (RIGHT, LATER):
        made.clock.advance(10 * DAY)
        made.correct(row)
    database.close()
    return folder


@pytest.fixture
def database(first_three: Path, tmp_path: Path) -> Iterator[Database]:
    """The control database of a copy of those three versions."""
    shutil.copytree(first_three, tmp_path, dirs_exist_ok=True)
    made = Database(f"sqlite:///{tmp_path / 'control.sqlite'}")
    yield made
    made.close()


@pytest.fixture
def hub(database: Database, tmp_path: Path) -> Hub:
    """A hub that goes on with a copy of those three versions, at the time of the third."""
    made = Hub(database, tmp_path, built=True)
    for row in (RIGHT, LATER):
        made.clock.advance(10 * DAY)
        made.source = with_increment(made.source, tmp_path, [row])
    return made


def _retained(hub: Hub) -> list[RecordedEntry]:
    return list(reversed(hub.ledger.entries(kind=EntryKind.RETENTION, limit=50).rows))


def _actions(hub: Hub) -> list[object]:
    return [entry.facts["action"] for entry in _retained(hub)]


def _name_on(hub: Hub, moment: datetime) -> str | None:
    return hub.library.versions.past("geography", DISTRICT, at=moment).cells["division_name"].value


def test_what_was_known_on_a_day_until_it_is_disposed_of(hub: Hub) -> None:
    versions = hub.library.versions
    now = hub.clock.now()
    assert _name_on(hub, now - 15 * DAY) == "禅成区"
    assert _name_on(hub, now - 5 * DAY) == "禅城区"
    assert versions.past("geography", DISTRICT, version=1).superseded_at == now - 10 * DAY
    with pytest.raises(NotFound, match=r"library\.version_unknown"):
        _name_on(hub, now - 25 * DAY)
    with pytest.raises(NotFound, match=r"library\.entity_not_then"):
        versions.past("geography", EntityId("440605"), version=1)

    dataset = hub.library.dataset("geography")
    table = dataset.delta_path
    first = table / "_delta_log" / f"{0:020}.json"
    assert "禅" not in first.read_text(), "the log says how many rows a file has, and none of its values"
    assert not versions.sweep()
    assert _actions(hub) == [], "three years have not passed"
    versions.declare("geography", RetentionOrder(days=5, versions_min=1, statement="档案管理办法"), actor=OFFICER)
    held = versions.hold("geography", HoldOrder(version=1, statement="审计"), actor=OFFICER)
    versions.sweep()
    shown = {one.version: one for one in versions.versions("geography")}
    assert shown[1].holds == (HoldReason.PERSON,)
    assert shown[2].disposal is None, "superseded today"
    hub.clock.advance(6 * DAY)
    versions.sweep()
    shown = {one.version: one for one in versions.versions("geography")}
    assert [number for number, one in shown.items() if one.disposal is not None] == [2]
    assert _name_on(hub, now - 15 * DAY) == "禅成区"
    with pytest.raises(NotFound, match=r"library\.version_disposed"):
        _name_on(hub, now - 5 * DAY)

    versions.release("geography", held.id, "审计结束", actor=OFFICER)
    with pytest.raises(NotFound, match=r"library\.hold_unknown"):
        versions.release("geography", held.id, "再次", actor=OFFICER)
    versions.sweep()
    with pytest.raises(NotFound, match=r"library\.version_unknown"):
        versions.hold("geography", HoldOrder(version=1, statement="太晚"), actor=OFFICER)
    left = [path for path in table.rglob("*.parquet") if "_delta_log" not in path.parts]
    assert sorted(path.name for path in left) == sorted(Path(uri).name for uri in DeltaTable(str(table)).file_uris())
    assert not first.exists(), "its commit is gone, too"
    assert versions.past("geography", DISTRICT, version=3).cells["division_name"].value == "禅城区"
    hub.correct(("440606", "顺德区", "3", "440600", "2026-04-01"))
    assert hub.library.dataset("geography").version == 4, "and building goes on"

    assert _actions(hub) == ["declare", "hold", "dispose", "erase", "release", "dispose", "erase"]
    said = _retained(hub)[2].facts
    assert [one["version"] for one in said["versions"]] == [2]
    assert (said["days"], said["tables"], said["rows"]) == (5, 1, 3)
    assert said["files"] > 0
    assert not any(value in json.dumps([one.facts for one in _retained(hub)]) for value in ("440604", "审计", "禅"))


def test_an_open_report_keeps_the_version_it_cites(hub: Hub) -> None:
    versions = hub.library.versions
    versions.declare("geography", RetentionOrder(days=0, versions_min=1, statement="试验"), actor=OFFICER)
    made = hub.report("禅城新区")
    hub.clock.advance(DAY)
    hub.correct(("440606", "顺德区", "3", "440600", "2026-04-01"))
    versions.sweep()
    shown = {one.version: one for one in versions.versions("geography")}
    assert shown[3].holds == (HoldReason.CORRECTION,)
    assert [number for number, one in sorted(shown.items()) if one.disposal is None] == [3, 4]
    hub.corrections.act(made.id, CorrectionAction.WITHDRAW, actor=CLERK, sides=REPORTER)
    versions.sweep()
    assert [one.version for one in versions.versions("geography") if one.disposal is None] == [4]


def test_killed_anywhere_a_disposal_is_finished_by_the_next_turn(hub: Hub) -> None:
    versions = hub.library.versions
    versions.declare("geography", RetentionOrder(days=0, versions_min=1, statement="试验"), actor=OFFICER)
    kills = 0
    while True:
        hub.clock.left = kills
        try:
            versions.sweep()
        except Killed:
            kills += 1
            hub.clock.left = None
            shown = {one.version: one.disposal for one in versions.versions("geography")}
            assert (shown[1] is None) == (_actions(hub) == ["declare"]), "the act and its evidence are one"
            if shown[1] is None:
                assert versions.past("geography", DISTRICT, version=1).cells["division_name"].value == "禅成区"
            continue
        break
    hub.clock.left = None
    assert kills >= 4
    assert _actions(hub) == ["declare", "dispose", "erase"]
    assert all(one.disposal is None or one.disposal.erased_at for one in versions.versions("geography"))
    versions.sweep()
    assert len(_retained(hub)) == 3


def test_tables_that_cannot_be_read_are_told_in_words(hub: Hub) -> None:
    versions = hub.library.versions
    versions.declare("geography", RetentionOrder(days=0, versions_min=1, statement="试验"), actor=OFFICER)
    shutil.rmtree(hub.library.dataset("geography").delta_path / "_delta_log")
    with pytest.raises(Unavailable, match=r"library\.tables_unreadable"):
        versions.sweep()
    with pytest.raises(Unavailable, match=r"library\.tables_unreadable"):
        versions.past("geography", DISTRICT, version=1)
    assert _actions(hub) == ["declare"], "nothing was said to be disposed of"


def test_settled_reports_lose_their_values_after_their_retention(hub: Hub, database: Database) -> None:
    made = hub.report("禅城新区")
    hub.corrections.act(made.id, CorrectionAction.WITHDRAW, actor=CLERK, sides=REPORTER)
    while hub.ledger.integrate():
        pass
    disposal = CorrectionDisposal(database=database, clock=hub.clock, ledger=hub.ledger, keep=30 * DAY)
    hub.clock.advance(29 * DAY)
    assert not disposal.sweep()
    assert hub.corrections.get(made.id).content is not None
    hub.clock.advance(DAY)
    assert not disposal.sweep()
    gone = hub.corrections.get(made.id)
    assert gone.content is None
    assert gone.disposed_at is not None
    assert {act.statement for act in gone.acts} == {""}
    assert hub.corrections.proof(made.id, 0)["disclosures"] == {}
    with database.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT personal FROM library_correction").all()
        acts = connection.exec_driver_sql("SELECT statement FROM library_correction_act").all()
    assert not any(value in str((rows, acts)) for value in ("禅", STATEMENT, "440604"))
    assert not disposal.sweep()
    assert _actions(hub) == ["dispose_report"]
    assert _retained(hub)[0].facts["acts"] == 2


def test_killed_anywhere_a_definition_is_in_force_with_its_evidence_or_never_was(hub: Hub) -> None:
    defining = hub.library.defining
    second = TEXT.replace("version: 1\n", "version: 2\n").replace("value: 2,", "value: 1,")
    for version, text in enumerate((TEXT, second), start=1):
        kills = 0
        while True:
            hub.clock.left = kills
            try:
                defining.define(text, actor=OFFICER)
            except Killed:
                kills += 1
                hub.clock.left = None
                kept = [record.version for record in defining.stored()]
                assert kept == list(range(version - 1, 0, -1))
                assert len(hub.ledger.entries(kind=EntryKind.LIBRARY_DEFINITION).rows) == version - 1
                in_force = {known.name: known.version for known in hub.library.definitions()}
                assert in_force.get("large_families", 0) == version - 1
                continue
            break
        hub.clock.left = None
        assert kills >= 2
        assert hub.library.definition("large_families").version == version
    (newest, oldest) = hub.ledger.entries(kind=EntryKind.LIBRARY_DEFINITION).rows
    assert (oldest.facts["replaces"], newest.facts["replaces"]) == (0, 1)
    assert [record.entry_id for record in defining.stored()] == [newest.entry_id, oldest.entry_id]
