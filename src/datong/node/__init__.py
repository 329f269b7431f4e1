"""The node (前置机) beside a department's systems: outbound only; its keys and sources never leave it."""

from typing import TYPE_CHECKING

from datong.kernel import on_demand
from datong.node.steps import Passed, Step

if TYPE_CHECKING:
    from datong.node.files import FileReceiver, FileSender
    from datong.node.home import NodeConfig, NodeHome, NodeIdentity, SourceEntry
    from datong.node.hub_client import HubClient
    from datong.node.inventory import Crawler
    from datong.node.journal import InventoryJournal
    from datong.node.keyring import Keyring
    from datong.node.program import NodeProgram
    from datong.node.setup import NodeSetup
    from datong.node.sketching import Sketcher, SketchKeyHub, SketchKeyring
else:
    __getattr__ = on_demand(
        __name__,
        {
            "files": ["FileReceiver", "FileSender"],
            "home": ["NodeConfig", "NodeHome", "NodeIdentity", "SourceEntry"],
            "hub_client": ["HubClient"],
            "inventory": ["Crawler"],
            "journal": ["InventoryJournal"],
            "keyring": ["Keyring"],
            "program": ["NodeProgram"],
            "setup": ["NodeSetup"],
            "sketching": ["SketchKeyHub", "SketchKeyring", "Sketcher"],
        },
    )

__all__ = [
    "Crawler",
    "FileReceiver",
    "FileSender",
    "HubClient",
    "InventoryJournal",
    "Keyring",
    "NodeConfig",
    "NodeHome",
    "NodeIdentity",
    "NodeProgram",
    "NodeSetup",
    "Passed",
    "SketchKeyHub",
    "SketchKeyring",
    "Sketcher",
    "SourceEntry",
    "Step",
]
