"""The command line `datong`.

Each group lives in a module of its own, and only the group that is asked for is imported: a node's short commands must
not wait for the web server's imports.
"""

import sys
from importlib import import_module

import typer

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
    "govern": "datong.cli.govern",
    "notices": "datong.cli.notices",
    "coordinate": "datong.cli.coordinate",
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
    for name in [asked] if asked in GROUPS else GROUPS:
        app.add_typer(import_module(GROUPS[name]).app, name=name)
    return app


def main() -> None:
    """Run the command line."""
    start()
    run(command_line(sys.argv[1] if len(sys.argv) > 1 else None))


if __name__ == "__main__":
    main()
