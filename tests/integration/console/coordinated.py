"""What a served city has of meetings, assignments and incidents, so that their pages have something to show."""

from datetime import timedelta

from datong.governance.coordination import (
    DecisionOfItem,
    NewAssignment,
    NewIncident,
    NewMeeting,
    Outcome,
    Severity,
)
from tests.integration.console.conftest import ServedCity


def coordinated(console: ServedCity) -> list[str]:
    """Return the pages of a meeting that was held, one that was called, an assignment and an incident."""
    city, hub = console.city, console.city.hub
    bureau, officer = city.people["authority"].actor, city.people["education.officer"].actor
    assert officer.department is not None
    task = NewAssignment(department=officer.department, what="补齐学籍目录", working_days=5)
    new = NewMeeting(
        title="第三次数据共享联席会议",
        held_at=hub.clock.now() + timedelta(days=3),
        place="市政务中心 3 号会议室",
        cases=tuple(case.id for case in hub.meetings.suggest()[:1]),
        topics=("下季度共享计划",),
        departments=(officer.department,),
    )
    called, held = hub.meetings.call(new, bureau), hub.meetings.call(new, bureau)
    hub.meetings.hold(held.id, actor=bureau, present=frozenset({officer.department}), minutes="各方一致同意。")
    decision = DecisionOfItem(outcome=Outcome.INSTRUCT, statement="由教育局办理", assignments=(task,))
    decided = hub.meetings.decide(held.id, len(held.items), decision, actor=bureau)
    (given,) = decided.items[-1].assignments
    incident = hub.incidents.open(
        NewIncident(
            title="异常批量查询", description="有账号按号段逐个试查身份号码", severity=Severity.LARGE, tasks=(task,)
        ),
        bureau,
    )
    meetings = [f"/meetings/{called.id}", f"/meetings/{held.id}"]
    return ["/meetings", *meetings, "/assignments", f"/assignments/{given}", "/incidents", f"/incidents/{incident.id}"]
