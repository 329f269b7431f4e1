"""How many records bear a value whose frequency counts: kept by a link step, and brought forward by the next build.

`frequency_<column>.parquet` has value and `bearers`; `frequency_every.parquet` the number of all records. A weight
depends on the class of a frequency only (see `score`), so that few values ever matter to the pairs of others.
"""

from pathlib import Path

from datong.library.definition import Identity, Linkage
from datong.library.engine import Workspace, parquet_sql
from datong.library.layers import write_changes
from datong.library.score import class_sql, frequency_columns
from datong.library.twins import create_few, write_twin

EVERY = "frequency_every.parquet"
VALUE = ("value",)


def frequency_files(limits: Linkage | Identity | None) -> list[str]:
    """Return the names of the files that a link step keeps."""
    return [EVERY, *map(_file, frequency_columns(limits))] if isinstance(limits, Linkage) else []


def keep_frequencies(work: Workspace, linkage: Linkage, folder: Path) -> None:
    """Write the files into the step's `folder`, from `linkable`."""
    work.write("SELECT count(*) AS bearers FROM linkable", folder / EVERY)
    for column in frequency_columns(linkage):
        path = folder / _file(column)
        work.write(
            f"SELECT {column} AS value, count(*) AS bearers FROM linkable WHERE {column} IS NOT NULL "
            f"GROUP BY {column} ORDER BY {column}",
            path,
        )
        write_twin(work, path, VALUE)


def count_changes(work: Workspace, linkage: Linkage, former: Path) -> bool:
    """Create one table `counted_<column>` (value, was, now, was_class, now_class) per column whose frequency counts, of
    the values of which more or fewer records are `gained` than `lost`; and `counted_every`, of the number of records.

    Return whether the class of that number is as it was in the step folder `former`: else every weight changed.
    """
    for column in frequency_columns(linkage):
        work.create(
            f"shifted_{column}",
            f"""
            SELECT value, sum(more) AS more FROM (
                SELECT {column} AS value, -count(*) AS more FROM lost GROUP BY {column}
                UNION ALL SELECT {column}, count(*) FROM gained GROUP BY {column}
            ) WHERE value IS NOT NULL GROUP BY value HAVING sum(more) <> 0""",
        )
        _create_counted(work, column, former, f"shifted_{column}", f"counted_{column}")
    work.create(
        "counted_every",
        f"""
        SELECT now, {class_sql("greatest(was, 1)")} AS was_class, {class_sql("greatest(now, 1)")} AS now_class FROM (
            SELECT bearers AS was,
                bearers - (SELECT count(*) FROM lost) + (SELECT count(*) FROM gained) AS now
            FROM {parquet_sql(former / EVERY)})""",
    )
    [(was_class, now_class)] = work.rows("SELECT was_class, now_class FROM counted_every")
    return bool(was_class == now_class) or not frequency_columns(linkage)


def change_frequencies(work: Workspace, linkage: Linkage, former: Path, folder: Path) -> None:
    """Write the files into the step's `folder`, from those in `former` and the tables of `count_changes`."""
    work.write("SELECT now AS bearers FROM counted_every", folder / EVERY)
    for column in frequency_columns(linkage):
        path, counted = folder / _file(column), f"counted_{column}"
        changed = f"(SELECT value, now AS bearers FROM {counted} WHERE now > 0)"
        whole = write_changes(
            work, former / path.name, path, keys=VALUE, replaced=counted, changed=changed, order=VALUE
        )
        if whole:
            write_twin(work, path, VALUE)


def create_classes(work: Workspace, linkage: Linkage, world: str, former: Path) -> None:
    """Create the tables of `score.create_frequencies` for the values in `linkable`, as they `was` in the step folder
    `former` or are `now`."""
    for column in frequency_columns(linkage):
        values, counted = f"(SELECT {column} AS value FROM linkable WHERE {column} IS NOT NULL)", f"weighed_{column}"
        _create_counted(work, column, former, values, counted)
        work.create(
            f"frequency_{column}",
            f"SELECT value, {world}_class AS class FROM {counted} WHERE {world}_class IS NOT NULL",
        )
        work.drop(counted)
    work.create("frequency_every", f"SELECT {world}_class AS class FROM counted_every")


def _create_counted(work: Workspace, column: str, former: Path, values: str, name: str) -> None:
    """Create the table `name` (value, was, now, was_class, now_class) of what is in the relation `values`."""
    borne = f"borne_{column}"
    create_few(work, borne, former / _file(column), VALUE, values)
    classes = ", ".join(f"{class_sql(f'nullif({world}, 0)')} AS {world}_class" for world in ("was", "now"))
    work.create(
        name,
        f"""
        SELECT value, was, now, {classes} FROM (
            SELECT value, coalesce(bearers, 0) AS was, CAST(coalesce(bearers, 0) + coalesce(more, 0) AS BIGINT) AS now
            FROM (SELECT DISTINCT value FROM {values}) LEFT JOIN {borne} USING (value)
            LEFT JOIN shifted_{column} USING (value))""",
    )
    work.drop(borne)


def _file(column: str) -> str:
    return f"frequency_{column}.parquet"
