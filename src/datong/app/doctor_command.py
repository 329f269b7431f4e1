"""The command `datong doctor`: what is wrong with this hub, or with a node, and what to do about it."""

import os
from pathlib import Path
from typing import Annotated

import typer

from datong.app.doctor import Report, State, examine_hub, examine_node
from datong.cli.shell import language, say_json

MARKS = {State.OK: "✓", State.WARNING: "!", State.FAILED: "✗", State.SKIPPED: "-"}

app = typer.Typer(help="诊断枢纽或前置机 · diagnose a hub or a node", invoke_without_command=True)


@app.callback(invoke_without_command=True)
def doctor(
    node: Annotated[
        Path | None, typer.Option(help="前置机的目录；缺省诊断环境变量所指的枢纽 · a node's folder; default: the hub")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="以 JSON 输出 · print as JSON")] = False,
) -> None:
    """诊断枢纽或前置机，只看不改 · Diagnose a hub or a node, changing nothing; exits with 1 if anything failed."""
    report = examine_hub(os.environ) if node is None else examine_node(node)
    if as_json:
        say_json(report)
    else:
        typer.echo("\n".join(lines(report)))
    if not report.healthy:
        raise typer.Exit(1)


def lines(report: Report) -> list[str]:
    """Return a report for people: a line for each check, and one for each remedy."""
    chosen = language()
    told: list[str] = []
    for one in report.diagnoses:
        told.append(f"{MARKS[one.state]} {one.check:<14}{one.seen.render(chosen)}")
        if one.remedy is not None:
            told.append(f"  {'':<14}→ {one.remedy.render(chosen)}")
    return told
