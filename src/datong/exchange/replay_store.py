"""Rows of replays."""

from sqlalchemy import Connection, func, insert, select, update

from datong.exchange.replay_values import Replay, ReplayState
from datong.exchange.tables import REPLAYS
from datong.kernel import DepartmentCode, NodeId, NotFound, TaskId, Text

_OPEN = REPLAYS.c.state == ReplayState.WAITING.value


def insert_replay(connection: Connection, replay: Replay) -> None:
    """Keep a new replay."""
    connection.execute(
        insert(REPLAYS).values(
            id=replay.id,
            task_id=replay.task_id,
            consumer=replay.consumer,
            consumer_node=replay.consumer_node,
            from_sequence=replay.from_sequence,
            state=replay.state.value,
            details=replay.model_dump(mode="json"),
        )
    )


def set_replay(connection: Connection, replay: Replay) -> None:
    """Keep how a replay stands."""
    changed = {"state": replay.state.value, "details": replay.model_dump(mode="json")}
    connection.execute(update(REPLAYS).where(REPLAYS.c.id == replay.id).values(**changed))


def replay(connection: Connection, task_id: TaskId, replay_id: str) -> Replay:
    """Return a task's replay.

    Raises:
        NotFound: `exchange.replay_not_found`.
    """
    query = select(REPLAYS.c.details).where(REPLAYS.c.task_id == task_id, REPLAYS.c.id == replay_id)
    found = connection.execute(query).scalar_one_or_none()
    if found is None:
        raise NotFound(
            "exchange.replay_not_found",
            what=Text(zh="任务没有这次重放。", en="The task has no such replay."),
            remedy=Text(zh="请查看任务的重放记录。", en="See the replays of the task."),
        )
    return Replay.model_validate(found)


def replays(connection: Connection, task_id: TaskId, limit: int) -> tuple[Replay, ...]:
    """Return a task's replays, newest first."""
    query = select(REPLAYS.c.details).where(REPLAYS.c.task_id == task_id).order_by(REPLAYS.c.id.desc()).limit(limit)
    return tuple(Replay.model_validate(found) for found in connection.execute(query).scalars())


def open_of(connection: Connection, task_id: TaskId, consumer: DepartmentCode) -> Replay | None:
    """Return the replay that waits for a consumer of a task, if there is one."""
    query = select(REPLAYS.c.details).where(REPLAYS.c.task_id == task_id, REPLAYS.c.consumer == consumer, _OPEN)
    found = connection.execute(query.limit(1)).scalar_one_or_none()
    return None if found is None else Replay.model_validate(found)


def open_for(connection: Connection, node_id: NodeId) -> tuple[Replay, ...]:
    """Return the replays that a node shall carry out."""
    query = select(REPLAYS.c.details).where(REPLAYS.c.consumer_node == node_id, _OPEN).order_by(REPLAYS.c.id)
    return tuple(Replay.model_validate(found) for found in connection.execute(query).scalars())


def needed_from(connection: Connection, task_id: TaskId) -> int | None:
    """Return the first batch that an open replay of the task still needs."""
    query = select(func.min(REPLAYS.c.from_sequence)).where(REPLAYS.c.task_id == task_id, _OPEN)
    found = connection.execute(query).scalar_one()
    return None if found is None else int(found)
