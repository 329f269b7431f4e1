"""The doctor at a node: its folder, its key, its hub, its sources; looks, and changes nothing."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import httpx

from datong import adapters
from datong.app.doctor.machine import hub_clock, look_at_clock, look_at_key, look_at_room, others_may_enter
from datong.app.doctor.values import Diagnosis, Report, State, Stop, Workspace, examined, of_error, ok, told
from datong.kernel import DatongError, SystemClock, Text
from datong.ledger import Ed25519Signer
from datong.node import HubClient, NodeHome, NodeIdentity

ROOM_MB_MIN = 512
SPOOL_SECONDS_MAX = 3600.0
KEY_DAYS_MAX = 366
"""A signing key that is older is to be replaced."""
_REMEDY = Text(zh="请查看节点的日志。", en="Look into the node's log.")
_FAILURES = (DatongError, OSError, ValueError, LookupError, sqlite3.Error, httpx.HTTPError)


def examine_node(directory: Path) -> Report:
    """Look at the node whose folder is `directory`; what fails is in the report."""
    return examined(Workspace.NODE, _looks(NodeHome(directory)))


def _looks(home: NodeHome) -> Iterator[Diagnosis]:
    try:
        identity = home.identity()
    except DatongError as error:
        raise Stop(told("configuration", State.FAILED, error.what, error.remedy)) from error
    yield _configuration(home, identity)
    yield look_at_room([home.directory], ROOM_MB_MIN)
    yield _state(home)
    yield _witness(home)
    yield _spool(home)
    yield _sources(home)
    told_of_key, signer = look_at_key(home.key_path)
    yield told_of_key if told_of_key.state is not State.OK else _key_age(home.key_path, told_of_key)
    try:
        theirs = hub_clock(identity.hub_url)
    except (httpx.HTTPError, OSError, ValueError) as error:
        remedy = Text(
            zh=f"请确认 {identity.hub_url} 可达：网络、代理、证书，以及枢纽在运行。",
            en=f"See that {identity.hub_url} can be reached: network, proxy, certificate, and that the hub runs.",
        )
        raise Stop(of_error("hub", error, remedy)) from error
    yield ok("hub", f"{identity.hub_url} 应答", f"{identity.hub_url} answers")
    yield look_at_clock({"hub": (datetime.now(UTC) - theirs).total_seconds()})
    yield _registration(identity, signer)


def _configuration(home: NodeHome, identity: NodeIdentity) -> Diagnosis:
    path = home.directory / "node.toml"
    seen = Text(zh=f"{identity.name}，部门 {identity.department}", en=f"{identity.name} of {identity.department}")
    if others_may_enter(path):
        seen = Text(
            zh=f"其他用户可以读取 {path}，其中有数据库口令。", en=f"Others may read {path}, with its passwords."
        )
        return told(
            "configuration", State.FAILED, seen, Text(zh=f"请执行 chmod 600 {path}。", en=f"Run chmod 600 {path}.")
        )
    return ok("configuration", seen.zh, seen.en)


def _key_age(path: Path, found: Diagnosis) -> Diagnosis:
    days = (time.time() - path.stat().st_mtime) / 86_400
    if days <= KEY_DAYS_MAX:
        return found
    seen = Text(zh=f"{path} 已使用 {days:.0f} 天", en=f"{path} is {days:.0f} days old")
    remedy = Text(
        zh="请用 datong node rotate-key 更换，重启节点，过渡期后撤销旧密钥。",
        en="Replace it by datong node rotate-key, start the node anew, later revoke the old key.",
    )
    return told("key", State.WARNING, seen, remedy)


def _state(home: NodeHome) -> Diagnosis:
    if not home.state_path.is_file():
        return ok("state", "还没有状态库", "there is none yet")
    try:
        with closing(sqlite3.connect(f"file:{home.state_path}?mode=ro", uri=True)) as connection:
            (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        answer = str(error)
    if answer != "ok":
        seen = Text(zh=f"状态库损坏：{answer}", en=f"The state database is damaged: {answer}")
        remedy = Text(
            zh="请停止节点，移走 state.sqlite 后再启动：位置会向枢纽和目标库重新确认。",
            en="Stop the node, move state.sqlite away, start it: positions are confirmed anew by hub and targets.",
        )
        return told("state", State.FAILED, seen, remedy)
    return ok("state", str(home.state_path), str(home.state_path))


def _witness(home: NodeHome) -> Diagnosis:
    fork = home.witness_path.with_suffix(".fork")
    if fork.exists():
        seen = Text(
            zh=f"枢纽出示过互相矛盾的日志：{fork}", en=f"The hub showed logs that contradict each other: {fork}"
        )
        remedy = Text(
            zh="请保留该文件并告知主管部门和其他部门；见 docs/ledger.md。",
            en="Keep the file, and tell the authority and the other departments; see docs/ledger.md.",
        )
        return told("witness", State.FAILED, seen, remedy)
    if not home.witness_path.is_file():
        seen = Text(zh="还没有见证过日志。", en="It has not witnessed the log yet.")
        return told("witness", State.WARNING, seen, Text(zh="请启动 datong node run。", en="Start datong node run."))
    age = max(time.time() - home.witness_path.stat().st_mtime, 0)
    return ok("witness", f"最近一次见证在 {age:.0f} 秒前", f"it cosigned {age:.0f} s ago")


def _spool(home: NodeHome) -> Diagnosis:
    waiting = [path.stat() for path in home.spool.glob("*.arrow")] if home.spool.is_dir() else []
    oldest = max((time.time() - one.st_mtime for one in waiting), default=0.0)
    size = sum(one.st_size for one in waiting)
    seen = Text(
        zh=f"{len(waiting)} 个批次，{size} 字节，最早的已等 {oldest:.0f} 秒",
        en=f"{len(waiting)} batches of {size} bytes, the oldest waits for {oldest:.0f} s",
    )
    if oldest > SPOOL_SECONDS_MAX:
        remedy = Text(
            zh="请看枢纽是否可达、任务是否暂停、枢纽磁盘是否已满。",
            en="See whether the hub can be reached, the task is paused, or the hub's disk is full.",
        )
        return told("spool", State.WARNING, seen, remedy)
    return ok("spool", seen.zh, seen.en)


def _sources(home: NodeHome) -> Diagnosis:
    sources = home.config().sources
    failed: list[str] = []
    for source in sources:
        try:
            adapters.open_connector(source.url).inspect()
        except _FAILURES as error:
            # Never the address: passwords are in it.
            failed.append(f"{source.name} ({error.code if isinstance(error, DatongError) else type(error).__name__})")
    seen = Text(zh=f"{len(sources)} 个数据源", en=f"{len(sources)} sources")
    if failed:
        names = ", ".join(failed)
        seen = Text(zh=f"连接不上：{names}", en=f"These cannot be reached: {names}")
        remedy = Text(
            zh="请核对地址和口令，用 datong node add-source 改正。",
            en="Check address and password; correct them by datong node add-source.",
        )
        return told("sources", State.FAILED, seen, remedy)
    return ok("sources", seen.zh, seen.en)


def _registration(identity: NodeIdentity, signer: Ed25519Signer) -> Diagnosis:
    client = HubClient(
        hub_url=identity.hub_url, node_id=identity.node_id, signer=signer, clock=SystemClock(), sleep=lambda _: None
    )
    try:
        client.work(0)
    except _FAILURES as error:
        remedy = Text(
            zh="密钥可能已被吊销：请由主管部门重新登记节点。",
            en="The key may have been revoked: enrol the node anew with the authority.",
        )
        return of_error("registration", error, remedy)
    finally:
        client.close()
    return ok("registration", f"节点 {identity.node_id}", f"node {identity.node_id}")
