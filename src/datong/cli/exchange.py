"""The command group `datong exchange`: tasks as a file, runs, how transfers stand, over a hub's interface."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from datong.cli.hub_call import HubOption, JsonOption, TokenOption, call_hub
from datong.cli.reconciling import reconcile_by_id
from datong.cli.shell import language, say, say_json
from datong.exchange import PlanAct, PlanStep, Replay, Run, TaskState
from datong.kernel import CHINA, NotFound, Text

app = typer.Typer(help="数据交换 · move data between departments", no_args_is_help=True)

MARKS = {PlanAct.CREATE: "+", PlanAct.CHANGE: "~", PlanAct.REPLACE: "!", PlanAct.SAME: "="}
PAGE_ROWS = 200
FileArgument = Annotated[
    Path, typer.Argument(help="任务文件（YAML） · file of tasks (YAML)", exists=True, dir_okay=False)
]
TaskArgument = Annotated[str, typer.Argument(help="任务名称或编号 · name or id of the task")]


@app.callback()
def exchange() -> None:
    """数据交换：任务文件、运行、现状 · files of tasks, runs, how transfers stand."""


@app.command()
def plan(file: FileArgument, hub: HubOption, token: TokenOption, as_json: JsonOption = False) -> None:
    """说明应用该文件会改变什么，不做改动 · Say what applying a file would change; change nothing."""
    _show_steps(call_hub(hub, token, "POST", "/task-files/plan", {"text": file.read_text(encoding="utf-8")}), as_json)


@app.command()
def apply(
    file: FileArgument,
    hub: HubOption,
    token: TokenOption,
    replace: Annotated[
        bool, typer.Option("--replace", help="允许结束并重建任务 · let tasks be ended and created anew")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """应用任务文件；重复应用不再改动 · Apply a file of tasks; a second time changes nothing."""
    body = {"text": file.read_text(encoding="utf-8"), "allow_replace": replace}
    _show_steps(call_hub(hub, token, "POST", "/task-files/apply", body), as_json)


@app.command()
def export(hub: HubOption, token: TokenOption, department: str = "") -> None:
    """把现有任务写成文件 · Write the present tasks as a file."""
    query = f"?department={department}" if department else ""
    found = call_hub(hub, token, "GET", f"/task-files/export{query}")
    typer.echo(found["text"] if isinstance(found, dict) else "", nl=False)


@app.command()
def due(
    cron: Annotated[str, typer.Argument(help='五个字段，如 "0 2 * * 1-5" · five fields')],
    hub: HubOption,
    token: TokenOption,
    as_json: JsonOption = False,
) -> None:
    """列出 cron 表达式的下几次到期时间（北京时间） · Print the next due times of a cron expression (China time)."""
    found = call_hub(hub, token, "POST", "/task-files/preview", {"cron": cron})
    times = found["due_at"] if isinstance(found, dict) else []
    shown = [datetime.fromisoformat(moment).astimezone(CHINA) for moment in times]
    if as_json:
        say_json([moment.isoformat() for moment in shown])
    else:
        typer.echo("\n".join(map(_moment, shown)))


@app.command()
def run(task: TaskArgument, hub: HubOption, token: TokenOption, as_json: JsonOption = False) -> None:
    """请求运行一次 · Ask for one run."""
    _act(hub, token, task, "run", as_json)


@app.command()
def pause(task: TaskArgument, hub: HubOption, token: TokenOption, as_json: JsonOption = False) -> None:
    """暂停任务 · Pause a task."""
    _act(hub, token, task, "pause", as_json)


@app.command()
def resume(task: TaskArgument, hub: HubOption, token: TokenOption, as_json: JsonOption = False) -> None:
    """继续任务 · Let a paused task go on."""
    _act(hub, token, task, "resume", as_json)


@app.command()
def end(task: TaskArgument, hub: HubOption, token: TokenOption, as_json: JsonOption = False) -> None:
    """结束任务 · End a task for good."""
    _act(hub, token, task, "end", as_json)


@app.command()
def runs(task: TaskArgument, hub: HubOption, token: TokenOption, as_json: JsonOption = False) -> None:
    """列出任务的运行，新的在前 · List a task's runs, newest first."""
    found = call_hub(hub, token, "GET", f"/tasks/{task_id(hub, token, task)}/runs")
    rows = found["rows"] if isinstance(found, dict) else []
    if as_json:
        say_json(rows)
        return
    for row in rows:
        say(run_line(Run.model_validate(row)))


@app.command()
def again(
    task: TaskArgument,
    hub: HubOption,
    token: TokenOption,
    from_sequence: Annotated[int | None, typer.Option(help="从第几批开始 · first batch to move again")] = None,
    until_sequence: Annotated[int | None, typer.Option(help="到第几批为止 · last batch to move again")] = None,
    since: Annotated[str | None, typer.Option(help="从何时生成的批次开始（ISO 8601） · batches since then")] = None,
    as_json: JsonOption = False,
) -> None:
    """重放或回补：提供方重新读取这一段 · Replay from a point, or backfill a range: that part is read once more."""
    body = {"from_sequence": from_sequence, "until_sequence": until_sequence, "since": since}
    made = Run.model_validate(call_hub(hub, token, "POST", f"/tasks/{task_id(hub, token, task)}/again", body))
    say_json(made) if as_json else say(run_line(made))


