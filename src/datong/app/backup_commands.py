"""The commands `datong hub backup`, `backups` and `restore`."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from datong.app.backups import NAME_FORMAT, BackupFolder, HubKey, choose, read_passphrase, take
from datong.app.backups import restore as restore_backup
from datong.app.hub import Hub
from datong.cli.shell import say, say_json
from datong.kernel import CHINA, Invalid, Misconfigured, Settings, Text, minute

MIB = 1024**2

AsJson = Annotated[bool, typer.Option("--json", help="以 JSON 输出 · print as JSON")]
Folder = Annotated[
    Path | None,
    typer.Argument(help="备份目录；缺省为 DATONG_BACKUP_FOLDER · folder of backups; default: DATONG_BACKUP_FOLDER"),
]
Passphrase = Annotated[
    Path | None,
    typer.Option(
        help="口令文件：备份时加密私钥，恢复时解开 · file with the passphrase that seals the private keys in the backup"
    ),
]


def backup(
    target: Folder = None,
    passphrase_file: Passphrase = None,
    keep: Annotated[
        int, typer.Option(min=0, help="只保留最近这么多份，0 为全部 · keep so many, the newest; 0: all")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """备份运行中的枢纽 · Back up the hub while it runs; what did not change since the last backup costs nothing."""
    settings = Settings.from_environment(os.environ)
    folder = _folder(settings, target)
    passphrase = None if passphrase_file is None else read_passphrase(passphrase_file)
    opened = Hub(settings)
    try:
        manifest = take(opened, folder, passphrase=passphrase)
    finally:
        opened.close()
    dropped: list[str] = []
    if keep:
        with folder.writing():
            dropped = folder.keep_newest(keep)
    rows = sum(table.rows for table in manifest.tables)
    if as_json:
        told = {
            "name": manifest.name,
            "size": manifest.size,
            "tables": len(manifest.tables),
            "rows": rows,
            "files": len(manifest.files) + len(manifest.evidence),
            "bytes": manifest.stored_bytes,
            "left_out": [one.model_dump() for one in manifest.left_out],
            "dropped": dropped,
        }
        say_json(told)
        return
    say(
        Text(
            zh=f"备份 {manifest.name}：存证 {manifest.size} 条，{len(manifest.tables)} 张表 {rows} 行，"
            f"{len(manifest.files)} 个文件，共 {manifest.stored_bytes / MIB:.1f} MiB。",
            en=f"Backup {manifest.name}: {manifest.size} entries, {len(manifest.tables)} tables of {rows} rows, "
            f"{len(manifest.files)} files, {manifest.stored_bytes / MIB:.1f} MiB in all.",
        )
    )
    for one in manifest.left_out:
        say(Text(zh=f"  不含 {one.name}：{one.why.zh}", en=f"  without {one.name}: {one.why.en}"))
    for name in dropped:
        say(Text(zh=f"  已删除旧备份 {name}", en=f"  deleted the old backup {name}"))


def backups(
    source: Folder = None,
    verify: Annotated[bool, typer.Option("--verify", help="读出并核对全部内容 · read everything and check it")] = False,
    as_json: AsJson = False,
) -> None:
    """列出备份 · List the backups in a folder."""
    folder = _folder(Settings.from_environment(os.environ), source)
    told = []
    for name in folder.names():
        manifest = folder.manifest(name, None)
        if verify:
            folder.verify(folder.manifest(name, bytes.fromhex(manifest.log_key)))
        told.append(
            {
                "name": name,
                "taken_at": manifest.taken_at.isoformat(),
                "size": manifest.size,
                "bytes": manifest.stored_bytes,
                "keys": bool(manifest.keys),
                "verified": verify,
            }
        )
        if not as_json:
            typer.echo(
                f"{name}  {minute(manifest.taken_at)}  #{manifest.size}  {manifest.stored_bytes / MIB:.1f} MiB"
                + ("  ✓" if verify else "")
            )
    if as_json:
        say_json(told)


def restore(
    source: Folder = None,
    name: Annotated[
        str | None, typer.Option("--backup", help="备份名称；缺省为最新 · name of the backup; default: the newest")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(help="恢复到这一时刻之前最近的备份，如 2026-11-28T12:00 · the newest backup not after this time"),
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="存证不超过这么多条的最近备份 · the newest with at most so many entries")
    ] = None,
    hub_key: Annotated[
        Path | None, typer.Option(help="单独保存的枢纽私钥 · the hub's private key, kept elsewhere")
    ] = None,
    passphrase_file: Passphrase = None,
    as_json: AsJson = False,
) -> None:
    """把备份恢复为空的枢纽，先核对一切 · Restore a backup into an empty hub, when everything has verified."""
    settings = Settings.from_environment(os.environ)
    folder = _folder(settings, source)
    key = HubKey(file=hub_key, passphrase=None if passphrase_file is None else read_passphrase(passphrase_file))
    chosen = choose(folder, name=name, at=None if at is None else _moment(at), size=size)
    report = restore_backup(settings, folder, chosen, key)
    if as_json:
        say_json(report)
        return
    say(
        Text(
            zh=f"已恢复 {report.name}：存证 {report.size} 条（待入日志 {report.pending} 条），{report.tables} 张表 "
            f"{report.rows} 行，{report.files} 个文件；日志、摘要与 fsck 均已核对。",
            en=f"Restored {report.name}: {report.size} entries ({report.pending} pending), {report.tables} tables of "
            f"{report.rows} rows, {report.files} files; log, digests and fsck were verified.",
        )
    )


def _folder(settings: Settings, named: Path | None) -> BackupFolder:
    chosen = named or settings.backup_folder
    if chosen is None:
        raise Misconfigured(
            "app.backup_folder_missing",
            what=Text(zh="没有指定备份目录。", en="No folder of backups is named."),
            remedy=Text(zh="请给出目录，或设置 DATONG_BACKUP_FOLDER。", en="Name one, or set DATONG_BACKUP_FOLDER."),
            field="DATONG_BACKUP_FOLDER",
        )
    return BackupFolder(chosen)


def _moment(text: str) -> str:
    """Return a moment as names of backups have it; without an offset it is China's time."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise Invalid(
            "app.backup_moment",
            what=Text(zh=f"“{text[:40]}”不是时刻。", en=f"“{text[:40]}” is no moment."),
            remedy=Text(zh="请按 2026-11-28T12:00 的形式填写。", en="Write it like 2026-11-28T12:00."),
            field="--at",
        ) from error
    aware = found.replace(tzinfo=CHINA) if found.tzinfo is None else found
    return aware.astimezone(UTC).strftime(NAME_FORMAT)
