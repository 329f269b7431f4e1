"""How fast and how rightly a real system of 393 tables is inventoried: GNU Health 5 on PostgreSQL, made by others.

Three runs of the node's own crawler, without a hub: with the columns' names alone; with the makers' Chinese labels as
comments; and with labels and generated rows. What identifier-like columns mean was written down by hand beforehand
(`truth/gnuhealth.csv`); half of the tables, by a digest of their names, were never looked at while tuning the mapper.
The limit beside it is PostgreSQL handing over the same rows as text (`COPY (SELECT … LIMIT n) TO STDOUT`).
"""

import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg import sql
from tests.servers import start_postgresql

from benchmarks import gnuhealth, report
from datong.adapters.connections import open_connector
from datong.catalogue import CrawlOptions, Department, SourcePlan
from datong.kernel import DepartmentCode, NodeId, SystemClock, Text
from datong.node import Crawler, InventoryJournal
from datong.norms import NormPack, load_pack

HOSPITAL = Department(
    code=DepartmentCode("12440600456000017N"),
    name=Text(zh="示例市中心医院", en="Hospital"),
    short_name=Text(zh="中心医院", en="Hospital"),
)
NOT_MAPPED = "none"
CONFUSIONS_SHOWN = 40
Labels = Mapping[tuple[str, str], frozenset[str]]


def crawl(url: str, pack: NormPack, sample_rows: int) -> tuple[float, SourcePlan]:
    """Return how long the crawl of the database took, and what it found."""
    with tempfile.TemporaryDirectory() as folder:
        crawler = Crawler(
            pack=pack,
            clock=SystemClock(),
            department=HOSPITAL,
            node_id=NodeId("benchmark"),
            options=CrawlOptions(sample_rows=sample_rows),
            progress=lambda _: None,
        )
        journal = InventoryJournal(Path(folder), "gnuhealth")
        return report.timed(lambda: crawler.plan("gnuhealth", "postgresql", open_connector(url), journal))


def elements(plan: SourcePlan) -> dict[tuple[str, str], str]:
    """Return the proposed element of every column."""
    return {
        (table.found.table, column.item.column): column.item.element or NOT_MAPPED
        for table in plan.tables
        for column in table.found.columns
    }


def shares(
    proposed: Mapping[tuple[str, str], str], labels: Labels, references: frozenset[tuple[str, str]]
) -> dict[str, float]:
    """Return which share of identifier-like columns is mapped rightly, in all and by kind.

    `named` are the columns that a person had to label: neither keys nor foreign keys. `precision` is the share of
    columns mapped to an element of identification that are labelled so, over all columns of the database.
    """
    kinds: dict[str, list[bool]] = {}
    for place, right in labels.items():
        column = place[1]
        kind = "structural" if column in gnuhealth.STRUCTURAL else "reference" if place in references else "named"
        held = "held_out" if gnuhealth.held_out(place[0]) else "tuned"
        hit = proposed.get(place, NOT_MAPPED) in right
        for name in (kind, f"{kind}_{held}", *(() if kind == "structural" else ("all", f"all_{held}"))):
            kinds.setdefault(name, []).append(hit)
    wanted = {code for right in labels.values() for code in right} - {NOT_MAPPED}
    claimed = [place for place, code in proposed.items() if code in wanted]
    confirmed = [place for place in claimed if proposed[place] in labels.get(place, frozenset())]
    figures = {name: round(sum(hits) / len(hits), 4) for name, hits in sorted(kinds.items())}
    figures |= {f"{name}_columns": len(hits) for name, hits in sorted(kinds.items())}
    return figures | {"precision": round(len(confirmed) / max(len(claimed), 1), 4)}


def confusions(
    proposed: Mapping[tuple[str, str], str], labels: Labels, *, held_out: bool | None = None
) -> list[tuple[str, str, int, str]]:
    """Return what was taken for what, how often, with an example; the most frequent first."""
    counted: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], str] = {}
    for (table, column), code in proposed.items():
        if column in gnuhealth.STRUCTURAL or (held_out is not None and gnuhealth.held_out(table) is not held_out):
            continue
        right = labels.get((table, column))
        if code == NOT_MAPPED and right is None:
            continue
        pair = ("|".join(sorted(right)) if right is not None else "other", code)
        counted[pair] += 1
        examples.setdefault(pair, f"{table}.{column}")
    return [(*pair, count, examples[pair]) for pair, count in counted.most_common()]


