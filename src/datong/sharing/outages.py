"""Outages: when a node was not heard of for long, why, and that the hub itself was away.

Nothing watches for silence: the first sign of life after a gap tells how long it was, and its evidence is written with
it. `governance.outages` says what follows.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection, func, select

from datong.kernel import PLATFORM_ACTOR, Actor, ActorKind, Clock, DepartmentCode, JsonValue, NodeId
from datong.ledger import EntryKind, Ledger
from datong.sharing import tables
from datong.sharing.evidence import instant

OUTAGE_MIN = timedelta(minutes=10)
"""A node that was silent for less was not away: restarts and single lost calls are no outages."""
HUB = "hub"
_WITNESSED_BY_MIN = 2
"""Nodes of so many departments must all have been silent before that is taken for an absence of the hub."""


class OutageCause(StrEnum):
    """Why somebody was away."""

    NODE = "node"
    NETWORK = "network"
    PLATFORM = "platform"


def outage_facts(
    *,
    cause: OutageCause,
    since: datetime,
    until: datetime,
    department: DepartmentCode | None = None,
    running_seconds: int = 0,
    unanswered: int = 0,
) -> Mapping[str, JsonValue]:
    """Return the facts of one outage; `running_seconds` and `unanswered` are what the node says of itself."""
    return {
        "cause": cause.value,
        "department": department,
        "since": instant(since),
        "until": instant(until),
        "running_seconds": running_seconds,
        "unanswered": unanswered,
    }


def note_return(
    connection: Connection, ledger: Ledger, node_id: NodeId, *, clock: Clock, running_seconds: int, unanswered: int
) -> None:
    """Record the outage that a node's sign of life ends, if there was one; call it before the sign is noted.

    Where time is simulated nobody was silent in what a leap passed over: silence begins with the leap at the earliest.

    A node that has run for the whole time and asked in vain was cut off; one that has not was away itself. If no node
    at all was heard of for as long, the hub was away as well.
    """
    node = tables.node
    query = select(node.c.last_seen_at, node.c.department).where(node.c.id == node_id)
    row = connection.execute(query).first()
    if row is None or row.last_seen_at is None:
        return
    now, leapt_to = clock.now(), clock.leapt_to()
    since = row.last_seen_at if leapt_to is None else max(row.last_seen_at, leapt_to)
    if now - since < OUTAGE_MIN:
        return
    newest, departments = connection.execute(
        select(func.max(node.c.last_seen_at), func.count(node.c.department.distinct())).where(
            node.c.last_seen_at.is_not(None)
        )
    ).one()
    newest = newest if leapt_to is None else max(newest, leapt_to)
    if departments >= _WITNESSED_BY_MIN and now - newest >= OUTAGE_MIN:
        ledger.append(
            connection,
            kind=EntryKind.OUTAGE,
            subject=HUB,
            actor=PLATFORM_ACTOR,
            facts=outage_facts(cause=OutageCause.PLATFORM, since=newest, until=now),
        )
    tried = unanswered > 0 and timedelta(seconds=running_seconds) >= now - since
    department = DepartmentCode(row.department)
    ledger.append(
        connection,
        kind=EntryKind.OUTAGE,
        subject=node_id,
        actor=Actor(kind=ActorKind.NODE, id=node_id, department=department),
        facts=outage_facts(
            cause=OutageCause.NETWORK if tried else OutageCause.NODE,
            department=department,
            since=since,
            until=now,
            running_seconds=running_seconds,
            unanswered=unanswered,
        ),
    )
