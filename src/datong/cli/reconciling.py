"""The command `datong exchange reconcile`: compare both ends of a task, and have what differs repaired."""

import time
from typing import Annotated

import typer

from datong.cli.hub_call import call_hub
from datong.cli.shell import say
from datong.exchange import DifferenceKind, Reconciliation, ReconciliationState
from datong.kernel import Text, Unavailable

EXIT_DIFFERENT = 1
POLL_SECONDS = 1.0
WAIT_SECONDS_DEFAULT = 3600.0
OPEN = {ReconciliationState.WAITING, ReconciliationState.REPAIRING}
HubOption = Annotated[str, typer.Option("--hub", envvar="DATONG_HUB", help="枢纽地址 · address of the hub")]
TokenOption = Annotated[str, typer.Option("--token", envvar="DATONG_TOKEN", help="访问令牌 · access token")]
JsonOption = Annotated[bool, typer.Option("--json", help="输出 JSON · print JSON")]
TaskArgument = Annotated[str, typer.Argument(help="任务编号 · id of the task")]


def reconcile(
    task: TaskArgument,
    hub: HubOption,
    token: TokenOption,
    repair: Annotated[bool, typer.Option("--repair", help="批准修复差异 · approve the repair")] = False,
    wait_seconds: Annotated[
        float, typer.Option("--wait", help="最多等待的秒数 · seconds to wait at most")
    ] = WAIT_SECONDS_DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """对账；不一致时以 1 退出 · Compare both ends of a task; exits with 1 when they differ."""
    until = time.monotonic() + wait_seconds
    call_hub(hub, token, "POST", f"/tasks/{task}/actions", {"action": "reconcile"})
    found = _finished(hub, token, task, until)
    _show(found, as_json)
    if repair and found.state is ReconciliationState.DIFFERENT:
        call_hub(hub, token, "POST", f"/tasks/{task}/reconciliations/{found.id}/repair")
        found = _finished(hub, token, task, until)
        _show(found, as_json)
    if found.state is not ReconciliationState.EQUAL:
        raise typer.Exit(EXIT_DIFFERENT)


def line(found: Reconciliation) -> Text:
    """Return a reconciliation in one line."""
    rows = found.producer.end_digest.digest.rows if found.producer is not None else 0
    if found.findings is None:
        return Text(zh=f"{found.state.label.zh}，{rows} 行", en=f"{found.state.label.en}, {rows} rows")
    counts = {kind: found.findings.count(kind) for kind in DifferenceKind}
    zh = "，".join(f"{kind.label.zh} {count}" for kind, count in counts.items())
    en = ", ".join(f"{kind.label.en.lower()} {count}" for kind, count in counts.items())
    left = found.findings.unresolved_ranges
    return Text(
        zh=f"{found.state.label.zh}：{rows} 行；{zh}" + (f"；另有 {left} 个区间未逐行查找" if left else ""),
        en=f"{found.state.label.en}: {rows} rows; {en}" + (f"; {left} more ranges were not searched" if left else ""),
    )


def _finished(hub: str, token: str, task: str, until: float) -> Reconciliation:
    """Return the task's newest reconciliation once nothing more happens to it by itself.

    A repaired one is followed by another reconciliation, which is awaited.

    Raises:
        Unavailable: `cli.reconciliation_waits`.
    """
    while time.monotonic() < until:
        found = Reconciliation.model_validate(call_hub(hub, token, "GET", f"/tasks/{task}/reconciliation"))
        if found.state not in OPEN | {ReconciliationState.REPAIRED}:
            return found
        time.sleep(POLL_SECONDS)
    raise Unavailable(
        "cli.reconciliation_waits",
        what=Text(zh="两端节点尚未应答完毕。", en="The nodes of both ends have not answered yet."),
        remedy=Text(zh="请确认两端节点在线，稍后再看结果。", en="See that both nodes run, and look again later."),
    )


def _show(found: Reconciliation, as_json: bool) -> None:
    if as_json:
        typer.echo(found.model_dump_json(indent=1, exclude={"producer", "consumer"}))
    else:
        say(line(found))