def copied(url: str, sample_rows: int) -> float:
    """Return the seconds that PostgreSQL takes to hand over the same rows."""

    def copy_all() -> None:
        with psycopg.connect(url) as connection:
            for table in sorted({column.table for column in gnuhealth.columns(connection)}):
                statement = sql.SQL("COPY (SELECT * FROM {} LIMIT {}) TO STDOUT")
                with connection.cursor().copy(
                    statement.format(sql.Identifier(table), sql.Literal(sample_rows))
                ) as stream:
                    for _ in stream:
                        pass

    return report.timed(copy_all)[0]


def without_comments(url: str) -> None:
    """Take the labels off the columns."""
    with psycopg.connect(url, autocommit=True) as connection:
        for column in gnuhealth.columns(connection):
            statement = sql.SQL("COMMENT ON COLUMN {}.{} IS NULL")
            connection.execute(statement.format(sql.Identifier(column.table), sql.Identifier(column.name)))


def main() -> None:
    """Run the benchmark."""
    parser = report.options(__doc__)
    parser.add_argument("--rows", type=int, default=2_000, help="generated rows per table")
    parser.add_argument("--sample-rows", type=int, default=20_000, help="rows sampled per table")
    parser.add_argument("--confusion", choices=("tuned", "all"), help="print the confusion table, as Markdown")
    chosen = parser.parse_args()
    runs, rows = (1, 50) if chosen.quick else (chosen.runs, chosen.rows)
    pack = load_pack()
    server = start_postgresql()
    try:
        report.say("schema of GNU Health (made once: some minutes)")
        url = gnuhealth.make_database(server)
        bare = server.create_database(template=url)
        without_comments(bare)
        with psycopg.connect(url, autocommit=True) as connection:
            found = gnuhealth.columns(connection)
            labels = gnuhealth.truth(found)
            references = frozenset((c.table, c.name) for c in found if c.refers_to is not None)
            report.say("names alone")
            names = shares(elements(crawl(bare, pack, chosen.sample_rows)[1]), labels, references)
            report.say(f"{names}")
            report.say("with the makers' labels")
            empty = shares(elements(crawl(url, pack, chosen.sample_rows)[1]), labels, references)
            report.say(f"{empty}")
            report.say("with generated rows")
            written = gnuhealth.fill(connection, found, rows)
        measured = [crawl(url, pack, chosen.sample_rows) for _ in range(runs)]
        plan = measured[-1][1]
        proposed = elements(plan)
        filled = shares(proposed, labels, references)
        report.say(f"{filled}")
        seconds = report.median([one for one, _ in measured])
        limit = report.median([copied(url, chosen.sample_rows) for _ in range(runs)])
        if chosen.confusion:
            for truth, taken, count, example in confusions(
                proposed, labels, held_out=False if chosen.confusion == "tuned" else None
            )[:CONFUSIONS_SHOWN]:
                report.say(f"| {truth} | {taken} | {count} | `{example}` |")
    finally:
        server.stop()
    counts = plan.counts
    report.finish(
        "inventory",
        runs=runs,
        sizes={"tables": counts.tables, "columns": counts.columns, "rows": written, "sample_rows": chosen.sample_rows},
        figures={
            "accuracy": filled["all"],
            "accuracy_held_out": filled["all_held_out"],
            "accuracy_empty": empty["all"],
            "accuracy_names_alone": names["all"],
            "seconds": seconds,
            "tables_per_second": report.rounded(counts.tables / seconds),
            "rows_per_second": report.rounded(written / seconds),
            "copy_seconds": limit,
            "ratio_to_copy": report.rounded(seconds / limit),
            "resources": counts.to_catalogue,
            "with_rows": filled,
            "empty": empty,
            "names_alone": names,
            "peak_rss_mb": report.peak_rss_mb(),
        },
    )


if __name__ == "__main__":
    main()
