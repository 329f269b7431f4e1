"""Random changes of a source table, with a hub and two nodes: never a half-moved run, never a silently lost column."""

import itertools
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from datong.adapters.connections import open_connector, open_target
from datong.exchange import (
    ColumnMap,
    SchemaDecision,
    SchemaFindingKind,
    SchemaState,
    Task,
    TaskState,
    TransferMode,
    moved_columns,
)
from datong.kernel import PLATFORM_ACTOR
from datong.node.steps import unobserved
from tests.exchange_hub import TestHub, app_of, task_draft
from tests.exchange_node import program_of
from tests.free_ports import free_port

PARTIES = ("police", "education")
BREAKING = {"drop", "rename", "narrow", "retype"}
CHANGES = st.lists(
    st.sampled_from(["none", "add", "drop_unused", "widen", "drop", "rename", "narrow", "retype"]),
    min_size=1,
    max_size=4,
)
NUMBERS = itertools.count()


class Served:
    """A hub in a thread, and two nodes that work when they are told to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hub = TestHub(folder / "hub")
        port = free_port()
        self.server = uvicorn.Server(uvicorn.Config(app_of(self.hub), host="127.0.0.1", port=port, log_level="error"))
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.02)
        for party in PARTIES:
            source = f"sqlite:///{self.database(party)}"
            self.hub.enrol(folder / party, party, port, source, writable=party == "education")

    def database(self, party: str) -> Path:
        return self.folder / party / "data.sqlite"

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(20)

    def work(self) -> None:
        for party in PARTIES:
            program = program_of(self.folder / party, unobserved)
            client = program.client()
            loop = program.loop(client, lambda _: None)
            for _ in range(6):
                if client.work(0).is_empty:
                    break
                loop.round(0)
            client.close()

    def sql(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.database("police"))) as connection, connection:
            for statement in statements:
                connection.execute(statement)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    world = Served(tmp_path_factory.mktemp("schema"))
    yield world
    world.close()


class Story:
    """One source table and its task, through several changes."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.exchange = served.hub.exchange
        self.number = next(NUMBERS)
        self.table = f"t{self.number}"
        self.types = {"id": "INTEGER", "amount": "DECIMAL(9,2)", "name": "TEXT", "spare": "TEXT"}
        self.moved = ["id", "amount", "name"]
        self.rows = 0
        self.rebuild()
        draft = task_draft(self.table, self.moved, key_columns=("id",), mode=TransferMode.SNAPSHOT, batch_rows=4)
        self.task = self.exchange.create_task(draft, actor=PLATFORM_ACTOR)

    def rebuild(self) -> None:
        columns = ", ".join(
            f"{name} {kind}" + (" PRIMARY KEY" if name == "id" else "") for name, kind in self.types.items()
        )
        self.rows += 5
        values = [
            ", ".join(
                {"INTEGER": str(number), "TEXT": f"'{name}{number}'"}.get(kind, f"{number}.5")
                for name, kind in self.types.items()
            )
            for number in range(self.rows)
        ]
        inserts = [f"INSERT INTO {self.table} VALUES ({value})" for value in values]
        self.served.sql(f"DROP TABLE IF EXISTS {self.table}", f"CREATE TABLE {self.table} ({columns})", *inserts)

    def change(self, change: str) -> bool:
        """Change the source; return whether that breaks the task."""
        number = next(NUMBERS)
        others = [name for name in self.moved if name != "id"]
        if change in BREAKING and not others:
            return False
        match change:
            case "add":
                self.types[f"new{number}"] = "TEXT"
            case "drop_unused":
                for name in [name for name in self.types if name not in self.moved]:
                    del self.types[name]
            case "widen":
                if "amount" in self.moved and self.types["amount"].startswith("DECIMAL"):
                    self.types["amount"] = f"DECIMAL({min(38, 12 + number % 20)},2)"
            case "drop":
                del self.types[others[-1]]
            case "rename":
                self.types = {f"r{number}" if name == others[-1] else name: kind for name, kind in self.types.items()}
            case "narrow" | "retype":
                before = self.types[others[-1]]
                self.types[others[-1]] = "REAL" if before == "TEXT" else "TEXT"
        self.rebuild()
        return change in BREAKING

    def run(self) -> Task:
        self.exchange.request_run(self.task.id, actor=PLATFORM_ACTOR)
        self.served.work()
        return self.exchange.task(self.task.id)

    def accept(self) -> None:
        record = self.exchange.schemas.records(self.task.id)[0]
        assert record.state is SchemaState.BLOCKED
        gone = {one.column: one.after for one in record.findings if one.kind is SchemaFindingKind.COLUMN_GONE}
        columns = []
        for pair in self.exchange.task(self.task.id).columns:
            if pair.column not in gone:
                # Another type goes into another column of the target.
                changed = any(one.column == pair.column and one.breaking for one in record.findings)
                target = f"{pair.column}_{next(NUMBERS)}" if changed else pair.target
                columns.append(pair.model_copy(update={"target": target}))
            elif gone[pair.column] and "," not in gone[pair.column]:
                columns.append(ColumnMap(column=gone[pair.column], item=pair.item, target=pair.target or pair.column))
        self.moved = [pair.column for pair in columns]
        self.exchange.schemas.accept(self.task.id, SchemaDecision(columns=tuple(columns)), actor=PLATFORM_ACTOR)

    def check_equal(self) -> None:
        task = self.exchange.task(self.task.id)
        columns = self.exchange.batches(task.id, limit=200)[-1].manifest.columns
        assert [column.name for column in columns] == self.moved
        source = open_connector(f"sqlite:///{self.served.database('police')}").digest(self.table, columns)
        target = open_target(f"sqlite:///{self.served.database('education')}")
        assert source.rows == self.rows
        assert target.digest(task.compared_table, moved_columns(task.target_plan, columns)) == source


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(changes=CHANGES)
def test_no_change_of_the_source_loses_a_column_or_half_a_run(served: Served, changes: list[str]) -> None:
    story = Story(served)
    assert story.run().state is TaskState.ACTIVE
    story.check_equal()
    for change in changes:
        before = len(story.exchange.batches(story.task.id, limit=200))
        breaking = story.change(change)
        state = story.run().state
        assert state is (TaskState.BLOCKED if breaking else TaskState.ACTIVE)
        if breaking:
            assert len(story.exchange.batches(story.task.id, limit=200)) == before
            story.accept()
            story.served.work()
            assert story.exchange.task(story.task.id).state is TaskState.ACTIVE
        story.check_equal()
