"""From every source to every target: random rows of every type arrive as they were, whatever the two engines are."""

import itertools
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datong.adapters.connections import open_connector, open_target
from datong.exchange import Column, ReadQuery, TargetPlan, content_digest
from tests.integration.exchange.samples import COLUMNS, manifest_of, reader_of, record_batch
from tests.servers import MariadbServer, PostgresqlServer

NOW = datetime(2026, 1, 5, tzinfo=UTC)
SOURCES = {
    "sqlite": ("sqlite", ""),
    "postgresql": ("postgresql", ""),
    "mariadb": ("mariadb", ""),
    "files": ("files", ""),
    "sqlite over SQLAlchemy": ("sqlite", "sqlite+pysqlite"),
    "postgresql over SQLAlchemy": ("postgresql", "postgresql+psycopg"),
    "mariadb over SQLAlchemy": ("mariadb", "mysql+pymysql"),
}
TARGETS = ("sqlite", "postgresql", "mariadb")
FIRST, LAST = datetime.fromisoformat("1000-01-01"), datetime.fromisoformat("9999-12-31")
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=15) | st.sampled_from(
    ["", "𠮷㐅😀", "NULL", "\\N", "a\r\n\tb", "'\"\\%s?", "  ", "0000-00-00"]
)
ROW = st.fixed_dictionaries(
    {
        "flag": st.none() | st.booleans(),
        "big": st.none() | st.integers(0, 2**64 - 1),
        "amount": st.none() | st.decimals(min_value=-(10**27), max_value=10**27, places=10),
        "ratio": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "single": st.none() | st.floats(width=32, allow_nan=False, allow_infinity=False),
        "name": st.none() | TEXT,
        "photo": st.none() | st.binary(max_size=12),
        "born": st.none() | st.dates(date(1000, 1, 1)),
        "at_time": st.none() | st.times(),
        "local_time": st.none() | st.datetimes(FIRST, LAST),
        "instant": st.none() | st.datetimes(FIRST, LAST, timezones=st.just(UTC)),
    }
)
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def places(
    postgresql_server: PostgresqlServer, mariadb_server: MariadbServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """A place on every engine, by its URL."""
    folder = tmp_path_factory.mktemp("pairs")
    (folder / "files").mkdir()
    postgresql, mariadb = postgresql_server.create_database(), mariadb_server.create_database()
    yield {
        "sqlite": f"sqlite:///{folder / 'data.sqlite'}",
        "postgresql": postgresql,
        "mariadb": mariadb,
        "files": f"files://{folder / 'files'}",
    }
    postgresql_server.drop_database(postgresql)
    mariadb_server.drop_database(mariadb)


def put(url: str, table: str, batch: pa.RecordBatch, columns: tuple[Column, ...]) -> None:
    """Put rows into a new table of a target; every one must be taken."""
    if url.startswith("files:"):
        pyarrow.parquet.write_table(
            pa.Table.from_batches([batch]), Path(url.removeprefix("files://")) / f"{table}.parquet"
        )
        return
    target = open_target(url)
    plan = TargetPlan(table=table)
    target.prepare(plan, columns)
    manifest = manifest_of(batch, columns, task=table)
    answer = target.apply(manifest, reader_of(batch), plan=plan, applied_at=NOW)
    target.close()
    assert (answer.rows, answer.rejected) == (batch.num_rows, 0)


@pytest.mark.parametrize("source", SOURCES)
@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ROW, min_size=1, max_size=12))
def test_what_one_engine_holds_another_gets(places: dict[str, str], source: str, rows: list[dict[str, object]]) -> None:
    engine, driver = SOURCES[source]
    first, table = places[engine], f"s{next(NUMBERS)}"
    batch = record_batch({"id": number, **row} for number, row in enumerate(rows))
    put(first, table, batch, COLUMNS)
    url = f"{driver}:{first.split(':', 1)[1]}" if driver else first
    connector = open_connector(url)
    assert connector.digest(table, COLUMNS) == content_digest([batch], COLUMNS)
    columns = next(schema.columns for schema in connector.inspect() if schema.table == table)
    query = ReadQuery(table=table, columns=tuple(column.name for column in columns), key_columns=("id",))
    read = connector.read(query).read_all().combine_chunks().to_batches()[0]
    connector.close()
    for target in TARGETS:
        received = f"r{next(NUMBERS)}"
        put(places[target], received, read, columns)
        back = open_connector(places[target])
        assert back.digest(received, columns) == content_digest([read], columns)
        assert back.count(received) == len(rows)
        back.close()
