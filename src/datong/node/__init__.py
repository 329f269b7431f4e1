"""The node (前置机) beside a department's systems: outbound only; its keys and sources never leave it."""

from typing import TYPE_CHECKING

from datong.kernel import on_demand
from datong.node.steps import Passed, Step

if TYPE_CHECKING:
    from datong.node.home import NodeConfig, NodeHome, NodeIdentity, SourceEntry
    from datong.node.hub_client import HubClient
    from datong.node.program import NodeProgram
else:
    __getattr__ = on_demand(
        __name__,
        {
            "home": ["NodeConfig", "NodeHome", "NodeIdentity", "SourceEntry"],
            "hub_client": ["HubClient"],
            "program": ["NodeProgram"],
        },
    )

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
