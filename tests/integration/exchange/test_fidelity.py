"""Values that other tools change silently: read from tables that people made, they arrive unchanged or are refused."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet
import pymysql
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from datong.adapters.connections import open_connector, open_target
from datong.exchange import ApplyMode, Column, Connector, ReadQuery, TargetPlan, TransferMode
from datong.kernel import Invalid, Unavailable
from tests.integration.exchange.samples import manifest_of, reader_of, record_batch
from tests.servers import PostgresqlServer

NOW = datetime(2026, 1, 5, tzinfo=UTC)
APPENDED = TargetPlan(table="t", mode=ApplyMode.APPEND)


def everything(connector: Connector, table: str) -> list[dict[str, object]]:
    schema = next(schema for schema in connector.inspect() if schema.table == table)
    query = ReadQuery(
        table=table, columns=tuple(column.name for column in schema.columns), key_columns=schema.key_columns
    )
    return [row for batch in connector.read(query) for row in batch.to_pylist()]


@pytest.fixture
def postgresql(postgresql_server: PostgresqlServer) -> Iterator[str]:
    url = postgresql_server.create_database()
    yield url
    postgresql_server.drop_database(url)


def run_postgresql(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def run_mariadb(url: str, *statements: str) -> None:
    parts = make_url(url)
    with closing(
        pymysql.connect(
            host=parts.host or "",
            port=parts.port or 0,
            user=parts.username or "",
            password=str(parts.password),
            database=parts.database,
            autocommit=True,
            charset="utf8mb4",
        )
    ) as connection:
        for statement in statements:
            with connection.cursor() as cursor:
                cursor.execute(statement)


def test_postgresql_types(postgresql: str) -> None:
    run_postgresql(
        postgresql,
        "CREATE TYPE mood AS ENUM ('好', '坏')",
        """CREATE TABLE t (id int PRIMARY KEY, small smallint, price numeric(30,8), free numeric, fixed char(4),
           label varchar(9), doc jsonb, uid uuid, feel mood, list int[], zoned timestamptz, plain timestamp, day date,
           raw bytea, span interval)""",
        """INSERT INTO t VALUES (1, -32768, 1234567890123456789012.12345678, 0.1234567890123456789012345678901234567890,
           'ab', '😀''', '{"a": 1}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '好', '{1,2}',
           '2026-01-01 08:00:00.000001+08', '2026-01-01 08:00:00', '0001-01-01', '\\x00ff', '1 mon 2 days')""",
        "COMMENT ON COLUMN t.label IS '标签'",
        "COMMENT ON TABLE t IS '测试表'",
    )
    connector = open_connector(postgresql)
    (schema,) = connector.inspect()
    assert (schema.comment, schema.key_columns) == ("测试表", ("id",))
    label = schema.column("label")
    assert label is not None
    assert label.comment == "标签"
    (row,) = everything(connector, "t")
    assert row["price"] == Decimal("1234567890123456789012.12345678")
    assert row["free"] == "0.1234567890123456789012345678901234567890"
    assert (row["small"], row["label"], row["feel"], row["list"]) == (-32768, "😀'", "好", "{1,2}")
    assert row["zoned"] == datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC)
    assert row["plain"] == datetime.fromisoformat("2026-01-01T08:00:00")
    assert (row["day"], row["raw"], row["doc"]) == (date(1, 1, 1), b"\x00\xff", '{"a": 1}')


@pytest.mark.parametrize("value", ["'infinity'::date", "'-infinity'::date"])
def test_infinite_dates_are_refused(postgresql: str, value: str) -> None:
    run_postgresql(postgresql, "CREATE TABLE t (id int, day date)", f"INSERT INTO t VALUES (1, {value})")
    with pytest.raises(Invalid, match="value_not_lossless"):
        everything(open_connector(postgresql), "t")


def test_numeric_nan_is_refused_in_a_declared_decimal(postgresql: str) -> None:
    run_postgresql(postgresql, "CREATE TABLE t (id int, v numeric(9,2))", "INSERT INTO t VALUES (1, 'NaN')")
    with pytest.raises(Invalid, match="value_not_lossless"):
        everything(open_connector(postgresql), "t")


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.decimals(min_value=-(10**27), max_value=10**27, places=10), min_size=1, max_size=40))
def test_no_decimal_changes_on_its_way_through_postgresql(postgresql: str, values: list[Decimal]) -> None:
    columns = (Column(name="id", type="int64"), Column(name="v", type="decimal(38,10)"))
    batch = record_batch([{"id": number, "v": value} for number, value in enumerate(values)], columns)
    run_postgresql(postgresql, "DROP TABLE IF EXISTS t, _datong_stage_t, _datong_applied, _datong_dead_letter")
    target = open_target(postgresql)
    target.prepare(TargetPlan(table="t"), columns)
    target.apply(manifest_of(batch, columns), reader_of(batch), plan=TargetPlan(table="t"), applied_at=NOW)
    read = {row["id"]: row["v"] for row in everything(open_connector(postgresql), "t")}
    assert read == dict(enumerate(values))


def test_mariadb_types(mariadb: str) -> None:
    run_mariadb(
        mariadb,
        """CREATE TABLE t (id BIGINT UNSIGNED PRIMARY KEY, bits BIT(3), price DECIMAL(30,8),
           name VARCHAR(20) COMMENT '姓名',
           feel ENUM('好','坏'), doc JSON, raw VARBINARY(9), f FLOAT, d DOUBLE, day DATE, plain DATETIME(6),
           zoned TIMESTAMP(6) NULL, yr YEAR, t TIME) CHARACTER SET utf8mb4 COMMENT '测试表'""",
        """SET time_zone = '+08:00'""",
        """INSERT INTO t VALUES (18446744073709551615, b'101', 1234567890123456789012.12345678,
           '😀''\\\\', '坏', '{"a": 1}',
           x'00ff27', 16777217, 0.1, '1000-01-01', '2026-01-01 08:00:00.000001', '2026-01-01 00:00:00', 2026,
           '-838:59:59')""",
    )
    connector = open_connector(mariadb)
    (schema,) = connector.inspect()
    assert (schema.comment, schema.key_columns) == ("测试表", ("id",))
    (row,) = everything(connector, "t")
    assert (row["id"], row["bits"]) == (2**64 - 1, 5)
    assert row["price"] == Decimal("1234567890123456789012.12345678")
    assert (row["name"], row["feel"], row["raw"]) == ("😀'\\", "坏", b"\x00\xff'")
    assert (row["f"], row["d"]) == (16777216.0, 0.1)
    assert row["plain"] == datetime.fromisoformat("2026-01-01T08:00:00.000001")
    assert isinstance(row["zoned"], datetime)
    assert row["zoned"].tzinfo is not None
    assert (row["t"], row["yr"]) == ("-838:59:59", "2026")


def test_zero_dates_are_refused_unless_they_travel_as_text(mariadb: str) -> None:
    run_mariadb(
        mariadb,
        "CREATE TABLE t (id INT PRIMARY KEY, day DATE, moment DATETIME)",
        "SET sql_mode = ''",
        "INSERT INTO t VALUES (1, '0000-00-00', '2026-00-10 00:00:00')",
    )
    with pytest.raises(Invalid, match="value_not_lossless"):
        everything(open_connector(mariadb), "t")
    (row,) = everything(open_connector(mariadb + "?zero_dates=text"), "t")
    assert (row["day"], row["moment"]) == ("0000-00-00", "2026-00-10 00:00:00")


def test_existing_target_with_narrow_types_gets_dead_letters(mariadb: str, postgresql: str) -> None:
    columns = (Column(name="id", type="int64"), Column(name="name", type="string"))
    rows: list[dict[str, object]] = [{"id": n, "name": "好" * (3 if n % 10 else 9)} for n in range(40)]
    batch = record_batch(rows, columns)
    definition = "CREATE TABLE t (id bigint, name varchar(5))"
    run_mariadb(mariadb, definition + " CHARACTER SET utf8mb4")
    run_postgresql(postgresql, definition)
    for url in (mariadb, postgresql):
        target = open_target(url)
        target.prepare(APPENDED, columns)
        manifest = manifest_of(batch, columns, mode=TransferMode.INCREMENT)
        answer = target.apply(manifest, reader_of(batch), plan=APPENDED, applied_at=NOW)
        assert (answer.rows, answer.rejected) == (36, 4)
        assert open_connector(url).count("t") == 36


def test_nul_and_infinity_are_rejected_where_they_cannot_live(mariadb: str, postgresql: str) -> None:
    columns = (Column(name="id", type="int64"), Column(name="name", type="string"), Column(name="v", type="float64"))
    batch = record_batch([{"id": 1, "name": "a\0b", "v": 1.0}, {"id": 2, "name": "c", "v": float("inf")}], columns)
    for url in (mariadb, postgresql):
        target = open_target(url)
        target.prepare(TargetPlan(table="t"), columns)
        answer = target.apply(manifest_of(batch, columns), reader_of(batch), plan=TargetPlan(table="t"), applied_at=NOW)
        assert answer.rejected == 1


def test_sqlite_comments_keys_and_mistyped_values(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            'CREATE TABLE "hj" ( -- 常住人口\n    "id" TEXT PRIMARY KEY NOT NULL, -- 编号\n    "age" INTEGER -- 年龄\n)'
        )
        connection.execute("INSERT INTO hj VALUES ('1', 30)")
    connector = open_connector(f"sqlite:///{path}")
    (schema,) = connector.inspect()
    assert (schema.comment, [column.comment for column in schema.columns]) == ("常住人口", ["编号", "年龄"])
    assert schema.key_columns == ("id",)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO hj VALUES ('2', '不详')")
    with pytest.raises(Invalid, match="value_not_lossless"):
        everything(connector, "hj")


def test_gb18030_csv_keeps_null_and_empty_apart(tmp_path: Path) -> None:
    text = '编号,姓名,备注\n1,𠮷田,""\n2,"张,三",\n3,"李\n四",ok\n'
    (tmp_path / "登记.csv").write_bytes(text.encode("gb18030"))
    connector = open_connector(f"files:///{tmp_path}")
    (schema,) = connector.inspect()
    assert (schema.table, schema.key_columns) == ("登记", ("编号",))
    rows = everything(connector, "登记")
    assert [row["姓名"] for row in rows] == ["𠮷田", "张,三", "李\n四"]
    assert [row["备注"] for row in rows] == ["", None, "ok"]


def test_utf8_csv_with_mark_parquet_and_missing_folder(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("\ufeff编号,v\n1,007\n".encode())
    pyarrow.parquet.write_table(pa.table({"n": pa.array([1, 2], pa.uint64())}), tmp_path / "b.parquet")
    connector = open_connector(f"files:///{tmp_path}")
    assert [schema.table for schema in connector.inspect()] == ["a", "b"]
    assert everything(connector, "a") == [{"编号": "1", "v": "007"}]
    assert everything(connector, "b") == [{"n": 1}, {"n": 2}]
    with pytest.raises(Unavailable):
        open_connector(f"files:///{tmp_path}/none").inspect()


def test_csv_increment_reads_what_follows_the_cursor(tmp_path: Path) -> None:
    lines = [f"{n},2026-01-{n:02d}" for n in (3, 1, 2)]
    (tmp_path / "a.csv").write_text("id,changed\n" + "\n".join(lines) + "\n")
    connector = open_connector(f"files:///{tmp_path}")
    query = ReadQuery(table="a", columns=("id", "changed"), key_columns=("id",), cursor_column="changed", batch_rows=2)
    first, second = connector.read(query)
    assert (first.column("id").to_pylist(), second.column("id").to_pylist()) == (["1", "2"], ["3"])
