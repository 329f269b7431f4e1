"""Releases: the files of a table version, cut down to agreed columns and masked, written once and handed out often.

A release is named by its plan, so two consumers with the same terms read the same files. It appears by one rename and
never changes. Next to it stays a list of whom it concerns, as commitments that only the hub can make again: the files
go when nobody asks for them any more, the list stays as long as the accesses that it explains.
"""

import os
import shutil
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from datong.kernel import JsonValue, Text, Unavailable, canonical_json, new_id, sha256_hex
from datong.kernel.files import file_digest, flush
from datong.norms import text_literal
from datong.sharing.delta_sql import (
    CHANGE_TYPE,
    Relations,
    bounds_sql,
    changes_sql,
    delta_type,
    files_sql,
    kept_rows,
    prepare_subjects,
    shown_columns,
    snapshot_sql,
)
from datong.sharing.delta_values import Bound, Release, ReleaseFile, ReleasePlan, TableSource
from datong.sharing.subject_lists import (
    BRANCH_CHARS,
    Branch,
    read_branch,
    read_branches,
    subject_list_digest,
    write_subjects,
)
from datong.sharing.subjects import canonical_subject, release_commitment, release_salt

FORMAT = 1
"""Part of every plan's digest: raised when the same plan would give other files."""
PREPARING_WAIT_SECONDS = 20.0
"""A release that is waited for longer than this is asked for again by the client."""
SUBJECTS = "subjects.parquet"
MANIFEST = "release.json"
TYPES_KEPT_MAX = 1_000
"""Releases whose columns a process remembers."""


