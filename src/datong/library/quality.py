"""The counts that a build leaves for its report: quality per source, links, clusters, conflicts."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from datong.library.conform import ConformedSource
from datong.library.engine import Workspace, sql_name, sql_text
from datong.library.values import LinkReport, SourceQuality
from datong.norms import QualityFlag

MISSING = QualityFlag.MISSING.value
AGREEMENT_ENTITIES = 50_000


def source_quality(
    work: Workspace, conformed: ConformedSource, counts: Mapping[str, int], folder: Path
) -> SourceQuality:
    """Return the quality of one conformed source, from one scan of its file."""
    fields = [field for field in conformed.fields if not field.startswith("column:")]
    counted = [
        part
        for field in fields
        for clean, raw, flag in [(sql_name(field), sql_name(f"{field}|raw"), sql_name(f"{field}|flag"))]
        for part in (
            f"count(*) FILTER ({clean} IS NOT NULL AND {raw} IS DISTINCT FROM {clean})",
            *(f"count(*) FILTER ({flag} = {sql_text(known.value)})" for known in QualityFlag),
        )
    ]
    row: Iterator[int] = iter(())
    if fields:
        [found] = work.rows(f"SELECT {', '.join(counted)} FROM read_parquet({sql_text(str(folder / conformed.file))})")
        row = iter(found)
    repaired, flags = {}, {}
    for field in fields:
        repaired[field] = next(row)
        flags[field] = {known.value: count for known in QualityFlag if (count := next(row))}
    return SourceQuality(
        resource_id=conformed.source.resource_id,
        department=conformed.source.department,
        title=conformed.source.title,
        role=conformed.role.key,
        rows=counts["rows"],
        superseded_rows=counts["superseded"],
        missing={field: counts[MISSING] for field, counts in flags.items() if MISSING in counts},
        flags={
            field: kept
            for field, counts in flags.items()
            if (kept := {flag: count for flag, count in sorted(counts.items()) if flag != MISSING})
        },
        repaired={field: count for field, count in repaired.items() if count},
        elements=tuple(fields),
        without_key=counts["without_key"],
        cycle_days=conformed.source.cycle_days,
    )


def with_agreement(
    work: Workspace,
    quality: SourceQuality,
    source: ConformedSource,
    conformed: Path,
    links: Path,
    cells: Path,
    entities: int,
) -> SourceQuality:
    """Return `quality` with how often the source's values are the golden ones where another source speaks, too.

    Over `AGREEMENT_ENTITIES` of the `entities` or so where there are more: chosen by the digests of their ids, so the
    same ones every time and on every engine.
    """
    if not quality.elements:
        return quality
    one_in = max(1, entities // AGREEMENT_ENTITIES)
    chosen = f"AND substr(sha256(entity_id), 1, 8) < '{2**32 // one_in:08x}'" if one_in > 1 else ""
    values = " ".join(f"WHEN {sql_text(element)} THEN {sql_name(element)}" for element in quality.elements)
    rows = work.rows(f"""
        WITH mine AS (
            SELECT linked.entity_id, conformed.* FROM read_parquet({sql_text(str(conformed / source.file))}) conformed
            JOIN read_parquet({sql_text(str(links))}) linked ON linked.row_key = conformed.row_key
            WHERE linked.source = {source.number} {chosen}
        ), said AS (
            SELECT golden.element, golden.value AS golden, CASE golden.element {values} END AS own
            FROM read_parquet({sql_text(str(cells))}) golden JOIN mine ON mine.entity_id = golden.entity_id
            WHERE golden.position = 1 AND golden.rule <> 'only'
        )
        SELECT element, count(*), count(*) FILTER (own = golden) FROM said
        WHERE own IS NOT NULL GROUP BY element ORDER BY element""")
    return quality.model_copy(
        update={
            "compared": {str(element): int(count) for element, count, _ in rows},
            "agreeing": {str(element): int(count) for element, _, count in rows},
        }
    )


def count_entities(work: Workspace, links: Path) -> int:
    """Return how many entities the records in the file `links` stand for."""
    [row] = work.rows(f"SELECT count(DISTINCT entity_id) FROM read_parquet({sql_text(str(links))})")
    return int(row[0])


def link_report(
    work: Workspace,
    *,
    library: str,
    version: int,
    counts: Mapping[str, Any],
    sources: tuple[SourceQuality, ...],
    links: Path,
    cells: Path,
) -> LinkReport:
    """Return the report of a build whose steps' files are `links` and `cells`."""
    linked = f"read_parquet({sql_text(str(links))})"
    rules = work.rows(f"SELECT rule, count(*) FROM {linked} GROUP BY rule ORDER BY rule")
    sizes = work.rows(
        f"SELECT members, count(*), count(*) FILTER (sources > 1) FROM (SELECT count(*) AS members, "
        f"count(DISTINCT source) AS sources FROM {linked} GROUP BY entity_id) GROUP BY members ORDER BY members"
    )
    conflicts = work.rows(
        f"SELECT element, count(DISTINCT entity_id) FROM read_parquet({sql_text(str(cells))}) "
        "WHERE position > 1 GROUP BY element ORDER BY element"
    )
    return LinkReport(
        library=library,
        version=version,
        records=sum(size * count for size, count, _ in sizes),
        entities=sum(count for _, count, _ in sizes),
        pairs_by_rule={str(rule): int(count) for rule, count in rules},
        clusters_by_size={int(size): int(count) for size, count, _ in sizes},
        cross_department_entities=sum(int(several) for _, _, several in sizes),
        ambiguous_records=int(counts["ambiguous_records"]),
        vetoed_pairs=int(counts["vetoed_pairs"]),
        distrusted_identifiers=int(counts["distrusted_identifiers"]),
        conflicts_by_element={str(element): int(count) for element, count in conflicts},
        quarantined={str(reason): int(count) for reason, count in counts["quarantined"].items()},
        sources=sources,
    )
