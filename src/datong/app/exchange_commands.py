"""The command group `datong exchange`: the commands of `datong.cli`, those for files over a node with its adapters."""

from pathlib import Path

from datong import adapters, node, norms
from datong.cli.exchange import app
from datong.cli.exchange_files import FileCommands, add_file_commands
from datong.cli.exchange_schemas import accept_schema, schema
from datong.cli.exchange_status import status
from datong.kernel import Clock


def open_node(directory: Path, clock: Clock) -> FileCommands:
    """Return the node whose folder is `directory`; what it consists of is loaded here, not by `--help`."""
    return node.NodeProgram(
        directory=directory,
        clock=clock,
        load_signer=adapters.load_or_create_signer,
        open_connector=adapters.open_connector,
        open_target=adapters.open_target,
        load_pack=norms.load_pack,
    )


add_file_commands(app, open_node)
app.command()(status)
app.command()(schema)
app.command()(accept_schema)

__all__ = [
    "app",
    "open_node",
]
