"""Change capture end to end on PostgreSQL: whatever changes and wherever the node stops, both ends agree at last."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import psycopg
import pytest

from datong.adapters.connections import open_changes
from datong.adapters.postgresql_capture import position_number
from datong.exchange import ChangeSource, ProduceWork, SchemaState, Task, TaskState, TransferMode
from datong.kernel import Conflict, Misconfigured, NodeId
from datong.node.capture import place_name
from tests.exchange_world import ExchangeWorld, exchange_world
from tests.servers import PostgresqlServer

WRITER_REST_SECONDS = 0.005
COLUMNS = ("id", "name", "amount", "photo", "at", "day", "flag", "ratio", "code")
TABLE = (
    "CREATE TABLE people (id bigint PRIMARY KEY, name text, amount numeric(12,2), photo bytea, at timestamptz, "
    "day date, flag boolean, ratio double precision, code character(4), note text)"
)


class Source:
    """A PostgreSQL database that a node captures."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.connection = psycopg.connect(url, autocommit=True)

    def run(self, *statements: str) -> None:
        for statement in statements:
            self.connection.execute(statement.encode())

    def value(self, statement: str) -> object:
        row = self.connection.execute(statement.encode()).fetchone()
        return None if row is None else row[0]

    def position(self) -> int:
        # A commit of nothing moves the log on, so that the stream can be seen to have passed the changes before it.
        self.run("SELECT pg_logical_emit_message(true, 'test', 'mark')")
        return position_number(str(self.value("SELECT pg_current_wal_insert_lsn()::text")))


@pytest.fixture
def source(postgresql_server: PostgresqlServer) -> Iterator[Source]:
    url = postgresql_server.create_database()
    source = Source(url)
    source.run(TABLE, "ALTER TABLE people REPLICA IDENTITY FULL")
    yield source
    with suppress(psycopg.Error):
        source.run("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active")
    source.connection.close()
    postgresql_server.drop_database(url)


@pytest.fixture
def world(tmp_path: Path, source: Source, postgresql_server: PostgresqlServer) -> Iterator[ExchangeWorld]:
    target = postgresql_server.create_database()
    with exchange_world(tmp_path / "world", source=source.url, target=target) as world:
        yield world
    postgresql_server.drop_database(target)


def work_of(world: ExchangeWorld) -> ProduceWork:
    (work,) = world.hub.exchange.work_for(NodeId("node-police")).produce
    return work


def capture(
    world: ExchangeWorld, source: Source, kill_at: int | None = None, changes: ChangeSource | None = None
) -> bool:
    """Capture until the log is read up to now; stop at step number `kill_at`. Return whether it was stopped."""
    return world.capture(source.position(), position_number, kill_at=kill_at, changes=changes)


def begin(world: ExchangeWorld, rows: int = 100) -> Task:
    return world.task("people", COLUMNS, ("id",), TransferMode.CAPTURE, rows)


def insert(first: int, end: int) -> str:
    return (
        f"INSERT INTO people SELECT n, '人' || n, n + 0.25, decode(md5(n::text), 'hex'), "
        f"timestamptz '2026-01-01 00:00:00.5+08' + n * interval '1 hour', date '2000-02-29' + n, n % 2 = 0, n / 3.0, "
        f"n % 1000, 'not moved' FROM generate_series({first}, {end - 1}) AS n"
    )


def test_every_kind_of_change_arrives(world: ExchangeWorld, source: Source) -> None:
    source.run(insert(0, 50))
    task = begin(world)
    capture(world, source)
    world.consume()
    assert world.equal(task)
    source.run(
        insert(50, 60),
        "UPDATE people SET amount = -1.5, name = NULL WHERE id < 5",
        "UPDATE people SET id = id + 1000 WHERE id BETWEEN 10 AND 12",
        "DELETE FROM people WHERE id = 20",
        "UPDATE people SET note = 'only here' WHERE id = 30",
        "UPDATE people SET photo = '', ratio = 'NaN', name = E'𠮷😀\\n\\t\\\\ \"' WHERE id = 31",
        "INSERT INTO people (id) VALUES (5000)",
    )
    capture(world, source)
    world.consume()
    assert world.equal(task)
    assert world.modes(task)[0] == "snapshot"
    assert set(world.modes(task)[1:]) == {"capture"}


