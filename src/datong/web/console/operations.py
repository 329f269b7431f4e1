"""The operator's workbench: what is wrong with a click that helps, what waits where, who lags, what is full."""

from datetime import datetime

from fastapi.responses import Response

from datong.exchange import TaskStatus
from datong.governance.notifications import Message, MessageState
from datong.kernel import NotFound, TaskId, Text, Value
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.library import BuildState
from datong.sharing import Action, Node
from datong.web.console.departments import SILENT_AFTER
from datong.web.console.desk import Desk, SignedIn
from datong.web.console.node_words import Said, said_by
from datong.web.console.troubles import FREE_SHARE_MIN, Room, is_silent, room_of, troubles_of
from datong.web.routing import unlisted_routes

router = unlisted_routes()

LAGGING_SHOWN = 8
MESSAGES_SHOWN = 5


class Queue(Value):
    """Work that waits for a program; `note` says what else is known of it."""

    name: Text
    waiting: int
    note: Text
    address: str
    since: datetime | None = None


class NodeLine(Value):
    """A node, whether it calls, and how much of the log it has witnessed (None: it never cosigned)."""

    node: Node
    silent: bool
    said: tuple[Said, ...]
    witnessed: int | None
    witness_missing: bool


@router.get("/operations")
def show_operations(desk: SignedIn) -> Response:
    """Show how the platform runs; for operators it is the workbench."""
    return page(desk)


def page(desk: Desk) -> Response:
    """Return the operator's workbench.

    Raises:
        Refused: the caller may not watch every task.
    """
    desk.require(Action.TASK_READ)
    desk.require(Action.MONITOR_RUN)
    page_of_tasks = desk.services.exchange.observation.statuses(limit=PAGE_ROWS_MAX)
    statuses = page_of_tasks.rows
    nodes = _nodes(desk)
    return desk.page(
        "operations/workbench.html",
        troubles=troubles_of(desk),
        queues=_queues(desk, statuses),
        lagging=sorted(statuses, key=lambda one: one.lag_seconds, reverse=True)[:LAGGING_SHOWN],
        tasks=page_of_tasks.total,
        looked_at=len(statuses),
        moving=sum(one.is_moving for one in statuses),
        nodes=nodes,
        online=sum(not line.silent for line in nodes),
        quorum=desk.services.quorum.state(),
        room=room_of(desk),
        full=_is_full,
        undelivered=_undelivered(desk),
        resource_title=desk.resource_title,
        silent_after=SILENT_AFTER,
    )


def _is_full(room: Room) -> bool:
    return room.free_share < FREE_SHARE_MIN


def _undelivered(desk: Desk) -> tuple[Message, ...]:
    if not desk.may(Action.MESSAGE_READ):
        return ()
    return desk.services.sending.find(state=MessageState.DEAD, limit=MESSAGES_SHOWN).rows


def _nodes(desk: Desk) -> list[NodeLine]:
    standings = {one.name: one for one in desk.services.quorum.state().witnesses}
    lines = []
    for node in desk.services.identity.nodes():
        standing = standings.get(node.id)
        lines.append(
            NodeLine(
                node=node,
                silent=is_silent(node.last_seen_at, desk.now),
                said=said_by(node.last_status, lambda task_id: _transfer_name(desk, task_id)),
                witnessed=None if standing is None else standing.size,
                witness_missing=standing is not None and standing.missing,
            )
        )
    return sorted(lines, key=lambda line: (not line.silent, line.node.department))


def _transfer_name(desk: Desk, task_id: str) -> Text:
    """Return how a transfer is called that a node speaks of, also once it is gone."""
    try:
        title = desk.resource_title(desk.services.exchange.task(TaskId(task_id)).resource_id)
    except NotFound:
        title = Text(zh="已不存在的任务", en="one that is gone")
    return Text(zh=f"交换任务：{title.zh}", en=f"the transfer of {title.en}")


def _queues(desk: Desk, statuses: tuple[TaskStatus, ...]) -> tuple[Queue, ...]:
    """Return what waits for programs: of the tasks' batches, the log, messages, and builds."""
    hub = desk.services
    oldest = min((one.queue_since for one in statuses if one.queue_since is not None), default=None)
    held = sum(one.queue_bytes for one in statuses) / 2**20
    spooled = sum(one.spool_bytes for one in statuses) / 2**20
    builds = [build for build in _newest_builds(desk) if build in {BuildState.REQUESTED, BuildState.RUNNING}]
    due = hub.sending.find(state=MessageState.DUE, limit=1).total if desk.may(Action.MESSAGE_READ) else 0
    return (
        Queue(
            name=Text(zh="节点暂存、待上传的批次", en="Batches in nodes' spools"),
            waiting=sum(one.spool_batches for one in statuses),
            note=Text(zh=f"{spooled:,.1f} MiB", en=f"{spooled:,.1f} MiB"),
            address="/transfers",
        ),
        Queue(
            name=Text(zh="枢纽待接收方应用的批次", en="Batches that wait for consumers"),
            waiting=sum(one.queue_batches for one in statuses),
            note=Text(zh=f"{held:,.1f} MiB", en=f"{held:,.1f} MiB"),
            address="/transfers",
            since=oldest,
        ),
        Queue(
            name=Text(zh="待编入日志的存证", en="Entries not yet in the log"),
            waiting=hub.ledger.waiting(),
            note=Text(zh=f"已公布 {hub.ledger.size():,} 条", en=f"{hub.ledger.size():,} published"),
            address="/evidence",
        ),
        Queue(
            name=Text(zh="排队或进行中的资源库构建", en="Builds queued or running"),
            waiting=len(builds),
            note=Text(zh="", en=""),
            address="/library",
        ),
        Queue(
            name=Text(zh="待送达的变更消息", en="Webhooks to be delivered"),
            waiting=hub.webhook_desk.due(),
            note=Text(zh="", en=""),
            address="/webhooks",
        ),
        Queue(
            name=Text(zh="待发送的提醒", en="Notices to be sent"),
            waiting=due,
            note=Text(zh="", en=""),
            address="/operations#messages",
        ),
    )


def _newest_builds(desk: Desk) -> list[BuildState]:
    library = desk.services.library
    return [
        build.state for definition in library.definitions() for build in library.builds(definition.name, limit=1).rows
    ]
