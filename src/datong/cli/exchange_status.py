"""`datong exchange status`: how transfers stand, once or as long as somebody watches."""

import time
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text as Plain

from datong.cli.hub_call import HubOption, JsonOption, TokenOption, call_hub
from datong.cli.shell import language, say_json
from datong.exchange import TaskState, TaskStatus
from datong.kernel import CHINA, Language, Text

PAGE_ROWS = 100


class Shown(NamedTuple):
    """A column: its name, how wide it grows, and from which width of the terminal on there is room for it."""

    name: Text
    cells_max: int | None = None
    room_from: int = 0
    right: bool = False


COLUMNS = (
    Shown(Text(zh="任务", en="task"), cells_max=16),
    Shown(Text(zh="状态", en="state"), cells_max=10),
    Shown(Text(zh="运行", en="run"), cells_max=14),
    Shown(Text(zh="已提交", en="committed"), room_from=96, right=True),
    Shown(Text(zh="已应用", en="applied"), right=True),
    Shown(Text(zh="行/秒", en="rows/s"), right=True),
    Shown(Text(zh="待应用", en="queue"), right=True),
    Shown(Text(zh="延迟", en="lag"), right=True),
    Shown(Text(zh="预计剩余", en="left"), room_from=108, right=True),
    Shown(Text(zh="上次成功", en="last success"), room_from=128),
)
"""In eighty columns stand the ones that say whether rows move; errors have lines of their own below the table."""


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
        say_json(_rows(hub, token))
        return
    chosen, console = language(), Console()
    found = _statuses(hub, token)
    if not (watch or until_idle):
        console.print(table(found, chosen, console.width))
        return
    try:
        with Live(table(found, chosen, console.width), console=console, auto_refresh=False) as live:
            while watch or any(one.is_moving for one in found):
                time.sleep(seconds)
                found = _statuses(hub, token)
                live.update(table(found, chosen, console.width), refresh=True)
    except KeyboardInterrupt:
        return


def table(found: Sequence[TaskStatus], chosen: Language, width: int) -> Group:
    """Return the tasks as a table for a terminal of that width, one line each, and what is wrong below it."""
    columns = [column for column in COLUMNS if width >= column.room_from]
    shown = Table(box=None, pad_edge=False)
    for column in columns:
        shown.add_column(
            column.name.render(chosen),
            max_width=column.cells_max,
            no_wrap=True,
            justify="right" if column.right else "left",
        )
    for one in found:
        shown.add_row(*(cell for column, cell in zip(COLUMNS, cells(one, chosen), strict=True) if column in columns))
    remarks = [Plain(f"! {line}") for one in found for line in wrong(one, chosen)]
    return Group(shown, *remarks)


def cells(one: TaskStatus, chosen: Language) -> list[str]:
    """Return one task's cell for each of the columns."""
    run = one.run
    return [
        one.task.name or one.task.id[:13],
        one.task.state.label.render(chosen),
        "—" if run is None else f"#{run.run} {run.state.label.render(chosen)}",
        f"{one.rows:,}",
        f"{one.rows_applied:,}",
        f"{one.rows_per_second:,.0f}",
        f"{one.queue_batches:,}",
        duration(one.lag_seconds),
        "—" if one.eta_seconds is None else duration(one.eta_seconds),
        "—" if one.last_success_at is None else one.last_success_at.astimezone(CHINA).strftime("%m-%d %H:%M:%S"),
    ]


def wrong(one: TaskStatus, chosen: Language) -> list[str]:
    """Return what keeps a task from going on: a changed source, the run's error or the consumer's, with the remedy."""
    name, run = one.task.name or one.task.id[:13], one.run
    lines = [one.task.state.label.render(chosen)] if one.task.state is TaskState.BLOCKED else []
    errors = [error for error in (None if run is None else run.error, one.consumer_error) if error is not None]
    lines += [f"{error.what.render(chosen)} {error.remedy.render(chosen)}" for error in errors]
    return [f"{name}: {line}" for line in dict.fromkeys(lines)]


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
