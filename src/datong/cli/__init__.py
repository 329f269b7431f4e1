"""The command line's sub-commands: thin shells over files and over the hub's HTTP interface."""

from datong.cli import ledger, norms
from datong.cli.shell import run

__all__ = ["ledger", "norms", "run"]
