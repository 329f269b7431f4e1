"""A table that is read in parts side by side: the rows, their order and their state are those of one statement."""

from collections.abc import Iterator

import pyarrow as pa
import pytest
from sqlalchemy.engine import make_url

from datong.adapters import PostgresqlDatabase
from datong.adapters.postgresql_connections import PostgresqlConnections
from datong.adapters.postgresql_copy import parts_of
from datong.exchange import Column, ReadQuery
from datong.kernel import Invalid, Refused, Unavailable
from tests.integration.exchange.statements import connections_left, run
from tests.servers import PostgresqlServer

ROWS = 6_000
READERS = 3
RANGE_PAGES = 8
KEYS = {
    "whole": "n",
    "text": "'第''' || lpad(n::text, 5, '0') || '\"'",
    "moment": "timestamptz '1999-12-31 23:59:59.999999Z' + n * interval '0.000001 s'",
    "raw": "decode(lpad(to_hex(n), 8, '0'), 'hex')",
}
"""Keys that rise with a row's number, of several types."""


@pytest.fixture(scope="module")
def url(postgresql_server: PostgresqlServer) -> Iterator[str]:
    url = postgresql_server.create_database()
    selected = ", ".join(f"{expression} AS {name}" for name, expression in KEYS.items())
    run(
        url,
        f"CREATE TABLE t AS SELECT {selected}, n / 4 AS quarter, n % 4 AS rest, repeat('x', n % 100) AS filling, "
        f"(n * 7919 % {ROWS})::int AS scattered, nullif(n, {ROWS}) AS gap FROM generate_series(1, {ROWS}) AS n",
        *(f"CREATE UNIQUE INDEX ON t ({name})" for name in (*KEYS, "gap", "scattered", "quarter, rest")),
        "ANALYZE t",
    )
    yield url
    postgresql_server.drop_database(url)


@pytest.fixture
def source(url: str) -> Iterator[PostgresqlDatabase]:
    source = PostgresqlDatabase(url, scan_rows_min=0, readers=READERS, range_pages=RANGE_PAGES)
    yield source
    source.close()


def query_of(order: tuple[str, ...], *names: str) -> ReadQuery:
    return ReadQuery(table="t", columns=(*order, *names) or ("filling",), key_columns=order, batch_rows=1000)


def number_of_parts(url: str, *order: str) -> int:
    schema = PostgresqlDatabase(url).schema("t")
    assert schema is not None
    columns: tuple[Column, ...] = tuple(next(one for one in schema.columns if one.name == name) for name in order)
    return len(parts_of(PostgresqlConnections(url), "t", columns, READERS, RANGE_PAGES).conditions)


@pytest.mark.parametrize("order", [*((name,) for name in KEYS), ("quarter", "rest")], ids="-".join)
def test_rows_in_order_are_those_of_one_statement(source: PostgresqlDatabase, url: str, order: tuple[str, ...]) -> None:
    assert number_of_parts(url, *order) > READERS
    expected = PostgresqlDatabase(url, readers=1).read(query_of(order, "filling")).read_all()
    found = source.read(query_of(order, "filling")).read_all()
    assert found.combine_chunks().equals(expected.combine_chunks())
    assert found.num_rows == ROWS


def test_rows_without_an_order_come_once_each(source: PostgresqlDatabase, url: str) -> None:
    assert number_of_parts(url) > READERS
    found = source.read(query_of((), "whole")).read_all()
    assert {str(number) for number in found["whole"].to_pylist()} == {str(number + 1) for number in range(ROWS)}
    assert found.num_rows == ROWS


def test_an_order_that_the_pages_do_not_have_is_read_by_one_statement(source: PostgresqlDatabase, url: str) -> None:
    assert number_of_parts(url, "scattered") == 1
    found = source.read(query_of(("scattered",), "whole")).read_all()["scattered"]
    assert found.to_pylist() == list(range(ROWS))


@pytest.mark.parametrize("order", [("whole",), ()], ids=["ordered", "unordered"])
def test_what_is_written_meanwhile_is_not_read(source: PostgresqlDatabase, url: str, order: tuple[str, ...]) -> None:
    run(url, "CREATE TABLE before AS TABLE t")
    reader = source.read(query_of(order, "filling", "rest"))
    first = reader.read_next_batch()
    run(
        url,
        "UPDATE t SET filling = 'torn'",
        "DELETE FROM t WHERE rest = 2",
        f"INSERT INTO t SELECT * FROM before WHERE whole = {ROWS} ON CONFLICT DO NOTHING",
    )
    found = pa.Table.from_batches([first, *reader])
    assert found.num_rows == ROWS
    assert "torn" not in found["filling"].to_pylist()
    run(url, "TRUNCATE t", "INSERT INTO t SELECT * FROM before ORDER BY whole", "DROP TABLE before", "ANALYZE t")


def test_an_empty_key_is_refused_as_the_snapshot_sees_it(source: PostgresqlDatabase) -> None:
    with pytest.raises(Invalid, match="null_in_order"):
        source.read(query_of(("gap",), "whole")).read_all()


def test_a_row_that_cannot_be_read_stops_all_readers(source: PostgresqlDatabase, url: str) -> None:
    run(
        url,
        f"ALTER TABLE t ADD bad date DEFAULT '2020-01-01'; UPDATE t SET bad = 'infinity' WHERE whole = {ROWS // 2}; "
        "ANALYZE t",
    )
    with pytest.raises((Invalid, Refused), match="value_not_lossless"):
        source.read(query_of(("whole",), "bad")).read_all()
    source.close()
    run(url, "ALTER TABLE t DROP bad")
    assert connections_left(url) == 0


def test_a_reader_that_is_given_up_leaves_no_connection(source: PostgresqlDatabase, url: str) -> None:
    reader = source.read(query_of(("whole",), "filling"))
    reader.read_next_batch()
    del reader
    source.close()
    assert connections_left(url) == 0


def test_a_database_that_allows_few_connections_is_read_by_few(url: str) -> None:
    run(url, "CREATE ROLE few LOGIN PASSWORD 'few' CONNECTION LIMIT 3", "GRANT SELECT ON t TO few")
    few = make_url(url).set(username="few", password="few").render_as_string(hide_password=False)
    source = PostgresqlDatabase(few, scan_rows_min=0, readers=READERS, range_pages=RANGE_PAGES)
    assert source.read(query_of(("whole",), "filling")).read_all().num_rows == ROWS
    run(url, "ALTER ROLE few CONNECTION LIMIT 2")
    with pytest.raises(Unavailable):
        source.read(query_of(("whole",), "filling")).read_all()
    source.close()
    run(url, "REVOKE ALL ON t FROM few", "DROP ROLE few")
