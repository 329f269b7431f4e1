"""The counts that a build leaves for its report: quality per source, links, clusters, conflicts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from datong.library.conform import ConformedSource
from datong.library.engine import sql_name, sql_text
from datong.library.values import LinkReport, SourceQuality

MISSING = "missing"
AGREEMENT_ENTITIES = 50_000


def source_quality(
    connection: duckdb.DuckDBPyConnection, conformed: ConformedSource, counts: Mapping[str, int], folder: Path
) -> SourceQuality:
    """Return the quality of one conformed source, from one scan of its file."""
    fields = [field for field in conformed.fields if not field.startswith("column:")]
    parts = ", ".join(
        f"histogram({flag}), count(*) FILTER ({clean} IS NOT NULL AND {raw} IS DISTINCT FROM {clean})"
        for field in fields
        for clean, raw, flag in [(sql_name(field), sql_name(f"{field}|raw"), sql_name(f"{field}|flag"))]
    )
    row: tuple[Any, ...] = ()
    if fields:
        row = (
            connection.execute(f"SELECT {parts} FROM read_parquet({sql_text(str(folder / conformed.file))})").fetchone()
            or ()
        )
    flags = {field: dict(row[2 * place] or {}) for place, field in enumerate(fields)}
    repaired = {field: int(row[2 * place + 1]) for place, field in enumerate(fields)}
    return SourceQuality(
        resource_id=conformed.source.resource_id,
        department=conformed.source.department,
        title=conformed.source.title,
        role=conformed.role.key,
        rows=counts["rows"],
        superseded_rows=counts["superseded"],
        missing={field: int(found[MISSING]) for field, found in flags.items() if MISSING in found},
        flags={
            field: kept
            for field, found in flags.items()
            if (kept := {flag: int(count) for flag, count in sorted(found.items()) if flag != MISSING})
        },
        repaired={field: count for field, count in repaired.items() if count},
        elements=tuple(fields),
        without_key=counts["without_key"],
        cycle_days=conformed.source.cycle_days,
    )


def with_agreement(
    connection: duckdb.DuckDBPyConnection,
    quality: SourceQuality,
    source: ConformedSource,
    conformed: Path,
    links: Path,
    cells: Path,
) -> SourceQuality:
    """Return `quality` with how often the source's values are the golden ones where another source speaks, too.

    Over `AGREEMENT_ENTITIES` entities or so where there are more: chosen by their ids, so the same ones every time.
    """
    if not quality.elements:
        return quality
    linked, golden = f"read_parquet({sql_text(str(links))})", f"read_parquet({sql_text(str(cells))})"
    found = connection.execute(f"SELECT approx_count_distinct(entity_id) FROM {linked}").fetchone()
    one_in = max(1, int(found[0] if found else 0) // AGREEMENT_ENTITIES)
    names = ", ".join(sql_name(element) for element in quality.elements)
    rows = connection.execute(f"""
        WITH mine AS (
            SELECT entity_id, {names} FROM read_parquet({sql_text(str(conformed / source.file))})
            JOIN (SELECT row_key, entity_id FROM {linked} WHERE source = {source.number}
                  AND hash(entity_id) % {one_in} = 0) USING (row_key)
        ), said AS (UNPIVOT (SELECT entity_id, COLUMNS(* EXCLUDE (entity_id))::VARCHAR FROM mine)
                    ON {names} INTO NAME element VALUE value)
        SELECT element, count(*), count(*) FILTER (said.value = golden.value)
        FROM said JOIN {golden} golden USING (entity_id, element)
        WHERE golden.position = 1 AND golden.rule <> 'only' GROUP BY element ORDER BY element
    """).fetchall()
    return quality.model_copy(
        update={
            "compared": {str(element): int(count) for element, count, _ in rows},
            "agreeing": {str(element): int(count) for element, _, count in rows},
        }
    )


def link_report(
    connection: duckdb.DuckDBPyConnection,
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
    rules = connection.execute(f"SELECT rule, count(*) FROM {linked} GROUP BY rule ORDER BY rule").fetchall()
    sizes = connection.execute(
        f"SELECT members, count(*), count(*) FILTER (sources > 1) FROM (SELECT count(*) AS members, "
        f"count(DISTINCT source) AS sources FROM {linked} GROUP BY entity_id) GROUP BY members ORDER BY members"
    ).fetchall()
    conflicts = connection.execute(
        f"SELECT element, count(DISTINCT entity_id) FROM read_parquet({sql_text(str(cells))}) "
        "WHERE position > 1 GROUP BY element ORDER BY element"
    ).fetchall()
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
