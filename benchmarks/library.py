"""The library's whole pipeline on a generated city, against plain Splink linkage of the same records.

The city is the demo's; `--registers` takes the harder and larger population of `benchmarks.population` instead.

The pipeline conforms, links, fuses and publishes with lineage and evidence. The peer is the script that one would write
with Splink alone: the raw values, its own comparisons, weights trained on the spot, clusters at a fixed threshold.
Accuracy is pairwise F1 against the generator's truth, which neither of them sees.
"""

import shutil
import time
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import splink.comparison_library as compare
from splink import DuckDBAPI, Linker, SettingsCreator, block_on
from tests.library_sources import landed_city

from benchmarks import report
from benchmarks.population import land_changes, landed_population
from datong.app.hub import Hub
from datong.kernel import PLATFORM_ACTOR, Settings
from datong.library import Build, FixedLanding, LandedSource, Library, LinkScore

PERSON = ("person_name", "citizen_id", "birth_date", "sex", "phone", "address")
TIDIED = {"birth_date": "regexp_replace({}, '[^0-9]', '', 'g')", "citizen_id": "upper({})"}
"""What anybody would do to raw values before linking them."""
NAMED_OTHERWISE = {"property_address": "address"}
RANDOM_PAIRS = 1_000_000
THRESHOLD = 0.95
TRUTH = "truth.parquet"
SCORING_MEMORY = "2GB"


class Took(NamedTuple):
    """What a build took, in seconds of the clock and of processors, and the build."""

    seconds: float
    processor_seconds: float
    build: Build


def build(
    folder: Path, sources: tuple[LandedSource, ...], truth: Path, memory: str, changed: float
) -> tuple[Took, Took | None, LinkScore]:
    """Build the population library once on a new hub, and again after a share of its records `changed`; return what
    both builds took (the latter None for no share), and the accuracy of the former."""
    hub = Hub(Settings(home=folder))
    try:
        landing = FixedLanding(sources)
        library = Library(
            database=hub.database,
            clock=hub.clock,
            ledger=hub.services.ledger,
            pack=hub.services.pack,
            lake=hub.settings.lake,
            landing=landing,
            memory=memory,
        )
        first = take(library)
        score = score_links(library.links("population").select(["resource_id", "row_key", "entity_id"]), truth)
        if not changed:
            return first, None, score
        landing.landed = tuple(land_changes(folder, source, share=changed) for source in sources)
        return first, take(library), score
    finally:
        hub.close()


def take(library: Library) -> Took:
    """Build the population library from what has landed; return what it took."""
    requested, began = library.request_build("population", actor=PLATFORM_ACTOR), time.process_time()
    seconds, built = report.timed(lambda: library.run_build(requested.id))
    return Took(seconds, time.process_time() - began, built)


def land(folder: Path, *, people: int, seed: int, registers: bool) -> tuple[tuple[LandedSource, ...], Path]:
    """Land the population that the benchmark links; return its sources, and the file of the true person of every record
    (resource_id, row_key, person)."""
    if registers:
        return landed_population(folder, people=people, seed=seed), folder / TRUTH
    sources, truth = landed_city(folder, people=people, seed=seed)
    known = [(resource_id, row_key, person) for (resource_id, row_key), person in truth.items()]
    columns = zip(("resource_id", "row_key", "person"), zip(*known, strict=True), strict=True)
    pq.write_table(pa.table({name: list(values) for name, values in columns}), folder / TRUTH)
    return sources, folder / TRUTH


