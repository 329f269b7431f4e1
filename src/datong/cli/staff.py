"""The command group `datong staff`: who works with shared data in a department, and their trainings, over REST."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter

from datong.cli.hub_call import HubOption, JsonOption, TokenOption, call_hub
from datong.cli.shell import say_json
from datong.governance.staff import STAFF_ROLE_NAMES, Member, StaffNumbers, StaffRole
from datong.kernel import both

DAY = "%Y-%m-%d"
MemberArgument = Annotated[str, typer.Argument(help="人员编号 · id of a person")]

app = typer.Typer(help="人员与培训 · staff and training", no_args_is_help=True)


@app.callback()
def staff() -> None:
    """人员与培训：本部门的登记和各部门的人数 · the own department's register, and numbers of all."""


@app.command()
def members(hub: HubOption, token: TokenOption, as_json: JsonOption = False) -> None:
    """列出本部门的人员、培训和证书 · list the own department's people, trainings and certificates."""
    answer = call_hub(hub, token, "GET", "/staff")
    if as_json:
        say_json(answer)
        return
    for one in TypeAdapter(list[Member]).validate_python(answer):
        _tell(one)


@app.command()
def numbers(hub: HubOption, token: TokenOption, as_json: JsonOption = False) -> None:
    """各部门的在岗、持证人数和培训学时 · how many each department has assigned and certified, and hours."""
    answer = call_hub(hub, token, "GET", "/staff/numbers")
    if as_json:
        say_json(answer)
        return
    for one in TypeAdapter(list[StaffNumbers]).validate_python(answer):
        typer.echo(f"{one.department}: {one.certified} / {one.assigned}, {one.hours} 学时 · hours")


@app.command()
def assign(
    name: Annotated[str, typer.Argument(help="姓名 · name")],
    role: Annotated[StaffRole, typer.Argument(help="岗位 · role")],
    hub: HubOption,
    token: TokenOption,
    on: Annotated[datetime, typer.Option(formats=[DAY], help="上岗日期 · first day")],
    as_json: JsonOption = False,
) -> None:
    """登记上岗人员 · put somebody into the register."""
    body = {"name": name, "role": role.value, "assigned_on": on.strftime(DAY)}
    _show(call_hub(hub, token, "POST", "/staff", body), as_json=as_json)


@app.command()
def train(
    member: MemberArgument,
    hub: HubOption,
    token: TokenOption,
    course: Annotated[str, typer.Option(help="课程 · the course")],
    hours: Annotated[int, typer.Option(min=1, help="学时 · hours")],
    on: Annotated[datetime, typer.Option(formats=[DAY], help="培训日期 · the day")],
    certificate: Annotated[str, typer.Option(help="证书编号 · number of the certificate, if there is one")] = "",
    expires: Annotated[datetime | None, typer.Option(formats=[DAY], help="证书到期日 · its last day")] = None,
    as_json: JsonOption = False,
) -> None:
    """登记一次培训及证书 · put a training, and its certificate, on record."""
    body = {
        "course": course,
        "hours": hours,
        "on": on.strftime(DAY),
        "certificate": certificate,
        "expires_on": None if expires is None else expires.strftime(DAY),
    }
    _show(call_hub(hub, token, "POST", f"/staff/{member}/trainings", body), as_json=as_json)


@app.command()
def strike(
    member: MemberArgument,
    number: Annotated[int, typer.Argument(min=1, help="第几次培训 · which training, from 1")],
    hub: HubOption,
    token: TokenOption,
    as_json: JsonOption = False,
) -> None:
    """撤销登记有误的培训 · take a training that was wrong off the record."""
    _show(call_hub(hub, token, "POST", f"/staff/{member}/trainings/{number}/strike"), as_json=as_json)


@app.command()
def leave(
    member: MemberArgument,
    hub: HubOption,
    token: TokenOption,
    on: Annotated[datetime, typer.Option(formats=[DAY], help="离岗日期 · last day")],
    as_json: JsonOption = False,
) -> None:
    """登记离岗 · say that somebody has left."""
    _show(call_hub(hub, token, "POST", f"/staff/{member}/departure", {"on": on.strftime(DAY)}), as_json=as_json)


@app.command("import")
def take_in(
    workbook: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="工作簿（xlsx）· a workbook")],
    hub: HubOption,
    token: TokenOption,
    as_json: JsonOption = False,
) -> None:
    """导入人员和培训，全部或全不 · take in people and trainings: all of it, or nothing."""
    answer = call_hub(hub, token, "POST", "/staff/import", content=workbook.read_bytes())
    if as_json:
        say_json(answer)
        return
    for one in TypeAdapter(list[Member]).validate_python(answer):
        _tell(one)


def _show(answer: object, *, as_json: bool) -> None:
    if as_json:
        say_json(answer)
    else:
        _tell(Member.model_validate(answer))


def _tell(one: Member) -> None:
    until = "" if one.left_on is None else f" – {one.left_on}"
    typer.echo(f"{one.name} {both(STAFF_ROLE_NAMES[one.role])} {one.assigned_on}{until} {one.id}")
    for number, training in enumerate(one.trainings, start=1):
        held = f" {training.certificate} → {training.expires_on or '—'}" if training.certificate else ""
        typer.echo(f"  {number}. {training.on} {training.course} ({training.hours}){held}")
