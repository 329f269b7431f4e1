"""Snapshot difference end to end: whatever changes and wherever the node stops, both ends agree at last."""

import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from datong.exchange import DELETED_COLUMN, Task, TransferMode, data_columns, read_payload
from datong.exchange.landing import landed_rows
from tests.exchange_world import ExchangeWorld, exchange_world

COLUMNS = ("id", "part", "name", "amount")


def run_sql(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, values)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "source.sqlite"
    run_sql(path, "CREATE TABLE people (id INTEGER, part TEXT, name TEXT, amount DECIMAL(12,2), note TEXT)")
    for number in range(20):
        run_sql(path, "INSERT INTO people VALUES (?, 'a', ?, ?, 'not moved')", number, f"人{number}", f"{number}.50")
    return path


def begin(world: ExchangeWorld) -> Task:
    return world.task("people", COLUMNS, ("part", "id"), TransferMode.DIFF, 7)


def both(world: ExchangeWorld) -> None:
    assert not world.work_off("police")
    assert not world.work_off("education")


def last_rows(world: ExchangeWorld, task: Task, run: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for record in world.hub.exchange.batches(task.id):
        if record.manifest.run == run:
            with read_payload(world.hub.exchange.payload(record.manifest.batch_id), record.manifest.columns) as reader:
                rows += reader.read_all().to_pylist()
    return rows


def test_only_what_changed_moves_and_deletes_arrive(tmp_path: Path, database: Path) -> None:
    target = f"sqlite:///{tmp_path / 'target.sqlite'}"
    with exchange_world(tmp_path / "world", source=f"sqlite:///{database}", target=target) as world:
        task = begin(world)
        both(world)
        assert world.equal(task)
        first = world.hub.exchange.batches(task.id)
        assert {record.manifest.mode for record in first} == {TransferMode.SNAPSHOT}
        run_sql(database, "DELETE FROM people WHERE id = 3")
        run_sql(database, "UPDATE people SET amount = 99 WHERE id = 4")
        run_sql(database, "UPDATE people SET note = 'still not moved'")
        run_sql(database, "INSERT INTO people VALUES (100, 'b', NULL, 1, '')")
        run_sql(database, "UPDATE people SET id = 200 WHERE id = 5")
        world.request(task)
        both(world)
        rows = [(row[DELETED_COLUMN.name], row["id"], row["name"]) for row in last_rows(world, task, 2)]
        deletes = [(True, 3, None), (True, 5, None)]
        assert sorted(rows[:2], key=str) == deletes
        assert sorted(rows[2:], key=str) == [(False, 100, None), (False, 200, "人5"), (False, 4, "人4")]
        assert world.equal(task)


def test_a_window_that_closes_stops_the_run_and_the_rest_follows_when_it_opens(tmp_path: Path, database: Path) -> None:
    target = f"sqlite:///{tmp_path / 'target.sqlite'}"
    with exchange_world(tmp_path / "world", source=f"sqlite:///{database}", target=target) as world:
        task = begin(world)
        program = world.program("police", lambda _: None)
        client = program.client()
        (work,) = client.work(0).produce
        closed = work.model_copy(update={"until": task.created_at})
        program.loop(client, world.told.append)._producer.produce(closed)
        client.close()
        assert [record.manifest.last for record in world.hub.exchange.batches(task.id)] == [False]
        run_sql(database, "DELETE FROM people WHERE id = 19")
        both(world)
        batches = [record.manifest for record in world.hub.exchange.batches(task.id)]
        assert [(one.run, one.part, one.last) for one in batches] == [(1, 1, False), (1, 2, False), (1, 3, True)]
        assert sum(one.rows for one in batches) == 20
        world.request(task)
        both(world)
        assert world.equal(task)


def test_a_run_without_a_change_makes_no_batch(tmp_path: Path, database: Path) -> None:
    target = f"sqlite:///{tmp_path / 'target.sqlite'}"
    with exchange_world(tmp_path / "world", source=f"sqlite:///{database}", target=target) as world:
        task = begin(world)
        both(world)
        before = len(world.hub.exchange.batches(task.id))
        world.request(task)
        both(world)
        assert len(world.hub.exchange.batches(task.id)) == before
        assert world.hub.exchange.task(task.id).run_done == 2


def test_without_its_state_the_node_takes_a_snapshot_again(tmp_path: Path, database: Path) -> None:
    target = f"sqlite:///{tmp_path / 'target.sqlite'}"
    with exchange_world(tmp_path / "world", source=f"sqlite:///{database}", target=target) as world:
        task = begin(world)
        both(world)
        for path in (tmp_path / "world" / "police" / "differences").rglob("*.state"):
            path.write_bytes(b"not a state")
        run_sql(database, "DELETE FROM people WHERE id < 10")
        world.request(task)
        both(world)
        assert world.hub.exchange.batches(task.id)[-1].manifest.mode is TransferMode.SNAPSHOT
        assert world.equal(task)


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("INSERT INTO people VALUES (1, 'a', 'twice', 0, '')", "不唯一"),
        ("INSERT INTO people VALUES (NULL, 'a', 'none', 0, '')", "空值"),
    ],
)
def test_keys_that_tell_no_rows_apart_are_refused(tmp_path: Path, database: Path, statement: str, code: str) -> None:
    run_sql(database, statement)
    target = f"sqlite:///{tmp_path / 'target.sqlite'}"
    with exchange_world(tmp_path / "world", source=f"sqlite:///{database}", target=target) as world:
        task = begin(world)
        world.round("police")
        assert any(code in text.zh for text in world.told)
        assert world.hub.exchange.batches(task.id) == ()


