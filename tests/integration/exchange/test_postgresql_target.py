"""Snapshots on PostgreSQL: copied into the stage, put in place by renaming, where nobody loses anything by it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Context, Decimal

import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datong.adapters.connections import open_target
from datong.exchange import (
    GENESIS_DIGEST,
    Applied,
    ApplyMode,
    Column,
    Manifest,
    TargetPlan,
    TransferMode,
    content_digest,
)
from tests.integration.exchange.samples import COLUMNS, ROWS, manifest_of, reader_of, record_batch
from tests.servers import PostgresqlServer

NOW = datetime(2026, 1, 5, tzinfo=UTC)
REPLACED = TargetPlan(table="t")
APPENDED = TargetPlan(table="t", mode=ApplyMode.APPEND)
EXACT = Context(prec=60)
NARROW = (Column(name="id", type="int64"), Column(name="name", type="string"))


@pytest.fixture
def url(postgresql_server: PostgresqlServer) -> Iterator[str]:
    url = postgresql_server.create_database()
    yield url
    postgresql_server.drop_database(url)


class Snapshots:
    """Applies snapshots of `(id, name)` rows one after another."""

    def __init__(self, url: str) -> None:
        self.target = open_target(url)
        self.sequence = 0
        self.previous = GENESIS_DIGEST

    def apply(self, rows: int, *, part: int = 1, last: bool = True, name: str = "人") -> Applied:
        batch = record_batch([{"id": n, "name": f"{name}{n}"} for n in range(rows)], NARROW)
        self.sequence += 1
        manifest: Manifest = manifest_of(
            batch, NARROW, sequence=self.sequence, run=self.sequence, part=part, last=last, previous=self.previous
        )
        self.target.prepare(REPLACED, NARROW)
        applied = self.target.apply(manifest, reader_of(batch), plan=REPLACED, applied_at=NOW)
        self.previous = manifest.digest
        return applied


def ask(url: str, statement: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(statement.encode()).fetchone()
        assert row is not None
        return row[0]


def run(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def identity(url: str, table: str = "t") -> object:
    """The table's object id: another one after it was put in place by renaming."""
    return ask(url, f"SELECT '{table}'::regclass::oid::bigint")


def test_a_plain_table_is_replaced_by_renaming(url: str) -> None:
    snapshots = Snapshots(url)
    snapshots.apply(3, last=False)
    before = identity(url)
    assert ask(url, "SELECT count(*) FROM t") == 0
    snapshots.apply(2, part=2)
    assert identity(url) != before
    assert ask(url, "SELECT count(*) FROM t") == 5
    assert ask(url, "SELECT count(*) FROM _datong_stage_t") == 0
    snapshots.apply(4)
    assert ask(url, "SELECT count(*) FROM t") == 4
    assert ask(url, "SELECT count(*) FROM pg_class WHERE relname = '_datong_retired'") == 0


DEPENDENTS = {
    "view": "CREATE VIEW seen AS SELECT * FROM t",
    "grant": "GRANT SELECT ON t TO public",
    "column grant": "GRANT SELECT (id) ON t TO public",
    "key": "ALTER TABLE t ADD PRIMARY KEY (id)",
    "foreign key": "ALTER TABLE t ADD UNIQUE (id)",
    "check": "ALTER TABLE t ADD CHECK (id >= 0)",
    "default": "ALTER TABLE t ALTER name SET DEFAULT '?'",
    "identity": "ALTER TABLE t ADD more bigint GENERATED ALWAYS AS IDENTITY",
    "not null": "ALTER TABLE t ALTER id SET NOT NULL",
    "comment": "COMMENT ON TABLE t IS '名册'",
    "column comment": "COMMENT ON COLUMN t.id IS '编号'",
    "publication": "CREATE PUBLICATION p FOR TABLE t WITH (publish = 'insert')",
    "policy": "CREATE POLICY everybody ON t USING (true)",
    "trigger": "CREATE TRIGGER same BEFORE UPDATE ON t FOR EACH ROW "
    "EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "statistics": "CREATE STATISTICS pair ON id, name FROM t",
    "row type": "CREATE FUNCTION f(t) RETURNS bigint LANGUAGE sql AS 'SELECT $1.id'",
    "storage": "ALTER TABLE t SET (fillfactor = 50)",
    "column type": "ALTER TABLE t ALTER name TYPE varchar(90)",
    "child": "CREATE TABLE child () INHERITS (t)",
    "owner": "CREATE ROLE clerk_{database}; ALTER TABLE t OWNER TO clerk_{database}",
}


@pytest.mark.parametrize("dependent", list(DEPENDENTS))
def test_a_table_on_which_something_hangs_keeps_its_identity(url: str, dependent: str) -> None:
    snapshots = Snapshots(url)
    snapshots.apply(3)
    run(url, DEPENDENTS[dependent].format(database=url.rsplit("/", 1)[1]))
    before = identity(url)
    assert snapshots.apply(5) == Applied(rows=5, rejected=0)
    assert identity(url) == before
    assert ask(url, "SELECT count(*) FROM ONLY t") == 5


def test_a_view_shows_the_new_copy(url: str) -> None:
    snapshots = Snapshots(url)
    snapshots.apply(3)
    run(url, "CREATE VIEW seen AS SELECT count(*) AS n FROM t")
    snapshots.apply(7)
    assert ask(url, "SELECT n FROM seen") == 7


