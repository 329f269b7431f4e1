"""The command group `datong correction`: 校核 over a hub's interface."""

from typing import Annotated

import typer

from datong.cli.hub_call import HubOption, JsonOption, TokenOption, call_hub
from datong.cli.shell import language, say_json
from datong.governance.tracing import Told
from datong.kernel import Text
from datong.library import Correction, CorrectionAction

app = typer.Typer(help="校核 · reports of wrong data", no_args_is_help=True)

HOUR_SECONDS = 3600
Statement = Annotated[str, typer.Option(help="理由和依据 · why, and how you know")]
CorrectionArgument = Annotated[str, typer.Argument(help="校核编号 · id of the report")]


@app.callback()
def correction() -> None:
    """校核：提出、答复、办结 · report a wrong value, answer, settle."""


@app.command("list")
def list_corrections(
    hub: HubOption,
    token: TokenOption,
    waiting: Annotated[bool, typer.Option("--waiting", help="只列待数源部门办理的 · only what waits")] = False,
    as_json: JsonOption = False,
) -> None:
    """列出校核，期限近的在前 · List the reports, the nearest deadline first."""
    found = call_hub(hub, token, "GET", "/corrections" + ("?waiting=true" if waiting else ""))
    if as_json:
        say_json(found)
        return
    for row in found["rows"] if isinstance(found, dict) else ():
        typer.echo(line(row))


@app.command()
def show(correction_id: CorrectionArgument, hub: HubOption, token: TokenOption, as_json: JsonOption = False) -> None:
    """查看一项校核的经过 · Show one report with what was done about it."""
    found = call_hub(hub, token, "GET", f"/corrections/{correction_id}")
    if as_json:
        say_json(found)
    elif isinstance(found, dict):
        typer.echo(line(found))
        for act in Correction.model_validate(found["correction"]).acts:
            typer.echo(
                f"  {act.at.isoformat(timespec='seconds')}  {act.action.label.render(language())}  {act.statement}"
            )


@app.command()
def uses(correction_id: CorrectionArgument, hub: HubOption, token: TokenOption, as_json: JsonOption = False) -> None:
    """谁依据了这个值：逐次列出 · Who relied on the value, use by use, with its batch, signer and age."""
    found = call_hub(hub, token, "GET", f"/corrections/{correction_id}/uses")
    if as_json or not isinstance(found, dict):
        say_json(found)
        return
    for origin in found["origins"]:
        typer.echo(f"{origin['batch_id']}  {origin['department']}  {origin['key_id']}  {origin['produced_at']}")
    for use in found["uses"]:
        told = Told(use["told"]).label.render(language())
        age = "" if use["age_seconds"] is None else f"  {use['age_seconds'] // HOUR_SECONDS} h"
        typer.echo(f"{use['at']}  {use['department']}  {use['service_item'] or '-'}  {told}{age}")
    for record in found["findings"]:
        typer.echo(f"{record['finding']['id']}  {Text.model_validate(record['finding']['summary']).render(language())}")


@app.command()
def report(
    resource: Annotated[str, typer.Argument(help="信息资源编号 · id of the resource")],
    key: Annotated[str, typer.Option(help="查询项=值，如 citizen_id=… · key element and value")],
    element: Annotated[str, typer.Option(help="有误的数据元 · the element that is wrong")],
    statement: Statement,
    hub: HubOption,
    token: TokenOption,
    believed: Annotated[str, typer.Option(help="认为正确的值；不知则不填 · the right value, if known")] = "",
    as_json: JsonOption = False,
) -> None:
    """就一条记录中的错误提出校核 · Report an error in a record of a resource that your department uses."""
    key_element, _, key_value = key.partition("=")
    body = {
        "cell": {
            "of": "record",
            "resource_id": resource,
            "key_element": key_element,
            "key_value": key_value,
            "element": element,
        },
        "claim": {"believed": believed or None, "statement": statement},
    }
    _told(call_hub(hub, token, "POST", "/corrections", body), as_json=as_json)


@app.command()
def act(
    correction_id: CorrectionArgument,
    action: Annotated[CorrectionAction, typer.Argument(help="accept, reject, withdraw, close, dispute")],
    hub: HubOption,
    token: TokenOption,
    statement: Statement = "",
    as_json: JsonOption = False,
) -> None:
    """答复、撤回、确认或退回 · Accept, reject, withdraw, close or send back."""
    body = {"action": action.value, "statement": statement}
    _told(call_hub(hub, token, "POST", f"/corrections/{correction_id}/actions", body), as_json=as_json)


def line(row: dict[str, object]) -> str:
    """Return a report in one line: id, deadline, element, state."""
    found = Correction.model_validate(row["correction"])
    late = " !" if row["late"] else ""
    state = found.state.label.render(language())
    return f"{found.id}  {found.due_at.date().isoformat()}{late}  {found.element}  {state}"


def _told(answer: object, *, as_json: bool) -> None:
    if as_json or not isinstance(answer, dict):
        say_json(answer)
    else:
        typer.echo(line(answer))
