"""Indicators are published once when a month is over, and come out of the exported log again."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from datong.cli.govern import app
from datong.governance import GOVERNANCE_AREAS, Publications, Rederived, rederive_finding, rederive_indicators
from datong.governance.tables import PUBLICATION
from datong.kernel import CHINA, PLATFORM_ACTOR, Database, DatongError, FindingId, JsonValue, WorkingCalendar
from datong.ledger import EntryKind, RecordedEntry, exported_entries
from datong.norms import load_pack
from tests.integration.governance.test_monitor import BUREAU, CONSUMER, NAMES, PROVIDER, World

DAY = timedelta(days=1)


class Published:
    """A world with two departments' acts of November, published in December, and the log of it."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.world = world = World(database)
        for code in (PROVIDER, CONSUMER, BUREAU):
            facts: dict[str, JsonValue] = {
                "action": "register_department",
                "department": code,
                "is_authority": code == BUREAU,
            }
            world.record(EntryKind.DEPARTMENT_KEY, code, facts, BUREAU)
        world.request("submit", "submitted", number=1)
        world.request("submit", "submitted", number=2)
        world.clock.advance(DAY)
        world.request("approve", "granted", number=2)
        world.clock.advance(17 * DAY)
        (self.finding,) = world.monitor.run().opened
        world.clock.advance(5 * DAY)
        world.monitor.run()
        self.publications = Publications(
            database=database, clock=world.clock, ledger=world.ledger, indicators=world.indicators
        )
        assert self.publications.publish_due() == ()
        world.clock.advance(datetime(2026, 12, 1, 0, 11, tzinfo=CHINA) - world.clock.now())
        assert self.publications.publish_due() == ("2026-11",)
        # What comes later changes nothing of what was published.
        world.request("approve", "granted", number=1)
        world.monitor.run()
        while world.ledger.integrate():
            pass
        self.folder = folder / "export"
        world.ledger.export(self.folder)

    def entries(self) -> list[RecordedEntry]:
        return list(exported_entries(self.folder, log_key=self.world.ledger.public_key))


@pytest.fixture
def published(control_database: Database, tmp_path: Path) -> Published:
    return Published(control_database, tmp_path)


def test_a_month_is_published_once_and_stays(published: Published) -> None:
    assert published.publications.publish_due() == ()
    page = published.publications.find()
    assert (page.total, page.rows[0].period) == (1, "2026-11")
    table = published.publications.published("2026-11").performance
    provider = next(line for line in table.departments if line.department == PROVIDER)
    assert provider.points > 0
    counted = {value.key: (value.counted, value.base) for value in provider.values if value.base}
    assert counted["reply_on_time_rate"] == (1, 2)
    with pytest.raises(DatongError, match="governance.not_published"):
        published.publications.published("2026-10")
    with pytest.raises(DatongError, match="governance.period_invalid"):
        published.publications.published("nonsense")


def test_the_log_alone_leads_to_the_same_table_and_finding(published: Published) -> None:
    pack, calendar = load_pack(None), WorkingCalendar()
    lines = rederive_indicators(published.entries(), "2026-11", pack=pack, calendar=calendar)
    assert [line.differing for line in lines] == [()] * (len(NAMES) + 1)
    revisions = rederive_finding(published.entries(), published.finding, calendar=calendar)
    assert len(revisions) >= 2
    assert [one.differing for one in revisions] == [()] * len(revisions)
    with pytest.raises(DatongError, match="governance.not_published"):
        rederive_indicators(published.entries(), "2026-10", pack=pack, calendar=calendar)
    with pytest.raises(DatongError, match="governance.finding_not_found"):
        rederive_finding(published.entries(), FindingId("none"), calendar=calendar)


def test_a_table_that_says_more_than_the_log_is_found(published: Published) -> None:
    """Somebody with the hub's key publishes a better month for a department."""
    world = published.world
    with world.database.transaction() as connection:
        for entry in [entry for entry in published.entries() if entry.kind is EntryKind.INDICATOR]:
            facts = {**entry.facts, "period": "2026-12"}
            if entry.facts.get("department") == PROVIDER:
                facts |= {"points": 0, "counted": {"reply_on_time_rate": [2, 2]}}
            subject = entry.subject.replace("2026-11", "2026-12")
            world.ledger.append(
                connection, kind=EntryKind.INDICATOR, subject=subject, actor=PLATFORM_ACTOR, facts=facts
            )
    while world.ledger.integrate():
        pass
    folder = published.folder.with_name("second")
    world.ledger.export(folder)
    entries = list(exported_entries(folder))
    lines = rederive_indicators(entries, "2026-12", pack=load_pack(None), calendar=WorkingCalendar())
    forged = {line.subject: line.differing for line in lines}[f"2026-12/{PROVIDER}"]
    assert "counted" in forged


def test_the_command_says_line_by_line_what_it_found(published: Published) -> None:
    runner = CliRunner()
    arguments = ["rederive", str(published.folder), "--key", published.world.ledger.public_key.hex()]
    done = runner.invoke(app, [*arguments, "--period", "2026-11"], catch_exceptions=False)
    assert (done.exit_code, done.output.count("✓")) == (0, len(NAMES) + 1)
    done = runner.invoke(app, [*arguments, "--finding", published.finding, "--json"], catch_exceptions=False)
    assert [Rederived.model_validate(one).differing for one in json.loads(done.output)] == [(), (), ()]
    with pytest.raises(DatongError, match="cli.rederive_what"):
        runner.invoke(app, arguments, catch_exceptions=False)


def test_a_published_table_that_was_edited_is_found(published: Published) -> None:
    world = published.world
    areas = [area for area in GOVERNANCE_AREAS if area.name == "governance.publication"]
    assert world.ledger.fsck(areas).faults == ()
    document = published.publications.published("2026-11").performance.model_dump(mode="json")
    document["departments"][0]["points"] = 7
    with world.database.transaction() as connection:
        connection.execute(update(PUBLICATION).values(document=document))
    (fault,) = world.ledger.fsck(areas).faults
    assert (fault.code, fault.key.partition("/")[0]) == ("ledger.state_differs", "2026-11")
