"""The command group `datong norms`: check a local norm pack before a hub uses it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from datong.cli.shell import language, say
from datong.kernel import Text
from datong.norms import check_pack, load_pack

app = typer.Typer(help="规范 · norms", no_args_is_help=True)


@app.callback()
def norms() -> None:
    """规范包：数据元、代码、时限、指标 · norm packs: elements, code lists, time limits, indicators."""


@app.command()
def check(
    pack: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="规范包（YAML） · a norm pack in YAML")],
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON · print JSON")] = False,
) -> None:
    """检查规范包，列出每一处问题 · Check a norm pack and list every problem with its place."""
    problems = check_pack(pack.read_text(encoding="utf-8"))
    if as_json:
        typer.echo(json.dumps([problem.model_dump() for problem in problems], ensure_ascii=False, indent=1))
    elif problems:
        for problem in problems:
            typer.echo(f"{problem.path}: {problem.message.render(language())}")
    else:
        elements = len(load_pack(pack).elements)
        say(Text(zh=f"规范包可用，共 {elements} 个数据元。", en=f"The pack is usable; it has {elements} elements."))
    if problems:
        raise typer.Exit(1)
