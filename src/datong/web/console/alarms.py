"""Alarms: what was out of the ordinary, drawn beside what was ordinary, and what became of it."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Form
from fastapi.responses import Response

from datong.governance import (
    ALARM_NAMES,
    STATE_NAMES,
    AlarmDecision,
    AlarmKind,
    AlarmRecord,
    AlarmState,
    Tally,
)
from datong.kernel.limits import TEXT_CHARS_MAX
from datong.sharing import Action
from datong.web.api.governance import alarm_target
from datong.web.api.scope import department_in_scope
from datong.web.console.charts import Chart, columns, trend
from datong.web.console.desk import PAGE_ROWS, Desk, Offset, SignedIn
from datong.web.routing import unlisted_routes

router = unlisted_routes()

_FIGURES: dict[AlarmKind, Callable[[Tally], int]] = {
    AlarmKind.VOLUME: lambda tally: round(tally.volume),
    AlarmKind.DRIFT: lambda tally: round(tally.volume),
    AlarmKind.REJECTS: lambda tally: tally.rejected,
    AlarmKind.CALLS: lambda tally: tally.calls,
    AlarmKind.NEWCOMER: lambda tally: tally.calls,
    AlarmKind.BREADTH: lambda tally: tally.resources,
    AlarmKind.MISSES: lambda tally: tally.misses,
}
"""What is drawn over the days; hours are drawn over the day."""


@router.get("/governance/alarms")
def list_alarms(desk: SignedIn, offset: Offset, kind: str = "", state: str = "") -> Response:
    """List the alarms that the caller may read."""
    if view := desk.opening_view():
        return desk.go(view)
    page = desk.services.alarms.find(
        kind=AlarmKind(kind) if kind in set(AlarmKind) else None,
        state=AlarmState(state) if state in set(AlarmState) else None,
        department=department_in_scope(desk.services, desk.caller, Action.FINDING_READ),
        offset=offset,
        limit=PAGE_ROWS,
    )
    return desk.page(
        "governance/alarms.html",
        page=page,
        offset=offset,
        step=PAGE_ROWS,
        kind=kind,
        state=state,
        kinds=ALARM_NAMES,
        states=STATE_NAMES,
    )


@router.get("/governance/alarms/{alarm_id}")
def show_alarm(desk: SignedIn, alarm_id: str) -> Response:
    """Show one alarm with its series."""
    record = desk.services.alarms.get(alarm_id)
    desk.require(Action.FINDING_READ, alarm_target(record))
    return desk.page(
        "governance/alarm.html",
        record=record,
        alarm=record.alarm,
        kinds=ALARM_NAMES,
        states=STATE_NAMES,
        drawing=_drawing(desk, record),
        may_decide=desk.may(Action.MONITOR_RUN) and record.state is not AlarmState.DISMISSED,
        open=record.state is AlarmState.OPEN,
    )


@router.post("/governance/alarms/{alarm_id}/decisions")
def decide_alarm(
    desk: SignedIn,
    alarm_id: str,
    decision: Annotated[AlarmDecision, Form()],
    reason: Annotated[str, Form(min_length=1, max_length=TEXT_CHARS_MAX)],
) -> Response:
    """Acknowledge or dismiss an alarm."""
    desk.require(Action.MONITOR_RUN)
    desk.services.alarms.decide(alarm_id, decision, actor=desk.caller.actor, reason=reason)
    return desk.go(f"/governance/alarms/{alarm_id}", done="alarm")


def _drawing(desk: Desk, record: AlarmRecord) -> Chart:
    """Return the series up to the day of the alarm, or that day by its hours."""
    t, alarm = desk.speech.t, record.alarm
    label = desk.speech.say(ALARM_NAMES[alarm.kind])
    if alarm.kind is AlarmKind.HOURS:
        hours = alarm.tally.hours
        return columns(
            "series",
            label,
            names=[f"{hour:02}" for hour in range(len(hours))],
            values=list(hours),
            header=(t("时", "Hour"), t("调用", "Calls")),
        )
    tallies = desk.services.alarms.history(record)
    figure = _FIGURES[alarm.kind]
    return trend(
        "series",
        label,
        times=[str(tally.day) for tally in tallies],
        series={
            t("当日", "Of the day"): [figure(tally) for tally in tallies],
            t("预期", "Expected"): [None] * (len(tallies) - 1) + [alarm.expected],
        },
        time_name=t("日期", "Day"),
    )