def score_links(links: pa.Table, truth: Path) -> LinkScore:
    """Return what `datong.library.evaluate_links` does, of ten million records as well: `links` (resource_id, row_key,
    entity_id) against the file `truth`."""
    pairs = "coalesce(sum(size * (size - 1) // 2), 0)::BIGINT"
    with duckdb.connect(config={"memory_limit": SCORING_MEMORY, "temp_directory": str(truth.parent / "spill")}) as work:
        work.register("links", links)
        work.execute(f"""
            CREATE TABLE joint AS
            SELECT coalesce(entity_id, resource_id || chr(31) || row_key) AS entity, person, count(*) AS size
            FROM read_parquet('{truth}') LEFT JOIN links USING (resource_id, row_key) GROUP BY entity, person""")
        [(correct, records)] = work.execute(f"SELECT {pairs}, sum(size)::BIGINT FROM joint").fetchall()
        of_entity = "(SELECT sum(size) AS size, count(*) AS persons FROM joint GROUP BY entity)"
        [(linked, mixed)] = work.execute(f"SELECT {pairs}, count(*) FILTER (persons > 1) FROM {of_entity}").fetchall()
        [(true,)] = work.execute(
            f"SELECT {pairs} FROM (SELECT sum(size) AS size FROM joint GROUP BY person)"
        ).fetchall()
    precision = correct / linked if linked else 1.0
    recall = correct / true if true else 1.0
    return LinkScore(
        records=records,
        true_pairs=true,
        linked_pairs=linked,
        correct_pairs=correct,
        precision=precision,
        recall=recall,
        f1=2 * precision * recall / (precision + recall) if precision + recall else 0.0,
        false_merges=mixed,
    )


def read_people(connection: duckdb.DuckDBPyConnection, sources: tuple[LandedSource, ...]) -> None:
    """Create `people`: every record about a person as plain Splink takes it: raw, dates and ids tidied."""
    parts = []
    for number, source in enumerate(sources):
        columns = {
            NAMED_OTHERWISE.get(element, element): column for column, element in source.columns.items() if element
        }
        if "person_name" not in columns:
            continue
        connection.register(f"source_{number}", _table(source))
        values = ", ".join(
            f"{TIDIED.get(element, '{}').format(columns[element] + '::VARCHAR')} AS {element}"
            if element in columns
            else f"NULL::VARCHAR AS {element}"
            for element in PERSON
        )
        key = source.key_columns[0]
        parts.append(
            f"SELECT '{source.resource_id}' AS resource, {key}::VARCHAR AS row_key, "
            f"'{source.resource_id}' || chr(31) || {key} AS unique_id, {values} FROM source_{number}"
        )
    connection.execute(f"CREATE OR REPLACE TABLE people AS {' UNION ALL '.join(parts)}")


def _table(source: LandedSource) -> pa.Table:
    with source.batches[0].path.open("rb") as file:
        return pa.ipc.open_stream(file).read_all()


def link_plainly(sources: tuple[LandedSource, ...], memory: str) -> tuple[float, pa.Table]:
    """Link with Splink alone: train, predict, cluster; return the seconds of training, and every record's cluster as
    its entity."""
    with duckdb.connect(config={"memory_limit": memory}) as connection:
        read_people(connection, sources)
        settings = SettingsCreator(
            link_type="dedupe_only",
            comparisons=[
                compare.ExactMatch("person_name").configure(term_frequency_adjustments=True),
                compare.DamerauLevenshteinAtThresholds("citizen_id", [1, 2]),
                compare.DamerauLevenshteinAtThresholds("birth_date", [1, 2]),
                compare.ExactMatch("sex"),
                compare.ExactMatch("phone"),
                compare.ExactMatch("address"),
            ],
            blocking_rules_to_generate_predictions=[
                block_on("citizen_id"),
                block_on("person_name", "birth_date"),
                block_on("phone"),
            ],
        )
        api = DuckDBAPI(connection=connection)
        linker = Linker(api.register("people"), settings, log_level=None)
        training, _ = report.timed(lambda: _train(linker))
        predictions = linker.inference.predict(threshold_match_probability=THRESHOLD)
        clusters = linker.clustering.cluster_pairwise_predictions_at_threshold(
            predictions, threshold_match_probability=THRESHOLD
        )
        found = connection.execute(f"""
            SELECT split_part(unique_id, chr(31), 1) AS resource_id,
                substr(unique_id, strpos(unique_id, chr(31)) + 1) AS row_key, cluster_id::VARCHAR AS entity_id
            FROM {clusters.physical_name}""").to_arrow_table()
    return training, found


