"""One pipeline on DuckDB and on Spark: the same tables, row by row, and golden tables with the same digest.

One Spark runs in all of it, on two cores of this machine. Its options take away what only pays on much data: generated
code, adaptive plans, the second compiler.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import settings

from datong.adapters import SparkEngine
from datong.kernel import BuildId, Misconfigured
from datong.library import LandedSource, LinkDecision, record_key, shipped_definitions
from datong.library.engine import Engine, TableEngine, Workspace
from datong.library.pipeline import Pipeline, Previous, read_links
from datong.norms import JudgedColumn, flagged_sql, load_pack
from tests.business_sources import landed_business
from tests.conftest import EXAMPLES
from tests.library_sources import DIVISION_ROWS, DIVISIONS, landed, landed_city, with_changes, with_increment
from tests.workspace_contract import check_workspace

PACK = load_pack(None)
EMBEDDED = Engine(threads=2, memory="1500MB")
LEAN = {
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.constraintPropagation.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
}
LONG_RUN = settings().max_examples > EXAMPLES["datong"]
NASTY = (
    None, "", " ", "　", "-", "无", "不详", "张伟", " 张　伟 ", "ﾠ", "阿卜杜·热合曼", "阿卜杜.热合曼", "Zoë O'Brien",
    "straße", "李\u200b静", "王\n五", "𠮷野", "110101199003070011", "１１０１０１１９９００３０７００１１",
    "110101900307001", "11010119900230001X", "110101199003070012", "110101 19900307 0011",
    "91440604MA0000015B", "91440604ma0000015b",
    "91440604MA0000015C", "13800138000", "+86 138-0013-8000", "008613800138000", "0757-8888 8888", "2016-9-1",
    "2016.9.1", "2016年9月1日", "20160901", "2016-02-30", "2016-09-01 8:05", "2016-09-01T24:00:00Z",
    "2016-09-01 23:59:59.5+08:00", "1.5", "-0.005", "1,234.5元", "12.5万", "1e5", "１２．３４", "99999999999999999999",
    "1.2.3", "男", "M", "1", "汾江路12号3栋", "汾江路　12号—3", "粤E·12345", "440604", "440604001001", "a$b\\c",
    "6222021234567890128", "LSVAU2180N2183294", "440600000000001",
    "1.2.156.3005.2.11100000000013338W000.11440604MB2C12345A.001.000000001.A",
)  # fmt: skip
"""What sources write: values of all kinds, well formed and not."""


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkEngine]:
    """One Spark application for all tests of this module."""
    engine = SparkEngine(master="local[2]", memory="1g", options=LEAN, threads=1)
    yield engine
    engine.close()


def build(
    folder: Path,
    name: str,
    sources: tuple[LandedSource, ...],
    table_engine: TableEngine,
    *,
    previous: Previous | None = None,
    decisions: tuple[LinkDecision, ...] = (),
) -> Pipeline:
    """Run the build's steps but for publishing, which is not the table engine's."""
    pipeline = Pipeline(
        build_id=BuildId(folder.name),
        definition=next(known for known in shipped_definitions() if known.name == name),
        sources=sources,
        pack=PACK,
        engine=EMBEDDED,
        table_engine=table_engine,
        folder=folder,
        delta=folder.parent / "delta",
        previous=previous or Previous(),
        decisions=decisions,
        whole=True,
    )
    for step in pipeline.steps():
        if step.value == "publish":
            break
    return pipeline


def check_equal(one: Pipeline, other: Pipeline) -> None:
    """Check that two builds left the same files: Parquet row by row, the rest word for word."""
    assert one.golden_digest() == other.golden_digest()
    theirs, found = (
        {path.relative_to(build.folder) for path in build.folder.rglob("*/*.*") if "spill" not in path.parts}
        for build in (one, other)
    )
    # What the next build would start from is kept by the engine that can, and so is what stands beside large tables.
    kept = {name for name in theirs if name.suffix in (".arrow", ".places") or name.stem.startswith("frequency_")}
    assert not kept & found
    assert theirs - found - kept <= {
        Path("link", name) for name in ("linkable.parquet", "pairs.parquet", "unjoined.parquet")
    }
    assert found <= theirs
    for name in sorted(found):
        if name.suffix == ".parquet":
            tables = [pq.read_table(pipeline.folder / name) for pipeline in (one, other)]
            assert tables[0].to_pylist() == tables[1].to_pylist(), name
            assert tables[0].schema.names == tables[1].schema.names
        elif name.name not in ("basis.json", "report.json"):
            assert (one.folder / name).read_text() == (other.folder / name).read_text(), name
    # Only the reason for making everything anew is each engine's own.
    assert one.report().model_copy(update={"whole": None}) == other.report().model_copy(update={"whole": None})


def test_spark_is_a_workspace(tmp_path: Path, spark: SparkEngine) -> None:
    with spark.open(tmp_path / "spill") as work:
        check_workspace(work, tmp_path)
        with pytest.raises(Misconfigured, match=r"library\.spark_cannot_say"):
            work.rows(r"SELECT regexp_matches('a', 'a\b')")


def test_every_kind_of_value_is_judged_alike(tmp_path: Path, spark: SparkEngine) -> None:
    kinds = {
        (element.data_type, element.identifier, element.mask, bool(element.codes), element.decimals): element
        for element in PACK.elements
    }
    judged = [JudgedColumn(column="said", element=element) for element in kinds.values()]
    values = ", ".join("(NULL)" if text is None else f"('{text.replace(chr(39), chr(39) * 2)}')" for text in NASTY)

    def answers(work: Workspace) -> list[tuple[object, ...]]:
        work.create("sayings", f"SELECT said FROM (VALUES {values}) sayings(said)")
        found = work.rows(f"{flagged_sql('sayings', judged)} ORDER BY raw_0")
        return [*found, *work.rows(_FUNCTIONS)]

    with EMBEDDED.open(tmp_path / "embedded") as work:
        expected = answers(work)
    with spark.open(tmp_path / "spark") as work:
        assert answers(work) == expected


_FUNCTIONS = """
    SELECT l.said, r.said, damerau_levenshtein(l.said, r.said),
        strip_accents(l.said), lower(l.said), hex(l.said), sha256(l.said), length(l.said),
        CAST(floor(2 * log2(length(l.said) + 1)) AS INTEGER), round(length(l.said) / 7.0::DOUBLE + 0.0000005::DOUBLE, 6)
    FROM sayings l JOIN sayings r ON length(l.said) = length(r.said)
    WHERE l.said <> '' ORDER BY l.said, r.said"""


def decisions_about(pipeline: Pipeline) -> tuple[LinkDecision, ...]:
    """Return what people might decide: two records of one person are not, two persons are one."""
    entities: dict[str, list[str]] = {}
    for row in read_links(pipeline.folder).to_pylist():
        entities.setdefault(row["entity_id"], []).append(record_key(row["resource_id"], row["row_key"]))
    several = [sorted(keys) for _, keys in sorted(entities.items()) if len(keys) > 1]
    return (
        *(LinkDecision(left_key=keys[0], right_key=keys[1], same=False) for keys in several[:3]),
        *(LinkDecision(left_key=a[0], right_key=b[0], same=True) for a, b in combinations(several[3:6], 2)),
    )


def test_a_second_version_of_people_with_decisions_is_the_same(tmp_path: Path, spark: SparkEngine) -> None:
    sources, _ = landed_city(tmp_path, people=250, seed=7)
    residents, insured, low_income = (
        next(source for source in sources if source.resource_id == name)
        for name in ("residents", "insured", "low_income")
    )
    first = build(tmp_path / "first", "population", (residents, insured, low_income), EMBEDDED)
    several = Counter(read_links(first.folder).column("entity_id").to_pylist())
    shared = {
        row["row_key"]
        for row in read_links(first.folder).to_pylist()
        if row["resource_id"] == "residents" and several[row["entity_id"]] > 1
    }
    conformed = pq.read_table(first.folder / "conform" / "source_000.parquet").to_pylist()
    rows = [row for row in conformed if row["row_key"] in shared]
    columns = list(residents.columns)
    changed = [
        [row[f"{residents.columns[column] or f'column:{column}'}|raw"] for column in columns] for row in rows[:9]
    ]
    for row in changed[:5]:
        row[columns.index("xm")] = "欧阳雪梅"
    second = with_changes(with_increment(residents, tmp_path, changed[:5]), tmp_path, changed[5:], deleted=(True,) * 4)
    previous, decisions = Previous(version=1, folder=first.folder), decisions_about(first)
    builds = [
        build(
            tmp_path / type(engine).__name__,
            "population",
            (second, insured, low_income),
            engine,
            previous=previous,
            decisions=decisions,
        )
        for engine in (EMBEDDED, spark)
    ]
    check_equal(*builds)
    assert pq.read_table(builds[1].folder / "link" / "successions.parquet").num_rows > 2
    assert builds[1].golden_digest() != first.golden_digest()


def test_divisions_are_checked_alike(tmp_path: Path, spark: SparkEngine) -> None:
    sources = (landed(tmp_path, "divisions", DIVISIONS, DIVISION_ROWS),)
    embedded = build(tmp_path / "embedded", "geography", sources, EMBEDDED)
    other = build(tmp_path / "spark", "geography", sources, spark)
    check_equal(embedded, other)
    assert other.report().quarantined == {"chain": 1, "code": 1, "name": 1, "parent": 1}


if LONG_RUN:

    def test_firms_are_linked_by_their_keys_alike(tmp_path: Path, spark: SparkEngine) -> None:
        """Forty processor seconds: only `make test-long` takes them. People are linked by keys in every run."""
        sources = landed_business(tmp_path)[:3]
        embedded = build(tmp_path / "embedded", "legal_entity", sources, EMBEDDED)
        check_equal(embedded, build(tmp_path / "spark", "legal_entity", sources, spark))
        assert len(set(read_links(embedded.folder).column("entity_id").to_pylist())) > 1
