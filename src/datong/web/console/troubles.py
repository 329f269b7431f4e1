"""What an operator has to set right: each trouble with its reason, since when, where to look, and what helps."""

import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from datong.exchange import TaskState, TaskStatus
from datong.federation import RunState as HarvestState
from datong.governance.coordination import SEVERITY_NAMES, IncidentState
from datong.governance.notifications import MessageState
from datong.kernel import Text, Value
from datong.library import BuildState
from datong.sharing import Action, CircuitState, Node, Target
from datong.web.api.tasks import task_target
from datong.web.console.departments import SILENT_AFTER
from datong.web.console.desk import Desk

FREE_SHARE_MIN = 0.1
"""Less free space than this part of the disk is a trouble."""
TROUBLES_OF_A_KIND_MAX = 20


class Click(Value):
    """An act that a trouble can be met with at once: a form with one button."""

    name: Text
    address: str
    fields: tuple[tuple[str, str], ...] = ()


class Trouble(Value):
    """Something that goes on only when somebody acts; `address` is where it is looked into."""

    title: Text
    what: Text
    remedy: Text
    address: str
    since: datetime | None = None
    bad: bool = True
    click: Click | None = None


class Room(NamedTuple):
    """The disk under the hub's folder, in bytes."""

    total: int
    used: int
    free: int

    @property
    def free_share(self) -> float:
        """Which part of it is free, from 0 to 1."""
        return self.free / self.total if self.total else 1.0


def room_of(desk: Desk) -> Room:
    """Return how much room the hub's folder has."""
    return Room(*shutil.disk_usage(desk.services.settings.home))


def troubles_of(desk: Desk) -> tuple[Trouble, ...]:
    """Return the troubles that the caller may see, those that lose evidence or data first."""
    return tuple(
        trouble
        for source in (
            _witnesses,
            _room,
            _transfers,
            _nodes,
            _live,
            _builds,
            _harvests,
            _webhooks,
            _messages,
            _incidents,
        )
        for trouble in source(desk)
    )


def _witnesses(desk: Desk) -> Iterator[Trouble]:
    state = desk.services.quorum.state()
    names: dict[str, Node] = {node.id: node for node in desk.services.identity.nodes()}
    for one in state.missing[:TROUBLES_OF_A_KIND_MAX]:
        node = names.get(one.name)
        if node is not None and is_silent(node.last_seen_at, desk.now):
            continue  # That the node is silent says it all.
        department = Text(zh=one.name, en=one.name) if node is None else desk.department_text(node.department)
        yield Trouble(
            title=Text(zh=f"{department.zh}不再见证日志", en=f"{department.en} no longer witnesses the log"),
            what=Text(
                zh=f"需要 {state.required} 个部门见证，现有 {state.reached} 个。",
                en=f"{state.required} departments are needed, {state.reached} follow.",
            ),
            remedy=Text(
                zh="请对方确认节点在运行、能连到本枢纽。", en="Ask them whether their node runs and reaches this hub."
            ),
            address="/evidence",
            since=one.behind_since,
            bad=not state.holds,
        )


def _room(desk: Desk) -> Iterator[Trouble]:
    room = room_of(desk)
    if room.free_share < FREE_SHARE_MIN:
        yield Trouble(
            title=Text(zh="磁盘空间不足", en="The disk is nearly full"),
            what=Text(
                zh=f"数据目录所在磁盘只剩 {room.free_share:.0%}。",
                en=f"{room.free_share:.0%} is left of the disk of the data folder.",
            ),
            remedy=Text(
                zh="请扩容，或归档较早的日志月份（datong ledger archive）。",
                en="Give it more room, or archive older months of the log (datong ledger archive).",
            ),
            address="/operations#room",
        )


def _transfers(desk: Desk) -> Iterator[Trouble]:
    for status in desk.services.exchange.observation.troubled()[:TROUBLES_OF_A_KIND_MAX]:
        yield _transfer(desk, status)