def test_a_reader_in_the_middle_of_the_table_does_not_lose_it(url: str) -> None:
    snapshots = Snapshots(url)
    snapshots.apply(3)
    before = identity(url)
    with psycopg.connect(url) as reader:
        assert reader.execute("SELECT count(*) FROM t").fetchone() == (3,)
        snapshots.apply(6)
        assert reader.execute("SELECT count(*) FROM t").fetchone() == (6,)
    assert identity(url) == before
    snapshots.apply(2)
    assert identity(url) != before


def test_every_type_goes_straight_into_the_table(url: str) -> None:
    batch = record_batch(ROWS)
    target = open_target(url)
    for sequence, mode in ((1, TransferMode.SNAPSHOT), (2, TransferMode.INCREMENT)):
        apply = ApplyMode.REPLACE if mode is TransferMode.SNAPSHOT else ApplyMode.APPEND
        plan = TargetPlan(table=f"t{sequence}", mode=apply)
        target.prepare(plan, COLUMNS)
        manifest = manifest_of(batch, mode=mode, task=f"task-{sequence}")
        target.apply(manifest, reader_of(batch), plan=plan, applied_at=NOW)
        assert target.digest(f"t{sequence}", COLUMNS) == content_digest([batch], COLUMNS)


def test_columns_in_another_order_and_more_of_them(url: str) -> None:
    run(url, "CREATE TABLE t (more int DEFAULT 7, name text, id bigint)")
    target = open_target(url)
    target.prepare(APPENDED, NARROW)
    batch = record_batch([{"id": 1, "name": "a"}, {"id": 2}], NARROW)
    manifest = manifest_of(batch, NARROW, mode=TransferMode.INCREMENT)
    target.apply(manifest, reader_of(batch), plan=APPENDED, applied_at=NOW)
    assert ask(url, "SELECT string_agg(concat_ws('|', id, name, more), ';' ORDER BY id) FROM t") == "1|a|7;2|7"


def test_a_refused_value_goes_the_long_way_and_leaves_a_dead_letter(url: str) -> None:
    run(url, "CREATE TABLE t (id bigint CHECK (id <> 3), name text)")
    target = open_target(url)
    target.prepare(APPENDED, NARROW)
    batch = record_batch([{"id": n, "name": str(n)} for n in range(9)], NARROW)
    manifest = manifest_of(batch, NARROW, mode=TransferMode.INCREMENT)
    answer = target.apply(manifest, reader_of(batch), plan=APPENDED, applied_at=NOW)
    assert answer == Applied(rows=8, rejected=1)
    assert ask(url, "SELECT count(*) FROM t") == 8
    assert ask(url, "SELECT row_in_batch FROM _datong_dead_letter") == 3


PRECISIONS = st.integers(1, 38).flatmap(lambda precision: st.tuples(st.just(precision), st.integers(0, precision)))


def unscaled(precision: int) -> st.SearchStrategy[int]:
    """Numbers of up to `precision` digits, many of them near the borders of PostgreSQL's groups of four and nine."""
    most = 10**precision - 1
    near = st.tuples(st.integers(0, 10**6), st.integers(0, precision), st.integers(-2, 2)).map(
        lambda parts: parts[0] * 10 ** parts[1] + parts[2]
    )
    return (st.integers(-most, most) | near).map(lambda number: max(-most, min(most, number)))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PRECISIONS.flatmap(lambda pair: st.tuples(st.just(pair), st.lists(unscaled(pair[0]), min_size=1, max_size=60))))
def test_no_decimal_of_any_precision_changes_in_the_binary_copy(
    url: str, case: tuple[tuple[int, int], list[int]]
) -> None:
    # Drivers before 1.13 stored other numbers for multiples of 10⁹ and for scales that are no multiple of 4.
    (precision, scale), numbers = case
    columns = (Column(name="id", type="int64"), Column(name="v", type=f"decimal({precision},{scale})"))
    values = [EXACT.scaleb(Decimal(number), -scale) for number in numbers]
    batch = record_batch([{"id": place, "v": value} for place, value in enumerate(values)], columns)
    run(url, "DROP TABLE IF EXISTS t, _datong_stage_t, _datong_applied, _datong_dead_letter")
    target = open_target(url)
    target.prepare(REPLACED, columns)
    target.apply(manifest_of(batch, columns), reader_of(batch), plan=REPLACED, applied_at=NOW)
    with psycopg.connect(url, prepare_threshold=None) as connection:
        assert [row[0] for row in connection.execute("SELECT v FROM t ORDER BY id")] == values


def test_several_record_batches_of_one_payload_arrive(url: str) -> None:
    target = open_target(url)
    target.prepare(REPLACED, NARROW)
    batch = record_batch([{"id": n, "name": str(n)} for n in range(10)], NARROW)
    reader = pa.RecordBatchReader.from_batches(batch.schema, [batch.slice(0, 4), batch.slice(4, 0), batch.slice(4)])
    target.apply(manifest_of(batch, NARROW), reader, plan=REPLACED, applied_at=NOW)
    assert target.digest("t", NARROW) == content_digest([batch], NARROW)
