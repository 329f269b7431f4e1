"""The commands `datong hub key`, `rotate-key` and `retire-key`."""

import os
from datetime import datetime
from typing import Annotated

import typer

from datong.app.hub import Hub
from datong.app.hub_keys import HubKeys, KeyProgress
from datong.cli.shell import say, say_json
from datong.kernel import Invalid, Settings, Text, minute
from datong.ledger import key_id_of

EXIT_WAITING = 1
AsJson = Annotated[bool, typer.Option("--json", help="以 JSON 输出 · print as JSON")]


def key(as_json: AsJson = False) -> None:
    """枢纽密钥的现状与各方跟进 · How the hub's key stands, and who has followed; 1 while some have not."""
    opened = Hub(Settings.from_environment(os.environ))
    try:
        found = HubKeys(opened).progress()
    finally:
        opened.close()
    if as_json:
        say_json(found)
    else:
        _tell(found)
    if found.previous is not None and not found.may_retire:
        raise typer.Exit(EXIT_WAITING)


def rotate_key(
    compromised_since: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z"],
            help="紧急：自何时起可能已泄露，如 2026-11-28T08:00+0800 · emergency: since when others may hold it",
        ),
    ] = None,
    reason: Annotated[
        str, typer.Option(help="紧急更换的理由，记入日志 · why, in an emergency; it stands in the log")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """更换枢纽密钥，由旧密钥在日志中背书；随后重启全部进程 · Replace the hub's key; then restart every process."""
    if (compromised_since is None) != (not reason):
        raise Invalid(
            "app.emergency_incomplete",
            what=Text(
                zh="紧急更换须同时给出 --compromised-since 和 --reason。",
                en="An emergency needs both --compromised-since and --reason.",
            ),
            remedy=Text(zh="请补全，或都不给。", en="Give both, or neither."),
            field="--reason",
        )
    opened = Hub(Settings.from_environment(os.environ))
    try:
        keys = HubKeys(opened)
        if compromised_since is None:
            old, new = keys.replace()
        else:
            old, new = keys.replace_at_once(reason=reason, since=compromised_since)
    finally:
        opened.close()
    if as_json:
        say_json({"old": old, "new": new})
        return
    say(Text(zh=f"枢纽密钥 {old} 已由 {new} 接替。", en=f"The hub's key {old} is replaced by {new}."))
    if compromised_since is None:
        say(
            Text(
                zh="请依次重启枢纽的全部进程；datong hub key 显示跟进，之后运行 datong hub retire-key，并做一次备份。",
                en="Start every process of the hub anew, one after the other; datong hub key shows who has followed;"
                " then run datong hub retire-key and take a backup.",
            )
        )
    else:
        say(
            Text(
                zh="旧密钥已停用。请立即重启全部进程，公布新公钥；各前置机须运行 datong node accept-hub-key。",
                en="The old key is retired. Start every process anew at once and publish the new key; every node needs"
                " datong node accept-hub-key.",
            )
        )


def retire_key(
    anyway: Annotated[
        bool, typer.Option("--anyway", help="不等未跟上的前置机和上级 · do not wait for nodes and hubs that are behind")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """停用已被接替的旧密钥 · Retire the key that was replaced: nothing takes its signature from now on."""
    opened = Hub(Settings.from_environment(os.environ))
    try:
        old = HubKeys(opened).retire(anyway=anyway)
    finally:
        opened.close()
    if as_json:
        say_json({"retired": old})
        return
    say(Text(zh=f"旧密钥 {old} 已停用并删除。", en=f"The old key {old} is retired and removed."))


def _tell(found: KeyProgress) -> None:
    since = "—" if found.since is None else minute(found.since)
    say(Text(zh=f"日志公钥 {found.newest}，自 {since}", en=f"log key {found.newest}, since {since}"))
    if found.file != found.newest:
        say(
            Text(
                zh="hub.key 还是旧的：请再运行 datong hub rotate-key。",
                en="hub.key is still the old one: run datong hub rotate-key once more.",
            )
        )
    if found.previous is None:
        return
    old = key_id_of(bytes.fromhex(found.previous))
    say(Text(zh=f"待停用的旧密钥 {old}", en=f"the old key {old} is still to be retired"))
    if found.signed_newest != found.newest:
        say(
            Text(
                zh="✗ 最新检查点仍由旧密钥签名：请重启枢纽的进程",
                en="✗ the newest checkpoint is signed by the old key: start the hub's processes anew",
            )
        )
    for one in found.followers:
        mark = "✓" if one.followed else "✗"
        say(Text(zh=f"{mark} {one.name}（{one.kind}）", en=f"{mark} {one.name} ({one.kind})"))
