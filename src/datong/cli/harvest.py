"""The command group `datong harvest`: the catalogues of others, over a hub's interface."""

import time
from typing import Annotated

import typer

from datong.cli.hub_call import HubOption, JsonOption, TokenOption, call_hub
from datong.cli.shell import language, say, say_json
from datong.federation import HarvestRun, HarvestSource
from datong.kernel import Text

app = typer.Typer(help="目录采集 · harvest other catalogues", no_args_is_help=True)

POLL_SECONDS = 1.0


@app.callback()
def harvest() -> None:
    """目录采集：来源、执行、报告 · sources, runs and reports of harvesting."""


@app.command("list")
def list_sources(hub: HubOption, token: TokenOption, as_json: JsonOption = False) -> None:
    """列出采集来源和最近一次结果 · List the sources with their last runs."""
    found = _call(hub, token, "GET", "")
    if as_json:
        say_json(found)
        return
    for row in found if isinstance(found, list) else ():
        source = HarvestSource.model_validate(row)
        state = source.last_run.state if source.last_run else source.state
        typer.echo(f"{source.id}  {source.settings.name}  {source.entries}  {state.label.render(language())}")


@app.command()
def run(
    source_id: Annotated[str, typer.Argument(help="来源编号 · id of the source")],
    hub: HubOption,
    token: TokenOption,
    full: Annotated[bool, typer.Option("--full", help="全量采集 · read everything")] = False,
    accept_removals: Annotated[bool, typer.Option(help="确认大量注销 · retire whatever vanished")] = False,
    as_json: JsonOption = False,
) -> None:
    """立即采集并等到结束；失败时以 1 退出 · Harvest now and wait for the end; exits with 1 when it failed."""
    body = {"mode": "full" if full else None, "accept_removals": accept_removals}
    started = HarvestRun.model_validate(_call(hub, token, "POST", f"/{source_id}/runs", body))
    while not started.is_over:
        time.sleep(POLL_SECONDS)
        started = HarvestRun.model_validate(_call(hub, token, "GET", f"/runs/{started.id}"))
    if as_json:
        say_json(started)
    else:
        say(report(started))
    if started.failure is not None:
        raise typer.Exit(1)


def report(found: HarvestRun) -> Text:
    """Return a run's result in one sentence."""
    failure_zh = f"：{found.failure.zh}" if found.failure else ""
    failure_en = f": {found.failure.en}" if found.failure else ""
    return Text(
        zh=f"{found.mode.label.zh}采集{found.state.label.zh}{failure_zh}。读到 {found.seen}，新增 {found.added}，"
        f"更新 {found.changed}，未变 {found.unchanged}，注销 {found.removed}，未收录 {found.rejected}。",
        en=f"{found.mode.label.en} harvest: {found.state.label.en}{failure_en}. Read {found.seen}, "
        f"added {found.added}, changed {found.changed}, unchanged {found.unchanged}, retired {found.removed}, "
        f"rejected {found.rejected}.",
    )


def _call(hub: str, token: str, method: str, path: str, body: object = None) -> object:
    return call_hub(hub, token, method, f"/harvests{path}", body)
