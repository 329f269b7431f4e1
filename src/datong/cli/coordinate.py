"""The command group `datong coordinate`: joint meetings, what departments are to do, and incidents, over REST."""

from datetime import datetime
from typing import Annotated
from urllib.parse import urlencode

import typer
from pydantic import TypeAdapter

from datong.cli.hub_call import HubOption, JsonOption, TokenOption, call_hub
from datong.cli.shell import say_json
from datong.governance import STAGE_NAMES, Case, Ruling
from datong.governance.coordination import (
    ASSIGNMENT_STATE_NAMES,
    INCIDENT_STATE_NAMES,
    MEETING_STATE_NAMES,
    SEVERITY_NAMES,
    Assignment,
    AssignmentAction,
    Incident,
    Meeting,
    Outcome,
)
from datong.kernel import CHINA, Invalid, Page, Text, both, minute

MeetingArgument = Annotated[str, typer.Argument(help="会议编号 · id of a meeting")]

app = typer.Typer(help="协调：联席会议、交办事项、处置联动 · coordination", no_args_is_help=True)


@app.callback()
def coordinate() -> None:
    """协调：联席会议、交办事项、处置联动 · coordination: joint meetings, assignments, incidents."""


@app.command()
def meetings(hub: HubOption, token: TokenOption, as_json: JsonOption = False) -> None:
    """列出联席会议 · list joint meetings."""
    answer = call_hub(hub, token, "GET", "/meetings")
    if as_json:
        say_json(answer)
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
        say_json(answer)
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
        say_json(answer)
        return
    for one in Page[Incident].model_validate(answer).rows:
        state, severity = both(INCIDENT_STATE_NAMES[one.state]), both(SEVERITY_NAMES[one.severity])
        typer.echo(f"{minute(one.opened_at)} [{state}] [{severity}] {one.title} {one.id}")


@app.command()
def agenda(hub: HubOption, token: TokenOption, as_json: JsonOption = False) -> None:
    """建议议程：未办结的协调事项 · open cases, what a meeting ought to treat first."""
    answer = call_hub(hub, token, "GET", "/meetings/suggested-agenda")
    if as_json:
        say_json(answer)
        return
    for one in TypeAdapter(list[Case]).validate_python(answer):
        typer.echo(f"[{both(STAGE_NAMES[one.stage])}] {one.provider} ← {one.consumer or '—'} {one.id}")


@app.command()
def call(
    hub: HubOption,
    token: TokenOption,
    title: Annotated[str, typer.Option(help="会议名称 · what the meeting is called")],
    at: Annotated[datetime, typer.Option(formats=["%Y-%m-%dT%H:%M%z", "%Y-%m-%dT%H:%M"], help="何时 · when")],
    place: Annotated[str, typer.Option(help="何处 · where")],
    case: Annotated[list[str] | None, typer.Option(help="协调事项编号，可重复 · ids of cases")] = None,
    topic: Annotated[list[str] | None, typer.Option(help="其他议题，可重复 · other topics")] = None,
    department: Annotated[list[str] | None, typer.Option(help="另邀部门代码，可重复 · other departments")] = None,
) -> None:
    """召集联席会议；没有时区的时间是北京时间 · call a joint meeting; a time without a zone is China's."""
    body = {
        "title": title,
        "held_at": (at if at.tzinfo else at.replace(tzinfo=CHINA)).isoformat(),
        "place": place,
        "cases": case or [],
        "topics": topic or [],
        "departments": department or [],
    }
    _say(call_hub(hub, token, "POST", "/meetings", body))


@app.command()
def answer(
    meeting: MeetingArgument,
    hub: HubOption,
    token: TokenOption,
    coming: Annotated[bool, typer.Option("--coming/--not-coming", help="是否出席 · whether the department comes")],
    names: Annotated[str, typer.Option(help="出席人员 · who comes")] = "",
) -> None:
    """答复会议邀请 · answer an invitation."""
    _say(call_hub(hub, token, "POST", f"/meetings/{meeting}/answer", {"coming": coming, "names": names}))


@app.command()
def minutes(
    meeting: MeetingArgument,
    hub: HubOption,
    token: TokenOption,
    present: Annotated[list[str], typer.Option(help="到会部门代码，可重复 · departments that were there")],
    text: Annotated[str, typer.Option(help="会议纪要 · what was said")],
) -> None:
    """记录到会部门和纪要 · write down who was there and what was said."""
    _say(call_hub(hub, token, "POST", f"/meetings/{meeting}/minutes", {"present": present, "minutes": text}))


@app.command()
def resolve(
    meeting: MeetingArgument,
    item: Annotated[int, typer.Argument(min=1, help="议题序号 · number of the item")],
    outcome: Annotated[Outcome, typer.Argument(help="结论 · what becomes of it")],
    hub: HubOption,
    token: TokenOption,
    statement: Annotated[str, typer.Option(help="议决内容 · what was decided")],
    assign: Annotated[
        list[str] | None,
        typer.Option(help="交办：部门代码:工作日:事项，可重复 · department:working days:what, may repeat"),
    ] = None,
    ruling: Annotated[
        Ruling | None, typer.Option(help="办结时对认定的处理 · what becomes of the finding, where the case is decided")
    ] = None,
) -> None:
    """议决一个议题，可同时交办 · decide an item, and give departments something to do."""
    assignments = [_assignment(text) for text in assign or []]
    body = {
        "outcome": outcome.value,
        "statement": statement,
        "assignments": assignments,
        "ruling": None if ruling is None else ruling.value,
    }
    _say(call_hub(hub, token, "POST", f"/meetings/{meeting}/items/{item}/decision", body))


@app.command()
def close(meeting: MeetingArgument, hub: HubOption, token: TokenOption) -> None:
    """结束议题都已议决的会议 · close a meeting whose items are all decided."""
    _say(call_hub(hub, token, "POST", f"/meetings/{meeting}/closing"))


@app.command()
def cancel(meeting: MeetingArgument, hub: HubOption, token: TokenOption) -> None:
    """取消尚未召开的会议 · cancel a meeting that was not held."""
    _say(call_hub(hub, token, "POST", f"/meetings/{meeting}/cancellation"))


def _assignment(text: str) -> dict[str, str | int]:
    """Return what `department:working days:what` says.

    Raises:
        Invalid: it is not of that form.
    """
    department, _, rest = text.partition(":")
    days, _, what = rest.partition(":")
    if not days.isdecimal() or not what:
        raise Invalid(
            "cli.assignment_malformed",
            what=Text(
                zh=f"“{text[:60]}”不是“部门代码:工作日:事项”。", en=f"“{text[:60]}” is not department:days:what."
            ),
            remedy=Text(
                zh="例如 114406000000000193:10:补齐数据。", en="For example 114406000000000193:10:complete it."
            ),
            field="--assign",
        )
    return {"department": department, "working_days": int(days), "what": what}


def _say(answer: object) -> None:
    one = Meeting.model_validate(answer)
    typer.echo(f"{one.id}: {both(MEETING_STATE_NAMES[one.state])}")
    for item in one.items:
        typer.echo(f"  {item.number}. {item.topic or item.case_id}")
