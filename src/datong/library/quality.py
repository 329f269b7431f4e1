"""The counts that a build leaves for its report: quality per source, links, clusters, conflicts."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from datong.library.conform import ConformedSource
from datong.library.engine import Workspace, sql_name, sql_text
from datong.library.layers import table_sql
from datong.library.values import LinkReport, SourceQuality
from datong.norms import QualityFlag

MISSING = QualityFlag.MISSING.value
AGREEMENT_ENTITIES = 50_000


def source_quality(
    work: Workspace, conformed: ConformedSource, counts: Mapping[str, int], folder: Path
) -> SourceQuality:
    """Return the quality of one conformed source, from one scan of its file."""
    flaws = count_flaws(work, conformed, conformed.sql(folder))
    return SourceQuality(
        resource_id=conformed.source.resource_id,
        department=conformed.source.department,
        title=conformed.source.title,
        role=conformed.role.key,
        rows=counts["rows"],
        superseded_rows=counts["superseded"],
        missing=flaws.missing,
        flags=flaws.flags,
        repaired=flaws.repaired,
        elements=_elements(conformed),
        without_key=counts["without_key"],
        cycle_days=conformed.source.cycle_days,
    )


class Flaws(NamedTuple):
    """How many values of some rows have which flaw, per element, and how many were repaired."""

    missing: Mapping[str, int]
    flags: Mapping[str, Mapping[str, int]]
    repaired: Mapping[str, int]


def _elements(conformed: ConformedSource) -> tuple[str, ...]:
    return tuple(field for field in conformed.fields if not field.startswith("column:"))


def count_flaws(work: Workspace, conformed: ConformedSource, rows: str) -> Flaws:
    """Return the flaws in the conformed `rows` (something to select from) of a source."""
    fields = _elements(conformed)
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
        [found] = work.rows(f"SELECT {', '.join(counted)} FROM {rows}")
        row = iter(found)
    repaired, flags = {}, {}
    for field in fields:
        repaired[field] = next(row)
        flags[field] = {known.value: count for known in QualityFlag if (count := next(row))}
    return Flaws(
        missing={field: counts[MISSING] for field, counts in flags.items() if MISSING in counts},
        flags={
            field: kept
            for field, counts in flags.items()
            if (kept := {flag: count for flag, count in sorted(counts.items()) if flag != MISSING})
        },
        repaired={field: count for field, count in repaired.items() if count},
    )


def shifted(
    quality: SourceQuality, conformed: ConformedSource, *, before: Flaws, after: Flaws, rows: int, received: int
) -> SourceQuality:
    """Return `quality`, of a former build, where the rows with the flaws `before` became those with the flaws `after`,
    are `rows` more, and came of `received` ones with a key."""
    fields = _elements(conformed)
    flags = {
        field: _sum(quality.flags.get(field, {}), before.flags.get(field, {}), after.flags.get(field, {}))
        for field in fields
    }
    return quality.model_copy(
        update={
            "rows": quality.rows + rows,
            "superseded_rows": quality.superseded_rows + received - rows,
            "missing": _sum(quality.missing, before.missing, after.missing),
            "flags": {field: found for field, found in flags.items() if found},
            "repaired": _sum(quality.repaired, before.repaired, after.repaired),
        }
    )


def _sum(whole: Mapping[str, int], less: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    """Return the counts `whole` - `less` + `more`; what is nought is left out."""
    found = Counter(whole)
    found.subtract(less)
    found.update(more)
    return {name: count for name, count in sorted(found.items()) if count}


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
            SELECT linked.entity_id, conformed.* FROM {source.sql(conformed)} conformed
            JOIN {table_sql(links)} linked ON linked.row_key = conformed.row_key
            WHERE linked.source = {source.number} {chosen}
        ), said AS (
            SELECT golden.element, golden.value AS golden, CASE golden.element {values} END AS own
            FROM {table_sql(cells)} golden JOIN mine ON mine.entity_id = golden.entity_id
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
    [row] = work.rows(f"SELECT count(DISTINCT entity_id) FROM {table_sql(links)}")
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
    linked = table_sql(links)
    rules = work.rows(f"SELECT rule, count(*) FROM {linked} GROUP BY rule ORDER BY rule")
    sizes = work.rows(
        f"SELECT members, count(*), count(*) FILTER (sources > 1) FROM (SELECT count(*) AS members, "
        f"count(DISTINCT source) AS sources FROM {linked} GROUP BY entity_id) GROUP BY members ORDER BY members"
    )
    conflicts = work.rows(
        f"SELECT element, count(DISTINCT entity_id) FROM {table_sql(cells)} "
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
