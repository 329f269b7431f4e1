"""How entries of the log, and deadlines, become matters: pure functions, an entry in, matters out."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from datong.governance.alarms import ALARM_NAMES, AlarmKind
from datong.governance.duties import RULES, Duty, DutyKind
from datong.governance.notifications.coordinated import of_assignment, of_incident, of_meeting
from datong.governance.notifications.matters import (
    AUTHORITY,
    LEADERS,
    NEAR_WORKING_DAYS,
    OFFICERS,
    STAFF,
    Audience,
    Matter,
    Names,
    Topic,
)
from datong.governance.notifications.wished import of_wish
from datong.governance.parties import Party
from datong.governance.stages import STAGE_NAMES, CaseStage
from datong.kernel import CHINA, DepartmentCode, ResourceId, Text, WorkingCalendar
from datong.ledger import EntryKind, RecordedEntry
from datong.sharing import Action, Role, Target


def matters_of(entry: RecordedEntry, names: Names) -> Sequence[Matter]:
    """Return what an entry means for people; nothing for most kinds."""
    maker = MAKERS.get(entry.kind)
    return () if maker is None else maker(entry, names)


def reminder_of(duty: Duty, *, now: datetime, calendar: WorkingCalendar) -> Matter | None:
    """Return the reminder of a duty that is not done while its deadline is near; None at every other time.

    What has passed is a finding, and told as one.
    """
    if duty.done_at is not None or now >= duty.due_at or RULES[duty.kind].measured is not None:
        return None
    left = calendar.working_days_left(now, duty.due_at)
    holder = _holder(duty, now)
    if left > NEAR_WORKING_DAYS or holder is None:
        return None
    department = duty.department_of(holder)
    if department is None:
        return None
    name = DUTY_NAMES[duty.kind]
    day = (duty.due_at.astimezone(CHINA) - timedelta(microseconds=1)).strftime("%Y-%m-%d")
    return Matter(
        key=f"near:{duty.kind.value}:{duty.subject}:{day}",
        topic=Topic.DEADLINE,
        title=duty.title,
        what=Text(zh=f"“{name.zh}”的期限是 {day}，尚未办结。", en=f"“{name.en}” is due on {day} and is not done."),
        address=_place(duty),
        audiences=(Audience(department=department, roles=LEADERS | AUTHORITY),),
        action=Action.FINDING_READ,
        target=Target(id=duty.subject, department=department, provider=duty.provider, consumer=duty.consumer),
        urgent=left <= 0,
        once=True,
    )


def _holder(duty: Duty, now: datetime) -> Party | None:
    """Return who has to act now."""
    begun = [span for span in duty.spans if span.since <= now]
    return max(begun, key=lambda span: span.since).party if begun else None


def _place(duty: Duty) -> str:
    """Return the page on which a duty is done."""
    subject = duty.subject.partition("/")[0]
    if duty.kind in {DutyKind.REVIEW, DutyKind.CATALOGUE_UPDATE} and duty.resource_id is not None:
        return f"/catalogue/{duty.resource_id}"
    place = {
        DutyKind.REPLY: "/requests/",
        DutyKind.PROVISION: "/agreements/",
        DutyKind.DISPOSAL: "/agreements/",
        DutyKind.CORRECTION: "/corrections/",
        DutyKind.WISH: "/wishes/",
    }
    return f"{place[duty.kind]}{subject}" if duty.kind in place else "/"


DUTY_NAMES: Mapping[DutyKind, Text] = {
    DutyKind.REPLY: Text(zh="答复申请", en="reply to a request"),
    DutyKind.PROVISION: Text(zh="提供数据", en="provide the data"),
    DutyKind.REVIEW: Text(zh="审核目录", en="review a catalogue entry"),
    DutyKind.TRANSFER: Text(zh="完成传输", en="finish a transfer"),
    DutyKind.QUALITY: Text(zh="数据质量", en="quality of data"),
    DutyKind.CATALOGUE_UPDATE: Text(zh="更新目录", en="update a catalogue entry"),
    DutyKind.CORRECTION: Text(zh="核实校核", en="verify a reported error"),
    DutyKind.FRESHNESS: Text(zh="更新数据", en="refresh the data"),
    DutyKind.AVAILABILITY: Text(zh="服务可用", en="availability"),
    DutyKind.COMPLETENESS: Text(zh="数据完整", en="completeness"),
    DutyKind.RESPONSE: Text(zh="及时应答", en="answer calls in time"),
    DutyKind.DISPOSAL: Text(zh="处置到期数据", en="dispose of data at the end of the agreement"),
    DutyKind.WISH: Text(zh="答复公众需求", en="answer a wish of the public"),
    DutyKind.USE: Text(zh="按约定使用", en="use as agreed"),
}
"""What is to be done, where `RULES` says what it is called when it was not."""


def _department(entry: RecordedEntry, fact: str) -> DepartmentCode | None:
    value = entry.facts.get(fact)
    return DepartmentCode(value) if isinstance(value, str) and value else None


def _audiences(*wanted: tuple[DepartmentCode | None, frozenset[Role]]) -> tuple[Audience, ...]:
    """Return the audiences of the departments that are known."""
    return tuple(Audience(department=code, roles=roles) for code, roles in wanted if code is not None)


def _target(entry: RecordedEntry) -> Target:
    return Target(
        id=entry.subject,
        department=_department(entry, "department"),
        provider=_department(entry, "provider"),
        consumer=_department(entry, "consumer"),
    )


def _name(names: Names, code: DepartmentCode | None) -> Text:
    return Text(zh="平台", en="the platform") if code is None else names.department(code)


def _requests(entry: RecordedEntry, names: Names) -> Sequence[Matter]:
    facts = entry.facts
    provider, consumer = _department(entry, "provider"), _department(entry, "consumer")
    step, state = facts.get("step"), facts.get("state")
    topic = Topic.ANSWER
    audiences: tuple[Audience, ...]
    if step == "extend":
        what = Text(
            zh=f"{_name(names, provider).zh}申请延期答复，待同意。",
            en=f"{_name(names, provider).en} asks for more time to reply: consent or deny.",
        )
        topic, audiences = Topic.DUTY, (Audience(department=None, roles=AUTHORITY),)
    elif state == "submitted":
        what = Text(
            zh=f"{_name(names, consumer).zh}的申请待答复。",
            en=f"The request of {_name(names, consumer).en} awaits a reply.",
        )
        topic, audiences = Topic.DUTY, _audiences((provider, OFFICERS))
    elif state in {"granted", "refused"} and entry.kind is EntryKind.DECISION:
        zh, en = ("已同意", "granted") if state == "granted" else ("未同意", "refused")
        what = Text(
            zh=f"{_name(names, provider).zh}{zh}贵部门的申请。",
            en=f"{_name(names, provider).en} has {en} your department's request.",
        )
        audiences = _audiences((consumer, STAFF))
    else:
        return ()
    title = facts.get("title")
    named = names.resource(ResourceId(str(facts["resource_id"])))
    return (
        Matter(
            key=f"request:{entry.subject}:{topic.value}",
            topic=topic,
            title=Text.model_validate(title) if isinstance(title, Mapping) else named,
            what=what,
            address=f"/requests/{entry.subject}",
            audiences=audiences,
            action=Action.REQUEST_READ,
            target=_target(entry),
        ),
    )


_AGREEMENT_STATES: Mapping[str, tuple[Text, bool]] = {
    "draft": (Text(zh="协议已拟定，待确认。", en="The agreement is drawn up and waits to be confirmed."), False),
    "confirmed": (
        Text(zh="协议双方已确认，待签署。", en="Both sides have confirmed; the agreement is to be signed."),
        False,
    ),
    "active": (Text(zh="协议已生效。", en="The agreement is in force."), False),
    "suspended": (Text(zh="协议已中止，数据停止提供。", en="The agreement is suspended; no data flows."), True),
    "terminated": (Text(zh="协议已终止。", en="The agreement has ended."), True),
    "expired": (Text(zh="协议已到期。", en="The agreement has expired."), False),
}
_AMENDMENT_STEPS: Mapping[str, Text] = {
    "propose": Text(
        zh="对方提议变更协议，待确认。", en="A change of the agreement is proposed: confirm or decline it."
    ),
    "decline_amendment": Text(zh="变更协议的提议未被接受。", en="The proposed change was declined."),
    "amend": Text(zh="协议变更已生效。", en="The change of the agreement is in force."),
    "remind": Text(zh="协议即将到期，请考虑续签。", en="The agreement ends soon: think of renewing it."),
}


def _agreements(entry: RecordedEntry, names: Names) -> Sequence[Matter]:
    step, state = str(entry.facts.get("step")), str(entry.facts.get("state"))
    amended = _AMENDMENT_STEPS.get(step)
    if amended is not None:
        what, urgent = amended, False
    elif "amendment" in entry.facts or (step == "confirm" and state == "draft") or state not in _AGREEMENT_STATES:
        return ()
    else:
        what, urgent = _AGREEMENT_STATES[state]
    return (
        Matter(
            key=f"agreement:{entry.subject}",
            topic=Topic.AGREEMENT,
            title=names.resource(ResourceId(str(entry.facts["resource_id"]))),
            what=what,
            address=f"/agreements/{entry.subject}",
            audiences=_audiences(
                (_department(entry, "provider"), OFFICERS), (_department(entry, "consumer"), OFFICERS)
            ),
            action=Action.AGREEMENT_READ,
            target=_target(entry),
            urgent=urgent,
        ),
    )


def _catalogue(entry: RecordedEntry, names: Names) -> Sequence[Matter]:
    department = _department(entry, "department")
    action, state = entry.facts.get("action"), entry.facts.get("to_state")
    key, topic = f"resource:{entry.subject}", Topic.DUTY
    if action == "submit":
        what = Text(
            zh=f"{_name(names, department).zh}提交目录，待审核。",
            en=f"{_name(names, department).en} submitted a catalogue entry for review.",
        )
        audiences: tuple[Audience, ...] = (Audience(department=None, roles=AUTHORITY),)
        key = f"review:{entry.subject}"
    elif state == "returned" and action == "return":
        what = Text(zh="目录被退回，请修改后再提交。", en="The entry was returned: amend it and submit it again.")
        audiences = _audiences((department, OFFICERS))
    elif action in {"reject", "publish", "suspend"}:
        zh, en = {
            "reject": ("未通过审核", "was rejected"),
            "publish": ("已发布", "was published"),
            "suspend": ("已暂停", "was suspended"),
        }[str(action)]
        what, topic = Text(zh=f"目录{zh}。", en=f"The entry {en}."), Topic.ANSWER
        audiences = _audiences((department, OFFICERS))
    else:
        return ()
    return (
        Matter(
            key=key,
            topic=topic,
            title=names.resource(ResourceId(entry.subject)),
            what=what,
            address=f"/catalogue/{entry.subject}",
            audiences=audiences,
            action=Action.RESOURCE_READ_UNPUBLISHED,
            target=_target(entry),
        ),
    )


def _drifts(entry: RecordedEntry, names: Names) -> Sequence[Matter]:
    if entry.facts.get("action") != "open":
        return ()
    return (
        Matter(
            key=f"drift:{entry.subject}",
            topic=Topic.DUTY,
            title=names.resource(ResourceId(entry.subject)),
            what=Text(zh="数据源已变化，请更新目录。", en="The source has changed: update the catalogue entry."),
            address="/inventories#drifts",
            audiences=_audiences((_department(entry, "department"), OFFICERS)),
            action=Action.RESOURCE_READ_UNPUBLISHED,
            target=_target(entry),
        ),
    )


def _corrections(entry: RecordedEntry, names: Names) -> Sequence[Matter]:
    provider, consumer = _department(entry, "provider"), _department(entry, "consumer")
    told = {
        "report": (
            Topic.DUTY,
            provider,
            Text(zh="有数据被指有误，待核实。", en="A value is reported to be wrong: verify it."),
        ),
        "dispute": (
            Topic.DUTY,
            provider,
            Text(zh="校核被退回，请再核实。", en="The answer was sent back: verify again."),
        ),
        "accept": (
            Topic.CORRECTION,
            consumer,
            Text(zh="校核已受理，将予更正。", en="The error is accepted and will be mended."),
        ),
        "reject": (Topic.CORRECTION, consumer, Text(zh="校核已答复：数据无误。", en="Answered: the value is right.")),
        "see": (Topic.CORRECTION, consumer, Text(zh="更正后的数据已到达。", en="The corrected value has arrived.")),
    }.get(str(entry.facts.get("action")))
    if told is None:
        return ()
    topic, department, what = told
    return (
        Matter(
            key=f"correction:{entry.subject}:{topic.value}",
            topic=topic,
            title=names.resource(ResourceId(str(entry.facts["resource_id"]))),
            what=what,
            address=f"/corrections/{entry.subject}",
            audiences=_audiences((department, OFFICERS if department == provider and topic is Topic.DUTY else STAFF)),
            action=Action.CORRECTION_READ,
            target=Target(id=entry.subject, provider=provider, consumer=consumer),
        ),
    )


def _findings(entry: RecordedEntry, names: Names) -> Sequence[Matter]:
    facts = entry.facts
    if facts.get("revision") != 1:
        return ()
    rule = RULES[DutyKind(str(facts["kind"]))]
    provider, consumer = _department(entry, "provider"), _department(entry, "consumer")
    return (
        Matter(
            key=f"finding:{entry.subject}",
            topic=Topic.BREACH,
            title=rule.name,
            what=Text(
                zh=f"{_name(names, provider).zh}的一项义务被认定为“{rule.name.zh}”，依据第{rule.clause.article}条。",
                en=f"A duty of {_name(names, provider).en} was found “{rule.name.en}” (Art. {rule.clause.article}).",
            ),
            address=f"/governance/findings/{entry.subject}",
            audiences=_audiences(
                (provider, LEADERS), (consumer, OFFICERS), (_department(entry, "authority"), AUTHORITY)
            ),
            action=Action.FINDING_READ,
            target=Target(
                id=entry.subject, department=_department(entry, "authority"), provider=provider, consumer=consumer
            ),
        ),
    )


def _alarms(entry: RecordedEntry, names: Names) -> Sequence[Matter]:
    facts = entry.facts
    if facts.get("state") != "open":
        return ()
    kind = AlarmKind(str(facts["kind"]))
    provider, consumer = _department(entry, "provider"), _department(entry, "consumer")
    return (
        Matter(
            key=f"alarm:{kind.value}:{facts['series']}",
            topic=Topic.ALARM,
            title=ALARM_NAMES[kind],
            what=Text(
                zh=f"{facts['day']}：{_name(names, provider).zh}与{_name(names, consumer).zh}之间与往日不同。",
                en=f"{facts['day']}: unlike other days between {_name(names, provider).en} and "
                f"{_name(names, consumer).en}.",
            ),
            address=f"/governance/alarms/{entry.subject}",
            audiences=(
                Audience(department=None, roles=AUTHORITY),
                *_audiences((provider, OFFICERS), (consumer, OFFICERS)),
            ),
            action=Action.FINDING_READ,
            target=_target(entry),
            urgent=kind in {AlarmKind.MISSES, AlarmKind.HOURS},
        ),
    )


def _cases(entry: RecordedEntry, names: Names) -> Sequence[Matter]:
    facts = entry.facts
    provider, consumer = _department(entry, "provider"), _department(entry, "consumer")
    stage = CaseStage(str(facts["stage_after"]))
    action = str(facts["action"])
    said = {
        "open": Text(zh="已立案，请双方协商。", en="A case was opened: negotiate.")
        if stage is CaseStage.NEGOTIATE
        else Text(zh="已立案，等待决定。", en="A case was opened and waits for a decision."),
        "object": Text(
            zh="有部门对责任认定提出异议，规则已重新计算。",
            en="A department objects to the finding; it was judged again.",
        ),
        "state": Text(zh="有新的陈述。", en="Somebody made a statement."),
        "settle": Text(zh="双方已达成一致，办结。", en="Both sides have settled; the case is closed."),
        "escalate": Text(zh=f"已提请“{STAGE_NAMES[stage].zh}”。", en=f"Escalated: {STAGE_NAMES[stage].en}."),
        "decide": Text(zh="已作出决定，办结。", en="It was decided; the case is closed."),
    }.get(action)
    if said is None:
        return ()
    parties = _audiences((provider, LEADERS), (consumer, LEADERS))
    authority = (Audience(department=None, roles=AUTHORITY),) if stage != CaseStage.NEGOTIATE else ()
    return (
        Matter(
            key=f"case:{entry.subject}",
            topic=Topic.CASE,
            title=Text(
                zh=f"{_name(names, provider).zh}与{_name(names, consumer).zh}的协调事项",
                en=f"Case between {_name(names, provider).en} and {_name(names, consumer).en}",
            ),
            what=said,
            address=f"/cases/{entry.subject}",
            audiences=parties + authority,
            action=Action.CASE_READ,
            target=_target(entry),
            urgent=action == "escalate",
        ),
    )


def _objections(entry: RecordedEntry, names: Names) -> Sequence[Matter]:
    consumer = _department(entry, "consumer")
    if entry.facts.get("step") != "make":
        return ()
    return (
        Matter(
            key=f"objection:{entry.subject}",
            topic=Topic.DUTY,
            title=Text(zh="群众对数据使用提出异议", en="Somebody objects to a use of their data"),
            what=Text(zh=f"待{_name(names, consumer).zh}答复。", en=f"{_name(names, consumer).en} is to answer."),
            address="/objections",
            audiences=_audiences((consumer, OFFICERS)),
            action=Action.OBJECTION_READ,
            target=Target(id=entry.subject, department=consumer),
        ),
    )


def _tasks(entry: RecordedEntry, names: Names) -> Sequence[Matter]:
    if entry.facts.get("action") != "schema_blocked":
        return ()
    return (
        Matter(
            key=f"task:{entry.subject}",
            topic=Topic.DUTY,
            title=names.resource(ResourceId(str(entry.facts["resource"]))),
            what=Text(
                zh="数据源结构变化，交换已停，待接受新结构或恢复原结构。",
                en="The source's structure changed and the transfer stopped: accept it or restore it.",
            ),
            address=f"/transfers/{entry.subject}/schema",
            audiences=_audiences(
                (_department(entry, "provider"), OFFICERS), (_department(entry, "consumer"), OFFICERS)
            ),
            action=Action.TASK_READ,
            target=_target(entry),
            urgent=True,
        ),
    )


def _ratings(entry: RecordedEntry, names: Names) -> Sequence[Matter]:
    provider, consumer = _department(entry, "provider"), _department(entry, "consumer")
    asked, answers = _name(names, consumer), _name(names, provider)
    said = {
        "rate": Text(zh=f"{asked.zh}评价了提供的数据。", en=f"{asked.en} has rated what you delivered."),
        "change": Text(zh=f"{asked.zh}修改了评价。", en=f"{asked.en} has changed its rating."),
        "answer": Text(zh=f"{answers.zh}回应了评价。", en=f"{answers.en} has answered your rating."),
    }
    action = str(entry.facts["action"])
    if action not in said:
        return ()
    audience = (consumer, STAFF) if action == "answer" else (provider, LEADERS)
    return (
        Matter(
            key=f"rating:{entry.subject}",
            topic=Topic.RATING,
            title=names.resource(ResourceId(str(entry.facts["resource_id"]))),
            what=said[action],
            address=f"/ratings/{entry.subject}",
            audiences=_audiences(audience),
            action=Action.RATING_READ,
            target=Target(id=entry.subject, provider=provider, consumer=consumer),
        ),
    )


MAKERS: Mapping[EntryKind, Callable[[RecordedEntry, Names], Sequence[Matter]]] = {
    EntryKind.REQUEST: _requests,
    EntryKind.DECISION: _requests,
    EntryKind.AGREEMENT: _agreements,
    EntryKind.CATALOGUE_STEP: _catalogue,
    EntryKind.DRIFT: _drifts,
    EntryKind.CORRECTION: _corrections,
    EntryKind.OBJECTION: _objections,
    EntryKind.WISH: of_wish,
    EntryKind.TASK: _tasks,
    EntryKind.FINDING: _findings,
    EntryKind.ALARM: _alarms,
    EntryKind.CASE: _cases,
    EntryKind.MEETING: of_meeting,
    EntryKind.ASSIGNMENT: of_assignment,
    EntryKind.INCIDENT: of_incident,
    EntryKind.RATING: _ratings,
}
"""Which kinds of entries concern people, and how they are told."""
TOLD_KINDS = frozenset(MAKERS)
