"""The connector over SQLAlchemy: tables that people made arrive unchanged, or a column is refused with its reason."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql, oracle

from datong.adapters.connections import open_connector
from datong.adapters.sqlalchemy_catalog import exchange_type, select_expression
from datong.exchange import Column, ReadQuery
from datong.kernel import DatongError, Invalid, Misconfigured, Text, Unavailable
from tests.integration.exchange.test_fidelity import everything, run_mariadb, run_postgresql
from tests.servers import PostgresqlServer

ROWS = 500


@pytest.fixture
def postgresql(postgresql_server: PostgresqlServer) -> Iterator[str]:
    url = postgresql_server.create_database()
    yield url
    postgresql_server.drop_database(url)


def over_sqlalchemy(url: str) -> str:
    scheme, rest = url.split(":", 1)
    return {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}[scheme] + ":" + rest


def test_postgresql_types(postgresql: str) -> None:
    run_postgresql(
        postgresql,
        "CREATE TYPE mood AS ENUM ('好', '坏')",
        """CREATE TABLE t (id int PRIMARY KEY, small smallint, price numeric(30,8), free numeric, label varchar(9),
           doc jsonb, uid uuid, feel mood, list int[], zoned timestamptz, plain timestamp, day date, raw bytea,
           span interval, net inet, cash money, during tsrange, bits bit(3), single real)""",
        """INSERT INTO t VALUES (1, -32768, 1234567890123456789012.12345678, 0.1234567890123456789012345678901234567890,
           '𠮷㐅😀''', '{"a": 1.10}', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '好', '{1,2}',
           '2026-01-01 08:00:00.000001+08', '2026-01-01 08:00:00', '0001-01-01', '\\x00ff', '1 mon 2 days',
           '10.0.0.1/24', 12.34, '[2026-01-01,2026-02-01)', b'101', 16777216)""",
        "COMMENT ON TABLE t IS '测试表'",
        "COMMENT ON COLUMN t.label IS '标签'",
    )
    connector = open_connector(over_sqlalchemy(postgresql))
    (schema,) = connector.inspect()
    label = schema.column("label")
    assert label is not None
    assert (schema.comment, schema.key_columns, label.comment, schema.refused) == ("测试表", ("id",), "标签", ())
    (row,) = everything(connector, "t")
    assert (row["small"], row["price"]) == (-32768, Decimal("1234567890123456789012.12345678"))
    assert row["free"] == "0.1234567890123456789012345678901234567890"
    assert (row["label"], row["doc"], row["feel"], row["list"]) == ("𠮷㐅😀'", '{"a": 1.10}', "好", "{1,2}")
    assert (row["uid"], row["net"], row["bits"]) == ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "10.0.0.1/24", "101")
    assert row["zoned"] == datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC)
    assert (row["day"], row["raw"], row["single"]) == (date(1, 1, 1), b"\x00\xff", 16777216.0)
    assert (row["span"], row["cash"]) == ("1 mon 2 days", "$12.34")
    assert open_connector(postgresql).digest("t", schema.columns) == connector.digest("t", schema.columns)


def test_mariadb_types(mariadb: str) -> None:
    run_mariadb(
        mariadb,
        """CREATE TABLE t (id BIGINT UNSIGNED PRIMARY KEY, price DECIMAL(30,8), name VARCHAR(20), feel ENUM('好','坏'),
           tags SET('a','b'), raw VARBINARY(9), f FLOAT, plain DATETIME(6), zoned TIMESTAMP(6) NULL, t TIME)
           CHARACTER SET utf8mb4""",
        "SET time_zone = '+08:00'",
        """INSERT INTO t VALUES (18446744073709551615, 1.5, '𠮷', '坏', 'a,b', x'00ff', 16777217,
           '2026-01-01 08:00:00.000001', '2026-01-01 08:00:00', '-838:59:59')""",
    )
    (row,) = everything(open_connector(over_sqlalchemy(mariadb)), "t")
    assert (row["id"], row["price"], row["name"]) == (2**64 - 1, Decimal("1.5"), "𠮷")
    assert (row["feel"], row["tags"], row["raw"], row["f"]) == ("坏", "a,b", b"\x00\xff", 16777216.0)
    assert (row["zoned"], row["t"]) == (datetime(2026, 1, 1, tzinfo=UTC), "-838:59:59")


def test_zero_dates_are_refused(mariadb: str) -> None:
    run_mariadb(
        mariadb, "CREATE TABLE t (id INT PRIMARY KEY, day DATE)", "SET sql_mode = ''", "INSERT INTO t VALUES (1, 0)"
    )
    with pytest.raises(Invalid, match="value_not_lossless"):
        everything(open_connector(over_sqlalchemy(mariadb)), "t")


def test_values_of_another_type_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, age INTEGER, fee DECIMAL(5,2), raw BLOB)")
        connection.execute("INSERT INTO t VALUES (1, 30, 0.1, x'00')")
    connector = open_connector(f"sqlite+pysqlite:///{path}")
    assert everything(connector, "t") == [{"id": 1, "age": 30, "fee": Decimal("0.10"), "raw": b"\0"}]
    for change in ("age = '不详'", "fee = 0.125", "raw = 'text'"):
        with closing(sqlite3.connect(path)) as raw, raw:
            raw.execute(f"UPDATE t SET {change}")
        with pytest.raises(Invalid, match="value_not_lossless"):
            everything(connector, "t")
        with closing(sqlite3.connect(path)) as raw, raw:
            raw.execute("UPDATE t SET age = 1, fee = 1, raw = x'00'")


def test_a_sample_and_the_newest_moment(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, photo BLOB, changed TIMESTAMP)")
        rows = [(n, f"2026-01-01 00:{n // 60:02d}:{n % 60:02d}") for n in range(ROWS)]
        connection.executemany("INSERT INTO t VALUES (?, x'00', ?)", rows)
    connector = open_connector(f"sqlite+pysqlite:///{path}")
    (schema,) = connector.inspect()
    found = connector.sample(schema, 100).read_all()
    assert found.num_rows == 100
    assert set(found.column("photo").to_pylist()) == {"(binary)"}
    assert max(int(str(value)) for value in found.column("id").to_pylist()) > ROWS / 2
    assert connector.sample(schema, 100).read_all().equals(found)
    assert connector.newest("t", "changed") == datetime(2026, 1, 1, 0, 8, 19, tzinfo=UTC)


def test_what_has_no_lossless_counterpart_is_refused_with_a_reason() -> None:
    refused = [
        exchange_type("mssql", mssql.DATETIME2(7)),
        exchange_type("mssql", mssql.SQL_VARIANT()),
        exchange_type("oracle", oracle.NUMBER()),
        exchange_type("oracle", oracle.INTERVAL()),
        exchange_type("dm", sa.types.NullType()),
    ]
    assert all(isinstance(one, Text) for one in refused)
    assert exchange_type("mssql", mssql.DATETIME2(6)) == "timestamp"
    assert exchange_type("mssql", mssql.MONEY()) == "decimal(19,4)"
    assert exchange_type("oracle", oracle.DATE()) == "timestamp"
    assert exchange_type("oracle", oracle.NUMBER(18, 2)) == "decimal(18,2)"
    assert exchange_type("oracle", oracle.TIMESTAMP(timezone=True)) == "timestamp_utc"


def test_oracle_s_instants_are_made_utc_by_the_server() -> None:
    column = Column(name="at", type="timestamp_utc", source_type="TIMESTAMP")
    text = str(sa.select(select_expression("oracle", column)).compile(dialect=oracle.dialect()))
    assert "sys_extract_utc" in text


def test_missing_drivers_and_servers_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="driver_missing"):
        open_connector("nosuch+driver://u:p@h/d")
    with pytest.raises(Misconfigured, match="driver_missing"):
        open_connector("oracle+oracledb://u:secret@h/d").inspect()
    with pytest.raises(Unavailable, match="source_unavailable") as caught:
        open_connector("postgresql+psycopg://u:secret@127.0.0.1:1/d").inspect()
    assert "secret" not in str(caught.value)
    connector = open_connector(f"sqlite+pysqlite:///{tmp_path}/a.sqlite")
    with pytest.raises(DatongError, match="table_not_found"):
        connector.read(ReadQuery(table="t", columns=("a",)))
