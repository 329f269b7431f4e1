"""The command `datong exchange reconcile`: compare both ends of a task, and have what differs repaired."""

import time

import typer

from datong.cli.hub_call import call_hub
from datong.cli.shell import say, say_json
from datong.exchange import DifferenceKind, Reconciliation, ReconciliationState
from datong.kernel import Text, Unavailable

EXIT_DIFFERENT = 1
POLL_SECONDS = 1.0
OPEN = {ReconciliationState.WAITING, ReconciliationState.REPAIRING}


def reconcile_by_id(task: str, hub: str, token: str, *, repair: bool, wait_seconds: float, as_json: bool) -> None:
    """Reconcile a task and print what was found; with `repair` approve the repair and print what follows.

    Raises:
        Exit: the ends differ in the end. Unavailable: `cli.reconciliation_waits`.
    """
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
        say_json(found.model_dump(mode="json", exclude={"producer", "consumer"}))
    else:
        say(line(found))
