"""Alarms are shown to whom they concern, drawn, and to nobody else."""

from datetime import date, timedelta

import pytest

from datong.governance import Alarm, AlarmKind, AlarmRecord, Tally
from datong.governance.alarm_watch import alarm_id_of
from tests.integration.redteam.world import POLICE, TAX, RedTeamWorld


@pytest.mark.parametrize("kind", [AlarmKind.CALLS, AlarmKind.HOURS])
def test_the_pages_show_an_alarm(world: RedTeamWorld, kind: AlarmKind) -> None:
    """An alarm between the police and the tax office: the auditor reads it, the schools do not."""
    watch = world.services.alarms
    tally = Tally(
        series="line:application-1|r", day=date(2025, 9, 1), provider=POLICE, consumer=TAX, calls=70, hours=(3,) * 24
    )
    alarm = Alarm(kind=kind, tally=tally, observed=70, expected=12, score_tenths=93)
    with world.services.database.transaction() as connection:
        watch.write(connection, tally.day + timedelta(days=list(AlarmKind).index(kind)), [tally], [alarm])
    alarm_id = alarm_id_of(alarm)
    auditor, officer = world["auditor"], world["officer"]
    page = auditor.get("/governance/alarms")
    assert page.status_code == 200
    assert f"/governance/alarms/{alarm_id}" in page.text
    page = auditor.get(f"/governance/alarms/{alarm_id}")
    assert page.status_code == 200
    assert "70" in page.text
    assert AlarmRecord.model_validate(auditor.get(f"/api/v1/alarms/{alarm_id}").json()).alarm == alarm
    assert f"/governance/alarms/{alarm_id}" not in officer.get("/governance/alarms").text
    assert officer.get(f"/governance/alarms/{alarm_id}").status_code == 403
    assert officer.get(f"/api/v1/alarms/{alarm_id}").status_code == 403
