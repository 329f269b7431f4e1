"""The command group `datong cascade`: higher and lower hubs, over a hub's interface."""

from typing import Annotated, Any

import typer

from datong.cli.hub_call import HubOption, JsonOption, TokenOption, call_hub
from datong.cli.shell import language, say, say_json
from datong.federation import Peer, PeerState, Scope
from datong.kernel import Text

app = typer.Typer(help="上下级级联 · higher and lower hubs", no_args_is_help=True)

EXCHANGE_SECONDS_MAX = 3600.0
"""An exchange answers when both directions are through; a first one may carry a whole catalogue."""
EXIT_OUT_OF_STEP = 1
PeerArgument = Annotated[str, typer.Argument(help="级联编号 · id of the link")]
NameOption = Annotated[str, typer.Option("--name", help="对方平台名称 · name of the other hub")]
DepartmentOption = Annotated[
    str,
    typer.Option("--department", help="在本平台承接其目录的部门代码 · department here that its entries stand under"),
]
RegionOption = Annotated[str, typer.Option("--region", help="六位行政区划代码 · division code of six digits")]
ScopeOption = Annotated[Scope, typer.Option("--scope", help="向对方展示的范围 · what the other hub is shown")]
OnlyOption = Annotated[
    list[str] | None, typer.Option("--only", help="仅这些部门，可重复 · only these departments, repeatable")
]


@app.callback()
def cascade() -> None:
    """级联：登记下级、接入上级、进度 · lower hubs, higher hubs, how far each direction has come."""


@app.command("list")
def list_peers(hub: HubOption, token: TokenOption, as_json: JsonOption = False) -> None:
    """列出上级和下级平台 · List the higher and lower hubs."""
    found = _call(hub, token, "GET", "/peers")
    if as_json:
        _print(found)
        return
    for row in found if isinstance(found, list) else ():
        say(line(Peer.model_validate(row)))


@app.command()
def status(peer_id: PeerArgument, hub: HubOption, token: TokenOption, as_json: JsonOption = False) -> None:
    """查看一个级联的进度；两端不一致时以 1 退出 · Tell how far a link has come; exits with 1 when out of step."""
    _show(_call(hub, token, "GET", f"/peers/{peer_id}"), as_json, judged=True)


@app.command()
def expect(
    name: NameOption,
    department: DepartmentOption,
    hub: HubOption,
    token: TokenOption,
    region: RegionOption = "",
    scope: ScopeOption = Scope.SHARED,
    only: OnlyOption = None,
    as_json: JsonOption = False,
) -> None:
    """登记下级平台，取得其接入令牌（只显示一次） · Register a lower hub; prints its token, once."""
    answer = _call(hub, token, "POST", "/subordinates", _settings(name, department, region, scope, only))
    if as_json or not isinstance(answer, dict):
        _print(answer)
        return
    say(line(Peer.model_validate(answer["peer"])))
    say(Text(zh=f"接入令牌：{answer['token']}", en=f"Token to join with: {answer['token']}"))


@app.command()
def join(
    address: Annotated[str, typer.Argument(help="上级平台地址 · address of the higher hub")],
    join_token: Annotated[
        str,
        typer.Option("--join-token", envvar="DATONG_JOIN_TOKEN", help="上级签发的接入令牌 · token that it issued"),
    ],
    own_name: Annotated[str, typer.Option("--own-name", help="本平台在上级的名称 · how this hub is called there")],
    name: NameOption,
    department: DepartmentOption,
    hub: HubOption,
    token: TokenOption,
    region: RegionOption = "",
    scope: ScopeOption = Scope.SHARED,
    only: OnlyOption = None,
    as_json: JsonOption = False,
) -> None:
    """用上级签发的令牌接入上级平台 · Join a higher hub with the token that it issued."""
    settings = _settings(name, department, region, scope, only)
    body = {"settings": settings, "address": address, "token": join_token, "own_name": own_name}
    _show(_call(hub, token, "POST", "/superiors", body), as_json)


@app.command()
def exchange(peer_id: PeerArgument, hub: HubOption, token: TokenOption, as_json: JsonOption = False) -> None:
    """立即与上级交换并比对；不一致时以 1 退出 · Exchange with a higher hub now; exits with 1 when out of step."""
    _show(_call(hub, token, "POST", f"/peers/{peer_id}/exchange"), as_json, judged=True)


@app.command()
def pause(peer_id: PeerArgument, hub: HubOption, token: TokenOption, as_json: JsonOption = False) -> None:
    """暂停级联 · Pause a link."""
    _change(hub, token, peer_id, PeerState.PAUSED, as_json)


@app.command()
def resume(peer_id: PeerArgument, hub: HubOption, token: TokenOption, as_json: JsonOption = False) -> None:
    """恢复级联 · Resume a link."""
    _change(hub, token, peer_id, PeerState.ACTIVE, as_json)


@app.command()
def end(
    peer_id: PeerArgument,
    hub: HubOption,
    token: TokenOption,
    yes: Annotated[bool, typer.Option("--yes", help="不再询问 · do not ask")] = False,
    as_json: JsonOption = False,
) -> None:
    """终止级联，注销其带来的目录 · End a link for good; what it brought is retired."""
    question = Text(
        zh="终止后不能恢复，其带来的目录将全部注销。继续？", en="This is for good and retires its entries. Go on?"
    )
    if not yes:
        typer.confirm(question.render(language()), abort=True, err=True)
    _change(hub, token, peer_id, PeerState.ENDED, as_json)


def line(peer: Peer) -> Text:
    """Return a link in one line."""
    known = {
        None: Text(zh="尚未比对", en="not compared yet"),
        True: Text(zh="两端一致", en="in step"),
        False: Text(zh="两端不一致", en="out of step"),
    }[peer.in_step]
    settings, failure = peer.settings, peer.failure or Text(zh="", en="")
    return Text(
        zh=f"{peer.id}  {peer.side.label.zh}  {settings.name}  {peer.state.label.zh}  {settings.scope.label.zh}  "
        f"{known.zh}，待对方接收 {peer.behind}，已接收至 {peer.received_serial}  {failure.zh}".rstrip(),
        en=f"{peer.id}  {peer.side.label.en}  {settings.name}  {peer.state.label.en}  {settings.scope.label.en}  "
        f"{known.en}, {peer.behind} to be applied there, received up to {peer.received_serial}  {failure.en}".rstrip(),
    )


def _settings(name: str, department: str, region: str, scope: Scope, only: list[str] | None) -> dict[str, Any]:
    return {
        "name": name,
        "department": department,
        "region": region,
        "scope": scope.value,
        "only_departments": only or [],
    }


def _change(hub: str, token: str, peer_id: str, state: PeerState, as_json: bool) -> None:
    _show(_call(hub, token, "POST", f"/peers/{peer_id}/state", {"state": state.value}), as_json)


def _show(answer: object, as_json: bool, *, judged: bool = False) -> None:
    peer = Peer.model_validate(answer)
    if as_json:
        _print(answer)
    else:
        say(line(peer))
    if judged and not peer.in_step:
        raise typer.Exit(EXIT_OUT_OF_STEP)


def _print(answer: object) -> None:
    say_json(answer)


def _call(hub: str, token: str, method: str, path: str, body: object = None) -> object:
    return call_hub(hub, token, method, f"/cascade{path}", body, timeout_seconds=EXCHANGE_SECONDS_MAX)
