"""What the workbench shows, gathered from the services: numbers, duties, flows, activity."""

from datetime import datetime, timedelta

from datong.catalogue import ResourceState
from datong.exchange import TaskState
from datong.governance.coordination import AssignmentState
from datong.kernel import CHINA, Text, Value
from datong.ledger import EntryKind, RecordedEntry
from datong.sharing import Action, AgreementState, Request, RequestState, Target
from datong.sharing.applications import ApplicationState, Registration
from datong.sharing.wishes import WishOrder, WishState
from datong.web.console.charts import Chart, Edge, network, trend
from datong.web.console.desk import Desk
from datong.web.console.evidence import readable_department

DUTIES_SHOWN_MAX = 12
RECENT_SHOWN = 8
SENT_SHOWN = 4
TO_RATE_SHOWN = 3
TREND_DAYS = 30
SERIES = (
    (EntryKind.BATCH, Text(zh="传输批次", en="Batches")),
    (EntryKind.ACCESS, Text(zh="网关调用", en="Gateway calls")),
    (EntryKind.REFUSAL, Text(zh="拒绝调用", en="Refused calls")),
    (EntryKind.CATALOGUE_STEP, Text(zh="目录操作", en="Catalogue acts")),
)


class Number(Value):
    """One number at the top of the workbench."""

    name: Text
    value: int
    unit: Text
    note: Text
    address: str
    bad: bool = False


class Duty(Value):
    """Something the caller's side has to do; the most urgent come first."""

    title: Text
    what: Text
    address: str
    due_at: datetime | None


def numbers(desk: Desk) -> tuple[Number, ...]:
    """Return the numbers at the top: catalogue, agreements, rows moved, and what is late."""
    hub = desk.services
    counts = hub.catalogue.counts()
    published = counts.by_state.get(ResourceState.PUBLISHED, 0)
    active = hub.agreements.find(state=AgreementState.ACTIVE, limit=1).total
    signing = hub.agreements.find(state=AgreementState.CONFIRMED, limit=1).total
    flows = desk.services.exchange.flows()
    waiting = hub.requests.find(state=RequestState.SUBMITTED, limit=1)
    late = hub.requests.find(overdue=True, limit=1).total
    return (
        Number(
            name=Text(zh="在册共享目录", en="Published resources"),
            value=published,
            unit=Text(zh="项", en=""),
            note=Text(
                zh=f"信息项 {counts.items:,} 个，开放 {counts.open} 项",
                en=f"{counts.items:,} items; {counts.open} open",
            ),
            address="/catalogue",
        ),
        Number(
            name=Text(zh="生效协议", en="Agreements in force"),
            value=active,
            unit=Text(zh="份", en=""),
            note=Text(zh=f"待签署 {signing} 份", en=f"{signing} to be signed"),
            address="/agreements",
        ),
        Number(
            name=Text(zh="已交换数据", en="Rows exchanged"),
            value=sum(flows.values()),
            unit=Text(zh="行", en=""),
            note=Text(zh=f"部门间流向 {len(flows)} 条", en=f"{len(flows)} flows between departments"),
            address="/transfers",
        ),
        Number(
            name=Text(zh="逾期未答复", en="Overdue replies"),
            value=late,
            unit=Text(zh="件", en=""),
            note=Text(zh=f"待答复申请 {waiting.total} 件", en=f"{waiting.total} awaiting a reply"),
            address="/requests?show=overdue",
            bad=late > 0,
        ),
    )


def duties(desk: Desk) -> tuple[Duty, ...]:
    """Return what the caller may and must do now, by deadline."""
    found = [
        *_reviews(desk),
        *_replies(desk),
        *_confirmations(desk),
        *_renewals(desk),
        *_drafts(desk),
        *_signatures(desk),
        *_drifts(desk),
        *_cases(desk),
        *_corrections(desk),
        *_objections(desk),
        *_wishes(desk),
        *_applications(desk),
        *_fallen(desk),
        *_assignments(desk),
    ]
    late_last = datetime.max.replace(tzinfo=CHINA)
    found.sort(key=lambda duty: duty.due_at or late_last)
    # What stands still now comes before what is due some day.
    found = [*_troubles(desk), *found]
    return tuple(found[:DUTIES_SHOWN_MAX])


def sent_requests(desk: Desk) -> tuple[Request, ...]:
    """Return the newest requests of the caller's department for other departments' data."""
    department = desk.caller.department
    if department is None or not desk.may_request:
        return ()
    return desk.services.requests.find(consumer=department, limit=SENT_SHOWN).rows


