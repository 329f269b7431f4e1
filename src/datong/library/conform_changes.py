"""Landing → conformed where a build of before is at hand: only the batches that came since are standardised.

A conformed row depends on the batches that hold its key and on nothing else. So the rows whose keys occur in the new
batches are made anew, and all others stay. What an earlier batch said about a key is known from the former build: the
batch in which it first came stands in its row, or among the deleted keys.
"""

import shutil
from pathlib import Path

import pyarrow.parquet as pq

from datong.library.addresses import Gazetteer
from datong.library.conform import (
    ConformedSource,
    conform_sql,
    current_batches,
    current_sql,
    divide,
    key_sql,
    keys_sql,
    load_batches,
)
from datong.library.engine import Workspace, parquet_sql, sql_text
from datong.library.layers import CHANGED, REMOVED, link_file, link_table, write_changes
from datong.library.quality import count_flaws, shifted
from datong.library.spatial_conform import conform_geometry
from datong.library.twins import create_few, write_twin
from datong.library.values import SourceQuality
from datong.norms import NormPack


def changes_file(conformed: ConformedSource) -> str:
    """Return the name of the file of the keys whose rows are not those of the former build, and what became of them."""
    return f"source_{conformed.number:03d}.changes.parquet"


def former_file(conformed: ConformedSource) -> str:
    """Return the name of the file of the former build's rows with those keys; it is there if something has landed."""
    return f"source_{conformed.number:03d}.former.parquet"


def conform_changes(
    work: Workspace,
    conformed: ConformedSource,
    pack: NormPack,
    former: Path,
    known_batches: int,
    quality: SourceQuality,
    folder: Path,
    gazetteer: Gazetteer,
) -> SourceQuality:
    """Write the conformed files of one source into `folder`, from those in the step folder `former` and the batches
    after the first `known_batches`; return its quality, given that of the former build."""
    source = conformed.source
    quality = quality.model_copy(
        update={"title": source.title, "department": source.department, "cycle_days": source.cycle_days}
    )
    batches = current_batches(source)[known_batches:]
    if not batches:
        _keep(work, conformed, former, folder)
        return quality
    landed, touched, fresh = (
        load_batches(work, conformed, batches),
        f"touched_{conformed.number}",
        fresh_table(conformed),
    )
    _create_touched(work, conformed, landed, former, touched)
    [(received, keyed)] = work.rows(f"SELECT count(*), count({key_sql(source)}) FROM {landed}")
    _create_fresh(work, conformed, pack, landed, touched, folder, gazetteer)
    [(more,)] = work.rows(f"SELECT count(*) FILTER (is_there) - count(*) FILTER (was_there) FROM {touched}")
    replaced, known = folder / former_file(conformed), f"known_{conformed.number}"
    work.write(f"FROM {known}", replaced)
    work.drop(known)
    shown = shifted(
        quality,
        conformed,
        before=count_flaws(work, conformed, parquet_sql(replaced)),
        after=count_flaws(work, conformed, fresh),
        rows=int(more),
        received=int(keyed),
    )
    _write(work, conformed, former, touched, folder)
    work.drop(landed, touched, fresh)
    return shown.model_copy(update={"without_key": quality.without_key + int(received) - int(keyed)})


def fresh_table(conformed: ConformedSource) -> str:
    """Return the name of the table of the source's rows that are made anew."""
    return f"fresh_{conformed.number}"


def _keep(work: Workspace, conformed: ConformedSource, former: Path, folder: Path) -> None:
    """Take over the former build's files: nothing has landed."""
    link_table(former / conformed.file, folder / conformed.file)
    if (former / conformed.gone_file).exists():
        link_file(former / conformed.gone_file, folder / conformed.gone_file)
    nothing = "SELECT NULL::VARCHAR AS row_key, NULL::VARCHAR AS change WHERE false"
    work.write(nothing, folder / changes_file(conformed))


