"""The command group `datong notices`: what concerns the caller, over the REST interface."""

from typing import Annotated
from urllib.parse import urlencode

import typer

from datong.cli.hub_call import HubOption, JsonOption, TokenOption, call_hub
from datong.cli.shell import say_json
from datong.governance.notifications import TOPIC_NAMES, Notice, Topic
from datong.kernel import Page, both, minute

app = typer.Typer(help="提醒 · notices", no_args_is_help=True)


@app.callback()
def notices() -> None:
    """提醒：与本人有关的事项 · notices: what concerns the caller."""


@app.command("list")
def list_notices(
    hub: HubOption,
    token: TokenOption,
    unread: Annotated[bool, typer.Option("--unread", help="只列未读 · only unread ones")] = False,
    topic: Annotated[Topic | None, typer.Option(help="只列某一类 · only those of one topic")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="最多条数 · at most so many")] = 50,
    as_json: JsonOption = False,
) -> None:
    """列出本人的提醒 · list the caller's notices."""
    wanted = {"limit": str(limit), "topic": topic, "unread": "true" if unread else None}
    query = urlencode({name: value for name, value in wanted.items() if value is not None})
    answer = call_hub(hub, token, "GET", f"/notices?{query}")
    if as_json:
        say_json(answer)
        return
    for notice in Page[Notice].model_validate(answer).rows:
        mark = " " if notice.read_at else "●"
        name, at = both(TOPIC_NAMES[notice.topic]), minute(notice.told_at)
        typer.echo(f"{mark} {at} [{name}] {both(notice.title)} ×{notice.times}")
        typer.echo(f"  {notice.what.zh}\n  {notice.what.en}\n  {notice.address}  {notice.id}")


@app.command()
def read(
    hub: HubOption,
    token: TokenOption,
    notice: Annotated[str, typer.Argument(help="提醒编号；不填为全部 · id of a notice; none: all")] = "",
) -> None:
    """标为已读 · mark as read."""
    if notice:
        call_hub(hub, token, "POST", f"/notices/{notice}/read")
        typer.echo("已读 1 条 · 1 read")
        return
    answer = call_hub(hub, token, "POST", "/notices/read")
    number = answer["unread"] if isinstance(answer, dict) else 0
    typer.echo(f"已读 {number} 条 · {number} read")
