"""Tables of a step as a base and what changed since: a build that changes little writes little.

A table is the Parquet file at its path. Beside it may lie `<name>.changed`, the rows that are new since, and
`<name>.replaced`, the keys of the rows in the base that no longer hold. The base is a hard link to the file of the
build before, which nothing ever changes. When a tenth of the rows has changed, the next build writes the whole again,
so no more than two layers are ever read. The order of rows is that of a whole table except for the changed ones. A base
may have a twin, `<name>.arrow`, and the places of its keys, `<name>.<keys>.places` (see `twins`), which go with it.
"""

import os
import shutil
from collections.abc import Sequence
from glob import escape
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from datong.library.engine import Workspace, parquet_sql, sql_name

CHANGED, REMOVED = "changed", "removed"
"""What became of a row or an entity since the build before: it is new or another one, or it is no more."""
COMPACT_SHARE = 0.1
"""Changed rows over all rows from which a table is written whole again."""


def changed_file(path: Path) -> Path:
    """Return the file of the rows that are new since the base at `path`."""
    return path.with_name(f"{path.name}.changed")


def replaced_file(path: Path) -> Path:
    """Return the file of the keys whose rows in the base at `path` no longer hold."""
    return path.with_name(f"{path.name}.replaced")


def twin_file(path: Path) -> Path:
    """Return the file of the twin of the base at `path`, if it has one."""
    return path.with_name(f"{path.name}.arrow")


def places_file(path: Path, keys: Sequence[str]) -> Path:
    """Return the file of the places of `keys` in the base at `path`, if it has one (see `places`)."""
    return path.with_name(f"{path.name}.{'-'.join(keys)}.places")


def _link_beside(former: Path, path: Path) -> None:
    """Give the base at `path`, which is that at `former`, its twin and the places of its keys."""
    for suffix in ("arrow", "places"):
        for file in former.parent.glob(f"{escape(former.name)}.*{suffix}"):
            link_file(file, path.with_name(path.name + file.name.removeprefix(former.name)))


def table_sql(path: Path) -> str:
    """Return the table at `path` as something to select from; it takes an alias."""
    base = parquet_sql(path)
    if not changed_file(path).exists():
        return base
    same = " AND ".join(f"gone.{key} = kept.{key}" for key in pq.read_schema(replaced_file(path)).names)
    return (
        f"(SELECT kept.* FROM {base} kept WHERE NOT EXISTS (SELECT 1 FROM {parquet_sql(replaced_file(path))} gone "
        f"WHERE {same}) UNION ALL SELECT * FROM {parquet_sql(changed_file(path))})"
    )


def read_table(path: Path, *, columns: list[str] | None = None, where: pc.Expression | None = None) -> pa.Table:
    """Return the table at `path`, or the `columns` of the rows of which `where` is true."""
    if not changed_file(path).exists():
        return pq.read_table(path, columns=columns, filters=where)
    keys = pq.read_schema(replaced_file(path)).names
    wanted = None if columns is None else list(dict.fromkeys([*columns, *keys]))
    base, changed = (pq.read_table(file, columns=wanted, filters=where) for file in (path, changed_file(path)))
    kept = _without(base, pq.read_table(replaced_file(path)), keys)
    found = pa.concat_tables([kept.select(base.column_names), changed])
    return found if columns is None else found.select(columns)


def _without(base: pa.Table, gone: pa.Table, keys: list[str]) -> pa.Table:
    """Return the rows of `base` whose `keys` are not among `gone`."""
    if len(keys) > 1:
        return base.join(gone, keys=keys, join_type="left anti")
    return base.filter(pc.invert(pc.is_in(base.column(keys[0]), value_set=gone.column(keys[0]))))


def write_changes(
    work: Workspace,
    former: Path,
    path: Path,
    *,
    keys: Sequence[str],
    replaced: str,
    changed: str,
    order: Sequence[str],
) -> bool:
    """Write the table at `former` to `path` with the rows whose `keys` are in the relation `replaced` left out, and
    those of the relation `changed` added; `order` is that of a whole table. Return whether it was written whole: it
    has no twin then."""
    names = ", ".join(sql_name(name) for name in pq.read_schema(former).names)
    listed, same = ", ".join(keys), " AND ".join(f"gone.{key} = kept.{key}" for key in keys)
    gone, rows = f"SELECT DISTINCT {listed} FROM {replaced} new", f"SELECT {names} FROM {changed} new"
    if changed_file(former).exists():
        gone += f" UNION SELECT {listed} FROM {parquet_sql(replaced_file(former))} old"
        rows += (
            f" UNION ALL SELECT {names} FROM {parquet_sql(changed_file(former))} kept "
            f"WHERE NOT EXISTS (SELECT 1 FROM {replaced} gone WHERE {same})"
        )
    link_file(former, path)
    work.write(rows, changed_file(path))
    work.write(gone, replaced_file(path))
    if pq.read_metadata(changed_file(path)).num_rows <= COMPACT_SHARE * pq.read_metadata(path).num_rows:
        _link_beside(former, path)
        return False
    whole = path.with_name(f"{path.name}.whole")
    work.write(f"SELECT {names} FROM {table_sql(path)} kept ORDER BY {', '.join(order)}", whole)
    whole.replace(path)
    changed_file(path).unlink()
    replaced_file(path).unlink()
    return True


def link_table(former: Path, path: Path) -> None:
    """Make the unchanged table at `former` the one at `path`."""
    for one, other in (
        (former, path),
        (changed_file(former), changed_file(path)),
        (replaced_file(former), replaced_file(path)),
    ):
        if one.exists():
            link_file(one, other)
    _link_beside(former, path)


def link_file(former: Path, path: Path) -> None:
    """Give the file at `former` the further name `path`; it is copied where the file system knows no such names."""
    try:
        os.link(former, path)
    except OSError:
        shutil.copyfile(former, path)