def _transfer(desk: Desk, status: TaskStatus) -> Trouble:
    task = status.task
    giver, taker = desk.department_text(task.provider), desk.department_text(task.consumer)
    resource = desk.resource_title(task.resource_id)
    title = Text(zh=f"{giver.zh} → {taker.zh}：{resource.zh}", en=f"{giver.en} → {taker.en}: {resource.en}")
    if task.state is TaskState.BLOCKED:
        return Trouble(
            title=title,
            what=Text(zh="数据源结构变化，任务已停。", en="The source's structure changed; the task has stopped."),
            remedy=Text(zh="由提供方接受新结构或恢复原结构。", en="The provider accepts it or restores the old one."),
            address=f"/transfers/{task.id}/schema",
        )
    error = None if status.run is None else status.run.error
    may_act = desk.may(Action.TASK_CONTROL, task_target(task, task_id=task.id))
    again = Click(name=Text(zh="再运行一次", en="Run again"), address=f"/transfers/{task.id}/actions")
    return Trouble(
        title=title,
        what=Text(zh="运行失败。", en="A run failed.") if error is None else error.what,
        remedy=Text(zh="", en="") if error is None else error.remedy,
        address=f"/transfers/{task.id}/runs",
        since=None if error is None else error.at,
        click=again.model_copy(update={"fields": (("action", "run"),)}) if may_act else None,
    )


def _nodes(desk: Desk) -> Iterator[Trouble]:
    missing = {one.name for one in desk.services.quorum.state().missing}
    silent = [node for node in desk.services.identity.nodes() if is_silent(node.last_seen_at, desk.now)]
    for node in silent[:TROUBLES_OF_A_KIND_MAX]:
        department = desk.department_text(node.department)
        yield Trouble(
            title=Text(zh=f"{department.zh}的节点失联", en=f"The node of {department.en} is silent"),
            what=Text(
                zh=f"节点“{node.name}”没有再联系枢纽{'，也不再见证日志' if node.id in missing else ''}。",
                en=f"“{node.name}” has not called the hub{' nor witnessed the log' if node.id in missing else ''}.",
            ),
            remedy=Text(
                zh="请该部门检查节点进程和外网出口；更换机器时签发新的注册令牌。",
                en="Ask the department about its process and its way out; issue a token if the machine was replaced.",
            ),
            address="/departments",
            since=node.last_seen_at,
        )


def is_silent(last_seen_at: datetime | None, now: datetime) -> bool:
    """Whether a node has not called for so long that somebody should look."""
    return last_seen_at is None or now - last_seen_at > SILENT_AFTER


def _live(desk: Desk) -> Iterator[Trouble]:
    for one in desk.services.live.all()[:TROUBLES_OF_A_KIND_MAX]:
        if one.breaker.state is CircuitState.OPEN or not one.online:
            broken = one.breaker.state is CircuitState.OPEN
            what = Text(zh="节点不应答，已熔断。", en="The node fails to answer; its circuit is open.")
            offline = Text(zh="节点离线，调用会被拒绝。", en="The node is offline; calls are refused.")
            yield Trouble(
                title=desk.resource_title(one.resource_id),
                what=what if broken else offline,
                remedy=Text(zh="节点恢复后自动放行。", en="It opens by itself once the node answers."),
                address="/live",
                since=one.breaker.since,
                bad=broken,
            )


def _builds(desk: Desk) -> Iterator[Trouble]:
    library = desk.services.library
    for definition in library.definitions():
        newest = next(iter(library.builds(definition.name, limit=1).rows), None)
        if newest is not None and newest.state is BuildState.FAILED:
            click = Click(name=Text(zh="重新构建", en="Build again"), address=f"/library/{definition.name}/builds")
            yield Trouble(
                title=Text(zh=f"{definition.title.zh}构建失败", en=f"{definition.title.en}: the build failed"),
                what=Text(zh=newest.error or "", en=newest.error or ""),
                remedy=Text(zh="上一版仍在使用。", en="The version before is still in use."),
                address=f"/library/{definition.name}",
                since=newest.finished_at,
                click=click if desk.may(Action.LIBRARY_BUILD) else None,
            )


