"""Alarms over a real ledger: each day is tallied once, an alarm is evidence, and so is what becomes of it."""

from datetime import timedelta

import pytest

from datong.governance import GOVERNANCE_AREAS, AlarmDecision, AlarmKind, AlarmState, AlarmWatch
from datong.kernel import Conflict, Database, Invalid, JsonValue, NotFound
from datong.ledger import EntryKind
from tests.integration.governance.test_monitor import BUREAU, CONSUMER, DAY, PROVIDER, World, officer


def days_with_a_surge(world: World, watch: AlarmWatch) -> None:
    """Send a hundred rows on thirty days and a thousand on the next."""
    for number in range(31):
        facts: dict[str, JsonValue] = {
            "batch": f"batch-{number}",
            "resource": "resource-1",
            "agreement": "agreement-1",
            "provider": PROVIDER,
            "consumer": CONSUMER,
            "run": number,
            "last": True,
            "rows": 1000 if number == 30 else 100,
        }
        world.record(EntryKind.BATCH, "task-1", facts, PROVIDER)
        world.clock.advance(DAY)
        if number == 10:
            assert watch.run() is False
    while watch.run():
        pass


def test_an_alarm_is_raised_once_explained_and_decided(control_database: Database) -> None:
    world = World(control_database)
    watch = AlarmWatch(database=control_database, clock=world.clock, calendar=world.calendar, ledger=world.ledger)
    assert watch.run() is False
    days_with_a_surge(world, watch)
    (record,) = watch.find().rows
    assert (record.alarm.kind, record.alarm.observed, record.alarm.expected) == (AlarmKind.VOLUME, 1000, 100)
    assert (record.state, record.alarm.tally.provider) == (AlarmState.OPEN, PROVIDER)
    assert world.ledger.entry(record.entry_id).facts["observed"] == 1000
    assert [tally.rows for tally in watch.history(record)] == [100] * 30 + [1000]
    again = AlarmWatch(database=control_database, clock=world.clock, calendar=world.calendar, ledger=world.ledger)
    assert again.run() is False
    assert watch.find(department=BUREAU).total == 0
    assert watch.find(department=CONSUMER, kind=AlarmKind.VOLUME, state=AlarmState.OPEN).total == 1

    with pytest.raises(Invalid):
        watch.decide(record.id, AlarmDecision.DISMISS, actor=officer(BUREAU), reason=" ")
    world.clock.advance(timedelta(hours=1))
    known = watch.decide(record.id, AlarmDecision.ACKNOWLEDGE, actor=officer(BUREAU), reason="已电话核实，系历史补传")
    assert (known.state, known.decided_by) == (AlarmState.ACKNOWLEDGED, officer(BUREAU))
    with pytest.raises(Conflict):
        watch.decide(record.id, AlarmDecision.ACKNOWLEDGE, actor=officer(BUREAU), reason="再次确认")
    gone = watch.decide(record.id, AlarmDecision.DISMISS, actor=officer(BUREAU), reason="属正常业务")
    assert gone.state is AlarmState.DISMISSED
    with pytest.raises(Conflict):
        watch.decide(record.id, AlarmDecision.DISMISS, actor=officer(BUREAU), reason="属正常业务")
    with pytest.raises(NotFound):
        watch.get("none")
    states = [entry.facts["state"] for entry in world.ledger.entries(kind=EntryKind.ALARM).rows]
    assert states == ["dismissed", "acknowledged", "open"]
    while world.ledger.integrate():
        pass
    assert world.ledger.fsck([area for area in GOVERNANCE_AREAS if area.name == "governance.alarm"]).faults == ()
