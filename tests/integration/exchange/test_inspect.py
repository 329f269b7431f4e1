"""One contract suite of `inspect`, `sample` and `newest`, over PostgreSQL, MariaDB, SQLite and a folder of files."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pymysql
import pytest

from datong.adapters.connections import open_connector
from datong.exchange import Connector, TableKind, TableSchema
from datong.kernel import DatongError
from tests.servers import MariadbServer, PostgresqlServer

ROWS = 3_000
SAMPLE = 100
Run = Callable[[str], None]
DEFINITIONS = {
    "postgresql": (
        "CREATE TABLE person (id bigint PRIMARY KEY, xm varchar(50) NOT NULL, photo bytea, changed timestamp)",
        "COMMENT ON TABLE person IS '人员'",
        "COMMENT ON COLUMN person.xm IS '姓名'",
        "CREATE TABLE visit (id bigint PRIMARY KEY, who bigint REFERENCES person (id))",
        "CREATE VIEW v_person AS SELECT id, xm FROM person",
        (
            f"INSERT INTO person SELECT n, '王' || n, '\\x00', timestamp '2026-01-01' + n * interval '1 minute' "
            f"FROM generate_series(1, {ROWS}) n"
        ),
        "INSERT INTO person VALUES (0, '无', NULL, NULL)",
        "ANALYZE",
    ),
    "mariadb": (
        (
            "CREATE TABLE person (id bigint PRIMARY KEY, xm varchar(50) NOT NULL COMMENT '姓名', photo blob, "
            "changed datetime) COMMENT '人员'"
        ),
        "CREATE TABLE visit (id bigint PRIMARY KEY, who bigint, FOREIGN KEY (who) REFERENCES person (id))",
        "CREATE VIEW v_person AS SELECT id, xm FROM person",
        (
            f"INSERT INTO person SELECT seq, concat('王', seq), x'00', '2026-01-01' + INTERVAL seq MINUTE "
            f"FROM seq_1_to_{ROWS}"
        ),
        "INSERT INTO person VALUES (0, '无', NULL, NULL)",
        "ANALYZE TABLE person",
    ),
    "sqlite": (
        (
            "CREATE TABLE person ( -- 人员\n id INTEGER PRIMARY KEY,\n xm VARCHAR(50) NOT NULL, -- 姓名\n photo BLOB,\n"
            " changed TIMESTAMP\n)"
        ),
        "CREATE TABLE visit (id INTEGER PRIMARY KEY, who INTEGER REFERENCES person)",
        "CREATE VIEW v_person AS SELECT id, xm FROM person",
        (
            f"WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {ROWS}) INSERT INTO person "
            "SELECT n, '王' || n, x'00', strftime('%Y-%m-%dT%H:%M:%S', '2026-01-01', '+' || n || ' minutes') FROM s"
        ),
        "INSERT INTO person VALUES (0, '无', NULL, NULL)",
    ),
}
NEWEST = datetime(2026, 1, 3, 2, 0, tzinfo=UTC)


@pytest.fixture(params=["postgresql", "mariadb", "sqlite"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Connector, Run]]:
    """A database of each engine with a person, its visits and a view; and how to run a statement in it."""
    engine = request.param
    if engine == "sqlite":
        path = tmp_path / "s.sqlite"

        def run(statement: str) -> None:
            with closing(sqlite3.connect(path)) as connection:
                connection.execute(statement)
                connection.commit()

        url = f"sqlite:///{path}"
    elif engine == "postgresql":
        server: PostgresqlServer = request.getfixturevalue("postgresql_server")
        url = server.create_database()

        def run(statement: str) -> None:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(statement.encode())

    else:
        maria: MariadbServer = request.getfixturevalue("mariadb_server")
        url = maria.create_database()

        def run(statement: str) -> None:
            connection = pymysql.connect(
                host="127.0.0.1",
                port=maria.port,
                user=maria.user,
                password=maria.password,
                database=url.rsplit("/", 1)[1],
                autocommit=True,
                charset="utf8mb4",
            )
            with closing(connection), connection.cursor() as cursor:
                cursor.execute(statement)

    for statement in DEFINITIONS[engine]:
        run(statement)
    connector = open_connector(url)
    yield connector, run
    connector.close()


def schema_of(connector: Connector, table: str) -> TableSchema:
    return next(one for one in connector.inspect() if one.table == table)


def test_tables_views_keys_comments_and_sizes_are_told(database: tuple[Connector, Run]) -> None:
    connector, _ = database
    found = {one.table: one for one in connector.inspect()}
    assert set(found) == {"person", "visit", "v_person"}
    person = found["person"]
    assert (person.comment, person.key_columns, person.kind) == ("人员", ("id",), TableKind.TABLE)
    assert {column.name: column.comment for column in person.columns}["xm"] == "姓名"
    assert person.rows is not None
    assert abs(person.rows - ROWS) < ROWS / 2
    assert person.bytes is None or person.bytes > ROWS
    (key,) = found["visit"].foreign_keys
    assert (key.columns, key.other_table, key.other_columns) == (("who",), "person", ("id",))
    view = found["v_person"]
    assert (view.kind, view.comment, view.key_columns) == (TableKind.VIEW, "", ())


def test_a_sample_is_text_from_all_over_the_table(database: tuple[Connector, Run]) -> None:
    connector, _ = database
    rows = connector.sample(schema_of(connector, "person"), SAMPLE).read_all()
    assert 0 < rows.num_rows <= SAMPLE
    assert {str(field.type) for field in rows.schema} == {"string"}
    assert set(rows.column("photo").to_pylist()) <= {"(binary)", None}
    whole = connector.sample(schema_of(connector, "person"), ROWS * 2).read_all()
    assert whole.num_rows == ROWS + 1
    assert whole.column("photo").null_count == 1
    again = connector.sample(schema_of(connector, "person"), SAMPLE).read_all()
    assert again.equals(rows)


def test_views_and_empty_tables_can_be_sampled(database: tuple[Connector, Run]) -> None:
    connector, _ = database
    assert connector.sample(schema_of(connector, "v_person"), SAMPLE).read_all().num_rows == SAMPLE
    assert connector.sample(schema_of(connector, "visit"), SAMPLE).read_all().num_rows == 0


def test_the_newest_moment_of_a_column(database: tuple[Connector, Run]) -> None:
    connector, run = database
    assert connector.newest("person", "changed") == NEWEST
    run("UPDATE person SET changed = NULL")
    assert connector.newest("person", "changed") is None


def test_what_cannot_be_read_is_an_error_of_the_platform(database: tuple[Connector, Run]) -> None:
    connector, run = database
    schema = schema_of(connector, "v_person")
    run("DROP VIEW v_person")
    with pytest.raises(DatongError, match=r"adapters\.(table_unreadable|source_unavailable)"):
        connector.sample(schema, SAMPLE).read_all()


def test_every_schema_of_postgresql_is_told_and_can_be_read(postgresql_server: PostgresqlServer) -> None:
    url = postgresql_server.create_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA hr")
        connection.execute('CREATE TABLE hr.person (id int PRIMARY KEY); CREATE TABLE "a.b" (n int)')
        connection.execute(
            "CREATE TABLE hr.visit (who int REFERENCES hr.person (id)); INSERT INTO hr.person VALUES (7)"
        )
        connection.execute("CREATE TABLE part (n int) PARTITION BY RANGE (n)")
        connection.execute("CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (9)")
    connector = open_connector(url)
    found = {one.table: one for one in connector.inspect()}
    assert set(found) == {"public.a.b", "part", "hr.person", "hr.visit"}
    assert found["hr.visit"].foreign_keys[0].other_table == "hr.person"
    assert connector.count("hr.person") == 1
    assert connector.count("public.a.b") == 0
    assert connector.sample(found["hr.person"], 5).read_all().to_pylist() == [{"id": "7"}]
    connector.close()


def test_files_are_sampled_and_a_damaged_one_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_text("id,xm\n" + "".join(f"{n},王{n}\n" for n in range(ROWS)), encoding="utf-8")
    (tmp_path / "bad.csv").write_bytes(b"a,b\n1,2,3\n\xff\xff\xff")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1nothing")
    (tmp_path / "book.xlsx").write_bytes(b"PK\x03\x04nothing")
    connector = open_connector(f"files://{tmp_path}")
    found = {one.table: one for one in connector.inspect()}
    assert set(found) == {"good", "bad", "broken", "book"}
    assert (found["good"].kind, found["good"].rows) == (TableKind.FILE, ROWS)
    assert found["good"].changed_at is not None
    assert connector.sample(found["good"], SAMPLE).read_all().num_rows == SAMPLE
    for damaged in ("bad", "broken", "book"):
        assert found[damaged].columns == ()
        with pytest.raises(DatongError, match="adapters"):
            connector.sample(found[damaged], SAMPLE).read_all()