@app.command()
def replay(
    task: TaskArgument,
    hub: HubOption,
    token: TokenOption,
    from_sequence: Annotated[int | None, typer.Option(min=1, help="从第几批起 · first batch to apply again")] = None,
    consumer: Annotated[str, typer.Option(help="其他消费方的部门代码 · code of a further consumer")] = "",
    as_json: JsonOption = False,
) -> None:
    """接收方重放：把枢纽留存的批次再应用一次；不给批次号则列出 · Apply stored batches again; without a batch: list."""
    path = f"/tasks/{task_id(hub, token, task)}/replays"
    if from_sequence is not None:
        call_hub(hub, token, "POST", path, {"from_sequence": from_sequence, "consumer": consumer or None})
    found = call_hub(hub, token, "GET", path)
    if as_json:
        say_json(found)
        return
    for row in found if isinstance(found, list) else ():
        say(replay_line(Replay.model_validate(row)))


@app.command()
def cancel(
    task: TaskArgument,
    number: Annotated[int, typer.Argument(help="运行序号 · number of the run")],
    hub: HubOption,
    token: TokenOption,
    as_json: JsonOption = False,
) -> None:
    """取消尚未送达的运行 · Cancel a run that is not delivered yet."""
    path = f"/tasks/{task_id(hub, token, task)}/runs/{number}/cancellation"
    cancelled = Run.model_validate(call_hub(hub, token, "POST", path))
    say_json(cancelled) if as_json else say(run_line(cancelled))


@app.command()
def reconcile(
    task: TaskArgument,
    hub: HubOption,
    token: TokenOption,
    repair: Annotated[bool, typer.Option("--repair", help="批准修复差异 · approve the repair")] = False,
    wait_seconds: Annotated[float, typer.Option("--wait", help="最多等待的秒数 · seconds to wait at most")] = 3600.0,
    as_json: JsonOption = False,
) -> None:
    """对账；不一致时以 1 退出 · Compare both ends of a task; exits with 1 when they differ."""
    number = task_id(hub, token, task)
    reconcile_by_id(number, hub, token, repair=repair, wait_seconds=wait_seconds, as_json=as_json)


def task_id(hub: str, token: str, wanted: str) -> str:
    """Return the id of the living task called `wanted`, or `wanted` itself when it is an id.

    Raises:
        NotFound: there is no such task.
    """
    offset: int | None = 0
    ended = ""
    while offset is not None:
        page = call_hub(hub, token, "GET", f"/tasks?limit={PAGE_ROWS}&offset={offset}")
        rows, offset = (page["rows"], page["next_offset"]) if isinstance(page, dict) else ([], None)
        for row in rows:
            if row["id"] == wanted or (row["name"] == wanted and row["state"] != "ended"):
                return str(row["id"])
            ended = row["id"] if row["name"] == wanted and not ended else ended
    if not ended:
        raise NotFound(
            "cli.task_not_found",
            what=Text(zh=f"没有名为“{wanted}”的任务。", en=f"There is no task called “{wanted}”."),
            remedy=Text(zh="请用 datong exchange export 查看任务。", en="See the tasks with datong exchange export."),
        )
    return ended


def replay_line(one: Replay) -> Text:
    """Return a replay in one line."""
    at = _moment(one.requested_at.astimezone(CHINA))
    error_zh = f"；{one.failure.what.zh}" if one.failure and one.signed is None else ""
    error_en = f"; {one.failure.what.en}" if one.failure and one.signed is None else ""
    return Text(
        zh=f"{at}  {one.consumer}  第 {one.from_sequence}–{one.to_sequence} 批  {one.state.label.zh}{error_zh}",
        en=f"{at}  {one.consumer}  batches {one.from_sequence}–{one.to_sequence}  {one.state.label.en}{error_en}",
    )


def run_line(one: Run) -> Text:
    """Return a run in one line."""
    at = _moment(one.requested_at.astimezone(CHINA))
    error_zh = f"；{one.error.what.zh}（{one.error.code}）" if one.error else ""
    error_en = f"; {one.error.what.en} ({one.error.code})" if one.error else ""
    return Text(
        zh=f"#{one.run}  {at}  {one.reason.label.zh}  {one.state.label.zh}  {one.rows} 行 {one.batches} 批，"
        f"应用 {one.rows_applied}，拒收 {one.rows_rejected}，第 {one.attempts} 次尝试{error_zh}",
        en=f"#{one.run}  {at}  {one.reason.label.en}  {one.state.label.en}  {one.rows} rows in {one.batches} batches, "
        f"{one.rows_applied} applied, {one.rows_rejected} rejected, attempt {one.attempts}{error_en}",
    )


def step_lines(step: PlanStep) -> Sequence[str]:
    """Return a step of a plan as lines: what happens to the task, and each field that changes."""
    head = f"{MARKS[step.act]} {step.name}  {step.act.label.render(language())}"
    changes = [
        f"    {change.field}: {_value(change.before)} → {_value(change.after)}"
        for change in step.changes
        if step.act is not PlanAct.CREATE
    ]
    return [head + (f"  {step.task_id}" if step.task_id else ""), *changes]


def _show_steps(found: object, as_json: bool) -> None:
    if as_json:
        say_json(found)
        return
    for row in found if isinstance(found, list) else ():
        typer.echo("\n".join(step_lines(PlanStep.model_validate(row))))


def _act(hub: str, token: str, task: str, action: str, as_json: bool) -> None:
    found = call_hub(hub, token, "POST", f"/tasks/{task_id(hub, token, task)}/actions", {"action": action})
    row = found if isinstance(found, dict) else {}
    if as_json:
        say_json(found)
        return
    name, state = row["name"] or row["id"], TaskState(row["state"]).label
    asked, done = row["run_requested"], row["run_done"]
    say(
        Text(
            zh=f"{name}：{state.zh}，已请求 {asked} 次运行，完成 {done} 次",
            en=f"{name}: {state.en}, {asked} runs requested, {done} done",
        )
    )


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S")


def _value(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