def exchange_network(desk: Desk) -> Chart | None:
    """Return the departments in a circle with the rows that went between them; None before the first transfer."""
    flows = desk.services.exchange.flows()
    if not flows:
        return None
    names = [desk.speech.say(department.short_name) for department in desk.departments.values()]
    edges = [
        Edge(source=desk.department_name(source), target=desk.department_name(target), amount=rows)
        for (source, target), rows in flows.items()
    ]
    t = desk.speech.t
    return network(
        "network",
        t("部门间数据交换网络", "Exchange network of departments"),
        nodes=names,
        edges=edges,
        header=(t("提供部门", "Provider"), t("需求部门", "Consumer"), t("行数", "Rows")),
    )


def activity(desk: Desk) -> Chart:
    """Return what happened per day, by kind."""
    today = desk.now.astimezone(CHINA).date()
    days = [today - timedelta(days=back) for back in reversed(range(TREND_DAYS))]
    counted = desk.services.ledger.days.of([kind for kind, _ in SERIES], days)
    say, t = desk.speech.say, desk.speech.t
    return trend(
        "activity",
        t("近 30 天平台活动", "Activity of the last 30 days"),
        times=[day.strftime("%m-%d") for day in days],
        series={say(name): [counted[kind, day] for day in days] for kind, name in SERIES},
        time_name=t("日期", "Date"),
    )


def recent_entries(desk: Desk) -> tuple[RecordedEntry, ...]:
    """Return the newest entries of the log that the caller may read."""
    if not desk.may(Action.LEDGER_READ) and desk.caller.department is None:
        return ()
    return desk.services.ledger.newest(department=readable_department(desk), limit=RECENT_SHOWN)


def _reviews(desk: Desk) -> list[Duty]:
    """Return the resources that wait for the caller's review or publication."""
    if not desk.may(Action.RESOURCE_REVIEW):
        return []
    return [
        Duty(
            title=resource.content.title,
            what=what,
            address=f"/catalogue/{resource.id}" + ("/review" if state is ResourceState.SUBMITTED else ""),
            due_at=resource.due_at,
        )
        for state, what in (
            (ResourceState.SUBMITTED, Text(zh="待审核目录", en="Review the catalogue entry")),
            (ResourceState.REGISTERED, Text(zh="待发布目录", en="Publish the catalogue entry")),
        )
        for resource in desk.services.catalogue.find(state=state, limit=DUTIES_SHOWN_MAX).rows
    ]


def _drafts(desk: Desk) -> list[Duty]:
    department = desk.caller.department
    if department is None or not desk.may(Action.RESOURCE_EDIT, Target.of_department(department)):
        return []
    return [
        Duty(title=resource.content.title, what=what, address=f"/catalogue/{resource.id}", due_at=resource.due_at)
        for state, what in (
            (ResourceState.RETURNED, Text(zh="目录被退回，待修改", en="Returned: amend the catalogue entry")),
            (ResourceState.DRAFT, Text(zh="待完善并提交的目录草稿", en="Complete and submit the draft")),
        )
        for resource in desk.services.catalogue.find(department=department, state=state, limit=DUTIES_SHOWN_MAX).rows
    ]


def _signatures(desk: Desk) -> list[Duty]:
    """Return the drafts of the caller's department that only lack the word of its head."""
    department = desk.caller.department
    if department is None or not desk.may(Action.RESOURCE_SIGN_OFF, Target.of_department(department)):
        return []
    drafts = desk.services.catalogue.find(department=department, state=ResourceState.DRAFT, limit=DUTIES_SHOWN_MAX)
    return [
        Duty(
            title=resource.content.title,
            what=Text(zh="待负责人签批的目录", en="Sign off the catalogue entry"),
            address=f"/catalogue/{resource.id}",
            due_at=resource.due_at,
        )
        for resource in drafts.rows
        if resource.content.sign_off is None and resource.content.assessment is not None
    ]


def _drifts(desk: Desk) -> list[Duty]:
    """Return the entries of the caller's department whose sources have changed (Art. 17)."""
    department = desk.caller.department
    if department is None or not desk.may(Action.RESOURCE_EDIT, Target.of_department(department)):
        return []
    what = Text(zh="数据源已变化，待更新目录", en="The source has changed: update the entry")
    return [
        Duty(title=drift.title, what=what, address="/inventories#drifts", due_at=drift.due_at)
        for drift in desk.services.inventories.drifts(department=department, limit=DUTIES_SHOWN_MAX).rows
    ]


