"""The command group `datong catalogue`: a catalogue in files, over a hub's interface."""

from pathlib import Path
from typing import Annotated

import httpx
import typer

from datong.catalogue import FileFormat, ImportReport
from datong.cli.hub_call import HubOption, JsonOption, TokenOption
from datong.cli.shell import language, say, say_json
from datong.kernel import Invalid, Refused, Text, Unavailable
from datong.kernel.tls import tls_context

app = typer.Typer(help="目录文件 · the catalogue in files", no_args_is_help=True)

TIMEOUT_SECONDS = 300.0
FileArgument = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, help="xlsx 或 json 文件 · an xlsx or json file")
]


@app.callback()
def catalogue() -> None:
    """目录文件：导出、检查、导入 · export, check and import the catalogue."""


@app.command()
def export(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="写入的文件（.xlsx 或 .json） · file to write")],
    hub: HubOption,
    token: TokenOption,
    department: Annotated[str, typer.Option(help="部门代码 · code of the department")] = "",
    state: Annotated[str, typer.Option(help="状态 · state")] = "",
    as_json: JsonOption = False,
) -> None:
    """导出目录 · Export the catalogue."""
    query = {"format": _format(file).value, "department": department, "state": state}
    given = {name: value for name, value in query.items() if value}
    with _client(hub, token) as client, client.stream("GET", f"{_base(hub)}/export", params=given) as answer:
        if answer.status_code != httpx.codes.OK:
            answer.read()
            raise _refused(answer)
        with file.open("wb") as target:
            size = sum(target.write(piece) for piece in answer.iter_bytes())
    if as_json:
        say_json({"file": str(file), "bytes": size})
    else:
        say(Text(zh=f"已导出到 {file}，{size} 字节。", en=f"Exported to {file}, {size} bytes."))


@app.command()
def check(file: FileArgument, hub: HubOption, token: TokenOption, as_json: JsonOption = False) -> None:
    """检查文件，逐格列出问题；有错误时以 1 退出 · Check a file cell by cell; exits with 1 when there are errors."""
    found = _post(file, hub, token, "check", {})
    _tell(found, as_json=as_json)
    if found.errors:
        raise typer.Exit(1)


@app.command("import")
def import_file(
    file: FileArgument,
    hub: HubOption,
    token: TokenOption,
    readable_only: Annotated[
        bool, typer.Option("--readable-only", help="只导入没有错误的资源 · only resources without errors")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """导入为本部门的草稿，要么全部，要么一条也不 · Import as drafts of the own department, all or nothing."""
    found = _post(file, hub, token, "import", {"readable_only": str(readable_only).lower()})
    _tell(found, as_json=as_json)
    if not found.taken:
        raise typer.Exit(1)


def _tell(found: ImportReport, *, as_json: bool) -> None:
    if as_json:
        say_json(found)
        return
    for problem in found.problems:
        mark = "✗" if problem.error else "!"
        words = f"{problem.problem.render(language())} {problem.remedy.render(language())}"
        typer.echo(f"{mark} {problem.cell} {problem.column}: {words}")
    read = Text(
        zh=f"资源 {found.resources} 条，可读 {found.readable} 条，错误 {found.errors} 处，提醒 {found.warnings} 处",
        en=f"{found.resources} resources, {found.readable} readable, {found.errors} errors, {found.warnings} notes",
    )
    written = Text(
        zh=f"新建 {found.created}，更新 {found.updated}，未变 {found.unchanged}",
        en=f"{found.created} created, {found.updated} updated, {found.unchanged} unchanged",
    )
    say(Text(zh=f"{read.zh}；{written.zh}。", en=f"{read.en}; {written.en}."))


def _post(file: Path, hub: str, token: str, act: str, query: dict[str, str]) -> ImportReport:
    with _client(hub, token) as client:
        answer = client.post(
            f"{_base(hub)}/{act}", params={"format": _format(file).value, **query}, content=file.read_bytes()
        )
    if answer.status_code != httpx.codes.OK:
        raise _refused(answer)
    return ImportReport.model_validate_json(answer.content)


def _format(file: Path) -> FileFormat:
    suffix = file.suffix.lower().removeprefix(".")
    if suffix not in set(FileFormat):
        raise Invalid(
            "catalogue.format_unknown",
            what=Text(zh=f"不认识的文件类型“{file.suffix}”。", en=f'The file type "{file.suffix}" is unknown.'),
            remedy=Text(zh="请用 .xlsx 或 .json 文件。", en="Use a .xlsx or .json file."),
            field="/file",
        )
    return FileFormat(suffix)


def _base(hub: str) -> str:
    return f"{hub.rstrip('/')}/api/v1/catalogue"


def _client(hub: str, token: str) -> httpx.Client:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False, verify=tls_context(hub))


def _refused(answer: httpx.Response) -> Refused | Unavailable:
    """Return the hub's refusal in its own words."""
    try:
        problem = answer.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        return Unavailable(
            "cli.hub_unreadable",
            what=Text(zh="应答不是枢纽的应答。", en="The answer is not that of a hub."),
            remedy=Text(zh="请核对 --hub。", en="Check --hub."),
        )
    return Refused(
        str(problem.get("code", "cli.refused")),
        what=Text(zh=str(problem.get("detail_zh", "")), en=str(problem.get("detail_en", ""))),
        remedy=Text(zh=str(problem.get("remedy_zh", "")), en=str(problem.get("remedy_en", ""))),
    )
