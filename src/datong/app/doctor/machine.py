"""What hubs and nodes are looked at for alike: private files, room, clocks, an answer over HTTP."""

import os
import shutil
import socket
import ssl
import stat
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from pydantic import AwareDatetime, BaseModel

from datong.adapters.file_keys import load_signer
from datong.app.doctor.values import Diagnosis, State, Stop, of_error, ok, told
from datong.kernel import DatongError, Text
from datong.kernel.tls import tls_context
from datong.ledger import Ed25519Signer

CLOCK_SECONDS_MAX = 60.0
"""Tokens of machines whose clocks differ by more are refused."""
CLOCK_SECONDS_WARNED = 5.0
ROOM_WARNED = 0.1
"""Share of a disk below which its room is running out."""
CERTIFICATE_DAYS_WARNED = 21
ANSWER_SECONDS = 5.0
MIB = 1024**2


class Health(BaseModel):
    """What the doctor needs of the answer of `/healthz`."""

    now: AwareDatetime


def look_at_key(path: Path) -> tuple[Diagnosis, Ed25519Signer]:
    """Return what is to be said of a private key's file, and the key.

    Raises:
        Stop: it cannot be used.
    """
    try:
        signer = load_signer(path)
    except DatongError as error:
        raise Stop(told("key", State.FAILED, error.what, error.remedy)) from error
    return ok("key", f"{path}：密钥 {signer.key_id}", f"{path}: key {signer.key_id}"), signer


def others_may_enter(path: Path) -> bool:
    """Return whether anybody but the owner may read a file or folder."""
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def look_at_room(folders: list[Path], reserve_mb: int) -> Diagnosis:
    """Return what is to be said of the room where folders lie."""
    seen_zh, seen_en, state = [], [], State.OK
    for folder in folders:
        if not folder.is_dir():
            continue
        usage = shutil.disk_usage(folder)
        free = usage.free // MIB
        if free < reserve_mb:
            state = State.FAILED
        elif usage.free < ROOM_WARNED * usage.total and state is State.OK:
            state = State.WARNING
        seen_zh.append(f"{folder} 剩余 {free} MiB（共 {usage.total // MIB} MiB）")
        seen_en.append(f"{folder}: {free} MiB free of {usage.total // MIB}")
    seen = Text(zh="；".join(seen_zh), en="; ".join(seen_en))
    if state is State.OK:
        return ok("disk", seen.zh, seen.en)
    return told(
        "disk",
        state,
        seen,
        Text(
            zh=f"请扩容或清理；低于 {reserve_mb} MiB 时上传会被拒绝（507）。",
            en=f"Add room or clear up; below {reserve_mb} MiB uploads are turned away (507).",
        ),
    )


def look_at_clock(differences: dict[str, float], *, simulated: bool = False) -> Diagnosis:
    """Return what is to be said of how many seconds this clock is ahead of others, by their names."""
    if not differences:
        return ok("clock", "没有可比对的时钟", "there is no other clock to compare with")
    seen = Text(
        zh="，".join(f"比{name}快 {seconds:.1f} 秒" for name, seconds in differences.items()),
        en=", ".join(f"{seconds:+.1f} s against {name}" for name, seconds in differences.items()),
    )
    worst = max(abs(seconds) for seconds in differences.values())
    remedy = Text(
        zh="请校准时钟（例如 timedatectl set-ntp true）：令牌按时钟核对，条目按时钟记时。",
        en="Set the clock, for example by timedatectl set-ntp true: tokens are checked and entries are dated by it.",
    )
    if worst > CLOCK_SECONDS_MAX:
        return told("clock", State.FAILED, seen, remedy)
    if simulated:
        remedy = Text(
            zh="这是模拟时间（DATONG_CLOCK_OFFSET_FILE）：正式环境请取消。",
            en="This is simulated time (DATONG_CLOCK_OFFSET_FILE): unset it where it counts.",
        )
    if simulated or worst > CLOCK_SECONDS_WARNED:
        return told("clock", State.WARNING, seen, remedy)
    return ok("clock", seen.zh, seen.en)


def hub_clock(address: str) -> datetime:
    """Return the time that a hub's `/healthz` tells.

    Raises:
        httpx.HTTPError, ValueError: it does not answer, or something else does.
    """
    with httpx.Client(timeout=ANSWER_SECONDS, trust_env=False, verify=tls_context(address)) as client:
        answer = client.get(f"{address.rstrip('/')}/healthz")
        answer.raise_for_status()
    return Health.model_validate_json(answer.content).now


def look_at_certificate(address: str) -> Diagnosis:
    """Return what is to be said of the certificate at an HTTPS address."""
    parts = urlsplit(address)
    if parts.scheme != "https" or not parts.hostname:
        return ok("certificate", "不使用 HTTPS", "there is no HTTPS")
    remedy = Text(
        zh="请在反向代理上更新证书，并确认本机信任其签发者。",
        en="Renew the certificate at the proxy, and see that this machine trusts who issued it.",
    )
    try:
        with (
            socket.create_connection((parts.hostname, parts.port or 443), ANSWER_SECONDS) as raw,
            ssl.create_default_context().wrap_socket(raw, server_hostname=parts.hostname) as connection,
        ):
            described = connection.getpeercert() or {}
    except OSError as error:
        return of_error("certificate", error, remedy)
    until = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(described["notAfter"])), UTC)
    days = (until - datetime.now(UTC)).days
    seen = Text(
        zh=f"{parts.hostname} 的证书还有 {days} 天到期", en=f"{parts.hostname}'s certificate lasts {days} more days"
    )
    if days < CERTIFICATE_DAYS_WARNED:
        return told("certificate", State.WARNING, seen, remedy)
    return ok("certificate", seen.zh, seen.en)


def writable(folder: Path) -> bool:
    """Return whether this user may write to a folder."""
    return os.access(folder, os.W_OK | os.X_OK)
