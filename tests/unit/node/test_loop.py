"""The node's loop outlives whatever the hub answers."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx

from datong.exchange import Connector, Target
from datong.kernel import DepartmentCode, FixedClock, NodeId, Text
from datong.ledger import Ed25519Signer, LogKeys, PinnedKeys, Witness
from datong.node import HubClient
from datong.node.consumer import FETCHED_KEPT_SECONDS, Consumer
from datong.node.differences import Differences
from datong.node.loop import NodeLoop
from datong.node.outbox import Outbox
from datong.node.producer import Producer
from datong.node.reconciler import Reconciler
from datong.node.replaying import Replaying
from datong.node.spool import Spool
from datong.node.watcher import SourceWatcher

CLOCK = FixedClock(datetime(2026, 1, 5, tzinfo=UTC))
DEPARTMENT = DepartmentCode("11440600007020010X")


def _no_source(name: str) -> Connector:
    raise AssertionError(name)


def _no_target(name: str) -> Target:
    raise AssertionError(name)


def _loop(folder: Path, transport: httpx.BaseTransport, told: list[Text], waits: list[float]) -> NodeLoop:
    signer = Ed25519Signer.generate()
    client = HubClient(
        hub_url="http://hub", node_id="n1", signer=signer, clock=CLOCK, transport=transport, sleep=waits.append
    )
    spool = Spool(folder=folder / "spool", state_path=folder / "state.sqlite")
    outbox = Outbox(client=client, spool=spool, signer=signer, clock=CLOCK)
    consumer = Consumer(client=client, folder=folder / "fetched", signer=signer, clock=CLOCK, open_target=_no_target)
    return NodeLoop(
        client=client,
        signer=signer,
        department=DEPARTMENT,
        node_id="n1",
        producer=Producer(
            outbox=outbox,
            open_source=_no_source,
            differences=Differences(outbox=outbox, folder=folder / "differences", open_source=_no_source),
        ),
        consumer=consumer,
        replaying=Replaying(
            client=client,
            consumer=consumer,
            signer=signer,
            clock=CLOCK,
            department=DEPARTMENT,
            node_id=NodeId("n1"),
            sleep=waits.append,
        ),
        reconciler=Reconciler(
            client=client,
            signer=signer,
            clock=CLOCK,
            department=DEPARTMENT,
            open_source=_no_source,
            open_target=_no_target,
        ),
        watcher=SourceWatcher(client=client, spool=spool, open_source=_no_source),
        witness=Witness(
            name="n1",
            signer=signer,
            state_path=folder / "witness.json",
            clock=CLOCK,
            keys=PinnedKeys(LogKeys(origin="hub/log", newest=signer.public_key)),
        ),
        tell=told.append,
        sleep=waits.append,
    )


def test_payloads_that_were_left_behind_are_deleted_and_told(tmp_path: Path) -> None:
    folder = tmp_path / "fetched"
    folder.mkdir()
    old, new = folder / "old.arrow", folder / "new.arrow"
    for path in (old, new):
        path.write_bytes(b"abc")
    long_ago = time.time() - FETCHED_KEPT_SECONDS - 1
    os.utime(old, (long_ago, long_ago))

    def idle(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/token"):
            return httpx.Response(200, json={"access_token": "t", "token_type": "Bearer", "expires_in": 600})
        return httpx.Response(200, json={} if request.url.path.endswith("/work") else [])

    told: list[Text] = []
    loop = _loop(tmp_path, httpx.MockTransport(idle), told, [])
    loop.round(0)
    assert [path.name for path in folder.iterdir()] == ["new.arrow"]
    assert [text.zh for text in told if "old.arrow" in text.zh] == ["已删除遗留的批次文件 old.arrow (3 B)。"]


def test_a_refused_node_stays_and_tries_again_ever_more_slowly(tmp_path: Path) -> None:
    def refuse(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(401, json={"code": "sharing.token_invalid", "detail_zh": "无效", "detail_en": "invalid"})

    told: list[Text] = []
    waits: list[float] = []
    loop = _loop(tmp_path, httpx.MockTransport(refuse), told, waits)
    loop.run(lambda: len(told) >= 5)
    assert [text.en for text in told] == ["invalid"] * 5
    assert waits[-1] > waits[0]
