"""The counts that a build leaves for its report: quality per source, links, clusters, conflicts."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

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


class Outcome(NamedTuple):
    """What a report is counted from, each something to select from: conformed rows by source, links, and cells."""

    rows: Mapping[int, str]
    links: str
    cells: str


class Since(NamedTuple):
    """What a report starts from: that of the former build, and the outcome for the entities that changed since, as it
    was and as it is."""

    report: LinkReport
    before: Outcome
    after: Outcome


class EntityCounts(NamedTuple):
    """Records by rule, entities by size, entities of several sources, and entities with a conflict by element."""

    rules: Mapping[str, int]
    sizes: Mapping[int, int]
    several: int
    conflicts: Mapping[str, int]

    @property
    def entities(self) -> int:
        """How many entities there are."""
        return sum(self.sizes.values())


def with_agreement(
    work: Workspace,
    quality: SourceQuality,
    source: ConformedSource,
    outcome: Outcome,
    entities: int,
    since: Since | None = None,
) -> SourceQuality:
    """Return `quality` with how often the source's values are the golden ones where another source speaks, too.

    Over `AGREEMENT_ENTITIES` of the `entities` or so where there are more: chosen by the digests of their ids, so the
    same ones every time and on every engine. What a former build counted is taken over for what has not changed.
    """
    if not quality.elements:
        return quality
    one_in = max(1, entities // AGREEMENT_ENTITIES)
    if since is None or max(1, since.report.entities // AGREEMENT_ENTITIES) != one_in:
        compared, agreeing = _agreement(work, quality, source, outcome, one_in)
    else:
        known = since.report.sources[source.number]
        less = _agreement(work, quality, source, since.before, one_in)
        more = _agreement(work, quality, source, since.after, one_in)
        compared = _sum(known.compared, less[0], more[0])
        # An element of which all compared values differ is counted, too: with nought.
        agreeing = {name: known.agreeing.get(name, 0) for name in compared}
        for sign, counted in ((-1, less[1]), (1, more[1])):
            agreeing = {name: count + sign * counted.get(name, 0) for name, count in agreeing.items()}
    return quality.model_copy(update={"compared": compared, "agreeing": agreeing})


def _agreement(
    work: Workspace,
    quality: SourceQuality,
    source: ConformedSource,
    outcome: Outcome,
    one_in: int,
) -> tuple[dict[str, int], dict[str, int]]:
    """Return by element how many values were compared and agree."""
    chosen = f"AND substr(sha256(entity_id), 1, 8) < '{2**32 // one_in:08x}'" if one_in > 1 else ""
    values = " ".join(f"WHEN {sql_text(element)} THEN {sql_name(element)}" for element in quality.elements)
    rows = work.rows(f"""
        WITH mine AS (
            SELECT linked.entity_id, conformed.* FROM {outcome.rows[source.number]} conformed
            JOIN {outcome.links} linked ON linked.row_key = conformed.row_key
            WHERE linked.source = {source.number} {chosen}
        ), said AS (
            SELECT golden.element, golden.value AS golden, CASE golden.element {values} END AS own
            FROM {outcome.cells} golden JOIN mine ON mine.entity_id = golden.entity_id
            WHERE golden.position = 1 AND golden.rule <> 'only'
        )
        SELECT element, count(*), count(*) FILTER (own = golden) FROM said
        WHERE own IS NOT NULL GROUP BY element ORDER BY element""")
    return (
        {str(element): int(count) for element, count, _ in rows},
        {str(element): int(count) for element, _, count in rows},
    )


def count_entities(work: Workspace, outcome: Outcome, since: Since | None = None) -> EntityCounts:
    """Return the counts of a build; what a former one counted is taken over for what has not changed."""
    if since is None:
        return _entity_counts(work, outcome)
    former = since.report
    less, more = (_entity_counts(work, known) for known in (since.before, since.after))
    sizes = Counter(former.clusters_by_size)
    sizes.subtract(less.sizes)
    sizes.update(more.sizes)
    return EntityCounts(
        rules=_sum(former.pairs_by_rule, less.rules, more.rules),
        sizes={size: count for size, count in sorted(sizes.items()) if count},
        several=former.cross_department_entities - less.several + more.several,
        conflicts=_sum(former.conflicts_by_element, less.conflicts, more.conflicts),
    )


def _entity_counts(work: Workspace, outcome: Outcome) -> EntityCounts:
    linked = f"(SELECT entity_id, source, rule FROM {outcome.links} known)"
    rules = work.rows(f"SELECT rule, count(*) FROM {linked} GROUP BY rule ORDER BY rule")
    sizes = work.rows(
        f"SELECT members, count(*), count(*) FILTER (sources > 1) FROM (SELECT count(*) AS members, "
        f"count(DISTINCT source) AS sources FROM {linked} GROUP BY entity_id) GROUP BY members ORDER BY members"
    )
    conflicts = work.rows(
        f"SELECT element, count(DISTINCT entity_id) FROM {outcome.cells} known "
        "WHERE position > 1 GROUP BY element ORDER BY element"
    )
    return EntityCounts(
        rules={str(rule): int(count) for rule, count in rules},
        sizes={int(size): int(count) for size, count, _ in sizes},
        several=sum(int(several) for _, _, several in sizes),
        conflicts={str(element): int(count) for element, count in conflicts},
    )


def link_report(
    *,
    library: str,
    version: int,
    counts: Mapping[str, Any],
    sources: tuple[SourceQuality, ...],
    counted: EntityCounts,
) -> LinkReport:
    """Return the report of a build."""
    return LinkReport(
        library=library,
        version=version,
        records=sum(size * count for size, count in counted.sizes.items()),
        entities=counted.entities,
        pairs_by_rule=counted.rules,
        clusters_by_size=counted.sizes,
        cross_department_entities=counted.several,
        ambiguous_records=int(counts["ambiguous_records"]),
        vetoed_pairs=int(counts["vetoed_pairs"]),
        distrusted_identifiers=int(counts["distrusted_identifiers"]),
        conflicts_by_element=counted.conflicts,
        quarantined={str(reason): int(count) for reason, count in counts["quarantined"].items()},
        sources=sources,
    )
