"""Commands of `datong library` about weights: learning from people's decisions, putting what was learned in force."""

import json
from pathlib import Path
from typing import Annotated

import typer

from datong.cli.hub_call import HubOption, JsonOption, TokenOption, call_hub
from datong.cli.library_versions import BecauseOption, NameArgument
from datong.cli.shell import language, say_json
from datong.library import LearnedWeights, WeightsAct

OutputOption = Annotated[Path | None, typer.Option("--output", help="权重文件 · write the weights to this file")]
NumberArgument = Annotated[int, typer.Argument(min=1, help="序号 · number of the weights")]
ActArgument = Annotated[WeightsAct, typer.Argument(help="activate, decline 或 end · what becomes of them")]


def train(
    name: NameArgument, hub: HubOption, token: TokenOption, output: OutputOption = None, as_json: JsonOption = False
) -> None:
    """由人工决定学习权重并提出，不改变构建 · Learn weights from people's decisions and propose them."""
    found = call_hub(hub, token, "POST", f"/libraries/{name}/weights")
    if output is not None and isinstance(found, dict):
        text = json.dumps({"comparisons": found["comparisons"]}, ensure_ascii=False, indent=1)
        output.write_text(text + "\n", encoding="utf-8")
    _tell(found, as_json=as_json)


def weights(name: NameArgument, hub: HubOption, token: TokenOption, as_json: JsonOption = False) -> None:
    """列出学到的权重 · List the learned weights."""
    found = call_hub(hub, token, "GET", f"/libraries/{name}/weights")
    if as_json:
        say_json(found)
        return
    for row in found if isinstance(found, list) else ():
        typer.echo(_line(LearnedWeights.model_validate(row)))


def decide_weights(
    name: NameArgument,
    number: NumberArgument,
    act: ActArgument,
    hub: HubOption,
    token: TokenOption,
    because: BecauseOption,
    as_json: JsonOption = False,
) -> None:
    """启用、不采纳或停用学到的权重 · Put learned weights in force, decline or end them."""
    body = {"act": act.value, "statement": because}
    _tell(call_hub(hub, token, "POST", f"/libraries/{name}/weights/{number}/decision", body), as_json=as_json)


def _tell(found: object, *, as_json: bool) -> None:
    if as_json:
        say_json(found)
        return
    one = LearnedWeights.model_validate(found)
    typer.echo(_line(one))
    for shift in one.report.shifts:
        place = f"{shift.comparison}/{shift.level}"
        typer.echo(f"  {place:28} {shift.before_bits:+8.2f} → {shift.after_bits:+8.2f}  ({shift.same}/{shift.judged})")


def _line(one: LearnedWeights) -> str:
    before, after = one.report.before, one.report.after
    return (
        f"{one.library} {one.number}  {one.state.label.render(language())}  "
        f"P {before.precision:.3f} → {after.precision:.3f}  R {before.recall:.3f} → {after.recall:.3f}  "
        f"({one.report.decisions})"
    )
