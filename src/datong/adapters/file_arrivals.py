"""The register of files that arrived in watched folders: each version of a file gets one number, once, for good.

It lies beside the files (`.datong/arrivals.sqlite`, or where the source's URL says) and outlives the node. Numbers of a
new register begin at the seconds since 1970, so that a cursor of a lost register is recognised instead of believed.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from datong.exchange import Column
from datong.kernel import Conflict, Misconfigured, Text, Value
from datong.kernel.files import file_digest

BUSY_SECONDS = 30.0
_TABLES = """
CREATE TABLE IF NOT EXISTS arrivals (
    place TEXT NOT NULL, number INTEGER NOT NULL, file TEXT NOT NULL, bytes INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL, sha256 TEXT NOT NULL, rows INTEGER,
    refused_zh TEXT NOT NULL DEFAULT '', refused_en TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (place, number), UNIQUE (place, file, sha256)
);
CREATE TABLE IF NOT EXISTS pinned (place TEXT PRIMARY KEY, columns TEXT NOT NULL);
"""


class Arrival(Value):
    """One version of one file; `rows` is known once it was read, `refused` says why it cannot be."""

    number: int
    file: str
    sha256: str
    rows: int | None
    refused: Text | None


class Arrivals:
    """The register of one folder; `place` is the table that the files belong to."""

    def __init__(self, path: Path, now_seconds: Callable[[], float]) -> None:
        self._path = path
        self._now_seconds = now_seconds

    def register(self, place: str, files: Sequence[tuple[str, Path]]) -> None:
        """Number the files, oldest first, that the register does not know in this version; durable when it returns."""
        with self._open() as connection:
            rows = connection.execute("SELECT file, bytes, modified_ns FROM arrivals WHERE place = ?", (place,))
            known = {(str(row[0]), int(row[1]), int(row[2])) for row in rows.fetchall()}
            for modified, file, size, digest in _new_versions(files, known):
                connection.execute(
                    "INSERT INTO arrivals (place, number, file, bytes, modified_ns, sha256) SELECT ?, "
                    "coalesce((SELECT max(number) + 1 FROM arrivals WHERE place = ?), ?), ?, ?, ?, ? WHERE true "
                    "ON CONFLICT (place, file, sha256) DO UPDATE SET modified_ns = excluded.modified_ns",
                    (place, place, int(self._now_seconds()), file, size, modified, digest),
                )

    def arrived(self, place: str) -> list[Arrival]:
        """Return every arrival of a table in the order of its numbers."""
        with self._open() as connection:
            rows = connection.execute(
                "SELECT number, file, sha256, rows, refused_zh, refused_en FROM arrivals WHERE place = ? "
                "ORDER BY number",
                (place,),
            ).fetchall()
        return [
            Arrival(number=number, file=file, sha256=digest, rows=count, refused=Text(zh=zh, en=en) if en else None)
            for number, file, digest, count, zh, en in rows
        ]

    def require(self, place: str, number: int) -> None:
        """Check that the register knows the arrival that a cursor names.

        Raises:
            Conflict: `adapters.arrivals_lost`.
        """
        with self._open() as connection:
            found = connection.execute(
                "SELECT 1 FROM arrivals WHERE place = ? AND number = ?", (place, number)
            ).fetchone()
        if found is None:
            raise Conflict(
                "adapters.arrivals_lost",
                what=Text(
                    zh=f"文件夹表 {place} 的到达登记中没有第 {number} 号文件，登记可能已丢失。",
                    en=f"The register of the watched table {place} has no arrival {number}; it may have been lost.",
                ),
                remedy=Text(
                    zh="请从备份恢复 .datong/arrivals.sqlite，或重新建立任务。",
                    en="Restore .datong/arrivals.sqlite from a backup, or make the task anew.",
                ),
                context={"table": place},
            )

    def read(self, place: str, number: int, rows: int, columns: tuple[Column, ...]) -> None:
        """Remember how many rows a file holds; the first file that was read gives the table its columns."""
        text = json.dumps([column.model_dump(mode="json") for column in columns], ensure_ascii=False)
        with self._open() as connection:
            connection.execute("INSERT OR IGNORE INTO pinned VALUES (?, ?)", (place, text))
            connection.execute("UPDATE arrivals SET rows = ? WHERE place = ? AND number = ?", (rows, place, number))

    def refuse(self, place: str, number: int, reason: Text) -> None:
        """Remember that a file cannot be read, and why; it is never asked for again."""
        with self._open() as connection:
            connection.execute(
                "UPDATE arrivals SET refused_zh = ?, refused_en = ? WHERE place = ? AND number = ?",
                (reason.zh, reason.en, place, number),
            )

    def pinned(self, place: str) -> tuple[Column, ...] | None:
        """Return the columns that the table's first readable file gave it."""
        with self._open() as connection:
            found = connection.execute("SELECT columns FROM pinned WHERE place = ?", (place,)).fetchone()
        return None if found is None else tuple(Column.model_validate(one) for one in json.loads(found[0]))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
                connection.execute("PRAGMA synchronous=FULL")
                connection.executescript(_TABLES)
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
        except (sqlite3.OperationalError, OSError) as error:
            raise Misconfigured(
                "adapters.arrivals_unwritable",
                what=Text(
                    zh=f"到达登记 {self._path} 无法写入。",
                    en=f"The register of arrivals {self._path} cannot be written.",
                ),
                remedy=Text(
                    zh="请授予节点写权限，或在数据源地址后加 ?state=/可写的/文件夹。",
                    en="Let the node write there, or add ?state=/a/writable/folder to the source's URL.",
                ),
            ) from error


def _new_versions(
    files: Sequence[tuple[str, Path]], known: set[tuple[str, int, int]]
) -> Iterator[tuple[int, str, int, str]]:
    """Yield time of change, name, size and digest of every file not among the known ones, the oldest first."""
    fresh = []
    for file, path in files:
        try:
            status = path.stat()
        except FileNotFoundError:
            # Moved away since the folder was listed.
            continue
        if (file, status.st_size, status.st_mtime_ns) not in known:
            fresh.append((status.st_mtime_ns, file, status.st_size, path))
    for modified, file, size, path in sorted(fresh):
        try:
            digest = file_digest(path)
        except FileNotFoundError:
            continue
        yield modified, file, size, digest