def test_the_structure_is_judged_while_changes_are_followed(world: ExchangeWorld, source: Source) -> None:
    def follow() -> None:
        world.capture(source.position(), position_number, watch_seconds=0.0)

    def judged() -> list[tuple[SchemaState, str]]:
        records = world.hub.exchange.schemas.records(task.id)
        return [(record.state, ", ".join(one.kind.value for one in record.findings)) for record in records]

    source.run(insert(0, 10))
    task = begin(world)
    follow()
    source.run("ALTER TABLE people ADD COLUMN remark text", insert(10, 20).replace("'not moved'", "'', ''"))
    follow()
    world.consume()
    assert world.equal(task)
    assert world.modes(task) == ["snapshot", "capture"]
    assert judged() == [(SchemaState.AGREED, "column_added"), (SchemaState.AGREED, "")]
    source.run("ALTER TABLE people DROP COLUMN flag")
    with pytest.raises(Conflict, match="schema_blocked"):
        follow()
    assert world.hub.exchange.task(task.id).state is TaskState.BLOCKED
    assert judged()[0] == (SchemaState.BLOCKED, "column_gone")


def test_a_large_value_that_does_not_change_is_kept(world: ExchangeWorld, source: Source) -> None:
    source.run("ALTER TABLE people ALTER COLUMN name SET STORAGE EXTERNAL")
    source.run(f"INSERT INTO people (id, name) VALUES (1, '{'长' * 5000}')")
    task = begin(world)
    capture(world, source)
    source.run("UPDATE people SET flag = true WHERE id = 1")
    capture(world, source)
    world.consume()
    assert world.equal(task)


def test_a_large_transaction_is_split_and_goes_on_in_its_middle(world: ExchangeWorld, source: Source) -> None:
    task = begin(world, rows=100)
    capture(world, source)
    source.run(insert(0, 950))
    assert capture(world, source, kill_at=6 * 4 + 2)
    before = len(world.modes(task))
    capture(world, source)
    world.consume()
    assert world.equal(task)
    records = world.hub.exchange.batches(task.id)
    assert sum(record.manifest.rows for record in records) == 950
    assert any("+" in str(record.manifest.cursor_to) for record in records)
    assert 1 < before < len(records)


def test_an_emptied_table_and_a_lost_slot_mean_a_new_snapshot(world: ExchangeWorld, source: Source) -> None:
    source.run(insert(0, 30))
    task = begin(world)
    capture(world, source)
    source.run("DELETE FROM people WHERE id = 1")
    capture(world, source)
    source.run("TRUNCATE people", insert(100, 120))
    capture(world, source)
    world.consume()
    assert world.equal(task)
    assert world.modes(task) == ["snapshot", "capture", "snapshot"]
    source.run(f"SELECT pg_drop_replication_slot('{place_name(task.id)}')", "DELETE FROM people WHERE id = 101")
    capture(world, source)
    world.consume()
    assert world.equal(task)
    assert world.modes(task) == ["snapshot", "capture", "snapshot", "snapshot"]


def test_another_column_type_means_a_new_snapshot_and_other_columns_do_not_matter(
    world: ExchangeWorld, source: Source
) -> None:
    source.run(insert(0, 10))
    task = begin(world)
    capture(world, source)
    source.run("ALTER TABLE people ADD COLUMN extra text DEFAULT 'x'", "DELETE FROM people WHERE id = 1")
    capture(world, source)
    assert world.modes(task) == ["snapshot", "capture"]
    source.run("ALTER TABLE people ALTER COLUMN amount TYPE numeric(14,2)", "DELETE FROM people WHERE id = 2")
    capture(world, source)
    assert world.modes(task) == ["snapshot", "capture", "snapshot"]


def test_a_table_that_loses_values_is_refused_with_the_remedy(world: ExchangeWorld, source: Source) -> None:
    source.run("ALTER TABLE people REPLICA IDENTITY DEFAULT")
    begin(world)
    with pytest.raises(Conflict) as caught:
        capture(world, source)
    assert caught.value.code == "adapters.replica_identity"
    assert "REPLICA IDENTITY FULL" in caught.value.remedy.en


