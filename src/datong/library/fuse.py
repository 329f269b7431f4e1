"""Linked → golden: for every entity and element one chosen cell, and the other things that sources say.

The step leaves `cells.parquet`: per entity and element the candidates, one per distinct value, `position` 1 being the
golden one. Order of preference: a value without flaw; then authority or recency, as the element's rule says; then the
other of the two; then source and key, so that there is always exactly one answer.

An entity's cells depend on its own records only. A build that knows the one before fuses the entities of which a record
or a link changed, and says in `changed.parquet` which these are; every entity's digest is kept in `digests.parquet`, so
that the digest of all needs no other cells.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb

from datong.library.conform import ConformedSource
from datong.library.definition import Definition
from datong.library.digests import keyed_digest
from datong.library.engine import Workspace, parquet_sql, sql_name, sql_text
from datong.library.fuse_parts import PART_ENTITIES, split
from datong.library.layers import CHANGED, REMOVED, read_table, table_sql, write_changes
from datong.library.touched import (
    TOUCHED_CELLS,
    TOUCHED_LINKS,
    Former,
    create_touched,
    touched_rows,
    write_former_cells,
    write_touched,
)

CELLS = "cells.parquet"
GOLDEN_DIGEST = "digest.txt"
DIGESTS = "digests.parquet"
CHANGED_ENTITIES = "changed.parquet"
PARTS = ".parts"
CELL_ORDER = ("entity_id", "element", "position")
_CELLS_SQL = f"""
    SELECT entity_id, element, position, value, CASE WHEN raw IS DISTINCT FROM value THEN raw END AS raw, flag,
        source, row_key, batch_id, observed_at,
        CASE WHEN position > 1 THEN 'conflict'
             WHEN distinct_values = 1 AND supporters = 1 THEN 'only'
             WHEN distinct_values = 1 THEN 'agreed'
             WHEN sound_values <= 1 THEN 'quality'
             WHEN prefer = 'recency' OR equal_authorities > 1 THEN 'recency'
             ELSE 'authority' END AS rule
    FROM candidates WHERE position = 1 OR flag IS NULL ORDER BY {", ".join(CELL_ORDER)}"""
SLICE_ENTITIES = 50_000
"""Entities whose cells are put together in one query: lists that grow in an aggregate cannot spill to disk."""


def fuse(
    work: Workspace,
    definition: Definition,
    sources: tuple[ConformedSource, ...],
    conformed: Path,
    links: Path,
    folder: Path,
    *,
    entities_max: int = PART_ENTITIES,
) -> None:
    """Write the step's files into `folder`, for all entities; in parts if there are more than `entities_max`."""
    rows = {source.number: source.sql(conformed) for source in sources}
    parts = split(work, definition, sources, rows, links, folder / PARTS, entities_max=entities_max)
    if parts:
        _fuse_parts(work, definition, sources, parts, folder)
        shutil.rmtree(folder / PARTS)
    else:
        create_candidates(work, definition, sources, rows, table_sql(links))
        work.write(_CELLS_SQL, folder / CELLS)
        work.drop("candidates")
        create_digests(work, folder / CELLS, sources)
    work.write("SELECT entity_id, digest FROM entity_digests ORDER BY entity_id", folder / DIGESTS)
    work.drop("entity_digests")
    write_digest(folder)


def _fuse_parts(
    work: Workspace,
    definition: Definition,
    sources: tuple[ConformedSource, ...],
    parts: Sequence[Mapping[int, str]],
    folder: Path,
) -> None:
    """Write the cells, and create `entity_digests`, one part of the entities after the other: sorting the cells of all
    of them at once would spill to disk over and over."""
    written = [folder / PARTS / f"cells_{place:03d}.parquet" for place in range(len(parts))]
    for part, path in zip(parts, written, strict=True):
        create_candidates(work, definition, sources, part)
        work.write(_CELLS_SQL, path)
        work.drop("candidates")
        create_digests(work, path, sources, more=path is not written[0])
    listed = ", ".join(sql_text(str(path)) for path in written)
    work.write(f"FROM read_parquet([{listed}])", folder / CELLS)


