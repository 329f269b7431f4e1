"""Names and values that would be SQL if anybody took them for text: on every engine they stay names and values.

A table's and a column's name come from a department's database, from a task and from a hub; the values are people's.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.adapters.sql_places import block, formatted, numbered
from datong.exchange import (
    ApplyMode,
    Column,
    Comparing,
    RangeQuery,
    RangeReader,
    ReadQuery,
    TargetPlan,
    TransferMode,
    content_digest,
)
from datong.exchange.payload import cursor_at_end
from datong.kernel import TaskId
from tests.integration.exchange.samples import manifest_of, reader_of, record_batch
from tests.integration.exchange.test_contract import DATABASES, NOW, Bench, opened_bench

TABLE = """x"`'] :a?%s$1\\$datong$;DROP TABLE victim--"""
COLUMNS = tuple(
    Column(name=name, type=kind)
    for name, kind in (
        ("""id" = 1; DROP TABLE victim; --""", "int64"),
        ("""name`, (SELECT 1), `'""", "string"),
        ("""%s %(a)s %% :b ? \\' ]{0}$1""", "string"),
        ("$datong$; DROP TABLE victim; DO $datong$ BEGIN NULL;", "string"),
    )
)
VALUES = (
    "'; DROP TABLE victim; --", '" OR 1=1', "\\'; DROP TABLE victim; --", "%s%d%%", ":a ? $1 {0}", "`; --", "\\", "''",
    "\\n\\\\N", "甲\u2028'",
)  # fmt: skip


@pytest.fixture(params=DATABASES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """Whatever can be both."""
    yield from opened_bench(request, tmp_path)


def test_no_name_and_no_value_is_carried_out(bench: Bench) -> None:
    table, columns = TABLE, COLUMNS
    if bench.url.startswith("mysql+"):
        # SQLAlchemy does not see such a column; the target then refuses it (`adapters.target_misfit`).
        columns = tuple(one.model_copy(update={"name": one.name.replace("`", "´")}) for one in COLUMNS)
    key = (columns[0].name,)
    victims = record_batch([{"id": 1}], (Column(name="id", type="int64"),))
    bench.load(victims, (Column(name="id", type="int64"),), "victim")
    batch = record_batch(
        [
            {column.name: value if column.type == "string" else number for column in columns}
            for number, value in enumerate(VALUES)
        ],
        columns,
    )
    expected = content_digest([batch], columns)

    # Written: at first, then row by row into the same keys, then as a copy and as a history.
    for sequence, mode in enumerate((ApplyMode.UPSERT, ApplyMode.UPSERT), start=1):
        plan = TargetPlan(table=table, mode=mode, key_columns=key)
        bench.target.prepare(plan, columns)
        manifest = manifest_of(batch, columns, sequence=sequence, run=sequence, mode=TransferMode.INCREMENT)
        bench.target.apply(manifest, reader_of(batch), plan=plan, applied_at=NOW)
    for mode in (ApplyMode.MIRROR, ApplyMode.HISTORY):
        plan = TargetPlan(table=f"{mode.value[0]}{table}", mode=mode, key_columns=key)
        bench.target.prepare(plan, columns)
        manifest = manifest_of(batch, columns, task=f"task-{mode.value}")
        bench.target.apply(manifest, reader_of(batch), plan=plan, applied_at=NOW)
    assert bench.target.rejected(TaskId("task-1")) == 0
    assert bench.target.digest(table, columns) == expected

    # Read: described, counted, sampled, in pages after hostile cursors, compared by ranges.
    source = bench.source
    schema = source.schema(table)
    assert schema is not None
    assert {one.table for one in source.inspect()} >= {table, "victim"}
    assert (source.count(table), source.digest(table, columns)) == (len(VALUES), expected)
    assert sum(piece.num_rows for piece in source.sample(schema, 100)) == len(VALUES)
    names = tuple(column.name for column in columns)
    seen: list[str | None] = []
    after = None
    while len(seen) < len(VALUES):
        # Ordered by a hostile column, from a hostile value on.
        query = ReadQuery(table=table, columns=names, key_columns=(names[1], names[0]), after=after, batch_rows=3)
        page = next(iter(source.read(query)))
        seen += page.column(names[1]).to_pylist()
        after = cursor_at_end(page, query.order)
    assert set(seen) == set(VALUES)
    ranges = RangeQuery(table=table, columns=columns, key_columns=key, salt="5a" * 16, prefixes=("",), digits=1)
    assert isinstance(source, Comparing)
    assert source.ranges(ranges) == RangeReader(ranges).ranges([batch])
    assert bench.source.count("victim") == 1


def test_places_are_found_outside_of_names_and_texts_only() -> None:
    said = """SELECT "a?", 'b''?', c FROM `d?` WHERE e = ? AND f IN ('?', ?, 'x%')"""
    assert numbered(said) == """SELECT "a?", 'b''?', c FROM `d$1` WHERE e = $2 AND f IN ('?', $3, 'x%')"""
    assert formatted(said) == """SELECT "a?", 'b''?', c FROM `d?` WHERE e = %s AND f IN ('?', %s, 'x%%')"""
    assert formatted(r"SELECT '\'?', ?") == r"SELECT '\'?', %s"
    assert numbered(r"SELECT '\', ?") == r"SELECT '\', $1"


@given(st.text("$datong12 ;", max_size=60))
def test_nothing_ends_a_block_but_its_own_mark(body: str) -> None:
    said = block(body)
    mark = said.split()[1]
    assert said == f"DO {mark} BEGIN {body} END {mark}"
    assert mark not in body
