"""For which of many nodes there may be something to do: one statement where asking for each takes a dozen.

It leaves out what a clock decides (times of the next attempt, windows) and who has answered already. So it may name a
node for which nothing is to be done at this moment, and never leaves out one for which something is.
"""

from collections.abc import Collection

from sqlalchemy import BindParameter, Connection, bindparam, select, union

from datong.exchange.reconciliation_values import ReconciliationState
from datong.exchange.replay_values import ReplayState
from datong.exchange.run_values import RunState
from datong.exchange.subscription_values import SubscriptionState
from datong.exchange.tables import RECONCILIATIONS, REPLAYS, RUNS, SUBSCRIPTIONS, TASKS
from datong.exchange.values import TaskState, TransferMode
from datong.kernel import NodeId

_DELIVERING = TASKS.c.state.in_([TaskState.ACTIVE.value, TaskState.BLOCKED.value])


_NODES: BindParameter[str] = bindparam("nodes", expanding=True)
_PRODUCING = select(TASKS.c.producer_node).where(
    TASKS.c.producer_node.in_(_NODES),
    TASKS.c.state == TaskState.ACTIVE.value,
    TASKS.c.details["mode"].as_string() != TransferMode.CAPTURE.value,
    RUNS.c.task_id == TASKS.c.id,
    RUNS.c.state.in_([RunState.WAITING.value, RunState.RUNNING.value]),
)
_CONSUMING = select(TASKS.c.consumer_node).where(
    TASKS.c.consumer_node.in_(_NODES), _DELIVERING, TASKS.c.batches > TASKS.c.receipted_sequence
)
_SUBSCRIBED = select(SUBSCRIPTIONS.c.consumer_node).where(
    SUBSCRIPTIONS.c.consumer_node.in_(_NODES),
    SUBSCRIPTIONS.c.state == SubscriptionState.ACTIVE.value,
    TASKS.c.id == SUBSCRIPTIONS.c.task_id,
    _DELIVERING,
    TASKS.c.batches > SUBSCRIPTIONS.c.receipted_sequence,
)
_REPLAYING = select(REPLAYS.c.consumer_node).where(
    REPLAYS.c.consumer_node.in_(_NODES), REPLAYS.c.state == ReplayState.WAITING.value
)
_RECONCILING = [
    select(node).where(
        node.in_(_NODES),
        RECONCILIATIONS.c.task_id == TASKS.c.id,
        RECONCILIATIONS.c.state == ReconciliationState.WAITING.value,
    )
    for node in (TASKS.c.producer_node, TASKS.c.consumer_node)
]
_CONCERNED = union(_PRODUCING, _CONSUMING, _SUBSCRIBED, _REPLAYING, *_RECONCILING)


def concerned_nodes(connection: Connection, nodes: Collection[NodeId]) -> frozenset[NodeId]:
    """Return those of `nodes` for which something pressing may wait (`NodeWork.is_pressing`)."""
    return frozenset(NodeId(node) for node in connection.scalars(_CONCERNED, {"nodes": list(nodes)}))