class Releases:
    """The releases under `folder`; one is prepared at a time per process, within `memory` (DuckDB's notation)."""

    def __init__(
        self, *, folder: Path, tables: TableSource, subject_key: bytes, threads: int = 2, memory: str = "1500MB"
    ) -> None:
        self._folder = folder
        self._tables = tables
        self._subject_key = subject_key
        self._config: dict[str, str | bool | int | float | list[str]] = {
            "threads": threads,
            "memory_limit": memory,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        self._preparing = threading.Lock()
        self._types: dict[str, Mapping[str, str]] = {}

    def prepared(self, plan: ReleasePlan) -> Release:
        """Return the release of `plan`; prepare it if it is not there.

        Raises:
            Unavailable: its table cannot be read, or others are being prepared for too long.
        """
        release_id = release_id_of(plan)
        folder = self._folder / "files" / release_id
        if not (folder / MANIFEST).exists():
            if not self._preparing.acquire(timeout=PREPARING_WAIT_SECONDS):
                raise _busy()
            try:
                if not (folder / MANIFEST).exists():
                    self._prepare(plan, release_id, folder)
            finally:
                self._preparing.release()
        manifest = folder / MANIFEST
        os.utime(manifest)
        return Release.model_validate_json(manifest.read_bytes())

    def types(self, plan: ReleasePlan) -> Mapping[str, str]:
        """Return the types of a release's columns, in order, without preparing it.

        Raises:
            Unavailable: its table cannot be read.
        """
        release_id = release_id_of(plan)
        known = self._types.get(release_id)
        if known is None:
            sources = self._tables.files(plan.resource_id, plan.version)
            try:
                with self._connect(release_id) as connection:
                    known = _types(
                        connection, snapshot_sql(shown_columns(connection, plan), "true", sources[0], in_order=True)
                    )
            except (OSError, duckdb.Error) as error:
                raise _unreadable(plan) from error
            if len(self._types) >= TYPES_KEPT_MAX:
                self._types.clear()
            self._types[release_id] = known
        return known

    def file(self, release_id: str, name: str) -> Path | None:
        """Return where a file of a release lies; None if it is not there (any more)."""
        if not _plain(release_id) or not _plain(name.removesuffix(".parquet")):
            return None
        path = self._folder / "files" / release_id / name
        return path if path.suffix == ".parquet" and path.is_file() else None

    def read(self, release: Release, query: str) -> list[tuple[object, ...]]:
        """Return the rows of a query over `release`, the rows of a prepared release as one relation.

        Raises:
            Unavailable: a file has been cleared away meanwhile.
        """
        folder = self._folder / "files" / release.id
        files = [folder / file.name for file in release.files]
        relation = query.replace("{release}", files_sql(files))
        try:
            with duckdb.connect(":memory:", config=self._config) as connection:
                connection.execute("SET GLOBAL TimeZone = 'UTC'")
                return connection.execute(relation).fetchall()
        except (OSError, duckdb.Error) as error:
            raise _unreadable(release.plan) from error

    def concerning(self, citizen: str, release_ids: Iterable[str]) -> dict[str, frozenset[int]]:
        """Return which of the releases concern a citizen, and which of their files (by number)."""
        found: dict[str, frozenset[int]] = {}
        with duckdb.connect(":memory:", config=self._config) as connection:
            for release_id in release_ids:
                listed = self._subjects(release_id)
                wanted = release_commitment(self._subject_key, release_id, citizen)
                if listed is not None:
                    query = "SELECT DISTINCT file FROM read_parquet(?) WHERE commitment = ?"
                    rows = connection.execute(query, [str(listed), wanted]).fetchall()
                    found[release_id] = frozenset(int(row[0]) for row in rows)
        return {release_id: files for release_id, files in found.items() if files}

    def opening(self, citizen: str, release_id: str, file: int) -> dict[str, JsonValue]:
        """Return what shows that a citizen is in the list of a file: the salt, the branch, the other digests."""
        salt = release_salt(self._subject_key, release_id, citizen)
        said: dict[str, JsonValue] = {"salt": salt.hex(), "value": canonical_subject(citizen)}
        listed = self._subjects(release_id)
        if listed is None:
            return said
        wanted = release_commitment(self._subject_key, release_id, citizen)
        prefix = wanted[:BRANCH_CHARS]
        with duckdb.connect(":memory:", config=self._config) as connection:
            branch: list[JsonValue] = [*read_branch(connection, listed, file, prefix)]
        others: dict[str, JsonValue] = {
            one.prefix: one.digest for one in read_branches(listed, file).get(file, ()) if one.prefix != prefix
        }
        return {**said, "among": {"branch": branch, "others": others}}

    def _subjects(self, release_id: str) -> Path | None:
        path = self._folder / "subjects" / f"{release_id}.parquet"
        return path if _plain(release_id) and path.is_file() else None

    def sweep(self, unused_seconds: float) -> int:
        """Remove releases that nobody has asked for lately, and what kills left behind; return how many releases."""
        files = self._folder / "files"
        removed = 0
        for folder in files.iterdir() if files.is_dir() else ():
            marker = folder / MANIFEST
            try:
                used = (marker if marker.exists() else folder).stat().st_mtime
            except FileNotFoundError:
                continue
            if time.time() - used > unused_seconds:
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
        return removed

    def _prepare(self, plan: ReleasePlan, release_id: str, folder: Path) -> None:
        """Write a release aside; its list of subjects is in place before the release is."""
        sources = self._tables.files(plan.resource_id, plan.version)
        former = () if plan.former is None else self._tables.files(plan.resource_id, plan.former)
        scratch = folder.with_name(f".{folder.name}.{new_id()}")
        scratch.mkdir(parents=True)
        try:
            with self._connect(release_id) as connection:
                kept = kept_rows(connection, plan, [*sources, *former])
                relations = Relations(sources, former, shown_columns(connection, plan), kept)
                release = _written(connection, plan, release_id, relations, scratch)
            _flushed(scratch / MANIFEST, canonical_json(release.model_dump(mode="json")))
            listed = self._folder / "subjects" / f"{release_id}.parquet"
            listed.parent.mkdir(parents=True, exist_ok=True)
            (scratch / SUBJECTS).replace(listed)
            try:
                scratch.rename(folder)
            except OSError:
                # Another process was faster; the same plan makes the same files.
                if not (folder / MANIFEST).exists():
                    raise
        except (OSError, duckdb.Error) as error:
            raise _unreadable(plan) from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    @contextmanager
    def _connect(self, release_id: str) -> Iterator[duckdb.DuckDBPyConnection]:
        spill = self._folder / "spill"
        spill.mkdir(parents=True, exist_ok=True)
        connection = duckdb.connect(":memory:", config={**self._config, "temp_directory": str(spill)})
        try:
            connection.execute("SET GLOBAL TimeZone = 'UTC'")
            prepare_subjects(connection, self._subject_key, release_id)
            yield connection
        finally:
            connection.close()


def release_id_of(plan: ReleasePlan) -> str:
    """Return the name of a plan's release."""
    return sha256_hex(canonical_json({"format": FORMAT, **plan.model_dump(mode="json")}))


def _written(
    connection: duckdb.DuckDBPyConnection, plan: ReleasePlan, release_id: str, relations: Relations, folder: Path
) -> Release:
    """Write one file per source file, or one of changes, and the list of subjects; return what they are."""
    queries = [
        (
            snapshot_sql(relations.columns, relations.where, source, in_order=plan.in_order),
            relations.citizens(plan, source),
        )
        for source in relations.present
    ]
    if plan.former is not None:
        queries = [(changes_sql(plan, relations), relations.changed_citizens(plan))]
    types: dict[str, str] = {}
    for number, (query, _) in enumerate(queries):
        types = _types(connection, query)
        connection.execute(f"COPY ({query}) TO {text_literal(str(_part(folder, number)))} (FORMAT parquet)")
    listed = folder / SUBJECTS
    write_subjects(connection, {number: query for number, (_, query) in enumerate(queries) if query}, listed)
    branches = read_branches(listed)
    files = [
        _described(connection, _part(folder, number), types, branches.get(number, ())) for number in range(len(queries))
    ]
    return Release(id=release_id, plan=plan, types=types, files=tuple(file for file in files if file.rows))


def _part(folder: Path, number: int) -> Path:
    return folder / f"part-{number:05d}.parquet"


def _types(connection: duckdb.DuckDBPyConnection, query: str) -> dict[str, str]:
    described = connection.execute(f"DESCRIBE {query}").fetchall()
    return {str(row[0]): delta_type(str(row[1])) for row in described if row[0] != CHANGE_TYPE}


def _described(
    connection: duckdb.DuckDBPyConnection, path: Path, types: dict[str, str], branches: Sequence[Branch]
) -> ReleaseFile:
    row = connection.execute(bounds_sql(path, types)).fetchone()
    if row is None:
        raise AssertionError("an aggregate has one row")
    digest = file_digest(path)
    flush(path)
    return ReleaseFile(
        name=path.name,
        bytes=path.stat().st_size,
        sha256=digest,
        rows=int(row[0]),
        subjects=sum(branch.commitments for branch in branches),
        subjects_sha256=subject_list_digest(branches),
        bounds={name: Bound(least=row[1 + 2 * place], greatest=row[2 + 2 * place]) for place, name in enumerate(types)},
    )


def _flushed(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _plain(name: str) -> bool:
    """Return whether a name can lead nowhere else."""
    return name.replace("-", "").isalnum() and name.isascii()


def _busy() -> Unavailable:
    return Unavailable(
        "sharing.releases_busy",
        what=Text(zh="正在准备其他数据表，暂时无法准备这一张。", en="Other tables are being prepared at the moment."),
        remedy=Text(zh="请稍后重试。", en="Try again in a moment."),
    )


def _unreadable(plan: ReleasePlan) -> Unavailable:
    return Unavailable(
        "sharing.release_failed",
        what=Text(zh="数据表的文件暂时无法准备。", en="The files of the table cannot be prepared at the moment."),
        remedy=Text(
            zh="请稍后重试；持续出现时请告知运维人员。", en="Try again later; if it lasts, tell the operators."
        ),
        context={"resource": plan.resource_id, "version": plan.version},
    )
