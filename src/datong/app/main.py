"""The command line `datong`: the sub-commands of `datong.cli`, and the two groups that need composition."""

import typer

from datong.app.demo_command import demo
from datong.app.hub_commands import hub
from datong.cli import ledger, norms, run

app = typer.Typer(
    name="datong",
    help="打通 Datong：部门之间共享既有数据的平台 · the platform on which departments share what they already know",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(hub, name="hub")
app.add_typer(norms.app, name="norms")
app.add_typer(ledger.app, name="ledger")
app.command(name="demo")(demo)


def main() -> None:
    """Run the command line."""
    run(app)


if __name__ == "__main__":
    main()
