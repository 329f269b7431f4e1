"""What all commands share: the language, how errors are told, the exit code."""

import json
import os
import sys

import httpx
import typer
from rich.console import Console
from rich.markup import escape

from datong.kernel import DatongError, Language, Text, Value

EXIT_FAILED = 1
LANGUAGE_VARIABLES = ("DATONG_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")


def language() -> Language:
    """Return the language of the person at the terminal: `DATONG_LANGUAGE`, else the locale, else Chinese."""
    for variable in LANGUAGE_VARIABLES:
        value = os.environ.get(variable, "").lower()[:2]
        if value in set(Language):
            return Language(value)
    return Language.ZH


def say(text: Text) -> None:
    """Print one sentence in the person's language."""
    typer.echo(text.render(language()))


def say_json(answer: object) -> None:
    """Print what a program reads: what was asked for with `--json`. Values of the platform are written as they are."""
    typer.echo(json.dumps(answer, ensure_ascii=False, indent=1, default=_written))


def _written(value: object) -> object:
    if isinstance(value, Value):
        return value.model_dump(mode="json")
    raise TypeError(type(value).__name__)


def run(app: typer.Typer) -> None:
    """Run the command line; an error of the platform is told in words, with its remedy, and exits with 1."""
    errors = Console(stderr=True, highlight=False)
    chosen = language()
    try:
        app()
    except DatongError as error:
        errors.print(f"[bold red]✗[/] {escape(error.what.render(chosen))}")
        errors.print(f"  {escape(error.remedy.render(chosen))}  [dim]({error.code})[/]")
        sys.exit(EXIT_FAILED)
    except httpx.TransportError as error:
        what = Text(zh=f"连接不上：{error}", en=f"No connection: {error}")
        errors.print(f"[bold red]✗[/] {escape(what.render(chosen))}")
        sys.exit(EXIT_FAILED)
