"""What waits for nodes: of one node in full, of many at once only whether it may be something."""

from collections.abc import Collection
from typing import NamedTuple

from datong.exchange import NodeWork
from datong.kernel import DepartmentCode, NodeId
from datong.web.services import Services


class WaitingNode(NamedTuple):
    """A node that waits for work."""

    node: NodeId
    department: DepartmentCode | None


def work_of(hub: Services, waiting: WaitingNode) -> tuple[NodeWork, bool]:
    """Return what a node has to do now, and whether anything at all waits for it."""
    work = hub.exchange.work_for(waiting.node)
    department = waiting.department
    return work, work.is_pressing or (department is not None and bool(hub.agreements.to_sign(department)))


def concerned(hub: Services, waiting: Collection[WaitingNode]) -> frozenset[WaitingNode]:
    """Return those of many nodes for which `work_of` may say that something waits: two statements for all of them."""
    nodes = hub.exchange.concerned({one.node for one in waiting})
    departments = hub.agreements.may_sign({one.department for one in waiting if one.department is not None})
    return frozenset(one for one in waiting if one.node in nodes or one.department in departments)
