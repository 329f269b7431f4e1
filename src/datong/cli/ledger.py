"""The command group `datong ledger`: fetch the log's evidence, and verify it without the hub."""

import base64
import binascii
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import httpx
import typer

from datong import sharing
from datong.cli.shell import say, say_json
from datong.kernel import Conflict, Corrupt, Invalid, Refused, Text, Unavailable
from datong.kernel.archives import unpack, unpacked_max
from datong.kernel.tls import tls_context
from datong.ledger import (
    BundleReport,
    LogReport,
    Quorum,
    ShardReport,
    SplitReport,
    is_split,
    read_bundle,
    verify_bundle,
    verify_log,
    verify_shard,
    verify_split,
)

app = typer.Typer(help="存证 · evidence", no_args_is_help=True)

FETCH_TIMEOUT_SECONDS = 60.0
CHECKPOINT_FILE = "checkpoint"


@app.callback()
def ledger() -> None:
    """存证日志：导出、离线验证 · the transparency log: export it, verify it offline."""


@app.command()
def verify(
    path: Annotated[
        Path,
        typer.Argument(
            exists=True,
            help="导出的目录、其 .tar、证明包 .json、归档的月份 .shard，或网关下载的 .parquet、.zip · an exported "
            "folder, a .tar of it, a proof bundle (.json), an archived month (.shard), or a file downloaded from the "
            "gateway (.parquet, .zip)",
        ),
    ],
    key: Annotated[
        str | None,
        typer.Option(help="可信的日志公钥（base64 或十六进制） · the log's public key that you trust (base64 or hex)"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON · print JSON")] = False,
) -> None:
    """离线验证日志或证明包；有误时说明位置并以 1 退出 · Verify a log or a proof offline; say where it is wrong."""
    log_key = None if key is None else read_key(key)
    report: LogReport | BundleReport | SplitReport | ShardReport | sharing.FileReport
    if path.is_dir():
        report = verify_log(path, log_key=log_key)
    elif path.suffix in (".parquet", ".zip"):
        report = sharing.verify_file(path, log_key=log_key)
    elif path.suffix == ".shard":
        report = verify_shard(path, log_key=log_key)
    elif path.suffix == ".json":
        document = read_bundle(path.read_bytes())
        report = (
            verify_split(document, log_key=log_key) if is_split(document) else verify_bundle(document, log_key=log_key)
        )
    else:
        with _unpacked(path) as folder:
            report = verify_log(folder, log_key=log_key)
    if as_json:
        say_json(report)
        return
    if isinstance(report, LogReport):
        _tell_log(report)
    elif isinstance(report, BundleReport):
        _tell_bundle(report)
    elif isinstance(report, SplitReport):
        _tell_split(report)
    elif isinstance(report, ShardReport):
        _tell_shard(report)
    else:
        _tell_file(report)
    _tell_key(report)


@app.command()
def export(
    hub: Annotated[str, typer.Option(help="枢纽地址 · the hub's address, e.g. http://127.0.0.1:8420")],
    output: Annotated[Path, typer.Option(help="新目录 · a new folder")],
    token: Annotated[
        str | None, typer.Option(envvar="DATONG_TOKEN", help="会话或访问令牌 · session or access token")
    ] = None,
) -> None:
    """从枢纽下载整份日志，供离线验证 · Download the whole log from a hub, to be verified offline."""
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise Conflict(
            "cli.folder_not_empty",
            what=Text(zh=f"{output} 已存在且不是空目录。", en=f"{output} exists and is not an empty folder."),
            remedy=Text(zh="请指定一个新目录。", en="Name a new folder."),
        )
    with tempfile.TemporaryDirectory() as scratch:
        archive = Path(scratch) / "log.tar"
        _download(f"{hub.rstrip('/')}/api/v1/ledger/export", archive, token)
        with _unpacked(archive) as folder:
            output.mkdir(parents=True, exist_ok=True)
            shutil.copytree(folder, output, dirs_exist_ok=True)
    say(Text(zh=f"日志已导出到 {output}。", en=f"The log was exported to {output}."))


@app.command()
def status(
    hub: Annotated[str, typer.Option(help="枢纽地址 · the hub's address, e.g. http://127.0.0.1:8420")],
    as_json: Annotated[bool, typer.Option("--json", help="输出 JSON · print JSON")] = False,
) -> None:
    """谁在见证日志，谁自何时缺席；不足时以 1 退出 · Who witnesses the log, who is missing; 1 without a quorum."""
    answer = httpx.get(
        f"{hub.rstrip('/')}/log/quorum", timeout=FETCH_TIMEOUT_SECONDS, verify=tls_context(hub), trust_env=False
    )
    try:
        document = answer.json()
        state = Quorum.model_validate(document if answer.is_success else document["context"])
    except (ValueError, KeyError, TypeError) as error:
        raise Unavailable(
            "cli.hub_unreadable",
            what=Text(zh=f"{hub} 的应答不是枢纽的应答。", en=f"{hub} does not answer like a hub."),
            remedy=Text(zh="请核对 --hub。", en="Check --hub."),
        ) from error
    if as_json:
        say_json({"holds": state.holds, **state.model_dump(mode="json")})
    else:
        _tell_quorum(state)
    if not state.holds:
        raise typer.Exit(1)


def _tell_quorum(state: Quorum) -> None:
    mark = "✓" if state.holds else "✗"
    say(
        Text(
            zh=f"{mark} 日志 {state.size} 条：需要 {state.required} 个部门见证，现有 {state.reached} 个跟上。",
            en=f"{mark} The log of {state.size}: {state.required} departments must witness it, {state.reached} follow.",
        )
    )
    for one in state.witnesses:
        size = "—" if one.size is None else str(one.size)
        since = "" if one.behind_since is None else one.behind_since.isoformat(timespec="seconds")
        if one.missing:
            say(
                Text(
                    zh=f"  ✗ {one.name} 见证到 {size}，自 {since} 缺席",
                    en=f"  ✗ {one.name} at {size}, missing since {since}",
                )
            )
        else:
            say(Text(zh=f"  ✓ {one.name} 见证到 {size}", en=f"  ✓ {one.name} at {size}"))


def _download(address: str, target: Path, token: str | None) -> None:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    with (
        httpx.stream("GET", address, headers=headers, timeout=FETCH_TIMEOUT_SECONDS, follow_redirects=True) as answer,
        target.open("wb") as file,
    ):
        if answer.status_code in {401, 403}:
            raise Refused(
                "cli.export_refused",
                what=Text(
                    zh=f"枢纽不允许导出日志（{answer.status_code}）。",
                    en=f"The hub does not allow this export ({answer.status_code}).",
                ),
                remedy=Text(
                    zh="请用 --token 给出审计员的会话令牌。", en="Give an auditor's session token with --token."
                ),
            )
        if answer.status_code != httpx.codes.OK:
            raise Unavailable(
                "cli.export_failed",
                what=Text(
                    zh=f"枢纽没有给出日志（{answer.status_code}）。",
                    en=f"The hub did not hand out its log ({answer.status_code}).",
                ),
                remedy=Text(zh="请核对地址，稍后重试。", en="Check the address and try again."),
            )
        for piece in answer.iter_bytes():
            file.write(piece)


@contextmanager
def _unpacked(archive: Path) -> Iterator[Path]:
    """Unpack an archive to a temporary folder and yield the folder of the log in it."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        try:
            with tarfile.open(archive) as tar:
                unpack(tar, folder, bytes_max=unpacked_max(archive.stat().st_size))
        except (tarfile.TarError, OSError, EOFError) as error:
            raise Corrupt(
                "cli.archive_unreadable",
                what=Text(zh=f"{archive} 不是可读的 tar 归档。", en=f"{archive} is not a readable tar archive."),
                remedy=Text(zh="请重新导出。", en="Export it again."),
                context={"file": str(archive)},
            ) from error
        inner = sorted(folder.glob(f"*/{CHECKPOINT_FILE}"))
        yield inner[0].parent if inner and not (folder / CHECKPOINT_FILE).exists() else folder


def read_key(text: str) -> bytes:
    """Return the 32 bytes of a public key in base64 or hexadecimal.

    Raises:
        Invalid: `cli.key_malformed`.
    """
    for decode in (bytes.fromhex, _base64):
        try:
            data = decode(text.strip())
        except ValueError:
            continue
        if len(data) == 32:
            return data
    raise Invalid(
        "cli.key_malformed",
        what=Text(
            zh="--key 不是 32 字节 Ed25519 公钥的 base64 或十六进制。",
            en="--key is not a 32-byte Ed25519 public key in base64 or hexadecimal.",
        ),
        remedy=Text(zh="请从可信渠道取得日志公钥。", en="Get the log's key from somewhere you trust."),
        field="--key",
    )


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


def _tell_log(report: LogReport) -> None:
    say(
        Text(
            zh=f"✓ 日志 {report.origin} 完整：{report.size} 个条目，根 {report.root}。",
            en=f"✓ The log {report.origin} is whole: {report.size} entries, root {report.root}.",
        )
    )
    for kind, count in report.entries.items():
        typer.echo(f"  {kind}: {count}")
    for index in report.backdated:
        say(
            Text(
                zh=f"  ⚠ 第 {index} 号条目自称早于它前面的条目一小时以上：被倒填日期，或当时的时钟有误",
                en=f"  ⚠ entry {index} claims an hour or more less than one before it: dated back, or a wrong clock",
            )
        )
    for witness in report.witnesses:
        at = witness.signed_at.isoformat()
        say(
            Text(
                zh=f"  见证：{witness.name}，大小 {witness.size}，{at}",
                en=f"  witnessed by {witness.name} at size {witness.size}, {at}",
            )
        )


def _tell_split(report: SplitReport) -> None:
    say(
        Text(
            zh=f"✓ 分叉成立：日志 {report.origin} 对大小 {report.size} 签了根 {report.root_signed}，"
            f"而它大小 {report.larger_size} 的检查点却以根 {report.root_shown} 为开头。两段历史不可能都真。",
            en=f"✓ A split view is proved: the log {report.origin} signed the root {report.root_signed} for size "
            f"{report.size}, and its checkpoint of size {report.larger_size} began with {report.root_shown}. Both "
            "cannot be true.",
        )
    )


def _tell_file(report: "sharing.FileReport") -> None:
    said = report.manifest
    say(
        Text(
            zh=f"✓ 文件属实：{said.title.zh} 第 {said.version} 版，{said.rows} 行，{said.issued_at.isoformat()} 发给 "
            f"{said.consumer}。",
            en=f"✓ The file is genuine: {said.title.en or said.title.zh}, version {said.version}, {said.rows} rows, "
            f"handed to {said.consumer} at {said.issued_at.isoformat()}.",
        )
    )
    _tell_bundle(report.proof)


def _tell_bundle(report: BundleReport) -> None:
    entry = report.entry
    say(
        Text(
            zh=f"✓ 证明成立：第 {report.index} 号条目在日志 {report.origin}（大小 {report.size}）之中。",
            en=f"✓ Proved: entry {report.index} is in the log {report.origin} of size {report.size}.",
        )
    )
    typer.echo(f"  {entry.kind} · {entry.subject} · {entry.at.isoformat()}")
    for name, fact in entry.facts.items():
        typer.echo(f"  {name}: {report.disclosed.get(name, fact)}")
    for witness in report.witnesses:
        at = witness.signed_at.isoformat()
        say(Text(zh=f"  见证：{witness.name}，{at}", en=f"  witnessed by {witness.name}, {at}"))


def _tell_shard(report: ShardReport) -> None:
    say(
        Text(
            zh=f"✓ {report.month} 的第 {report.begin} 至 {report.end - 1} 号条目属于日志 {report.origin}"
            f"（检查点大小 {report.size}）。",
            en=f"✓ The entries {report.begin} to {report.end - 1} of {report.month} are in the log {report.origin}, by"
            f" its checkpoint of size {report.size}.",
        )
    )
    for witness in report.witnesses:
        at = witness.signed_at.isoformat()
        say(Text(zh=f"  见证：{witness.name}，{at}", en=f"  witnessed by {witness.name}, {at}"))


def _tell_key(report: "LogReport | BundleReport | SplitReport | ShardReport | sharing.FileReport") -> None:
    if not report.key_given:
        say(
            Text(
                zh=f"  注意：公钥 {report.log_key} 取自文件本身；请与公布的公钥核对，或用 --key 给出。",
                en=f"  Note: the key {report.log_key} came with the file itself; compare it with the published one, or"
                " give it with --key.",
            )
        )
