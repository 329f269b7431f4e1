"""`datong node gossip …`: has everybody been shown the same log? What this node heard, and files to carry by hand."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Protocol

import typer

from datong.cli.shell import say, say_json
from datong.cli.sources import DEFAULT_HOME, HomeOption
from datong.kernel import Clock, SystemClock, Text
from datong.ledger import GossipTrouble


class GossipCommands(Protocol):
    """What the commands need of a node's gossip."""

    def show(self) -> dict[str, object]:
        """Return the peers, the troubles, and the proof of a split view."""
        ...

    def hear(self) -> tuple[GossipTrouble, ...]:
        """Ask the hub and compare."""
        ...

    def export(self) -> bytes:
        """Return the checkpoints that this node saw and heard."""
        ...

    def take_in(self, data: bytes) -> int:
        """Compare another node's checkpoints."""
        ...

    def accept(self, name: str) -> None:
        """Take a peer's other key."""
        ...


OpenGossip = Callable[[Path, Clock], GossipCommands]


def gossip_commands(open_gossip: OpenGossip) -> typer.Typer:
    """Return the command group `node gossip`."""
    app = typer.Typer(help="各方看到的是同一份日志吗 / has everybody been shown the same log?", no_args_is_help=True)

    @app.command()
    def show(home: HomeOption = DEFAULT_HOME) -> None:
        """本机听到了什么 / Print what this node heard of the others (JSON)."""
        say_json(open_gossip(home, SystemClock()).show())

    @app.command()
    def hear(home: HomeOption = DEFAULT_HOME) -> None:
        """立即经枢纽比对 / Compare with the others through the hub, now."""
        troubles = open_gossip(home, SystemClock()).hear()
        for trouble in troubles:
            say(trouble.what)
        if troubles:
            raise typer.Exit(1)
        say(Text(zh="✓ 各方所见一致。", en="✓ What the others saw fits."))

    @app.command()
    def export(
        path: Annotated[Path, typer.Argument(help="新文件 / a new file")], home: HomeOption = DEFAULT_HOME
    ) -> None:
        """把所见检查点写成文件，交给别的前置机 / Write the checkpoints seen to a file for another node."""
        with path.open("xb") as file:
            file.write(open_gossip(home, SystemClock()).export())

    @app.command("import")
    def take_in(
        path: Annotated[Path, typer.Argument(exists=True, help="别的前置机的文件 / another node's file")],
        home: HomeOption = DEFAULT_HOME,
    ) -> None:
        """与别的前置机所见比对 / Compare with what another node saw."""
        count = open_gossip(home, SystemClock()).take_in(path.read_bytes())
        say(Text(zh=f"✓ {count} 个检查点与本机所见一致。", en=f"✓ {count} checkpoints fit what this node was shown."))

    @app.command()
    def accept(
        name: Annotated[str, typer.Argument(help="见证方的节点编号 / the witness's node id")],
        home: HomeOption = DEFAULT_HOME,
    ) -> None:
        """向其部门核实后，采信见证方的新密钥 / Take a witness's new key, after asking its department."""
        open_gossip(home, SystemClock()).accept(name)
        say(Text(zh=f"已采信 {name} 的新密钥。", en=f"Took the new key of {name}."))

    return app
