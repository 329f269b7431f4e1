"""Change capture end to end on MariaDB: the binary log names the keys, the rows are read by them."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pymysql
import pytest

from datong.adapters.binlog_checks import failure
from datong.adapters.binlog_connection import BinlogConnection, LogSettings
from datong.adapters.binlog_stream import position_number
from datong.adapters.connections import open_changes
from datong.exchange import ChangesLost, ChangeSource, ProduceWork, Task, TransferMode
from datong.kernel import Conflict, Misconfigured, NodeId, Unavailable
from tests.exchange_world import ExchangeWorld, exchange_world
from tests.mariadb_source import MariadbSource
from tests.servers import MariadbServer

WRITER_REST_SECONDS = 0.005
COLUMNS = ("id", "part", "name", "amount", "photo", "at", "day", "code", "big")
TABLE = (
    "CREATE TABLE people (id BIGINT UNSIGNED, part VARCHAR(20), name TEXT, amount DECIMAL(12,2), photo BLOB, "
    "at TIMESTAMP(6) NULL, day DATE, code BINARY(4), big BIGINT UNSIGNED, note TEXT, PRIMARY KEY (part, id))"
)


@pytest.fixture
def source(mariadb_server: MariadbServer) -> Iterator[MariadbSource]:
    source = MariadbSource(mariadb_server)
    source.run(TABLE)
    yield source
    mariadb_server.drop_database(source.url)


@pytest.fixture
def world(tmp_path: Path, source: MariadbSource, mariadb_server: MariadbServer) -> Iterator[ExchangeWorld]:
    target = mariadb_server.create_database()
    with exchange_world(tmp_path / "world", source=source.url, target=target) as world:
        yield world
    mariadb_server.drop_database(target)


def capture(
    world: ExchangeWorld, source: MariadbSource, kill_at: int | None = None, changes: ChangeSource | None = None
) -> bool:
    """Capture until the log is read up to now; stop at step number `kill_at`. Return whether it was stopped."""
    return world.capture(source.place().number, position_number, kill_at=kill_at, changes=changes)


def begin(world: ExchangeWorld, rows: int = 100) -> Task:
    return world.task("people", COLUMNS, ("id", "part"), TransferMode.CAPTURE, rows)


def insert(first: int, end: int) -> str:
    return (
        f"INSERT INTO people SELECT seq, 'a', CONCAT('人', seq), seq + 0.25, UNHEX(MD5(seq)), "
        f"FROM_UNIXTIME(1700000000 + seq), '2000-02-29' + INTERVAL seq DAY, UNHEX('0A00'), "
        f"18446744073709551615 - seq, 'not moved' FROM seq_{first}_to_{end - 1}"
    )


def test_every_kind_of_change_arrives(world: ExchangeWorld, source: MariadbSource) -> None:
    source.run(insert(0, 50))
    task = begin(world)
    capture(world, source)
    world.consume()
    assert world.equal(task)
    source.run(
        insert(50, 350),
        "UPDATE people SET amount = -1.5, name = NULL WHERE id < 5",
        "UPDATE people SET id = id + 18446744073709550000 WHERE id BETWEEN 10 AND 12",
        "UPDATE people SET part = '乙' WHERE id = 13",
        "DELETE FROM people WHERE id = 20",
        "CREATE INDEX names ON people (amount)",
        "CREATE OR REPLACE VIEW seen AS SELECT id FROM people",
        "UPDATE people SET name = '𠮷😀\\n\\'' WHERE id = 31",
    )
    capture(world, source)
    world.consume()
    assert world.equal(task)
    assert world.modes(task)[0] == "snapshot"
    assert set(world.modes(task)[1:]) == {"capture"}


def test_an_emptied_or_altered_table_means_a_new_snapshot(world: ExchangeWorld, source: MariadbSource) -> None:
    source.run(insert(0, 30))
    task = begin(world)
    capture(world, source)
    source.run("TRUNCATE TABLE people", insert(100, 120))
    capture(world, source)
    world.consume()
    assert world.equal(task)
    source.run("ALTER TABLE people ADD COLUMN extra INT FIRST", "DELETE FROM people WHERE id = 101")
    capture(world, source)
    world.consume()
    assert world.equal(task)
    assert world.modes(task) == ["snapshot", "snapshot", "snapshot"]


def test_a_purged_log_means_a_new_snapshot(world: ExchangeWorld, source: MariadbSource) -> None:
    source.run(insert(0, 10))
    task = begin(world)
    capture(world, source)
    source.run("DELETE FROM people WHERE id = 1", "FLUSH BINARY LOGS")
    source.purge()
    capture(world, source)
    world.consume()
    assert world.equal(task)
    assert world.modes(task) == ["snapshot", "snapshot"]


def test_rows_without_a_sure_key_are_refused(world: ExchangeWorld, source: MariadbSource) -> None:
    source.run("CREATE TABLE days (day DATE PRIMARY KEY, n INT) ENGINE=InnoDB")
    world.task("days", ("day", "n"), ("day",), TransferMode.CAPTURE, 100)
    with pytest.raises(Conflict) as caught:
        capture(world, source)
    assert caught.value.code == "adapters.log_key"


def test_a_log_of_statements_is_refused_with_the_remedy(world: ExchangeWorld, source: MariadbSource) -> None:
    begin(world)
    source.run("SET GLOBAL binlog_format = 'STATEMENT'")
    try:
        with pytest.raises(Misconfigured) as caught:
            capture(world, source)
        assert "binlog_format = ROW" in caught.value.remedy.en
    finally:
        source.run("SET GLOBAL binlog_format = 'ROW'")


def test_a_large_transaction_is_split_and_read_again_after_a_stop(world: ExchangeWorld, source: MariadbSource) -> None:
    task = begin(world)
    capture(world, source)
    source.run(insert(0, 10), insert(10, 950))
    assert capture(world, source, kill_at=6 * 4 + 2)
    before = len(world.modes(task))
    capture(world, source)
    world.consume()
    assert world.equal(task)
    records = world.hub.exchange.batches(task.id)
    assert max(record.manifest.rows for record in records) <= 100
    # Parts of a transaction leave the position before it, so some rows came twice.
    assert len({str(record.manifest.cursor_to) for record in records[:before]}) < before
    assert sum(record.manifest.rows for record in records) > 950


def test_rows_of_any_type_and_any_image_are_followed(world: ExchangeWorld, source: MariadbSource) -> None:
    source.run(
        "CREATE TABLE kinds (v BIGINT UNSIGNED AS (id + 1) VIRTUAL, id MEDIUMINT UNSIGNED, c CHAR(100), "
        "e ENUM('a', 'b'), st SET('x', 'y'), b BIT(13), d DECIMAL(20,7), t TIME(3), dt DATETIME(5), y YEAR, "
        "bl LONGBLOB, j JSON, g GEOMETRY, f FLOAT, m SMALLINT, u UUID, z TEXT COMPRESSED, k CHAR(70), i INT, "
        "PRIMARY KEY (i, k, id))",
    )
    columns = ("v", "id", "c", "e", "b", "d", "dt", "y", "bl", "j", "f", "z", "k", "i")
    task = world.task("kinds", columns, ("id", "k", "i"), TransferMode.CAPTURE, 100)
    capture(world, source)
    full = (
        "'x', 'a', 'x,y', 5, -123.5, '-10:00:00.123', '2020-01-01 10:00:00', 2020, REPEAT('z', 70000), '{}', "
        "POINT(1, 2), 1.5, -3, UUID(), REPEAT('q', 1000), '甲'"
    )
    names = "c, e, st, b, d, t, dt, y, bl, j, g, f, m, u, z, k"
    source.run(
        f"INSERT INTO kinds (id, i, {names}) SELECT 16777215 - seq, -seq, {full} FROM seq_0_to_9",
        "INSERT INTO kinds (id, i, k) VALUES (1, -2147483648, ''), (2, 1, 'b')",
        "SET SESSION binlog_row_image = 'MINIMAL'",
        "INSERT INTO kinds (id, i, k) VALUES (3, 3, 'c')",
        "UPDATE kinds SET c = 'k' WHERE id < 3",
        "UPDATE kinds SET i = 7 WHERE id = 2",
        "DELETE FROM kinds WHERE id = 16777214",
        "SET SESSION binlog_row_image = 'NOBLOB'",
        "UPDATE kinds SET bl = NULL WHERE id = 16777213",
        "SET GLOBAL log_bin_compress = ON",
        "SET GLOBAL log_bin_compress_min_len = 10",
        f"UPDATE kinds SET c = '{'长' * 90}' WHERE id < 5",
        "SET GLOBAL log_bin_compress = OFF",
    )
    capture(world, source)
    world.consume()
    assert world.equal(task)
    assert set(world.modes(task)) == {"snapshot", "capture"}
    assert world.modes(task).count("snapshot") == 1


def test_a_prepared_transaction_waits_for_its_commit(world: ExchangeWorld, source: MariadbSource) -> None:
    source.run(insert(0, 5))
    task = begin(world)
    capture(world, source)
    source.run("XA START 'kept', 'b', 3", insert(5, 10), "XA END 'kept', 'b', 3", "XA PREPARE 'kept', 'b', 3")
    source.run("DELETE FROM people WHERE part = 'a' AND id = 0")
    # Twice: what is prepared is not forgotten by a restart.
    capture(world, source)
    source.run("DELETE FROM people WHERE part = 'a' AND id = 1")
    capture(world, source)
    world.consume()
    assert world.equal(task)
    source.run("XA COMMIT 'kept', 'b', 3")
    source.run("XA START 'left'", "DELETE FROM people", "XA END 'left'", "XA PREPARE 'left'", "XA ROLLBACK 'left'")
    source.run("XA START 'one'", "DELETE FROM people WHERE id = 5", "XA END 'one'", "XA COMMIT 'one' ONE PHASE")
    capture(world, source)
    world.consume()
    assert world.equal(task)
    assert source.values("SELECT count(*) FROM people") == [7]
    assert world.modes(task).count("snapshot") == 1


def test_what_the_log_does_not_tell_means_a_new_snapshot(world: ExchangeWorld, source: MariadbSource) -> None:
    source.run(insert(0, 10))
    task = begin(world)
    capture(world, source)
    source.run("SET SESSION binlog_format = 'STATEMENT'", "UPDATE people SET amount = 0 WHERE id < 5")
    capture(world, source)
    world.consume()
    assert world.equal(task)
    assert world.modes(task) == ["snapshot", "snapshot"]


def test_another_log_of_the_same_name_means_a_new_snapshot(world: ExchangeWorld, source: MariadbSource) -> None:
    source.run(insert(0, 10))
    task = begin(world)
    source.run("RESET MASTER")
    capture(world, source)
    source.run("DELETE FROM people WHERE id = 1")
    time.sleep(1.1)
    source.run("RESET MASTER", *(f"UPDATE people SET amount = {number}" for number in range(20)))
    capture(world, source)
    world.consume()
    assert world.equal(task)
    assert world.modes(task) == ["snapshot", "snapshot"]


def test_a_log_may_be_purged_while_other_tables_change(world: ExchangeWorld, source: MariadbSource) -> None:
    source.run(insert(0, 10), "CREATE TABLE other (n INT PRIMARY KEY)")
    task = begin(world)
    capture(world, source)
    source.run("INSERT INTO other VALUES (1)", "FLUSH BINARY LOGS", "INSERT INTO other VALUES (2)")
    work: tuple[ProduceWork, ...] = world.hub.exchange.work_for(NodeId("node-police")).produce
    program = world.program("police", lambda _: None)
    client = program.client()
    rounds = iter([False] * 5)
    program.capture(client, world.told.append, rest_seconds=0).produce(work[0], lambda _: next(rounds, True))
    client.close()
    source.purge()
    source.run("DELETE FROM people WHERE id = 1")
    capture(world, source)
    world.consume()
    assert world.equal(task)
    assert world.modes(task) == ["snapshot", "capture"]


def test_long_rows_are_handed_out_in_parts(world: ExchangeWorld, source: MariadbSource) -> None:
    source.run("CREATE TABLE long_ones (id INT PRIMARY KEY, photo LONGBLOB)")
    task = world.task("long_ones", ("id", "photo"), ("id",), TransferMode.CAPTURE, 100)
    capture(world, source)
    source.run("INSERT INTO long_ones SELECT seq, REPEAT(CHAR(seq), 12000000) FROM seq_1_to_4")
    capture(world, source)
    world.consume()
    assert world.equal(task)
    records = world.hub.exchange.batches(task.id)
    assert [record.manifest.rows for record in records[1:]] == [3, 1]


def test_rights_are_asked_for_before_a_row_moves(world: ExchangeWorld, source: MariadbSource) -> None:
    source.run("CREATE OR REPLACE USER weak@'%' IDENTIFIED BY 'weak'", f"GRANT SELECT ON {source.name}.* TO weak@'%'")
    task = begin(world)
    weak = open_changes(source.url.replace("datong:only-for-tests", "weak:weak"))
    for right in ("BINLOG MONITOR", "REPLICATION SLAVE"):
        with pytest.raises(Misconfigured) as caught:
            capture(world, source, changes=weak)
        assert caught.value.code == "adapters.replication_role"
        assert "GRANT REPLICATION SLAVE, BINLOG MONITOR" in caught.value.remedy.en
        assert world.modes(task) == []
        source.run(f"GRANT {right} ON *.* TO weak@'%'")
    source.run(insert(0, 5))
    capture(world, source, changes=weak)
    source.run("DELETE FROM people WHERE id = 1")
    capture(world, source, changes=weak)
    world.consume()
    assert world.equal(task)
    source.run("DROP USER weak@'%'")


def test_a_foreign_key_that_changes_rows_unseen_is_refused(world: ExchangeWorld, source: MariadbSource) -> None:
    source.run(
        "CREATE TABLE parts (id INT PRIMARY KEY, of BIGINT UNSIGNED, k VARCHAR(20), "
        "CONSTRAINT whole FOREIGN KEY (k, of) REFERENCES people (part, id) ON DELETE CASCADE)"
    )
    world.task("parts", ("id", "of"), ("id",), TransferMode.CAPTURE, 100)
    with pytest.raises(Conflict) as caught:
        capture(world, source)
    assert caught.value.code == "adapters.log_cascades"


def test_transactions_that_stay_prepared_keep_a_capture_from_beginning(
    world: ExchangeWorld, source: MariadbSource
) -> None:
    source.run("XA START 'stale'", insert(0, 5), "XA END 'stale'", "XA PREPARE 'stale'")
    begin(world)
    with pytest.raises(Conflict) as caught:
        capture(world, source)
    assert caught.value.code == "adapters.prepared_transactions"
    source.run("XA ROLLBACK 'stale'")


def _read_to_the_end(log: BinlogConnection) -> None:
    while True:
        log.next()


def test_two_readers_of_one_id_are_told_from_a_purged_log(source: MariadbSource) -> None:
    place = source.place()
    settings = LogSettings("127.0.0.1", source.server.port, source.server.user, source.server.password)
    with closing(BinlogConnection(settings, place.file, place.place, server_id=77)) as older:
        older.begun()
        with closing(BinlogConnection(settings, place.file, place.place, server_id=77)) as newer:
            newer.begun()
            with pytest.raises(pymysql.MySQLError) as caught:
                _read_to_the_end(older)
    assert isinstance(failure(caught.value, "source"), Unavailable)
    with closing(BinlogConnection(settings, "binlog.999999", 4)) as lost, pytest.raises(pymysql.MySQLError) as caught:
        lost.begun()
    assert isinstance(failure(caught.value, "source"), ChangesLost)


def test_writes_beside_the_capture_do_not_tear_it(world: ExchangeWorld, source: MariadbSource) -> None:
    source.run(
        "CREATE TABLE pairs (id INT PRIMARY KEY, n BIGINT)", "INSERT INTO pairs SELECT seq, 0 FROM seq_1_to_5000"
    )
    # As on a server that keeps what it commits: the log tells of a commit before others see it.
    source.run("SET GLOBAL sync_binlog = 1", "SET GLOBAL innodb_flush_log_at_trx_commit = 1")
    stop = threading.Event()

    def write() -> None:
        with closing(source.connect()) as connection, connection.cursor() as cursor:
            number = 0
            while not stop.wait(WRITER_REST_SECONDS):
                number += 1
                cursor.execute(f"UPDATE pairs SET n = {number} WHERE id % 1000 = {number % 1000}")

    task = world.task("pairs", ("id", "n"), ("id",), TransferMode.CAPTURE, 1000)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(3):
            capture(world, source)
    finally:
        stop.set()
        writer.join()
        source.run("SET GLOBAL sync_binlog = 0", "SET GLOBAL innodb_flush_log_at_trx_commit = 0")
    capture(world, source)
    world.consume()
    assert world.equal(task)
    assert world.modes(task).count("snapshot") == 5


def test_random_changes_and_stops_end_in_equal_tables(world: ExchangeWorld, source: MariadbSource) -> None:
    chance = Random(1)
    source.run(insert(0, 40))
    task = begin(world, rows=chance.choice([3, 20, 100]))
    for _ in range(6):
        for _ in range(chance.randrange(1, 12)):
            number = chance.randrange(60)
            source.run(
                chance.choice(
                    [
                        f"DELETE FROM people WHERE id = {number}",
                        f"UPDATE people SET amount = {number} WHERE id % 7 = {number % 7}",
                        f"INSERT INTO people (id, part) VALUES ({number}, 'b') ON DUPLICATE KEY UPDATE name = 'x'",
                        f"UPDATE IGNORE people SET id = id + 200 WHERE id = {number}",
                        "TRUNCATE TABLE people" if chance.random() < 0.1 else "DO 1",
                    ]
                )
            )
        capture(world, source, kill_at=chance.choice([None, chance.randrange(30)]))
    capture(world, source)
    world.consume()
    assert world.equal(task)
