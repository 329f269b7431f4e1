"""Linked records, divided by ranges of entity ids, so that each part is fused within memory.

A cell is chosen among those of its own entity, so entities may be fused in any number of parts. Records come in the
order of their sources and keys; one pass writes each to the part of its entity, with what the choice needs. Without
parts, the cells of ten million records (40 million) were sorted three times over the disk. What fits is not divided:
that costs some 15 % more.
"""

from collections.abc import Mapping
from pathlib import Path

from datong.library.conform import ConformedSource
from datong.library.definition import Definition
from datong.library.engine import EmbeddedWorkspace, Workspace, sql_name, sql_text
from datong.library.layers import table_sql

PART_ENTITIES = 500_000
"""Entities that are fused at once: some 8 million values that sources state, about 3 GB."""
PARTS_MAX = 90
"""Parts of one library: as many files are open at once while they are written."""
PART_BUFFER_ROWS = 20_000
"""Rows of a part that are held in memory until they are written."""


def _linked_rows_sql(definition: Definition, source: ConformedSource, rows: str) -> str:
    """Return the query for the source's `rows` that are linked: what fusing reads of them, and of `parted_links`."""
    held = [rule.code for rule in definition.elements if source.has(rule.code)]
    columns = [sql_name(f"{code}{suffix}") for code in held for suffix in ("", "|raw", "|flag")]
    wanted = ", ".join(f"kept.{name}" for name in ("row_key", "batch_id", "observed_at", *columns))
    told = ", ".join(f"l.{name}" for name in ("entity_id", "trusted", "distrusted", "part"))
    return (
        f"SELECT {wanted}, {told} FROM {rows} kept JOIN parted_links l "
        f"ON l.source = {source.number} AND l.row_key = kept.row_key"
    )


def split(
    work: Workspace,
    definition: Definition,
    sources: tuple[ConformedSource, ...],
    rows: Mapping[int, str],
    links: Path,
    folder: Path,
    *,
    entities_max: int,
) -> list[Mapping[int, str]]:
    """Write the linked rows below `folder`; return, for every part in the order of its entity ids, where the rows of
    each source are that has some there.

    Nothing is written, and no part returned, where there are no more than `entities_max`, or where the engine has its
    own ways to divide them.
    """
    if not isinstance(work, EmbeddedWorkspace):
        return []
    [(entities,)] = work.rows(f"SELECT count(DISTINCT entity_id) FROM {table_sql(links)} l")
    if entities <= entities_max:
        return []
    size = max(entities_max, -(-int(entities) // PARTS_MAX))
    work.create(
        "numbered_entities",
        "SELECT entity_id, row_number() OVER (ORDER BY entity_id) - 1 AS place "
        f"FROM (SELECT DISTINCT entity_id FROM {table_sql(links)} l)",
    )
    work.create(
        "parted_links",
        "SELECT l.source, l.row_key, l.entity_id, l.trusted, l.distrusted, n.place // "
        f"{size} AS part FROM {table_sql(links)} l JOIN numbered_entities n USING (entity_id)",
    )
    work.drop("numbered_entities")
    work.connection.execute(f"SET partitioned_write_flush_threshold = {PART_BUFFER_ROWS}")
    for source in sources:
        path = folder / f"source_{source.number:03d}"
        path.mkdir(parents=True)
        query = _linked_rows_sql(definition, source, rows[source.number])
        work.connection.execute(f"COPY ({query}) TO {sql_text(str(path))} (FORMAT parquet, PARTITION_BY (part))")
    work.drop("parted_links")
    return [
        {
            source.number: f"read_parquet({sql_text(str(path / '*.parquet'))}, hive_partitioning = false)"
            for source in sources
            if (path := folder / f"source_{source.number:03d}" / f"part={part}").exists()
        }
        for part in range(-(-int(entities) // size))
    ]
