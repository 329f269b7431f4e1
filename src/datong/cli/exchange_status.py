"""`datong exchange status`: how transfers stand, once or as long as somebody watches."""

import json
import time
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from datong.cli.exchange import HubOption, JsonOption, TokenOption
from datong.cli.hub_call import call_hub
from datong.cli.shell import language
from datong.exchange import TaskStatus
from datong.kernel import CHINA, Language, Text

PAGE_ROWS = 100
HEAD = (
    Text(zh="任务", en="task"),
    Text(zh="状态", en="state"),
    Text(zh="运行", en="run"),
    Text(zh="已提交", en="committed"),
    Text(zh="已应用", en="applied"),
    Text(zh="行/秒", en="rows/s"),
    Text(zh="待应用批次", en="queue"),
    Text(zh="延迟", en="lag"),
    Text(zh="上次成功", en="last success"),
    Text(zh="预计剩余", en="left"),
    Text(zh="错误", en="error"),
)


def status(
    hub: HubOption,
    token: TokenOption,
    watch: Annotated[bool, typer.Option("--watch", help="持续刷新，Ctrl-C 结束 · go on until Ctrl-C")] = False,
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="刷新到没有传输为止 · go on until nothing moves")
    ] = False,
    seconds: Annotated[float, typer.Option(help="刷新间隔（秒） · seconds between two looks", min=0.2)] = 2.0,
    as_json: JsonOption = False,
) -> None:
    """传输现状：延迟、速度、队列、错误 · How transfers stand: lag, speed, queues, errors."""
    if as_json:
        typer.echo(json.dumps(_rows(hub, token), ensure_ascii=False, indent=1))
        return
    chosen, console = language(), Console()
    found = _statuses(hub, token)
    if not (watch or until_idle):
        console.print(table(found, chosen))
        return
    try:
        with Live(table(found, chosen), console=console, auto_refresh=False) as live:
            while watch or any(one.is_moving for one in found):
                time.sleep(seconds)
                found = _statuses(hub, token)
                live.update(table(found, chosen), refresh=True)
    except KeyboardInterrupt:
        return


def table(found: Sequence[TaskStatus], chosen: Language) -> Table:
    """Return the tasks as a table for the terminal."""
    shown = Table(box=None, pad_edge=False)
    for name in HEAD:
        shown.add_column(name.render(chosen), overflow="fold")
    for one in found:
        shown.add_row(*cells(one, chosen))
    return shown


def cells(one: TaskStatus, chosen: Language) -> list[str]:
    """Return one task's line."""
    run, error = one.run, one.consumer_error
    if run is not None and run.error is not None:
        error = run.error
    return [
        one.task.name or one.task.id[:13],
        one.task.state.label.render(chosen),
        "—" if run is None else f"#{run.run} {run.state.label.render(chosen)}",
        f"{one.rows:,}",
        f"{one.rows_applied:,}",
        f"{one.rows_per_second:,.0f}",
        f"{one.queue_batches:,}",
        duration(one.lag_seconds),
        "—" if one.last_success_at is None else one.last_success_at.astimezone(CHINA).strftime("%m-%d %H:%M:%S"),
        "—" if one.eta_seconds is None else duration(one.eta_seconds),
        "" if error is None else error.what.render(chosen),
    ]


def duration(seconds: float) -> str:
    """Return a span of time as people read it: `5s`, `3m05s`, `2h07m`, `3d04h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3600:02d}h"


def _rows(hub: str, token: str) -> list[object]:
    rows: list[object] = []
    offset: int | None = 0
    while offset is not None:
        page = call_hub(hub, token, "GET", f"/task-status?limit={PAGE_ROWS}&offset={offset}")
        found, offset = (page["rows"], page["next_offset"]) if isinstance(page, dict) else ([], None)
        rows += found
    return rows


def _statuses(hub: str, token: str) -> list[TaskStatus]:
    found = [TaskStatus.model_validate(row) for row in _rows(hub, token)]
    return [one for one in found if one.task.state != "ended"]