@settings(max_examples=8, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck))
class Twins(RuleBasedStateMachine):
    """A source that changes at random, a node that is stopped at random; now and then both ends are compared."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        folder = Path(self.stack.enter_context(TemporaryDirectory()))
        self.source, self.target = folder / "source.sqlite", folder / "target.sqlite"
        run_sql(self.source, "CREATE TABLE people (id INTEGER, part TEXT, name TEXT, amount DECIMAL(12,2), note TEXT)")
        self.world = self.stack.enter_context(
            exchange_world(folder / "world", source=f"sqlite:///{self.source}", target=f"sqlite:///{self.target}")
        )
        self.moved = False

    @initialize(rows=st.integers(1, 9))
    def begin(self, rows: int) -> None:
        self.task = self.world.task("people", COLUMNS, ("part", "id"), TransferMode.DIFF, rows)

    @rule(number=st.integers(0, 12), name=st.text(max_size=3).filter(lambda text: "\0" not in text))
    def put(self, number: int, name: str) -> None:
        self.forget(number)
        run_sql(self.source, "INSERT INTO people VALUES (?, 'a', ?, 1.25, '')", number, name)

    @rule(number=st.integers(0, 12))
    def forget(self, number: int) -> None:
        run_sql(self.source, "DELETE FROM people WHERE id = ?", number)

    @rule(number=st.integers(0, 12), other=st.integers(0, 12))
    def rename(self, number: int, other: int) -> None:
        if number != other:
            self.forget(other)
            run_sql(self.source, "UPDATE people SET id = ? WHERE id = ?", other, number)

    @rule()
    def truncate(self) -> None:
        run_sql(self.source, "DELETE FROM people")

    @rule(party=st.sampled_from(["police", "education"]), step=st.integers(0, 25))
    def stop_somewhere(self, party: str, step: int) -> None:
        self.world.request(self.task)
        self.world.work_off(party, kill_at=step)

    @rule()
    def compare(self) -> None:
        self.world.request(self.task)
        both(self.world)
        # The run that was asked for may have looked before the last change: the next one sees it.
        self.world.request(self.task)
        both(self.world)
        self.moved = True

    @precondition(lambda self: self.moved)
    @invariant()
    def ends_agree(self) -> None:
        self.moved = False
        assert self.world.equal(self.task)
        records = self.world.hub.exchange.batches(self.task.id)
        assert [record.manifest.sequence for record in records] == list(range(1, len(records) + 1))
        columns = data_columns(records[-1].manifest.columns)
        landed = [(one.manifest, self.world.hub.exchange.payload(one.manifest.batch_id)) for one in records]
        assert sum(rows.num_rows for rows in landed_rows(landed, columns, ("part", "id"))) == count(self.source)

    def teardown(self) -> None:
        self.stack.close()


def count(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM people").fetchone()[0])


TestTwins = Twins.TestCase
