"""What meetings, assignments and incidents mean for people: matters of their entries, and of their deadlines."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

from datong.governance.coordination.assignments import Assignment, AssignmentAction
from datong.governance.coordination.incidents import SEVERITY_NAMES, Severity
from datong.governance.notifications.matters import (
    AUTHORITY,
    LEADERS,
    NEAR_WORKING_DAYS,
    Audience,
    Matter,
    Names,
    Topic,
)
from datong.kernel import CHINA, DepartmentCode, Text, WorkingCalendar, minute
from datong.ledger import RecordedEntry
from datong.sharing import Action, Role, Target

_MEETING = Text(zh="联席会议", en="Joint meeting")
_ASSIGNMENT = Text(zh="交办事项", en="Assignment")


def of_meeting(entry: RecordedEntry, _names: Names) -> Sequence[Matter]:
    """Tell those invited that a meeting was called, decided, closed or cancelled."""
    facts = entry.facts
    at = minute(datetime.fromisoformat(facts["held_at"]))
    said = {
        "call": Text(zh=f"定于 {at} 召开，请答复是否参加。", en=f"Called for {at}: say whether your department comes."),
        "decide": Text(zh=f"第 {facts['item']} 项议题已议决。", en=f"Item {facts['item']} was decided."),
        "close": Text(zh="会议已结束，纪要已存证。", en="The meeting is closed; its minutes are on record."),
        "cancel": Text(zh=f"原定 {at} 的会议已取消。", en=f"The meeting of {at} is cancelled."),
    }.get(str(facts["action"]))
    if said is None:
        return ()
    urgent = facts["action"] == "cancel"
    return _each(
        entry, facts["departments"], LEADERS, _MEETING, said, f"/meetings/{entry.subject}", Topic.MEETING, urgent=urgent
    )


def of_assignment(entry: RecordedEntry, names: Names) -> Sequence[Matter]:
    """Tell the department what it is to do, and the authority what was done."""
    facts = entry.facts
    department, authority = DepartmentCode(facts["department"]), DepartmentCode(facts["authority"])
    due = _last_day(datetime.fromisoformat(facts["due_at"]))
    name = names.department(department)
    action = str(facts["action"])
    to_department = {
        "assign": Text(
            zh=f"有新的交办事项，{due} 前办结，请签收。", en=f"Something to do until {due}: acknowledge it."
        ),
        "return": Text(zh="办理情况未通过核验，请重办。", en="What was reported was sent back: do it again."),
        "extend": Text(zh=f"期限改为 {due}。", en=f"The deadline is now {due}."),
        "accept": Text(zh="已核验通过，办结。", en="Accepted: it is done."),
        "cancel": Text(zh="已撤销。", en="It was cancelled."),
    }
    address = f"/assignments/{entry.subject}"
    if action in to_department:
        said = to_department[action]
        return _each(entry, [department], LEADERS, _ASSIGNMENT, said, address, Topic.DUTY)
    if action == AssignmentAction.REPORT:
        said = Text(zh=f"{name.zh}报告已办理，待核验。", en=f"{name.en} reports it as done: look at it.")
        return _each(entry, [authority], AUTHORITY, _ASSIGNMENT, said, address, Topic.DUTY)
    return ()


def of_incident(entry: RecordedEntry, _names: Names) -> Sequence[Matter]:
    """Tell the departments that handle an incident, at once, what happens."""
    facts = entry.facts
    severity = SEVERITY_NAMES[Severity(facts["severity"])]
    said = {
        "open": Text(
            zh=f"已启动处置联动（{severity.zh}），请立即办理。", en=f"Joint handling begins ({severity.en}): act now."
        ),
        "note": Text(zh="有新的续报。", en="Somebody reported on it."),
        "close": Text(zh="已办结。", en="It is closed."),
    }.get(str(facts["action"]))
    if said is None:
        return ()
    title = Text(zh="处置联动", en="Joint handling of an incident")
    departments = [*facts["departments"], facts["authority"]]
    address = f"/incidents/{entry.subject}"
    roles = LEADERS | AUTHORITY
    return _each(entry, departments, roles, title, said, address, Topic.INCIDENT, urgent=facts["action"] == "open")


def reminders_of(assignments: Sequence[Assignment], *, now: datetime, calendar: WorkingCalendar) -> tuple[Matter, ...]:
    """Return the reminders of assignments whose deadline is near or has passed, each once for each deadline."""
    found = []
    for one in assignments:
        left = calendar.working_days_left(now, one.due_at)
        late = one.is_overdue(now)
        if left > NEAR_WORKING_DAYS and not late:
            continue
        day = _last_day(one.due_at)
        audiences = [Audience(department=one.department, roles=LEADERS | AUTHORITY)]
        if late:
            audiences.append(Audience(department=one.authority, roles=AUTHORITY))
        found.append(
            Matter(
                key=f"assignment:{one.id}:{'late' if late else 'near'}:{day}",
                topic=Topic.DEADLINE,
                title=_ASSIGNMENT,
                what=Text(zh=f"已过期限 {day}，尚未办结。", en=f"It was due on {day} and is not done.")
                if late
                else Text(zh=f"期限是 {day}，尚未办结。", en=f"It is due on {day} and is not done."),
                address=f"/assignments/{one.id}",
                audiences=tuple(audiences),
                action=Action.COORDINATION_READ,
                target=Target(id=one.id, department=one.department),
                urgent=late or left <= 0,
                once=True,
            )
        )
    return tuple(found)


def certificates_ending(ends: Iterable[tuple[DepartmentCode, date, int]]) -> tuple[Matter, ...]:
    """Return the reminders of certificates that end soon, each day once; no name leaves the register."""
    return tuple(
        Matter(
            key=f"certificates:{code}:{day.isoformat()}",
            topic=Topic.DEADLINE,
            title=Text(zh="人员证书即将到期", en="Certificates of staff end soon"),
            what=Text(
                zh=f"{count} 人的证书 {day.isoformat()} 到期，请安排培训。",
                en=f"The certificates of {count} end on {day.isoformat()}: arrange a training.",
            ),
            address="/staff",
            audiences=(Audience(department=code, roles=LEADERS),),
            action=Action.STAFF_READ,
            target=Target.of_department(code),
            once=True,
        )
        for code, day, count in ends
    )


def _each(
    entry: RecordedEntry,
    departments: Sequence[str],
    roles: frozenset[Role],
    title: Text,
    what: Text,
    address: str,
    topic: Topic,
    *,
    urgent: bool = False,
) -> tuple[Matter, ...]:
    """Return one matter for each department: each may read it as its own."""
    return tuple(
        Matter(
            key=f"{entry.kind.value}:{entry.subject}",
            topic=topic,
            title=title,
            what=what,
            address=address,
            audiences=(Audience(department=DepartmentCode(code), roles=roles),),
            action=Action.COORDINATION_READ,
            target=Target(id=entry.subject, department=DepartmentCode(code)),
            urgent=urgent,
        )
        for code in dict.fromkeys(departments)
    )


def _last_day(due_at: datetime) -> str:
    return (due_at.astimezone(CHINA) - timedelta(microseconds=1)).strftime("%Y-%m-%d")
