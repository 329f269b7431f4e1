"""The entities that had or have a changed record, as they were and as they are: all that an increment looks at.

Conform and link say which records changed. Reading them out of tables of a million rows costs as much for a few rows as
for all, so it is done once, here: fusing, the report's counts and publishing start from what this leaves. Tables:
`touched` (entity_id), `touched_links` and `former_links`, and per source `touched_rows_N` and `former_rows_N`, the
conformed rows of their records. Files in the fuse step's folder: the cells and the changed records, before and after.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from datong.library.conform import ConformedSource
from datong.library.conform_changes import changes_file, former_file
from datong.library.engine import Workspace, parquet_sql
from datong.library.link_state import RECORD
from datong.library.twins import create_few

TOUCHED_CELLS = "touched.cells.parquet"
FORMER_CELLS = "former.cells.parquet"
FORMER_COLUMNS = ("entity_id", "element", "position", "value", "rule")
"""What is asked of a former cell: counts of what others say and agree on, and the keys of its entity."""
TOUCHED_LINKS, FORMER_LINKS = "touched_links", "former_links"


class Former(NamedTuple):
    """What a build knows of the one before: its conformed and fused step folders and its links, and the file of the
    records that changed since."""

    conformed: Path
    folder: Path
    links: Path
    changed: Path


def touched_records(source: ConformedSource) -> str:
    """Return the name of the file of a source's changed records as they are, each with its entity."""
    return f"source_{source.number:03d}.touched.parquet"


def former_records(source: ConformedSource) -> str:
    """Return the name of the file of a source's changed records as they were, each with its entity."""
    return f"source_{source.number:03d}.former.parquet"


def touched_rows(sources: tuple[ConformedSource, ...]) -> Mapping[int, str]:
    """Return the names of the tables of the conformed rows as they are, by source."""
    return {source.number: f"touched_rows_{source.number}" for source in sources}


def former_rows(sources: tuple[ConformedSource, ...]) -> Mapping[int, str]:
    """Return the names of the tables of the conformed rows as they were, by source."""
    return {source.number: f"former_rows_{source.number}" for source in sources}


def create_touched(
    work: Workspace, sources: tuple[ConformedSource, ...], conformed: Path, links: Path, former: Former
) -> None:
    """Create the tables, from the conformed files below `conformed` and the links."""
    records, known = f"(SELECT source, row_key FROM {parquet_sql(former.changed)})", (links, former.links)
    for place, path in enumerate(known):
        create_few(work, f"touched_{place}", path, RECORD, records, columns=("entity_id",))
    work.create("touched", "FROM touched_0 UNION FROM touched_1")
    work.drop("touched_0", "touched_1")
    for name, path in zip((TOUCHED_LINKS, FORMER_LINKS), known, strict=True):
        create_few(work, name, path, ("entity_id",), "touched")
    for source in sources:
        now, was = touched_rows(sources)[source.number], former_rows(sources)[source.number]
        here, there = (
            f"(SELECT row_key FROM {name} WHERE source = {source.number})" for name in (TOUCHED_LINKS, FORMER_LINKS)
        )
        create_few(work, now, conformed / source.file, ("row_key",), here)
        work.create(was, _former_sql(source, conformed, former, now, there))


def _former_sql(source: ConformedSource, conformed: Path, former: Former, now: str, there: str) -> str:
    """Return the query for the source's rows of `there` as they were, those of the table `now` being known.

    A record of a touched entity whose row did not change is a record of a touched entity still.
    """
    changes = conformed / changes_file(source)
    if not changes.exists():
        return f"SELECT c.* FROM {source.sql(former.conformed)} c SEMI JOIN {there} l USING (row_key)"
    unchanged = f"(SELECT n.* FROM {now} n ANTI JOIN {parquet_sql(changes)} d USING (row_key))"
    same = f"SELECT c.* FROM {unchanged} c SEMI JOIN {there} l USING (row_key)"
    replaced = conformed / former_file(source)
    if not replaced.exists():
        return same
    return f"{same} UNION ALL BY NAME SELECT c.* FROM {parquet_sql(replaced)} c SEMI JOIN {there} l USING (row_key)"


def write_former_cells(work: Workspace, cells: str, path: Path) -> None:
    """Write the touched entities' cells as they were into the folder `path`: `cells` is what the former build says of
    all entities."""
    counted = ", ".join(f"c.{name}" for name in FORMER_COLUMNS)
    work.write(f"SELECT {counted} FROM {cells} c SEMI JOIN touched USING (entity_id)", path / FORMER_CELLS)


def write_touched(work: Workspace, sources: tuple[ConformedSource, ...], former: Former, path: Path) -> None:
    """Write the files of the changed records into the folder `path`."""
    for source in sources:
        changed = f"(SELECT row_key FROM {parquet_sql(former.changed)} WHERE source = {source.number})"
        for name, rows, links in (
            (touched_records(source), touched_rows(sources), TOUCHED_LINKS),
            (former_records(source), former_rows(sources), FORMER_LINKS),
        ):
            work.write(
                f"SELECT r.*, l.entity_id FROM {rows[source.number]} r SEMI JOIN {changed} USING (row_key) "
                f"JOIN (SELECT row_key, entity_id FROM {links} WHERE source = {source.number}) l USING (row_key)",
                path / name,
            )
