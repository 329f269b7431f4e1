"""Which versions lie on the shelf, and which files they are: what the control database knows of both.

On a machine that builds, a version is put there before it is published, and what no kept version needs is removed from
there. On a cache the current versions are taken from there, and what was disposed of goes here too.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import select

from datong.kernel import BuildId, Database, DatongError, Unavailable
from datong.library import version_store as store
from datong.library.locking import build_lock
from datong.library.shelf import BUILDS, DELTA, Kept, Shelf
from datong.library.tables import BUILDS as BUILD_ROWS
from datong.library.tables import CURRENT, DATASETS
from datong.library.values import BuildState, Dataset

BUILDS_KEPT = 2
"""Published builds whose files stay: the current one, and the one before for readers that are still in it."""


class Shelving:
    """The versions of the libraries in `folder`, on a shelf."""

    def __init__(self, *, database: Database, folder: Path, shelf: Shelf) -> None:
        self._database, self._folder, self._shelf = database, folder, shelf
        self._known: set[BuildId] = set()

    @property
    def cache(self) -> bool:
        """Whether this machine builds nothing."""
        return self._shelf.cache

    def put(self, library: str, build_id: BuildId, details: Sequence[Mapping[str, Any]]) -> None:
        """Put a version there that is about to be published; `details` as the control database keeps them.

        Raises:
            Unavailable: the store does not answer. Corrupt: it lies there with other files.
        """
        with self._database.snapshot() as connection:
            like = connection.scalar(select(CURRENT.c.build_id).where(CURRENT.c.library == library))
        self._shelf.put(library, build_id, self._files(library, build_id, details), like=like)

    def take_builds(self, dataset: Dataset) -> None:
        """See that the lookup files and reports of a version are on this machine. Raises: see `Shelf.take`."""
        self._shelf.take(dataset.library, dataset.build_id, BUILDS)

    def take_tables(self, dataset: Dataset) -> None:
        """See that the tables of a version are on this machine. Raises: see `Shelf.take`."""
        self._shelf.take(dataset.library, dataset.build_id, DELTA)

    def keep(self, library: str) -> None:
        """Remove what no kept version needs; a machine that builds holds the library's lock."""
        self._shelf.keep(library, partial(self._kept, library))

    def catch_up(self) -> bool:
        """Put there what was published and is not there, or take the current versions from there. Returns False.

        Raises:
            DatongError: the store does not answer, tables cannot be read, a file is not what it was; the other
                libraries had their turn.
        """
        failed: list[DatongError] = []
        for library, build_id in self.current().items():
            try:
                if self.cache:
                    self._shelf.take(library, build_id, BUILDS)
                    self.keep(library)
                else:
                    self._put_missing(library)
            except DatongError as error:
                failed.append(error)
        if failed:
            raise failed[0]
        return False

    def current(self) -> dict[str, BuildId]:
        """Return the build of each library's current version."""
        with self._database.snapshot() as connection:
            return {row.library: BuildId(row.build_id) for row in connection.execute(select(CURRENT))}

    def missing(self) -> tuple[str, ...]:
        """Return the libraries whose current version does not lie there."""
        return tuple(name for name, build_id in self.current().items() if not self._shelf.holds(name, build_id))

    def awaited(self) -> tuple[str, ...]:
        """Return the libraries whose current version this cache does not have yet."""
        if not self.cache:
            return ()
        return tuple(name for name, build_id in self.current().items() if not self._shelf.has(name, build_id, BUILDS))

    def _put_missing(self, library: str) -> None:
        wanted = [one for one in self._kept(library).tables if one not in self._known]
        absent = [build_id for build_id in wanted if not self._shelf.holds(library, build_id)]
        try:
            with build_lock(self._folder / library, library):
                for build_id in absent:
                    with self._database.snapshot() as connection:
                        of_build = select(DATASETS.c.details).where(DATASETS.c.build_id == build_id)
                        details = list(connection.scalars(of_build))
                    self._shelf.put(library, build_id, self._files(library, build_id, details))
        except Unavailable as error:
            if error.code != "library.build_running":
                raise
        else:
            self._known.update(wanted)

    def _kept(self, library: str) -> Kept:
        with self._database.snapshot() as connection:
            gone = store.disposals_of(connection, library)
            rows = connection.execute(
                select(DATASETS.c.version, DATASETS.c.build_id).where(DATASETS.c.library == library).distinct()
            ).all()
            newest = connection.scalars(
                select(BUILD_ROWS.c.id)
                .where(BUILD_ROWS.c.library == library, BUILD_ROWS.c.state == BuildState.PUBLISHED)
                .order_by(BUILD_ROWS.c.version.desc())
                .limit(BUILDS_KEPT)
            ).all()
        tables = tuple(BuildId(row.build_id) for row in rows if row.version not in gone)
        return Kept(whole=tuple(BuildId(one) for one in newest if one in tables), tables=tables)

    def _files(self, library: str, build_id: BuildId, details: Sequence[Mapping[str, Any]]) -> list[Path]:
        """Return the files of a version: those of its build, as far as they are still here, and of its tables."""
        files = import_module("datong.library.version_files")
        found = [path for path in (self._folder / library / "builds" / build_id).rglob("*") if path.is_file()]
        with files.told_unreadable(library):
            for path, version in _tables(self._folder, build_id, details, files.version_of_build):
                found += files.published_files(path, version)
        return list(dict.fromkeys(found))


def _tables(
    folder: Path,
    build_id: BuildId,
    details: Sequence[Mapping[str, Any]],
    version_of_build: Callable[[Path, str], int | None],
) -> Iterator[tuple[Path, int]]:
    for one in details:
        yield folder / one["delta_path"], one["delta_version"]
        lineage = folder / one["lineage_path"] if one["lineage_path"] else None
        version = None if lineage is None else version_of_build(lineage, build_id)
        if lineage is not None and version is not None:
            yield lineage, version
