"""Open releases against an oracle that counts in Python."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datong.kernel import Conflict, Invalid, NotFound
from datong.ledger import EntryKind
from datong.sharing.anonymity import Anonymity, AnonymityRule, QuasiColumn, ReleasePlan, by_loss, loss_permille
from datong.sharing.generalising import AGE_BANDS, NUMBER_BANDS, Generaliser, canonical_sql, level_sql
from datong.sharing.open_releases import CSV, PARQUET, OpenReleases
from tests.unit.sharing.released import NAME, FixedDatasets, people
from tests.unit.sharing.samples import POLICE, person
from tests.unit.sharing.world import PACK, World

PLAN = ReleasePlan(
    dataset=NAME,
    quasi=(
        QuasiColumn(column="birth_date", kind=Generaliser.AGE),
        QuasiColumn(column="division_code", kind=Generaliser.DIVISION),
        QuasiColumn(column="sex", kind=Generaliser.CATEGORY),
    ),
    sensitive=("ethnicity",),
    rule=AnonymityRule(group_rows_min=20, diversity_min=2, suppressed_max_permille=0),
)


def opened(world: World, library: FixedDatasets, folder: Path) -> OpenReleases:
    return OpenReleases(
        database=world.database,
        clock=world.clock,
        ledger=world.ledger,
        pack=PACK,
        library=library,
        folder=folder / "releases",
    )


@pytest.fixture
def releases(world: World, tmp_path: Path) -> OpenReleases:
    return opened(world, FixedDatasets(tmp_path, people(600)), tmp_path)


def groups_of(table: pa.Table, quasi: Sequence[str], sensitive: str) -> dict[tuple[object, ...], Counter[object]]:
    found: dict[tuple[object, ...], Counter[object]] = defaultdict(Counter)
    for row in table.to_pylist():
        found[tuple(row[name] for name in quasi)][row[sensitive]] += 1
    return found


def test_a_check_shows_the_groups_that_offend(releases: OpenReleases) -> None:
    report = releases.check(PLAN)
    assert (report.rows, report.groups, report.smallest_group) == (600, 60, 10)
    assert report.offending_groups == 60
    assert report.offending_rows == 600
    assert len(report.offending) == 50
    assert report.offending[0].values is not None
    assert len(report.offending[0].values) == 3
    assert not report.releasable
    assert all(group.values is None and group.rows == 10 for group in report.without_values().offending)


def test_the_least_loss_is_found_released_and_on_record(releases: OpenReleases, world: World) -> None:
    found = releases.suggest(PLAN)
    assert found.report.releasable
    assert found.report.loss_permille > 0
    for levels in by_loss(PLAN):
        if loss_permille(PLAN, levels) >= found.report.loss_permille:
            break
        assert not releases.check(PLAN.at(levels)).releasable, "nothing with less loss would do"
    made = releases.release(found.plan, person(POLICE))
    file = releases.file(made.id, PARQUET)
    table = pq.read_table(file)
    assert table.column_names == ["birth_date", "division_code", "sex", "ethnicity"]
    assert table.num_rows == made.rows == 600
    told = groups_of(table, ["birth_date", "division_code", "sex"], "ethnicity")
    assert min(values.total() for values in told.values()) >= 20
    assert min(len(values) for values in told.values()) >= 2
    assert hashlib.sha256(file.read_bytes()).hexdigest() == made.parquet_sha256
    assert len(releases.file(made.id, CSV).read_text().splitlines()) == 601
    (entry,) = world.ledger.entries(kind=EntryKind.RELEASE).rows
    assert entry.facts["parquet_sha256"] == made.parquet_sha256
    assert releases.get(made.id) == made == releases.releases().rows[0]


def test_groups_that_offend_are_left_out_as_far_as_the_rule_allows(world: World, tmp_path: Path) -> None:
    table = people(603)
    odd = table.set_column(4, "division_code", pa.array(["990101" if row >= 600 else "110101" for row in range(603)]))
    releases = opened(world, FixedDatasets(tmp_path, odd), tmp_path)
    plan = ReleasePlan(
        dataset=NAME,
        quasi=(QuasiColumn(column="division_code", kind=Generaliser.DIVISION),),
        rule=AnonymityRule(suppressed_max_permille=4),
    )
    with pytest.raises(Conflict):
        releases.release(plan, person(POLICE))
    assert not (tmp_path / "releases").exists()
    allowed = plan.model_copy(update={"rule": AnonymityRule(suppressed_max_permille=5)})
    made = releases.release(allowed, person(POLICE))
    assert (made.rows, made.report.offending_rows) == (600, 3)
    assert "990101" not in releases.file(made.id, CSV).read_text()
    assert "990101" not in made.model_dump_json()


def test_columns_that_name_people_stay_closed(releases: OpenReleases) -> None:
    for column in ("citizen_id", "person_name", "entity_id", "nothing"):
        with pytest.raises(Invalid) as refused:
            releases.check(PLAN.model_copy(update={"sensitive": (column,)}))
        assert refused.value.code == "sharing.release_columns"
    assert "birth_date" in {one.name for one in releases.columns(releases.releasable()[0])}


def test_what_is_not_there_is_said(releases: OpenReleases, world: World, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        releases.check(PLAN.model_copy(update={"dataset": "other"}))
    with pytest.raises(NotFound):
        releases.get("none")
    (tmp_path / "twice").mkdir()
    twice = FixedDatasets(tmp_path / "twice", pa.concat_tables([people(60), people(60)]))
    with pytest.raises(Invalid) as refused:
        opened(world, twice, tmp_path).check(PLAN)
    assert refused.value.code == "sharing.release_rows"
    impossible = PLAN.model_copy(update={"rule": AnonymityRule(group_rows_min=700)})
    with pytest.raises(Conflict):
        releases.suggest(impossible)


ROWS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from("xy"), st.sampled_from("12")), min_size=1, max_size=40
)
RULES = st.builds(
    AnonymityRule,
    group_rows_min=st.integers(2, 6),
    diversity_min=st.integers(1, 2),
    distance_max_permille=st.sampled_from([0, 300]),
)


@settings(max_examples=10, deadline=None)
@given(rows=ROWS, rule=RULES, levels=st.tuples(st.integers(0, 1), st.integers(0, 1)))
def test_reports_count_as_python_does(
    rows: list[tuple[str, str, str]], rule: AnonymityRule, levels: tuple[int, int]
) -> None:
    plan = ReleasePlan(
        dataset="t",
        quasi=tuple(QuasiColumn(column=name, kind=Generaliser.CATEGORY) for name in ("a", "b")),
        sensitive=("c",),
        rule=rule,
    )
    table = pa.table(dict(zip(("a", "b", "c"), map(list, zip(*rows, strict=True)), strict=True)))
    overall = Counter(c for *_, c in rows)
    groups: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for a, b, c in rows:
        groups["*" if levels[0] else a, "*" if levels[1] else b][c] += 1
    offending = 0
    for told in groups.values():
        size = told.total()
        distance = sum(abs(told[c] / size - overall[c] / len(rows)) for c in overall) / 2
        far = rule.distance_max_permille and distance * 1000 > rule.distance_max_permille + 1e-6
        if size < rule.group_rows_min or len(told) < rule.diversity_min or far:
            offending += size
    with duckdb.connect() as connection:
        connection.register("t", table)
        report = Anonymity.of(connection, "t", plan, "2026-11-27").judge(levels)
    assert (report.rows, report.groups, report.offending_rows) == (len(rows), len(groups), offending)


def test_levels_nest() -> None:
    assert all(wide % narrow == 0 for bands in (AGE_BANDS, NUMBER_BANDS) for narrow, wide in pairwise(bands))
    values = [
        "1990-03-07",
        "2026-11-28",
        "1850-01-01",
        "",
        None,
        "x",
        "110101",
        "110101000000",
        "-1",
        "12.7",
        "99999999",
    ]
    with duckdb.connect() as connection:
        connection.register("t", pa.table({"v": values}))
        for kind in Generaliser:
            levels = [
                level_sql(kind, level, canonical_sql(kind, "v", "2026-11-27")) for level in range(len(kind.levels))
            ]
            told = connection.execute(f"SELECT {', '.join(levels)} FROM t").fetchall()
            for finer, coarser in pairwise(range(len(levels))):
                assert len({(row[finer], row[coarser]) for row in told}) == len({row[finer] for row in told})
            assert {row[-1] for row in told} == {"*"}
        ages = levels_of(connection, Generaliser.AGE)
        assert ages[0] == ("36", "35-39", "30-39", "20-39", "0-39", "*")
        assert ages[1][0] == "?"
        assert levels_of(connection, Generaliser.DATE)[0] == ("1990-03-07", "1990-03", "1990", "1990-1999", "*")
        assert levels_of(connection, Generaliser.NUMBER)[9][:2] == ("12", "10-19")


def levels_of(connection: duckdb.DuckDBPyConnection, kind: Generaliser) -> list[tuple[str, ...]]:
    levels = [level_sql(kind, level, canonical_sql(kind, "v", "2026-11-27")) for level in range(len(kind.levels))]
    return connection.execute(f"SELECT {', '.join(levels)} FROM t").fetchall()