def _troubles(desk: Desk) -> list[Duty]:
    """Return the transfers from or to the caller's department that go on only when somebody acts."""
    department = desk.caller.department
    if department is None or not desk.may(Action.TASK_READ, Target.of_department(department)):
        return []
    found = []
    for status in desk.services.exchange.observation.troubled(department)[:DUTIES_SHOWN_MAX]:
        task = status.task
        other = desk.department_text(task.consumer if task.provider == department else task.provider)
        if task.state is TaskState.BLOCKED:
            what = Text(
                zh=f"与{other.zh}的交换已停：数据源结构变化，待接受",
                en=f"Transfer with {other.en} stopped: the source changed, accept it or restore it",
            )
            address = f"/transfers/{task.id}/schema"
        else:
            error = None if status.run is None else status.run.error
            zh, en = ("", "") if error is None else (f"：{error.what.zh}", f": {error.what.en}")
            what = Text(zh=f"与{other.zh}的交换运行失败{zh}", en=f"A run of the transfer with {other.en} failed{en}")
            address = f"/transfers/{task.id}/runs"
        found.append(Duty(title=desk.resource_title(task.resource_id), what=what, address=address, due_at=None))
    return found


def _replies(desk: Desk) -> list[Duty]:
    """Return the requests that the caller's department has to answer, and to the authority those that are overdue."""
    department = desk.caller.department
    waiting = desk.services.requests.find(
        provider=None if desk.may(Action.REQUEST_READ) else department, state=RequestState.SUBMITTED, limit=50
    )
    return [
        Duty(
            title=request.resource_title,
            what=Text(
                zh=f"待答复：{desk.department_text(request.consumer).zh}的申请",
                en=f"Reply to the request of {desk.department_text(request.consumer).en}",
            ),
            address=f"/requests/{request.id}",
            due_at=request.due_at,
        )
        for request in waiting.rows
        if desk.may(Action.REQUEST_DECIDE, Target.of_request(request))
        or (desk.may(Action.REQUEST_CONSENT_EXTENSION) and request.is_overdue(desk.now))
    ]


def _confirmations(desk: Desk) -> list[Duty]:
    department = desk.caller.department
    if department is None:
        return []
    drawn_up = desk.services.agreements.find(department=department, state=AgreementState.DRAFT, limit=50)
    return [
        Duty(
            title=agreement.resource_title,
            what=Text(zh="待确认共享协议", en="Confirm the sharing agreement"),
            address=f"/agreements/{agreement.id}",
            due_at=agreement.provide_due_at,
        )
        for agreement in drawn_up.rows
        if desk.may(Action.AGREEMENT_CONFIRM, Target.of_agreement(agreement))
        and all(confirmation.department != department for confirmation in agreement.confirmations)
    ]


def _renewals(desk: Desk) -> list[Duty]:
    """Terms that end soon, for the consumer to renew; and proposed terms that await the word of the caller's side."""
    department = desk.caller.department
    if department is None:
        return []
    agreements = desk.services.agreements
    ending = agreements.find(consumer=department, state=AgreementState.ACTIVE, reminded=True, limit=50)
    renew = Text(zh="使用时限将到，续签或停止使用", en="The term ends: renew it, or stop using the data")
    duties = [
        Duty(
            title=agreement.resource_title,
            what=renew,
            address=f"/agreements/{agreement.id}",
            due_at=agreement.valid_until,
        )
        for agreement in ending.rows
        if desk.may(Action.AGREEMENT_CONFIRM, Target.of_agreement(agreement))
        and agreements.amendments.open(agreement.id) is None
    ]
    return duties + [
        Duty(
            title=amendment.proposal.resource_title,
            what=Text(zh="确认协议的新条款", en="Confirm new terms of an agreement"),
            address=f"/agreements/{amendment.agreement_id}",
            due_at=None,
        )
        for amendment in agreements.amendments.to_confirm(department)
        if desk.may(Action.AGREEMENT_CONFIRM, Target.of_agreement(amendment.proposal))
    ]


def _cases(desk: Desk) -> list[Duty]:
    everything = desk.may(Action.CASE_READ)
    department = desk.caller.department
    if not everything and department is None:
        return []
    cases = desk.services.cases.find(department=None if everything else department, limit=50)
    found = []
    for case in cases.rows:
        target = Target(id=case.id, department=case.provider, provider=case.provider, consumer=case.consumer)
        if case.closed_at is not None or not desk.may(Action.CASE_ACT, target):
            continue
        found.append(
            Duty(
                title=desk.services.case_desk.title_of(case),
                what=Text(zh="协调事项待处理", en="Coordination case in progress"),
                address=f"/cases/{case.id}",
                due_at=case.stage_due_at,
            )
        )
    return found


def _corrections(desk: Desk) -> list[Duty]:
    """Return the reported errors that the caller's department has to verify (Art. 26)."""
    department = desk.caller.department
    if department is None or not desk.may(Action.CORRECTION_ANSWER, Target(id="new", provider=department)):
        return []
    waiting = desk.services.corrections.find(provider=department, waiting=True, limit=DUTIES_SHOWN_MAX)
    return [
        Duty(
            title=desk.resource_title(found.resource_id),
            what=Text(zh="校核待核实更正", en="Verify and correct a reported error"),
            address=f"/corrections/{found.id}",
            due_at=found.due_at,
        )
        for found in waiting.rows
    ]


