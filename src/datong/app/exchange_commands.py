"""The command group `datong exchange`: the commands of `datong.cli`, those for files over a node with its adapters."""

from pathlib import Path

import typer

from datong import adapters, node, norms
from datong.cli.exchange_files import FileCommands, add_file_commands
from datong.kernel import Clock

app = typer.Typer(help="数据交换 / move data between departments", no_args_is_help=True)


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


@app.callback()
def exchange() -> None:
    """数据交换：发送和接收文件 / send and receive files."""


add_file_commands(app, open_node)
