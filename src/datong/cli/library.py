"""The command group `datong library`: definitions of libraries, over a hub's interface."""

from pathlib import Path
from typing import Annotated

import typer

from datong.cli import library_versions, library_weights
from datong.cli.hub_call import HubOption, JsonOption, TokenOption, call_hub
from datong.cli.shell import language, say, say_json
from datong.kernel import Invalid, Text
from datong.library import DEFINITION_CHARS_MAX, DefinitionPlan

app = typer.Typer(help="统一资源库 · the unified library", no_args_is_help=True)

BASE = "/library-definitions"


@app.callback()
def library() -> None:
    """资源库：查看定义、新增主题库、请求构建 · definitions, new thematic libraries, builds."""


@app.command("list")
def list_definitions(hub: HubOption, token: TokenOption, as_json: JsonOption = False) -> None:
    """列出现行定义 · List the definitions in force."""
    found = call_hub(hub, token, "GET", BASE)
    if as_json:
        say_json(found)
        return
    for row in found if isinstance(found, list) else ():
        title = Text.model_validate(row["title"]).render(language())
        typer.echo(f"{row['name']:24} v{row['version']}  {row['kind']:10} {title}")


@app.command()
def define(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="定义文件 · the definition, YAML")],
    hub: HubOption,
    token: TokenOption,
    yes: Annotated[bool, typer.Option("--yes", help="看过变化，使之生效 · put it in force")] = False,
    as_json: JsonOption = False,
) -> None:
    """显示定义文件带来的变化；加 --yes 使之生效 · Show what the file changes; --yes puts it in force."""
    body = {"text": _read(file)}
    plan = DefinitionPlan.model_validate(call_hub(hub, token, "POST", f"{BASE}/plan", body))
    if yes and plan.changes and not plan.problems:
        plan = DefinitionPlan.model_validate(call_hub(hub, token, "POST", BASE, body))
    if as_json:
        say_json(plan)
    else:
        _tell(plan, in_force=yes)
    if plan.problems:
        raise typer.Exit(1)


@app.command()
def build(
    name: Annotated[str, typer.Argument(help="资源库名称 · name of the library")],
    hub: HubOption,
    token: TokenOption,
    full: Annotated[
        bool, typer.Option("--full", help="全部重新计算，不沿用上一版本 · make everything anew, from landing")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """请求构建 · Ask for a build; background work runs it."""
    found = call_hub(hub, token, "POST", f"/libraries/{name}/builds{'?full=true' if full else ''}")
    if as_json:
        say_json(found)
    else:
        typer.echo(str(found["id"] if isinstance(found, dict) else found))


for command in (
    library_versions.versions,
    library_versions.retention,
    library_versions.hold,
    library_versions.release,
    library_versions.past,
    library_weights.train,
    library_weights.weights,
    library_weights.decide_weights,
):
    app.command()(command)


def _tell(plan: DefinitionPlan, *, in_force: bool) -> None:
    for problem in plan.problems:
        text = Text(
            zh=f"✗ {problem.field}：{problem.message.zh}。{problem.remedy.zh}",
            en=f"✗ {problem.field}: {problem.message.en}. {problem.remedy.en}",
        )
        say(text)
    for change in plan.changes:
        before = f"- {change.before} " if change.before is not None else ""
        after = f"+ {change.after}" if change.after is not None else ""
        typer.echo(f"{change.field}  {before}{after}")
    if plan.problems:
        return
    if not plan.changes:
        say(Text(zh=f"{plan.name} 没有变化。", en=f"{plan.name} is unchanged."))
    elif in_force:
        say(Text(zh=f"{plan.name} 第 {plan.version} 版已生效。", en=f"{plan.name} version {plan.version} is in force."))
    else:
        say(Text(zh="以上为变化；加 --yes 使之生效。", en="These are the changes; --yes puts them in force."))


def _read(file: Path) -> str:
    if file.stat().st_size > 4 * DEFINITION_CHARS_MAX:
        raise _unreadable(file, Text(zh="文件过大", en="is too large"))
    try:
        return file.read_text(encoding="utf-8")
    except ValueError as error:
        raise _unreadable(file, Text(zh="不是 UTF-8 文本", en="is not UTF-8 text")) from error


def _unreadable(file: Path, why: Text) -> Invalid:
    return Invalid(
        "cli.file_unreadable",
        what=Text(zh=f"{file} {why.zh}。", en=f"{file} {why.en}."),
        remedy=Text(zh="请核对文件。", en="Check the file."),
    )
