"""The command group `datong coordinate`: joint meetings, what departments are to do, and incidents, over REST."""

import json
from typing import Annotated
from urllib.parse import urlencode

import typer

from datong.cli.hub_call import HubOption, JsonOption, TokenOption, call_hub
from datong.cli.shell import both, minute
from datong.governance.coordination import (
    ASSIGNMENT_STATE_NAMES,
    INCIDENT_STATE_NAMES,
    MEETING_STATE_NAMES,
    SEVERITY_NAMES,
    Assignment,
    AssignmentAction,
    Incident,
    Meeting,
)
from datong.kernel import Page

app = typer.Typer(help="协调：联席会议、交办事项、处置联动 · coordination", no_args_is_help=True)


@app.callback()
def coordinate() -> None:
    """协调：联席会议、交办事项、处置联动 · coordination: joint meetings, assignments, incidents."""


@app.command()
def meetings(hub: HubOption, token: TokenOption, as_json: JsonOption = False) -> None:
    """列出联席会议 · list joint meetings."""
    answer = call_hub(hub, token, "GET", "/meetings")
    if as_json:
        typer.echo(json.dumps(answer, ensure_ascii=False, indent=1))
        return
    for one in Page[Meeting].model_validate(answer).rows:
        left = f" ({len(one.undecided)} 项未议决 · undecided)" if one.undecided else ""
        typer.echo(f"{minute(one.held_at)} [{both(MEETING_STATE_NAMES[one.state])}] {one.title} {one.id}{left}")


@app.command()
def assignments(
    hub: HubOption,
    token: TokenOption,
    overdue: Annotated[bool, typer.Option("--overdue", help="只列逾期 · only those overdue")] = False,
    everything: Annotated[bool, typer.Option("--all", help="包括已办结 · those done as well")] = False,
    as_json: JsonOption = False,
) -> None:
    """列出交办事项 · list what departments are to do, the first to be done first."""
    query = urlencode({"overdue": str(overdue).lower(), "open_only": str(not everything).lower()})
    answer = call_hub(hub, token, "GET", f"/assignments?{query}")
    if as_json:
        typer.echo(json.dumps(answer, ensure_ascii=False, indent=1))
        return
    for one in Page[Assignment].model_validate(answer).rows:
        state = both(ASSIGNMENT_STATE_NAMES[one.state])
        typer.echo(f"{minute(one.due_at)} [{state}] {one.department} {one.what} {one.id}")


@app.command()
def act(
    assignment: Annotated[str, typer.Argument(help="交办事项编号 · id of an assignment")],
    action: Annotated[AssignmentAction, typer.Argument(help="办理 · what is done")],
    hub: HubOption,
    token: TokenOption,
    statement: Annotated[str, typer.Option(help="说明 · what was done, or why")],
    evidence: Annotated[
        list[str] | None, typer.Option(help="佐证的存证编号，可重复 · ids of entries, may repeat")
    ] = None,
    working_days: Annotated[int | None, typer.Option(min=1, max=250, help="延期工作日 · to extend")] = None,
) -> None:
    """签收、报告、核验、退回、延期、撤销 · acknowledge, report, accept, return, extend, cancel."""
    body = {
        "action": action.value,
        "statement": statement,
        "evidence": evidence or [],
        "working_days": working_days,
    }
    one = Assignment.model_validate(call_hub(hub, token, "POST", f"/assignments/{assignment}/actions", body))
    typer.echo(f"{one.id}: {both(ASSIGNMENT_STATE_NAMES[one.state])}")


@app.command()
def incidents(hub: HubOption, token: TokenOption, as_json: JsonOption = False) -> None:
    """列出联动事件 · list incidents that are handled jointly."""
    answer = call_hub(hub, token, "GET", "/incidents")
    if as_json:
        typer.echo(json.dumps(answer, ensure_ascii=False, indent=1))
        return
    for one in Page[Incident].model_validate(answer).rows:
        state, severity = both(INCIDENT_STATE_NAMES[one.state]), both(SEVERITY_NAMES[one.severity])
        typer.echo(f"{minute(one.opened_at)} [{state}] [{severity}] {one.title} {one.id}")
