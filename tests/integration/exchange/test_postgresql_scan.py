"""Large tables are read by DuckDB's reader: the rows are those that ADBC reads, and what it would change is refused."""

from collections.abc import Iterator

import psycopg
import pyarrow as pa
import pytest

from datong.adapters import PostgresqlDatabase
from datong.exchange import Connector, ReadQuery
from datong.kernel import Invalid, NotFound, Refused, Unavailable
from tests.integration.exchange.statements import connections_left, run
from tests.servers import PostgresqlServer

ROWS = 50_000
FILL = f"""INSERT INTO t SELECT n, CASE WHEN n % 7 > 0 THEN (n % 30000)::smallint END, (n * 7919 % 1000003)::int,
    CASE WHEN n % 5 > 0 THEN repeat('汉😀', (n % 4)::int) END, 'A' || n % 1000, n % 2 = 0, n / 7.0, (n / 3.0)::real,
    (n - 25000) / 11.0, -(n ^ 5)::numeric(38, 10), date '0001-01-01' + (n * 73)::int,
    timestamp '0001-01-01' + n * interval '17 hours 3.000007 s', timestamptz '1969-12-31 23:00Z' + n * interval '1 s',
    sha256(n::text::bytea), CASE WHEN n % 3 = 0 THEN n::text::jsonb END, '{{1,2}}'
    FROM generate_series(1, {ROWS}) AS n"""
TYPES = """"Id" bigint PRIMARY KEY, "id" smallint, "a b" int, "名""称" text, code varchar(9), yes boolean, d float8,
    f real, small numeric(9,2), big numeric(38,10), day date, plain timestamp, zoned timestamptz, raw bytea, doc jsonb,
    list int[]"""


@pytest.fixture(scope="module")
def url(postgresql_server: PostgresqlServer) -> Iterator[str]:
    url = postgresql_server.create_database()
    run(url, f"CREATE TABLE t ({TYPES})", FILL)
    run(url, "INSERT INTO t SELECT n, 1, 1, '', '', true, 'NaN', '-0', 0, 0 FROM generate_series(-2, -1) AS n")
    yield url
    postgresql_server.drop_database(url)


def query_of(source: Connector, table: str, *, batch_rows: int = 100_000) -> ReadQuery:
    schema = source.schema(table)
    assert schema is not None
    names = tuple(column.name for column in schema.columns)
    return ReadQuery(table=table, columns=names, key_columns=schema.key_columns, batch_rows=batch_rows)


def test_the_rows_are_those_that_the_other_driver_reads_in_order(url: str) -> None:
    scanned, driven = PostgresqlDatabase(url, scan_rows_min=0), PostgresqlDatabase(url)
    batches = list(scanned.read(query_of(scanned, "t", batch_rows=9000)))
    assert max(batch.num_rows for batch in batches) <= 9000
    expected = driven.read(query_of(driven, "t")).read_all().combine_chunks()
    found = expected.from_batches(batches).combine_chunks()
    assert found.num_rows == ROWS + 2
    assert found.drop_columns(["d"]).equals(expected.drop_columns(["d"]))
    # Not a number is not equal to itself.
    assert found["d"].cast(pa.string()).equals(expected["d"].cast(pa.string()))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("date", "'infinity'"),
        ("date", "'-infinity'"),
        ("timestamp", "'infinity'"),
        ("timestamptz", "'-infinity'"),
        ("timestamp", "'294276-12-31 23:59:59'"),
        ("numeric(9,2)", "'NaN'"),
    ],
)
def test_what_has_no_counterpart_is_refused(url: str, kind: str, value: str) -> None:
    run(url, "DROP TABLE IF EXISTS odd", f"CREATE TABLE odd (v {kind})", f"INSERT INTO odd VALUES (NULL), ({value})")
    source = PostgresqlDatabase(url, scan_rows_min=0)
    with pytest.raises(Invalid, match="value_not_lossless"):
        source.read(query_of(source, "odd")).read_all()


def test_times_of_day_go_the_other_way(url: str) -> None:
    run(url, "DROP TABLE IF EXISTS odd", "CREATE TABLE odd (v time)", "INSERT INTO odd VALUES ('23:59:59.999999')")
    source = PostgresqlDatabase(url, scan_rows_min=0)
    (row,) = source.read(query_of(source, "odd")).read_all().to_pylist()
    assert str(row["v"]) == "23:59:59.999999"


def test_a_lost_link_is_told_from_a_failing_statement(url: str) -> None:
    run(
        url,
        "DROP VIEW IF EXISTS bad",
        "CREATE VIEW bad AS SELECT 1 / (n - 5)::bigint AS v FROM generate_series(1, 9) n",
    )
    source = PostgresqlDatabase(url, scan_rows_min=0)
    with pytest.raises(Refused, match="division by zero"):
        source.read(query_of(source, "bad")).read_all()
    with pytest.raises(NotFound, match="table_not_found"):
        source.read(ReadQuery(table="gone", columns=("v",)))
    reader = source.read(query_of(source, "t", batch_rows=1000))
    reader.read_next_batch()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            b"SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            b"WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    with pytest.raises(Unavailable, match="source_unavailable"):
        reader.read_all()


def test_a_reader_that_is_given_up_leaves_no_connection(url: str) -> None:
    source = PostgresqlDatabase(url, scan_rows_min=0)
    reader = source.read(query_of(source, "t", batch_rows=1000))
    reader.read_next_batch()
    del reader
    source.close()
    assert connections_left(url) == 0