def _harvests(desk: Desk) -> Iterator[Trouble]:
    if not desk.may(Action.HARVEST_READ):
        return
    for source in desk.services.harvests.sources()[:TROUBLES_OF_A_KIND_MAX]:
        run = source.last_run
        if run is not None and run.state in {HarvestState.FAILED, HarvestState.INCOMPLETE}:
            click = Click(name=Text(zh="再采集一次", en="Harvest again"), address=f"/harvests/{source.id}/run")
            failure = run.failure or run.state.label
            yield Trouble(
                title=Text(zh=f"目录采集：{source.settings.name}", en=f"Harvest: {source.settings.name}"),
                what=failure,
                remedy=Text(zh="此前采集的条目仍在。", en="What was harvested before is still there."),
                address=f"/harvests/{source.id}",
                since=run.finished_at,
                bad=run.state is HarvestState.FAILED,
                click=click if desk.may(Action.HARVEST_MANAGE) else None,
            )


def _webhooks(desk: Desk) -> Iterator[Trouble]:
    if not desk.may(Action.APPLICATION_READ):
        return
    for standing in desk.services.webhook_desk.find(dead=True, limit=TROUBLES_OF_A_KIND_MAX).rows:
        one = standing.subscription
        name = desk.services.identity.application(one.client_id).name
        click = Click(
            name=Text(zh="重新发送", en="Send again"),
            address=f"/webhooks/{one.id}/actions",
            fields=(("action", "send_again"),),
        )
        target = Target.of_department(one.department, name=one.client_id)
        yield Trouble(
            title=Text(zh=f"“{name}”没有收到变更消息", en=f"“{name}” was not told of changes"),
            what=Text(zh=f"{standing.dead} 条未送达。", en=f"{standing.dead} dead."),
            remedy=Text(zh="先试一下回调地址，再重新发送。", en="Try its address first, then send them again."),
            address=f"/webhooks/{one.id}",
            since=standing.settled_at,
            bad=False,
            click=click if desk.may(Action.APPLICATION_CREATE, target) else None,
        )


def _messages(desk: Desk) -> Iterator[Trouble]:
    if not desk.may(Action.MESSAGE_READ):
        return
    dead = desk.services.sending.find(state=MessageState.DEAD, limit=1)
    recent = [one for one in dead.rows if one.settled_at and desk.now - one.settled_at < timedelta(days=7)]
    if recent:
        yield Trouble(
            title=Text(zh="有提醒没有送达", en="Some notices could not be delivered"),
            what=Text(
                zh=f"共 {dead.total} 条，最近一条：{recent[0].detail}", en=f"{dead.total}, last: {recent[0].detail}"
            ),
            remedy=Text(
                zh="请本人在提醒设置中核对邮箱或回调地址。", en="Have the person check the address in the settings."
            ),
            address="/operations#messages",
            since=recent[0].settled_at,
            bad=False,
        )


def _incidents(desk: Desk) -> Iterator[Trouble]:
    if not desk.may(Action.COORDINATION_READ):
        return
    for one in desk.services.incidents.find(state=IncidentState.OPEN, limit=TROUBLES_OF_A_KIND_MAX).rows:
        severity = SEVERITY_NAMES[one.severity]
        yield Trouble(
            title=Text(zh=f"联动事件：{one.title}", en=f"Incident: {one.title}"),
            what=Text(zh=f"级别：{severity.zh}。", en=f"Severity: {severity.en}."),
            remedy=Text(zh="各承办部门正在处置。", en="The departments named in it are at work."),
            address=f"/incidents/{one.id}",
            since=one.opened_at,
            bad=False,
        )
