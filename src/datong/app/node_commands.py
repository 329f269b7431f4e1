"""The command group `datong node`: the commands of `datong.cli`, over a node put together with its adapters."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from datong import adapters, node, norms
from datong.cli.dead_letters import LetterCommands, letter_commands
from datong.cli.gossip import GossipCommands, gossip_commands
from datong.cli.node import NodeCommands, SetupCommands, node_commands
from datong.kernel import Clock

if TYPE_CHECKING:
    from datong.node import NodeProgram


def open_node(directory: Path, clock: Clock) -> NodeCommands:
    """Return the node whose folder is `directory`; what it consists of is loaded here, not by `--help`."""
    return _program(directory, clock)


def open_setup(directory: Path) -> SetupCommands:
    """Return what sets up the node whose folder is `directory`."""
    return node.NodeSetup(
        directory=directory,
        load_signer=adapters.load_or_create_signer,
        open_connector=adapters.open_connector,
        open_target=adapters.open_target,
    )


def open_letters(directory: Path, clock: Clock) -> AbstractContextManager[LetterCommands]:
    """Open the dead letters of the node whose folder is `directory`."""
    return _program(directory, clock).dead_letters()


def _program(directory: Path, clock: Clock) -> "NodeProgram":
    return node.NodeProgram(
        directory=directory,
        clock=clock,
        load_signer=adapters.load_or_create_signer,
        open_connector=adapters.open_connector,
        open_changes=adapters.open_changes,
        open_target=adapters.open_target,
        load_pack=norms.load_pack,
    )


def open_gossip(directory: Path, clock: Clock) -> GossipCommands:
    """Return the gossip of the node whose folder is `directory`."""
    return _program(directory, clock).gossiping()


app = node_commands(open_node, open_setup)
app.add_typer(letter_commands(open_letters), name="dead-letters")
app.add_typer(gossip_commands(open_gossip), name="gossip")
