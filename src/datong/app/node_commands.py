"""The command group `datong node`: the commands of `datong.cli`, over a node put together with its adapters."""

from pathlib import Path

from datong.adapters.connections import open_connector, open_target
from datong.adapters.file_keys import load_or_create_signer
from datong.cli.node import node_commands
from datong.kernel import Clock
from datong.node import NodeProgram
from datong.norms import load_pack


def open_node(directory: Path, clock: Clock) -> NodeProgram:
    """Return the node whose folder is `directory`."""
    return NodeProgram(
        directory=directory,
        clock=clock,
        load_signer=load_or_create_signer,
        open_connector=open_connector,
        open_target=open_target,
        load_pack=load_pack,
    )


app = node_commands(open_node)
