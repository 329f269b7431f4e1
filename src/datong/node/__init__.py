"""The node (前置机) beside a department's systems: outbound only; its keys and sources never leave it."""

from datong.node.home import NodeConfig, NodeHome, NodeIdentity, SourceEntry
from datong.node.hub_client import HubClient
from datong.node.program import NodeProgram
from datong.node.steps import Passed, Step

__all__ = [
    "HubClient",
    "NodeConfig",
    "NodeHome",
    "NodeIdentity",
    "NodeProgram",
    "Passed",
    "SourceEntry",
    "Step",
]
