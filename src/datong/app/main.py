"""The command line `datong`.

Each group lives in a module of its own, and only the group that is asked for is imported: a node's short commands must
not wait for the web server's imports.
"""

import sys
from importlib import import_module
from typing import Annotated

import typer

from datong import __version__
from datong.cli.shell import run
from datong.kernel.collector import start

GROUPS = {
    "hub": "datong.app.hub_commands",
    "node": "datong.app.node_commands",
    "norms": "datong.cli.norms",
    "catalogue": "datong.cli.catalogue",
    "exchange": "datong.app.exchange_commands",
    "harvest": "datong.cli.harvest",
    "cascade": "datong.cli.cascade",
    "correction": "datong.cli.correction",
    "library": "datong.cli.library",
    "ledger": "datong.cli.ledger",
    "keys": "datong.cli.keys",
    "govern": "datong.cli.govern",
    "staff": "datong.cli.staff",
    "notices": "datong.cli.notices",
    "coordinate": "datong.cli.coordinate",
    "doctor": "datong.app.doctor_command",
    "trial": "datong.app.trial_commands",
    "demo": "datong.app.demo_command",
}
"""Command groups and the modules that hold them, each as `app`."""


def command_line(asked: str | None) -> typer.Typer:
    """Return the command line with the group `asked` for, or with all of them when it names none."""
    app = typer.Typer(
        name="datong",
        help="打通 Datong：部门之间共享既有数据的平台 · the platform on which departments share what they already know",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_itself)
    for name in [asked] if asked in GROUPS else GROUPS:
        app.add_typer(import_module(GROUPS[name]).app, name=name)
    return app


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"datong {__version__}")
        raise typer.Exit


def _itself(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="显示版本 · show the version")
    ] = False,
) -> None:
    """Take the options that belong to no group."""


def main() -> None:
    """Run the command line."""
    start()
    run(command_line(sys.argv[1] if len(sys.argv) > 1 else None))


if __name__ == "__main__":
    main()