def test_a_narrow_table_is_captured_by_its_key_alone(world: ExchangeWorld, source: Source) -> None:
    source.run(
        "CREATE TABLE narrow (id bigint PRIMARY KEY, n int)",
        "INSERT INTO narrow SELECT n, n FROM generate_series(1, 9) n",
    )
    task = world.task("narrow", ("id", "n"), ("id",), TransferMode.CAPTURE, 100)
    capture(world, source)
    source.run(
        "UPDATE narrow SET n = 0 WHERE id < 3",
        "UPDATE narrow SET id = 50 WHERE id = 4",
        "DELETE FROM narrow WHERE id = 5",
    )
    capture(world, source)
    world.consume()
    assert world.equal(task)


def test_without_the_right_the_remedy_is_named(world: ExchangeWorld, source: Source) -> None:
    source.run("DROP ROLE IF EXISTS weak", "CREATE ROLE weak LOGIN PASSWORD 'weak'", "GRANT ALL ON people TO weak")
    begin(world)
    weak = source.url.replace("datong:only-for-tests", "weak:weak")
    with pytest.raises(Misconfigured) as caught:
        capture(world, source, changes=open_changes(weak))
    assert caught.value.code == "adapters.replication_role"
    source.run("REVOKE ALL ON people FROM weak", "DROP ROLE weak")


def test_writes_during_the_copy_do_not_tear_it(world: ExchangeWorld, source: Source) -> None:
    source.run("CREATE TABLE pairs (id bigint PRIMARY KEY, n bigint) WITH (fillfactor = 30)")
    source.run("INSERT INTO pairs SELECT n, 0 FROM generate_series(1, 20000) AS n")
    stop = threading.Event()

    def write() -> None:
        with psycopg.connect(source.url, autocommit=True) as connection:
            number = 0
            # Beside the copy, and not so much that catching up with it is what the test does.
            while not stop.wait(WRITER_REST_SECONDS):
                number += 1
                connection.execute(f"UPDATE pairs SET n = {number} WHERE id % 500 = {number % 500}".encode())

    task = world.task("pairs", ("id", "n"), ("id",), TransferMode.CAPTURE, 1000)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        capture(world, source)
        time.sleep(0.2)
    finally:
        stop.set()
        writer.join()
    capture(world, source)
    world.consume()
    assert world.equal(task)


def test_the_log_is_let_go_while_other_tables_change(world: ExchangeWorld, source: Source) -> None:
    task = begin(world)
    capture(world, source)
    name = place_name(task.id)
    flushed = f"SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '{name}'"
    assert source.value(flushed) is not None
    changes = open_changes(source.url)
    assert changes.kept_bytes(name) >= 0
    changes.forget(name)
    assert source.value(flushed) is None
    changes.forget(name)


@pytest.mark.parametrize("seed", range(3))
def test_random_changes_and_stops_end_in_equal_tables(world: ExchangeWorld, source: Source, seed: int) -> None:
    chance = Random(seed)
    source.run(insert(0, 40))
    task = begin(world, rows=chance.choice([3, 20, 100]))
    acts: list[Callable[[], str]] = [
        lambda: f"DELETE FROM people WHERE id = {chance.randrange(60)}",
        lambda: f"UPDATE people SET amount = {chance.randrange(99)} WHERE id % 7 = {chance.randrange(7)}",
        lambda: (
            f"INSERT INTO people (id, name) VALUES ({chance.randrange(100)}, 'x') "
            "ON CONFLICT (id) DO UPDATE SET name = excluded.name || people.name"
        ),
        lambda: f"UPDATE people SET id = id + 200 WHERE id = {chance.randrange(60)}",
        lambda: "TRUNCATE people" if chance.random() < 0.15 else "SELECT 1",
    ]
    for _ in range(8):
        for _ in range(chance.randrange(1, 8)):
            with source.connection.transaction():
                for _ in range(chance.randrange(1, 6)):
                    with suppress(psycopg.errors.UniqueViolation), source.connection.transaction():
                        source.run(chance.choice(acts)())
        capture(world, source, kill_at=chance.choice([None, chance.randrange(30)]))
    capture(world, source)
    world.consume()
    assert world.equal(task)
