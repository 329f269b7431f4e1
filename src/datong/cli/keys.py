"""The command group `datong keys`: departments' signing keys, at a hub or from an exported log."""

import base64
import binascii
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from datong.catalogue import KeyRecord, signing_keys
from datong.cli.hub_call import HubOption, JsonOption, TokenOption, call_hub
from datong.cli.shell import say, say_json
from datong.kernel import Invalid, Text, minute
from datong.ledger import exported_entries

app = typer.Typer(help="部门签名密钥 · departments' signing keys", no_args_is_help=True)
EXIT_FAULTY = 1
KeyArgument = Annotated[str, typer.Argument(help="密钥编号 · id of the key")]
DepartmentArgument = Annotated[str, typer.Argument(help="部门代码 · the department's code")]


@app.callback()
def keys() -> None:
    """密钥的现状、撤销与历史 · how keys stand, their revocation, their history."""


@app.command("list")
def list_keys(department: DepartmentArgument, hub: HubOption, token: TokenOption, as_json: JsonOption = False) -> None:
    """列出部门的签名密钥 · List a department's signing keys, revoked ones too."""
    found = call_hub(hub, token, "GET", f"/departments/{department}/keys")
    if as_json or not isinstance(found, list):
        say_json(found)
        return
    for row in found:
        state = Text(zh="有效", en="in force") if row["revoked_at"] is None else Text(zh="已撤销", en="revoked")
        node = row["node_id"] or "—"
        say(Text(zh=f"{row['key_id']}  {state.zh}  前置机 {node}", en=f"{row['key_id']}  {state.en}  node {node}"))


@app.command()
def revoke(
    department: DepartmentArgument,
    key_id: KeyArgument,
    hub: HubOption,
    token: TokenOption,
    reason: Annotated[str, typer.Option("--reason", help="理由，公开存证 · why; it stands in the log")],
    since: Annotated[
        datetime | None,
        typer.Option(
            "--since",
            formats=["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z"],
            help="自何时起可能已泄露，如 2026-11-28T08:00+0800 · since when others may have held it",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """撤销密钥：此后不再接受，之前已存证的仍有效 · Revoke a key: from now on nothing it signs is taken."""
    body = {"reason": reason, "since": None if since is None else since.isoformat()}
    answer = call_hub(hub, token, "POST", f"/departments/{department}/keys/{key_id}/revocation", body)
    if as_json:
        say_json(answer)
        return
    say(Text(zh=f"已撤销密钥 {key_id}。", en=f"Revoked the key {key_id}."))


@app.command()
def history(
    folder: Annotated[Path, typer.Argument(help="导出的日志 · an exported log")],
    key: Annotated[str, typer.Option("--key", help="日志公钥（base64） · public key of the log")],
    as_json: JsonOption = False,
) -> None:
    """离线验证并列出密钥历史与存疑的行为 · Verify offline; list keys and acts in doubt; exits with 1 at a fault."""
    try:
        log_key = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Invalid(
            "cli.key_malformed",
            what=Text(zh="日志公钥不是 base64。", en="The key of the log is not base64."),
            remedy=Text(zh="请核对 --key。", en="Check --key."),
            field="key",
        ) from error
    found = signing_keys(exported_entries(folder, log_key=log_key))
    if as_json:
        say_json(found)
    for record in found if not as_json else ():
        _tell(record)
    if any(record.fault for record in found):
        raise typer.Exit(EXIT_FAULTY)


def _tell(record: KeyRecord) -> None:
    zh, en = [f"自 {minute(record.registered_at)}"], [f"since {minute(record.registered_at)}"]
    if record.replaces:
        zh.append(f"接替 {record.replaces}")
        en.append(f"takes the place of {record.replaces}")
    if record.revoked_at is not None:
        zh.append(f"{minute(record.revoked_at)} 撤销")
        en.append(f"revoked {minute(record.revoked_at)}")
    if record.compromised_since is not None:
        zh.append(f"{minute(record.compromised_since)} 起存疑，{len(record.in_doubt)} 条")
        en.append(f"in doubt since {minute(record.compromised_since)}: {len(record.in_doubt)} acts")
    if record.fault is not None:
        zh.append(f"✗ {record.fault.zh}")
        en.append(f"✗ {record.fault.en}")
    head = f"{record.key_id}  {record.department}"
    say(Text(zh=f"{head}  {'，'.join(zh)}", en=f"{head}  {', '.join(en)}"))
    for act in record.in_doubt:
        place = f"#{act.index} {act.kind} {act.subject} {minute(act.at)}"
        say(Text(zh=f"  存疑 {place}", en=f"  in doubt {place}"))
