"""The watcher looks when it is time, tells changes once, and reports what it knows and what lies in the spool."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import httpx

from datong.adapters.connections import open_connector
from datong.exchange import ColumnMap, Connector, Schedule, Task, TaskState, TransferMode, WatchWork
from datong.kernel import AgreementId, DepartmentCode, FixedClock, NodeId, ResourceId, TaskId
from datong.ledger import Ed25519Signer
from datong.node import HubClient
from datong.node.spool import Spool
from datong.node.watcher import SourceWatcher

CLOCK = FixedClock(datetime(2026, 1, 5, tzinfo=UTC))


class Hub:
    """What the watcher told the hub."""

    def __init__(self) -> None:
        self.marks: list[str] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/token"):
            return httpx.Response(200, json={"access_token": "t", "expires_in": 600, "token_type": "Bearer"})
        self.marks.append(json.loads(request.content)["mark"])
        return httpx.Response(200, json={})


def task(**changes: object) -> Task:
    made = Task(
        id=TaskId("task-1"),
        state=TaskState.ACTIVE,
        created_at=CLOCK.now(),
        agreement_id=AgreementId("a"),
        resource_id=ResourceId("r"),
        resource_version=1,
        provider=DepartmentCode("police"),
        consumer=DepartmentCode("civil"),
        producer_node=NodeId("n1"),
        source="main",
        table="people",
        columns=(ColumnMap(column="id", item="id"),),
        key_columns=("id",),
    )
    return made.model_copy(update=changes)


def write(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def test_changes_are_told_until_the_hub_knows_them(tmp_path: Path) -> None:
    path = tmp_path / "people.sqlite"
    write(path, "CREATE TABLE people (id INTEGER PRIMARY KEY)")
    write(path, "INSERT INTO people VALUES (1)")
    seconds = [0.0]

    def source(_name: str) -> Connector:
        return open_connector(f"sqlite:///{path}")

    hub = Hub()
    client = HubClient(
        hub_url="http://hub",
        node_id="n1",
        signer=Ed25519Signer.generate(),
        clock=CLOCK,
        transport=httpx.MockTransport(hub.answer),
    )
    spool = Spool(folder=tmp_path / "spool", state_path=tmp_path / "state.sqlite")
    watcher = SourceWatcher(client=client, spool=spool, open_source=source, seconds=lambda: seconds[0])
    watched = task(schedule=Schedule(on_change_seconds=10))
    assert watcher.attend([WatchWork(task=watched)]) == []
    assert len(hub.marks) == 1
    known = WatchWork(task=watched, mark=hub.marks[0])
    seconds[0] = 5
    write(path, "INSERT INTO people VALUES (2)")
    watcher.attend([known])
    assert len(hub.marks) == 1
    seconds[0] = 10
    watcher.attend([known])
    assert len(hub.marks) == 2
    seconds[0] = 20
    watcher.attend([WatchWork(task=watched, mark=hub.marks[1])])
    watcher.attend([WatchWork(task=watched, mark="other", idle=False)])
    assert len(hub.marks) == 2
    assert watcher.reports([known]) == ()
    seconds[0] = 40
    broken = WatchWork(task=task(table="none", schedule=Schedule(on_change_seconds=1)))
    assert len(watcher.attend([broken])) == 1
    plain = task(mode=TransferMode.INCREMENT)
    assert watcher.attend([WatchWork(task=plain)]) == []