def fuse_changes(
    work: Workspace,
    definition: Definition,
    sources: tuple[ConformedSource, ...],
    conformed: Path,
    links: Path,
    former: Former,
    folder: Path,
    known: Callable[[Path], None] = lambda _changed: None,
) -> None:
    """Write the step's files into `folder`: of the entities that had or have a changed record, anew; of all others, as
    they were. The tables of `touched` stay for those who count. `known` is told the file of the former's ids before
    they are fused."""
    create_touched(work, sources, conformed, links, former)
    work.write(
        f"SELECT entity_id, CASE WHEN entity_id IN (SELECT entity_id FROM {TOUCHED_LINKS}) THEN {sql_text(CHANGED)} "
        f"ELSE {sql_text(REMOVED)} END AS change FROM touched ORDER BY entity_id",
        folder / CHANGED_ENTITIES,
    )
    known(folder / CHANGED_ENTITIES)
    part, beside = folder / TOUCHED_CELLS, work.beside()

    def change(by: Workspace, name: str, table: str, order: Sequence[str]) -> None:
        one, other = former.folder / name, folder / name
        write_changes(by, one, other, keys=("entity_id",), replaced="touched", changed=table, order=order)

    # Small tables keep one core busy: what others do not wait for is done beside.
    with ThreadPoolExecutor(1) as pool:
        asides = [pool.submit(write_former_cells, beside, table_sql(former.folder / CELLS), folder)]
        create_candidates(work, definition, sources, touched_rows(sources), TOUCHED_LINKS)
        work.write(_CELLS_SQL, part)
        asides.append(pool.submit(change, beside, CELLS, parquet_sql(part), CELL_ORDER))
        create_digests(work, part, sources)
        change(work, DIGESTS, "entity_digests", ("entity_id",))
        asides.append(pool.submit(write_touched, beside, sources, former, folder))
        write_digest(folder)
        for aside in asides:
            aside.result()
    work.drop("candidates", "entity_digests")


def create_candidates(
    work: Workspace,
    definition: Definition,
    sources: tuple[ConformedSource, ...],
    rows: Mapping[int, str],
    links: str | None = None,
) -> None:
    """Create `candidates`: what the records in `links` say of each element, per source from its `rows`.

    Without `links`, the rows themselves tell their entity (see `fuse_parts`), and a source may have none.
    """
    told = "" if links is not None else ", entity_id, trusted, distrusted"
    parts = [
        _cells_sql(definition, source, rule.code, rule.prefer, rows[source.number], told)
        for rule in definition.elements
        for source in sources
        if source.has(rule.code) and source.number in rows
    ]
    linked = "" if links is None else f"JOIN {links} l ON l.source = cells.source AND l.row_key = cells.row_key"
    work.create(
        "said",
        f"""
        SELECT entity_id, cells.source, cells.row_key, batch_id, observed_at, element, value, raw,
            {_flag_sql(definition.identifier)} AS flag, rank, first_choice, prefer
        FROM ({" UNION ALL ".join(parts)}) cells {linked} WHERE value IS NOT NULL""",
    )
    work.create(
        "candidates",
        """
        WITH ranked AS (
            SELECT *, count(*) OVER same_value AS supporters,
                   row_number() OVER (PARTITION BY entity_id, element, value ORDER BY
                       (flag IS NOT NULL), first_choice, observed_at DESC NULLS LAST, rank, source, row_key) AS standing
            FROM said WINDOW same_value AS (PARTITION BY entity_id, element, value)
        )
        SELECT * EXCLUDE (standing), row_number() OVER preference AS position,
            count(*) OVER whole AS distinct_values, count(*) FILTER (flag IS NULL) OVER whole AS sound_values,
            count(*) FILTER (flag IS NULL) OVER (PARTITION BY entity_id, element, first_choice) AS equal_authorities
        FROM ranked WHERE standing = 1
        WINDOW whole AS (PARTITION BY entity_id, element),
            preference AS (PARTITION BY entity_id, element ORDER BY
                (flag IS NOT NULL), first_choice, observed_at DESC NULLS LAST, rank, source, row_key)""",
    )
    work.drop("said")


