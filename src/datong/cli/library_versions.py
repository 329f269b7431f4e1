"""Commands of `datong library` about versions: which exist, how long they are kept, and an entity on an earlier day."""

from typing import Annotated

import typer

from datong.cli.hub_call import HubOption, JsonOption, TokenOption, call_hub
from datong.cli.shell import language, say, say_json
from datong.kernel import Text
from datong.library import LibraryVersion, PastEntity, VersionHold

NameArgument = Annotated[str, typer.Argument(help="资源库名称 · name of the library")]
BecauseOption = Annotated[str, typer.Option("--because", help="理由 · the grounds")]


def versions(name: NameArgument, hub: HubOption, token: TokenOption, as_json: JsonOption = False) -> None:
    """列出版本、保存期和销毁情况 · List the versions, what keeps them, and what was disposed of."""
    found = call_hub(hub, token, "GET", f"/libraries/{name}/versions")
    if as_json:
        say_json(found)
        return
    rows = found["versions"] if isinstance(found, dict) else ()
    for row in rows:
        one = LibraryVersion.model_validate(row)
        typer.echo(f"v{one.version:<5} {one.published_at:%Y-%m-%d %H:%M}  {one.rows:>10}  {_state(one)}")


def retention(
    name: NameArgument,
    hub: HubOption,
    token: TokenOption,
    days: Annotated[int, typer.Option(min=0, help="被取代后保存的天数 · days kept once superseded")],
    because: BecauseOption,
    versions_min: Annotated[int, typer.Option(min=1, help="至少保留的版本数 · versions kept at least")] = 2,
    as_json: JsonOption = False,
) -> None:
    """规定版本的保存期 · Declare how long versions are kept."""
    body = {"days": days, "versions_min": versions_min, "statement": because}
    found = call_hub(hub, token, "PUT", f"/libraries/{name}/retention", body)
    if as_json:
        say_json(found)
    else:
        say(Text(zh=f"{name}：旧版本保存 {days} 天。", en=f"{name}: superseded versions are kept for {days} days."))


def hold(
    name: NameArgument,
    version: Annotated[int, typer.Argument(min=1, help="版本 · the version")],
    hub: HubOption,
    token: TokenOption,
    because: BecauseOption,
    as_json: JsonOption = False,
) -> None:
    """保全一个版本 · Keep a version beyond its retention."""
    body = {"version": version, "statement": because}
    _tell(call_hub(hub, token, "POST", f"/libraries/{name}/holds", body), as_json=as_json)


def release(
    name: NameArgument,
    hold_id: Annotated[str, typer.Argument(help="保全编号 · id of the hold")],
    hub: HubOption,
    token: TokenOption,
    because: BecauseOption,
    as_json: JsonOption = False,
) -> None:
    """解除保全 · End a hold."""
    body = {"statement": because}
    _tell(call_hub(hub, token, "POST", f"/libraries/{name}/holds/{hold_id}/release", body), as_json=as_json)


def past(
    name: NameArgument,
    entity_id: Annotated[str, typer.Argument(help="实体编号 · id of the entity")],
    hub: HubOption,
    token: TokenOption,
    day: Annotated[str, typer.Option(help="截至这一天（年-月-日）· at the end of this day, YYYY-MM-DD")],
    as_json: JsonOption = False,
) -> None:
    """查看实体当时的记录 · Show an entity as it was known on a day."""
    found = call_hub(hub, token, "GET", f"/libraries/{name}/entities/{entity_id}/past?day={day}")
    if as_json:
        say_json(found)
        return
    seen = PastEntity.model_validate(found)
    typer.echo(f"v{seen.version}  {seen.published_at:%Y-%m-%d %H:%M}  {seen.entity_id}")
    told = {code: cell.value for code, cell in seen.cells.items()} or dict(seen.measures)
    for code, value in told.items():
        typer.echo(f"  {code:28} {value if value is not None else '-'}")


def _tell(found: object, *, as_json: bool) -> None:
    if as_json:
        say_json(found)
        return
    one = VersionHold.model_validate(found)
    typer.echo(f"{one.id}  {one.library} v{one.version}")


def _state(one: LibraryVersion) -> str:
    if one.disposal is not None:
        return Text(zh="已销毁", en="disposed of").render(language())
    if one.keep_until is None:
        return Text(zh="现行", en="current").render(language())
    until = Text(zh=f"保存至 {one.keep_until:%Y-%m-%d}", en=f"kept until {one.keep_until:%Y-%m-%d}").render(language())
    return ", ".join([until, *(reason.label.render(language()) for reason in one.holds)])
