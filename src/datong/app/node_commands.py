"""The command group `datong node`: the commands of `datong.cli`, over a node put together with its adapters."""

from pathlib import Path

from datong import adapters, node, norms
from datong.cli.node import NodeCommands, node_commands
from datong.kernel import Clock


def open_node(directory: Path, clock: Clock) -> NodeCommands:
    """Return the node whose folder is `directory`; what it consists of is loaded here, not by `--help`."""
    return node.NodeProgram(
        directory=directory,
        clock=clock,
        load_signer=adapters.load_or_create_signer,
        open_connector=adapters.open_connector,
        open_changes=adapters.open_changes,
        open_target=adapters.open_target,
        load_pack=norms.load_pack,
    )


app = node_commands(open_node)
