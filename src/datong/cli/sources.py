"""`datong node source …`: the sources of a node, and what of each can be shared. No credential is ever shown."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from datong.cli.shell import language, say, say_json
from datong.kernel import Text

if TYPE_CHECKING:
    from datong.exchange import TableSchema

SHOWN_MAX = 40
"""Tables whose columns are told; `--table` and `--json` tell of any."""


class SourceCommands(Protocol):
    """What the commands need of a node."""

    def add_source(self, *, name: str, url: str, writable: bool) -> int:
        """Remember a source; return how many tables it offers."""
        ...

    def sources(self) -> list[dict[str, object]]:
        """Return every source's name, kind and whether it is writable."""
        ...

    def test_source(self, name: str) -> "list[TableSchema]":
        """Connect to a source; return its tables as they can be shared."""
        ...

    def remove_source(self, name: str) -> None:
        """Forget a source."""
        ...


HOME_HELP = "节点目录 / the node's folder"
HomeOption = Annotated[Path, typer.Option("--home", envvar="DATONG_NODE_HOME", help=HOME_HELP)]
DEFAULT_HOME = Path("var/node")


def source_commands(open_node: Callable[[Path], SourceCommands]) -> typer.Typer:
    """Return the command group `source`."""
    app = typer.Typer(help="节点的数据源 / the node's sources", no_args_is_help=True)

    @app.command("add")
    def add(
        name: Annotated[str, typer.Argument(help="数据源名称 / name of the source")],
        url: Annotated[str, typer.Argument(help="sqlite:///… postgresql://… mysql://… files:///… api:///…")],
        writable: Annotated[bool, typer.Option("--writable", help="可接收数据 / may receive data")] = False,
        home: HomeOption = DEFAULT_HOME,
    ) -> None:
        """添加或替换数据源（地址只留在本机） / Add or replace a source; its URL stays on this machine."""
        tables = open_node(home).add_source(name=name, url=url, writable=writable)
        say(Text(zh=f"已添加数据源 {name}（{tables} 张表）。", en=f"Added the source {name} ({tables} tables)."))

    @app.command("list")
    def list_sources(
        as_json: Annotated[bool, typer.Option("--json", help="JSON")] = False,
        home: HomeOption = DEFAULT_HOME,
    ) -> None:
        """列出数据源 / List the sources."""
        found = open_node(home).sources()
        if as_json:
            say_json(found)
        else:
            _list(found)

    @app.command("test")
    def test(
        name: Annotated[str, typer.Argument(help="数据源名称 / name of the source")],
        table: Annotated[str | None, typer.Option("--table", help="仅此表 / this table only")] = None,
        as_json: Annotated[bool, typer.Option("--json", help="JSON")] = False,
        home: HomeOption = DEFAULT_HOME,
    ) -> None:
        """连接数据源，显示每列的类型或不能交换的原因 / Connect; show each column's type, or why it is refused."""
        found = [one for one in open_node(home).test_source(name) if table in {None, one.table}]
        if as_json:
            say_json(found)
        else:
            _tell_all(found, columns=table is not None or len(found) <= SHOWN_MAX)
        if any(one.problems for one in found):
            raise typer.Exit(1)

    @app.command("remove")
    def remove(
        name: Annotated[str, typer.Argument(help="数据源名称 / name of the source")],
        home: HomeOption = DEFAULT_HOME,
    ) -> None:
        """移除数据源（不动其数据） / Forget a source; its data stays as it is."""
        open_node(home).remove_source(name)
        say(Text(zh=f"已移除数据源 {name}。", en=f"Removed the source {name}."))

    return app


def _list(found: list[dict[str, object]]) -> None:
    for one in found:
        way = Text(zh="可写", en="writable") if one["writable"] else Text(zh="只读", en="read only")
        typer.echo(f"{one['name']}  {one['kind']}  {way.render(language())}")
    if not found:
        say(Text(zh="还没有数据源。", en="There is no source yet."))


def _tell_all(found: "list[TableSchema]", *, columns: bool) -> None:
    for one in found:
        _tell(one, columns=columns)
    problems = sum(len(one.problems) for one in found)
    refused = sum(len(one.refused) for one in found)
    say(
        Text(
            zh=f"连接正常：{len(found)} 张表，{refused} 列不能交换，{problems} 处问题。",
            en=f"Connected: {len(found)} tables, {refused} columns refused, {problems} problems.",
        )
    )


def _tell(schema: "TableSchema", *, columns: bool) -> None:
    rows = "?" if schema.rows is None else f"{schema.rows:,}"
    head = Text(
        zh=f"{schema.table}  约 {rows} 行，{len(schema.columns)} 列",
        en=f"{schema.table}  about {rows} rows, {len(schema.columns)} columns",
    )
    typer.echo(head.render(language()))
    if columns:
        for column in schema.columns:
            key = " *" if column.name in schema.key_columns else ""
            typer.echo(f"    {column.name}{key}  {column.source_type} → {column.type}")
    for refused in schema.refused:
        typer.echo(f"  ✗ {refused.name}  {refused.source_type}: {refused.reason.render(language())}")
    for problem in schema.problems:
        typer.echo(f"  ! {problem.render(language())}")
