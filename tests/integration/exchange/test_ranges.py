"""Ranges and rows digested by the engines themselves equal those of DuckDB over the same rows, value for value."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datong.adapters.comparison import Comparison
from datong.adapters.connections import open_connector, open_target
from datong.adapters.mariadb_ranges import row_text as mariadb_row_text
from datong.adapters.postgresql_ranges import row_text as postgresql_row_text
from datong.exchange import (
    Column,
    Comparing,
    Cursor,
    RangeQuery,
    RangeReader,
    TargetPlan,
    arrow_schema,
    content_digest,
)
from tests.integration.exchange.samples import COLUMNS, ROWS, manifest_of, reader_of, record_batch
from tests.integration.exchange.test_fidelity import run_mariadb, run_postgresql
from tests.servers import DatabaseServer, MariadbServer, PostgresqlServer

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
SALT = "00112233445566778899aabbccddeeff"
WIDE = (*COLUMNS, Column(name="share", type="decimal(3,3)"), Column(name="plain", type="decimal(9,0)"))
TEXTS = st.sampled_from(
    ["", " ", "a ", "n;", "1:a", "𠮷田 😀", "\u200b", "e\u0301", "é", "\\'\"", "中" * 300]
) | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6)
MOMENTS = st.datetimes(datetime.fromisoformat("0001-01-01"), datetime.fromisoformat("9999-12-31T23:59:59.999999"))
FLOATS = (
    st.sampled_from([0.0, -0.0, 0.1, 1e15, 1e16, 1e-4, 1e-5, 123456.75, 2.5e-308, 1e23, 5e-324, 0.1 + 0.2, 999999.5])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(10**7), 10**7).map(lambda n: n / 100)
)
SINGLES = st.sampled_from([0.0, -0.0, 0.5, 16777216.0, 1e6, 1e7, 1e-5]) | st.floats(
    allow_nan=False, allow_infinity=False, width=32, allow_subnormal=False
)


def decimals(digits: int, places: int) -> st.SearchStrategy[Decimal]:
    most = 10**digits - 1
    return st.integers(-most, most).map(lambda n: Decimal(n).scaleb(-places))


ROW = st.fixed_dictionaries(
    {
        "flag": st.none() | st.booleans(),
        "big": st.none() | st.integers(0, 2**64 - 1),
        "amount": st.none() | decimals(28, 10),
        "ratio": st.none() | FLOATS,
        "single": st.none() | SINGLES,
        "name": st.none() | TEXTS,
        "photo": st.none() | st.binary(max_size=5),
        "born": st.none() | st.dates(date(1, 1, 1), date(9999, 12, 31)),
        "at_time": st.none() | st.times() | st.sampled_from([time(1, 2, 3, 500000), time(10)]),
        "local_time": st.none() | MOMENTS,
        "instant": st.none() | MOMENTS.map(lambda moment: moment.replace(tzinfo=UTC)),
        "share": st.none() | decimals(3, 3),
        "plain": st.none() | decimals(9, 0),
    }
)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'data.sqlite'}"
        return
    server: DatabaseServer = request.getfixturevalue(f"{request.param}_server")
    made = server.create_database()
    yield made
    server.drop_database(made)


def load(url: str, batch: pa.RecordBatch, columns: tuple[Column, ...], task: str) -> None:
    target = open_target(url)
    target.prepare(TargetPlan(table=task), columns)
    manifest = manifest_of(batch, columns, task=task)
    target.apply(manifest, reader_of(batch), plan=TargetPlan(table=task), applied_at=NOW)
    assert target.rejected(manifest.task_id) == 0


def comparing(url: str) -> Comparing:
    source = open_connector(url)
    assert isinstance(source, Comparing)
    return source


def check(url: str, query: RangeQuery, batch: pa.RecordBatch) -> None:
    source = comparing(url)
    expected = RangeReader(query)
    assert source.ranges(query) == expected.ranges([batch])
    assert source.listed(query) == expected.rows([batch])
    chosen = content_digest(source.chosen(query), query.columns)
    assert chosen == content_digest(expected.chosen([batch]), query.columns)


# Rows are cheap, tables are not: few examples of many rows.
@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(ROW, min_size=15, max_size=40), st.data())
def test_every_engine_digests_every_value_alike(url: str, rows: list[dict[str, object]], data: st.DataObject) -> None:
    numbered = [{"id": n - 5, **row} for n, row in enumerate(rows)]
    batch = record_batch([*numbered, *ROWS], WIDE)
    load(url, batch, WIDE, "t")
    whole = RangeQuery(table="t", columns=WIDE, key_columns=("id",), salt=SALT, digits=1)
    check(url, whole, batch)
    some = data.draw(st.lists(st.sampled_from([f"{n:x}" for n in range(16)]), min_size=1, max_size=6, unique=True))
    check(url, whole.model_copy(update={"prefixes": tuple(some), "digits": 2}), batch)
    keyless = RangeQuery(table="t", columns=WIDE, salt=SALT, digits=0)
    (everything,) = comparing(url).ranges(keyless)
    expected = content_digest([batch], WIDE)
    assert (everything.rows, everything.sum) == (expected.rows, expected.sum)

    clear(url)


def clear(url: str) -> None:
    statements = [f"DROP TABLE IF EXISTS {name}" for name in ("t", "_datong_stage_t", "_datong_applied")]
    if url.startswith("postgresql"):
        run_postgresql(url, *statements)
    elif url.startswith("mysql"):
        run_mariadb(url, *statements)
    else:
        Path(url.removeprefix("sqlite:///")).unlink()


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(TEXTS, st.integers(0, 3)), unique_by=lambda pair: pair[0], min_size=10, max_size=40),
    st.integers(0, 3),
)
def test_rows_after_the_cursor_are_counted_apart(url: str, pairs: list[tuple[str, int]], at: int) -> None:
    columns = (Column(name="k", type="string"), Column(name="c", type="int64"), Column(name="v", type="string"))
    batch = record_batch([{"k": key, "c": number, "v": "x"} for key, number in pairs], columns)
    load(url, batch, columns, "t")
    query = RangeQuery(
        table="t",
        columns=columns,
        key_columns=("k",),
        salt=SALT,
        digits=1,
        cursor_column="c",
        as_of=Cursor(values=(str(at), "~")),
        ties_are_old=True,
    )
    check(url, query, batch)
    found = comparing(url).ranges(query)
    newer = sum(1 for _, number in pairs if number > at)
    assert (sum(one.newer for one in found), sum(one.rows for one in found)) == (newer, len(pairs) - newer)
    clear(url)


def test_the_producer_s_cursor_also_orders_ties(url: str) -> None:
    columns = (Column(name="k", type="int64"), Column(name="c", type="timestamp"))
    moment = datetime.fromisoformat("2026-01-01T00:00:00.000001")
    batch = record_batch([{"k": n, "c": moment} for n in range(10)], columns)
    load(url, batch, columns, "t")
    as_of = Cursor(values=("2026-01-01 00:00:00.000001", "6"))
    query = RangeQuery(table="t", columns=columns, key_columns=("k",), salt=SALT, cursor_column="c", as_of=as_of)
    (found,) = comparing(url).ranges(query)
    assert (found.rows, found.newer) == (7, 3)


def test_infinite_and_odd_floats_are_digested_by_postgresql_and_the_rest_is_read(
    postgresql_server: PostgresqlServer,
) -> None:
    url = postgresql_server.create_database()
    columns = (Column(name="id", type="int64"), Column(name="v", type="float64"), Column(name="f", type="float32"))
    values = [0.0, float("inf"), float("-inf"), float("nan"), 1e23, 1e-7, 0.1, 1e15, -12.0]
    batch = record_batch([{"id": n, "v": v, "f": v} for n, v in enumerate(values)], columns)
    load(url, batch, columns, "t")
    check(url, RangeQuery(table="t", columns=columns, key_columns=("id",), salt=SALT, digits=1), batch)
    check(url, RangeQuery(table="t", columns=columns, key_columns=("v",), salt=SALT, digits=1), batch)
    postgresql_server.drop_database(url)


def test_what_an_engine_cannot_write_as_text_is_read(
    mariadb_server: MariadbServer, postgresql_server: PostgresqlServer
) -> None:
    odd = Column(name="v", type="float64", source_type="double(8,2)")
    assert mariadb_row_text((odd,), {"v": odd}) is None
    wide = Column(name="v", type="decimal(9,3)")
    assert postgresql_row_text((Column(name="v", type="decimal(9,2)"),), {"v": wide}) is None
    for server, run in ((mariadb_server, run_mariadb), (postgresql_server, run_postgresql)):
        url = server.create_database()
        run(url, "CREATE TABLE t (id int, v decimal(9,3))", "INSERT INTO t VALUES (1, 1.500), (2, NULL)")
        columns = (Column(name="id", type="int64"), Column(name="v", type="decimal(9,2)"))
        batch = record_batch([{"id": 1, "v": Decimal("1.50")}, {"id": 2, "v": None}], columns)
        check(url, RangeQuery(table="t", columns=columns, key_columns=("id",), salt=SALT, digits=1), batch)
        server.drop_database(url)


def test_a_row_too_long_for_the_server_s_packet_is_read(mariadb_server: MariadbServer) -> None:
    url = mariadb_server.create_database()
    columns = (Column(name="id", type="int64"), Column(name="a", type="binary"), Column(name="b", type="binary"))
    # In hexadecimal digits, as it is digested, the row is longer than four mebibytes.
    run_mariadb(
        url,
        "CREATE TABLE t (id int, a LONGBLOB, b LONGBLOB)",
        "INSERT INTO t VALUES (1, REPEAT('x', 1250000), REPEAT('y', 940000)), (2, NULL, NULL)",
        "SET @@GLOBAL.max_allowed_packet = 4194304",
    )
    batch = record_batch([{"id": 1, "a": b"x" * 1_250_000, "b": b"y" * 940_000}, {"id": 2}], columns)
    try:
        check(url, RangeQuery(table="t", columns=columns, key_columns=("id",), salt=SALT, digits=1), batch)
    finally:
        run_mariadb(url, "SET @@GLOBAL.max_allowed_packet = 67108864")
    mariadb_server.drop_database(url)


def test_a_comparison_without_statements_reads_everything() -> None:
    columns = (Column(name="id", type="int64"),)
    batch = pa.RecordBatch.from_pylist([{"id": 1}, {"id": 2}], schema=arrow_schema(columns))
    query = RangeQuery(table="t", columns=columns, salt=SALT)
    asked: list[str] = []

    def read(condition: str) -> list[pa.RecordBatch]:
        asked.append(condition)
        return [batch]

    comparison = Comparison(query, None, lambda _: [], read)
    assert comparison.ranges() == RangeReader(query).ranges([batch])
    assert len(comparison.rows()) == 2
    assert asked == ["true", "true"]