def _gone_sql(conformed: ConformedSource, former: Path) -> str:
    path = former / conformed.gone_file
    if path.exists():
        return f"read_parquet({sql_text(str(path))})"
    return "(SELECT NULL::VARCHAR AS row_key, NULL::BIGINT AS first_sequence WHERE false)"


def _create_touched(work: Workspace, conformed: ConformedSource, landed: str, former: Path, touched: str) -> None:
    """Create `touched`: every key in `landed`, where it first came of all, whether it was there, and whether it is; and
    `known_N`, the rows as they were."""
    met, known = f"met_{conformed.number}", f"known_{conformed.number}"
    work.create(met, keys_sql(conformed.source, landed))
    create_few(work, known, former / conformed.file, ("row_key",), met)
    work.create(
        touched,
        f"""
        SELECT met.row_key, coalesce(kept.first_sequence, gone.first_sequence, met.first_sequence) AS first_sequence,
            kept.row_key IS NOT NULL AS was_there, NOT met.deleted AS is_there
        FROM {met} met LEFT JOIN {known} kept ON kept.row_key = met.row_key
        LEFT JOIN {_gone_sql(conformed, former)} gone ON gone.row_key = met.row_key""",
    )
    work.drop(met)


def _create_fresh(
    work: Workspace,
    conformed: ConformedSource,
    pack: NormPack,
    landed: str,
    touched: str,
    folder: Path,
    gazetteer: Gazetteer,
) -> None:
    """Create the table of the conformed rows of `landed`."""
    rows = divide(work, conformed, landed, gazetteer, folder, f"known_{conformed.number}")
    current = (
        "SELECT rows.* EXCLUDE (first_sequence), touched.first_sequence "
        f"FROM ({current_sql(conformed.source, rows, unique=False)}) rows "
        f"JOIN {touched} touched ON touched.row_key = rows.row_key"
    )
    # Shapes are judged in a file: it has the source's name, in a folder of its own.
    path = folder / f".source_{conformed.number:03d}"
    path.mkdir()
    work.write(conform_sql(conformed, pack, current, divided=rows != landed), path / conformed.file)
    conform_geometry(conformed, path)
    work.create(fresh_table(conformed), f"SELECT * FROM read_parquet({sql_text(str(path / conformed.file))})")
    shutil.rmtree(path)


def _write(work: Workspace, conformed: ConformedSource, former: Path, touched: str, folder: Path) -> None:
    """Write the source's rows, its deleted keys, and what changed."""
    whole = write_changes(
        work,
        former / conformed.file,
        folder / conformed.file,
        keys=("row_key",),
        replaced=touched,
        changed=fresh_table(conformed),
        order=("row_key",),
    )
    if whole:
        write_twin(work, folder / conformed.file, ("row_key",))
    gone = (
        f"SELECT g.row_key, g.first_sequence FROM {_gone_sql(conformed, former)} g ANTI JOIN {touched} t "
        f"USING (row_key) UNION ALL SELECT row_key, first_sequence FROM {touched} WHERE NOT is_there"
    )
    [(left,)] = work.rows(f"SELECT count(*) FROM ({gone})")
    if left:
        work.write(f"{gone} ORDER BY row_key", folder / conformed.gone_file)
    work.write(
        f"SELECT row_key, CASE WHEN is_there THEN {sql_text(CHANGED)} ELSE {sql_text(REMOVED)} END AS change "
        f"FROM {touched} WHERE is_there OR was_there ORDER BY row_key",
        folder / changes_file(conformed),
    )


def changed_records(sources: tuple[ConformedSource, ...], folder: Path) -> int:
    """Return how many records in the step's `folder` are not those of the former build; all of a source made anew."""
    counted = [
        pq.read_metadata(folder / name).num_rows
        for source in sources
        for name in (changes_file(source) if (folder / changes_file(source)).exists() else source.file,)
    ]
    return sum(counted)