def entity_slices(
    connection: duckdb.DuckDBPyConnection, cells: Path, size: int = SLICE_ENTITIES
) -> list[tuple[str, str]]:
    """Return the first and last entity id of every slice of at most `size` entities, in order."""
    return connection.execute(_slices_sql(cells, size)).fetchall()


def _slices_sql(cells: Path, size: int) -> str:
    return f"""
        WITH numbered AS (
            SELECT entity_id, row_number() OVER (ORDER BY entity_id) - 1 AS place
            FROM (SELECT DISTINCT entity_id FROM {table_sql(cells)})
        )
        SELECT min(entity_id), max(entity_id) FROM numbered GROUP BY place // {size} ORDER BY 1"""


def create_digests(work: Workspace, cells: Path, sources: tuple[ConformedSource, ...], *, more: bool = False) -> None:
    """Create `entity_digests`, or add `more` to it: per entity the digest of element, value, whose and which record,
    rule and flag.

    It holds no batch, no installation's id and no time of the build: the same landing gives the same digest anywhere.
    """
    names = ", ".join(
        f"({source.number}, {sql_text(source.source.department + '/' + source.source.title.zh)})" for source in sources
    )
    fields = ("entity_id", "element", "value", "named.name", "row_key", "rule", "coalesce(flag, '')")
    line = " || ".join(f"length({field}) || ':' || {field}" for field in fields)
    # Lists that are sorted afterwards: an aggregate with an order of its own takes 30 kB per entity.
    query = f"""
        SELECT entity_id, sha256(array_to_string(list_sort(list({line})), '')) AS digest
        FROM {table_sql(cells)} cells JOIN (VALUES {names}) named(number, name)
        ON named.number = cells.source WHERE position = 1"""
    whole = "true" if work.lists_spill else "false"
    if not more:
        work.create("entity_digests", f"{query} AND {whole} GROUP BY entity_id")
    for first, last in [] if work.lists_spill else work.rows(_slices_sql(cells, SLICE_ENTITIES)):
        slice_ = f"entity_id BETWEEN {sql_text(first)} AND {sql_text(last)}"
        work.append("entity_digests", f"{query} AND {slice_} GROUP BY entity_id")


def write_digest(folder: Path) -> None:
    """Write the digest of the golden cells, from those of the entities."""
    known = read_table(folder / DIGESTS)
    (folder / GOLDEN_DIGEST).write_text(keyed_digest(known.column("entity_id"), known.column("digest")))


def _cells_sql(definition: Definition, source: ConformedSource, element: str, prefer: str, rows: str, told: str) -> str:
    rank = definition.authority(element)[source.role.key]
    field = sql_name(element)
    return f"""
        SELECT {source.number} AS source, row_key, batch_id, observed_at, {sql_text(element)} AS element,
            {field} AS value, {sql_name(element + "|raw")} AS raw, {sql_name(element + "|flag")} AS flag,
            {rank} AS rank, {rank if prefer == "authority" else 0} AS first_choice, {sql_text(prefer)} AS prefer{told}
        FROM {rows}"""


def _flag_sql(identifier: str | None) -> str:
    """Return the SQL of a cell's flag: an identifier other than the one its entity is trusted to have is doubtful,
    whatever their authority."""
    if identifier is None:
        return "flag"
    return (
        f"CASE WHEN element = {sql_text(identifier)} AND flag IS NULL "
        "AND (distrusted OR trusted IS DISTINCT FROM value) THEN 'incoherent' ELSE flag END"
    )