def _objections(desk: Desk) -> list[Duty]:
    """Return the objections of citizens that the caller's department has to answer (PIPL Art. 50)."""
    department = desk.caller.department
    if department is None or not desk.may(Action.OBJECTION_ANSWER, Target(id="new", department=department)):
        return []
    waiting = desk.services.objections.find(consumer=department, waiting=True, limit=DUTIES_SHOWN_MAX)
    return [
        Duty(
            title=found.resource_title,
            what=Text(zh="待答复：群众对使用其数据的异议", en="Answer a citizen's objection to a use of their data"),
            address="/objections?show=waiting",
            due_at=found.due_at,
        )
        for found in waiting.rows
    ]


def _wishes(desk: Desk) -> list[Duty]:
    """Return the wishes of the public that the authority has to read and assign, and the department's own to answer."""
    department, target = desk.caller.department, Target()
    reads = desk.may(Action.WISH_ASSIGN)
    states = {WishState.RECEIVED, WishState.ADMITTED} if reads else {WishState.ASSIGNED, WishState.PLANNED}
    if department is not None:
        target = Target(id="new", department=department)
    if not reads and (department is None or not desk.may(Action.WISH_ANSWER, target)):
        return []
    found = desk.services.wishes.find(
        states=states, department=None if reads else department, order=WishOrder.DUE, limit=DUTIES_SHOWN_MAX
    )
    what = Text(zh="待审核交办的公众需求", en="Read and assign a wish of the public")
    if not reads:
        what = Text(zh="待答复、待开放的公众需求", en="Answer a wish of the public")
    return [
        Duty(
            title=Text(zh=one.draft.title, en=one.draft.title),
            what=what,
            address=f"/wishes/{one.id}",
            due_at=one.due_at,
        )
        for one in found.rows
    ]


def _applications(desk: Desk) -> list[Duty]:
    """Return the applications that await the authority's review, and the caller's own that came back."""
    hub, department = desk.services, desk.caller.department
    found: list[tuple[Registration, Text]] = []
    if desk.may(Action.APPLICATION_REVIEW):
        what = Text(zh="待审核应用", en="Review the application")
        rows = hub.registrations.find(state=ApplicationState.SUBMITTED, limit=DUTIES_SHOWN_MAX).rows
        found += [(one, what) for one in rows]
    if department is not None and desk.may(Action.APPLICATION_CREATE, Target.of_department(department)):
        what = Text(zh="应用被退回，待修改", en="Returned: amend the application")
        rows = hub.registrations.find(
            department=department, state=ApplicationState.RETURNED, limit=DUTIES_SHOWN_MAX
        ).rows
        found += [(one, what) for one in rows]
    return [
        Duty(title=Text(zh=one.name, en=one.name), what=what, address=f"/applications/{one.client_id}", due_at=None)
        for one, what in found
    ]


def _fallen(desk: Desk) -> list[Duty]:
    """Return the department's sources whose quality fell in the newest version of a library."""
    department = desk.caller.department
    if department is None or not desk.may(Action.LIBRARY_READ_FAILING, Target(id="new", provider=department)):
        return []
    return [
        Duty(
            title=desk.resource_title(found.score.resource_id),
            what=Text(zh="数据质量下降，待整改", en="Data quality fell: look into it"),
            address=f"/library/{found.score.library}/quality/{found.score.resource_id}",
            due_at=None,
        )
        for found in desk.services.library.fallen(department)
    ]


def _assignments(desk: Desk) -> list[Duty]:
    """Return what meetings and incidents let the caller's department do, and what it reported to the authority."""
    department = desk.caller.department
    if department is None or not desk.may(Action.COORDINATION_ACT, Target.of_department(department)):
        return []
    leads = desk.may(Action.COORDINATION_LEAD)
    state = AssignmentState.REPORTED if leads else None
    found = desk.services.assignments.find(
        department=None if leads else department, state=state, open_only=not leads, limit=DUTIES_SHOWN_MAX
    )
    to_do = Text(zh="待办结的交办事项", en="Carry out what was assigned")
    to_accept = Text(zh="待核验的交办事项", en="Look at what was reported as done")
    return [
        Duty(
            title=Text(zh=one.what, en=one.what),
            what=to_accept if leads else to_do,
            address=f"/assignments/{one.id}",
            due_at=one.due_at,
        )
        for one in found.rows
        if leads or one.state is not AssignmentState.REPORTED
    ]