def _train(linker: Linker) -> None:
    linker.training.estimate_u_using_random_sampling(max_pairs=RANDOM_PAIRS, seed=1)
    for columns in (("citizen_id",), ("person_name", "birth_date")):
        linker.training.estimate_parameters_using_expectation_maximisation(block_on(*columns))


def compare_plainly(
    sources: tuple[LandedSource, ...], truth: Path, seconds: float, *, runs: int, memory: str
) -> dict[str, Any]:
    """Return the figures of plain Splink, run as often as the pipeline, which took `seconds`."""
    plain, untrained = [], []
    for _ in range(runs):
        taken, (training, links) = report.timed(lambda: link_plainly(sources, memory))
        plain.append(taken)
        untrained.append(taken - training)
        score = score_links(links, truth)
        report.say(f"plain Splink: {taken:.1f} s, F1 {score.f1:.4f}")
    return {
        "plain_splink_seconds": report.median(plain),
        "plain_splink_seconds_after_training": report.median(untrained),
        "plain_splink_f1": round(score.f1, 5),
        "ratio_to_plain_splink": report.rounded(seconds / report.median(plain)),
        "ratio_to_plain_splink_after_training": report.rounded(seconds / report.median(untrained)),
    }


def after_changes(again: list[Took], processor: list[float]) -> dict[str, Any]:
    """Return the figures of the builds after changes; none if there were no such builds."""
    if not again:
        return {}
    taken = report.median([took.processor_seconds for took in again])
    return {
        "changed_seconds": report.median([took.seconds for took in again]),
        "changed_processor_seconds": taken,
        "changed_to_whole_processor": report.rounded(taken / report.median(processor)),
        "changed_step_seconds": dict(again[-1].build.step_seconds),
    }


def main() -> None:
    """Run the benchmark."""
    parser = report.options(__doc__)
    parser.add_argument("--people", type=int, default=20_000, help="people of the generated city")
    parser.add_argument("--registers", action="store_true", help="the harder population: 2.16 records per person")
    parser.add_argument("--memory", default="1500MB", help="what DuckDB may hold; the process takes more")
    parser.add_argument("--seed", type=int, default=1, help="which city")
    parser.add_argument("--alone", action="store_true", help="without plain Splink: ten million do not fit beside it")
    parser.add_argument("--changed", type=float, default=0, help="share of records that change before a second build")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.runs, chosen.people = 1, 200
    seconds, processor = [], []
    again: list[Took] = []
    with report.folder() as folder:
        report.say(f"generating a city of {chosen.people}")
        sources, truth = land(folder, people=chosen.people, seed=chosen.seed, registers=chosen.registers)
        for run in range(chosen.runs):
            first, second, score = build(folder / f"hub-{run}", sources, truth, chosen.memory, chosen.changed)
            built = first.build
            seconds.append(first.seconds)
            processor.append(first.processor_seconds)
            report.say(f"pipeline: {first.seconds:.1f} s, F1 {score.f1:.4f}, {dict(built.step_seconds)}")
            if second is not None:
                again.append(second)
                report.say(f"after changes: {second.seconds:.1f} s, {dict(second.build.step_seconds)}")
            shutil.rmtree(folder / f"hub-{run}")
        peak = report.peak_rss_mb()
        peer: dict[str, Any] = {}
        if not chosen.alone:
            peer = compare_plainly(sources, truth, report.median(seconds), runs=chosen.runs, memory=chosen.memory)
    report.finish(
        "library",
        runs=chosen.runs,
        sizes={"people": chosen.people, "records": score.records, "sources": len(sources)},
        figures={
            "seconds": report.median(seconds),
            "processor_seconds": report.median(processor),
            "f1": round(score.f1, 5),
            "precision": round(score.precision, 5),
            "recall": round(score.recall, 5),
            "false_merges": score.false_merges,
            "records_per_second": report.rounded(score.records / report.median(seconds)),
            **peer,
            "peak_rss_mb": peak,
            "step_seconds": dict(built.step_seconds),
            **after_changes(again, processor),
        },
    )


if __name__ == "__main__":
    main()
