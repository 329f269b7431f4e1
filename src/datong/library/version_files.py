"""The files of a library's versions in Delta Lake: reading an old one, and erasing those that no kept version needs.

Versions share files where they share rows, so a file goes when no version that is kept lists it. Commits older than the
oldest kept version go, too, behind a checkpoint: what they list is no more.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from datong.kernel import Text, Unavailable, Value
from datong.library.delta_writing import version_of_build

__all__ = [
    "TableVersions",
    "Unneeded",
    "erase",
    "files_of",
    "published_files",
    "readable",
    "rows_of",
    "told_unreadable",
    "unneeded",
    "version_of_build",
]

LOG = "_delta_log"
_NUMBER_DIGITS = 20


@contextmanager
def told_unreadable(library: str) -> Iterator[None]:
    """Tell an operator that the tables of `library` cannot be read, in words.

    Raises:
        Unavailable: Delta Lake or the file system says so.
    """
    try:
        yield
    except (DeltaError, OSError) as error:
        raise Unavailable(
            "library.tables_unreadable",
            what=Text(
                zh=f"资源库 {library} 的数据表文件无法读取。",
                en=f"The table files of the library {library} cannot be read.",
            ),
            remedy=Text(
                zh="请检查数据湖的目录和权限；必要时重新构建该资源库。",
                en="Check the lake's folder and its permissions; if need be, build the library again.",
            ),
            context={"library": library},
        ) from error


class TableVersions(Value):
    """A Delta table and the versions of it that stay."""

    path: Path
    kept: tuple[int, ...]


class Unneeded(Value):
    """Files that no kept version needs: how many, how large, and the digest of their names and sizes."""

    files: tuple[Path, ...]
    bytes: int
    sha256: str


def unneeded(tables: Sequence[TableVersions], library: Path) -> Unneeded:
    """Return the data files and old commits of `tables`, below `library`, that no version which stays needs."""
    files = sorted(path for table in tables for path in (*_data_files(table), *_old_commits(table)))
    sizes = [path.stat().st_size for path in files]
    said = hashlib.sha256()
    for path, size in zip(files, sizes, strict=True):
        said.update(f"{path.relative_to(library).as_posix()}\t{size}\n".encode())
    return Unneeded(files=tuple(files), bytes=sum(sizes), sha256=said.hexdigest())


def erase(tables: Sequence[TableVersions], library: Path) -> None:
    """Delete what no kept version needs; a second call finds nothing to do."""
    for table in tables:
        if _old_commits(table):
            # The oldest kept version must be readable without the commits before it; the newest checkpoint is the one
            # that readers are told of, so it is written last.
            DeltaTable(str(table.path), version=_oldest(table)).create_checkpoint()
            DeltaTable(str(table.path)).create_checkpoint()
    for path in unneeded(tables, library).files:
        path.unlink(missing_ok=True)


def rows_of(path: Path, version: int, column: str, values: Iterable[str]) -> pa.Table:
    """Return the rows of a version of the Delta table at `path` whose `column` is one of `values`."""
    table = DeltaTable(str(path), version=version)
    return table.to_pyarrow_dataset().to_table(filter=ds.field(column).isin(list(values)))


def files_of(path: Path, version: int) -> tuple[Path, ...]:
    """Return the Parquet files that hold a version of the Delta table at `path`, in a stable order."""
    return tuple(sorted(Path(uri) for uri in DeltaTable(str(path), version=version).file_uris()))


def published_files(path: Path, version: int) -> list[Path]:
    """Return all files that a reader of a version of the Delta table at `path` needs: its rows, and the log up to it.

    None of them is ever changed; `_last_checkpoint`, which is, only saves readers a look at the folder.
    """
    numbered = ((entry, entry.name[:_NUMBER_DIGITS]) for entry in (path / LOG).iterdir())
    log = [entry for entry, number in numbered if number.isdecimal() and int(number) <= version]
    return [*files_of(path, version), *log]


def table_of(path: Path, version: int) -> ds.Dataset:
    """Return a version of the Delta table at `path`, to be read in part or whole."""
    return DeltaTable(str(path), version=version).to_pyarrow_dataset()


def _oldest(table: TableVersions) -> int:
    return min(table.kept, default=DeltaTable(str(table.path)).version())


def _data_files(table: TableVersions) -> list[Path]:
    needed: set[str] = set()
    # The newest version stays whatever is kept: it is what the next build compares with.
    for version in {*table.kept, DeltaTable(str(table.path)).version()}:
        needed |= {Path(uri).name for uri in DeltaTable(str(table.path), version=version).file_uris()}
    return [path for path in table.path.rglob("*.parquet") if LOG not in path.parts and path.name not in needed]


def _old_commits(table: TableVersions) -> list[Path]:
    oldest = _oldest(table)
    numbered = ((path, path.name[:_NUMBER_DIGITS]) for path in (table.path / LOG).iterdir())
    return [path for path, number in numbered if number.isdecimal() and int(number) < oldest]


def readable(path: Path, versions: Collection[int]) -> tuple[int, ...]:
    """Return those of `versions` whose commits the table's log still has, or has a checkpoint before."""
    log = [entry.name for entry in (path / LOG).iterdir()]
    starts = [int(name[:_NUMBER_DIGITS]) for name in log if ".checkpoint" in name and name[:_NUMBER_DIGITS].isdecimal()]
    starts += [0] if f"{0:0{_NUMBER_DIGITS}}.json" in log else []
    first = min(starts, default=0)
    return tuple(sorted(version for version in versions if version >= first))
