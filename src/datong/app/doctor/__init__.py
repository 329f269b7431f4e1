"""The doctor: what is wrong with a hub's or a node's workspace, and what to do about it."""

from datong.app.doctor.hub import examine_hub
from datong.app.doctor.node import examine_node
from datong.app.doctor.values import HUB_CHECKS, NODE_CHECKS, Check, Diagnosis, Report, State, Workspace

__all__ = [
    "HUB_CHECKS",
    "NODE_CHECKS",
    "Check",
    "Diagnosis",
    "Report",
    "State",
    "Workspace",
    "examine_hub",
    "examine_node",
]
