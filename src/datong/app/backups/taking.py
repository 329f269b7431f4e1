"""Taking a backup of a hub at work: one state of its database, the log of that state, and the files of that state.

1. Files are copied once, which takes long and needs no agreement with anything.
2. The database is fixed as of one moment.
3. Files are looked at again. What was written after that moment is of no concern to it; what was deleted after it is
   there from step 1; what came between is copied now. Files of the lake never change once written.
4. Tables are stored with their digests, then the log as far as that state has published it.
5. The manifest is signed by the hub's key.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import stat_result
from pathlib import Path
from stat import S_ISREG

from sqlalchemy import Connection
from sqlalchemy.engine import make_url

from datong import __version__
from datong.app.backups.folder import BackupFolder
from datong.app.backups.sealing import seal
from datong.app.backups.tables import (
    PinnedDatabase,
    copy_sqlite,
    postgresql_sequences,
    postgresql_tables,
    sqlite_tables,
)
from datong.app.backups.values import NAME_FORMAT, LeftOut, Manifest, SealedKey, StoredContent, StoredFile, StoredTable
from datong.app.hub import Hub
from datong.app.opening import open_tiles
from datong.app.schema import newest_revision
from datong.kernel import Database, DatongError, Text
from datong.ledger import Ledger, ShardedStore

ELSEWHERE = frozenset({"keys", "log", "shards"})
"""Folders of a hub that are backed up in another way: sealed, and as the published log."""
DERIVED = frozenset({"search", "delta-sharing", "downloads"})
"""Folders that a hub makes again when somebody asks."""
_DATABASES = ("control.sqlite", "jobs.sqlite")
_UNFINISHED = ".tmp"
_LOG, _TILES = "log", "tile/"


@dataclass(frozen=True)
class _Copied:
    stored: StoredFile
    inode: int


def take(hub: Hub, folder: BackupFolder, *, passphrase: bytes | None = None) -> Manifest:
    """Back up a hub, also beside its processes at work; keys only under a passphrase.

    Raises:
        Conflict: another backup is being written to the folder.
    """
    with folder.writing():
        if not hub.services.ledger.size():
            # A hub that never did anything yet has published nothing.
            hub.services.ledger.integrate()
        return _Taking(hub, folder).run(passphrase)


class _Taking:
    def __init__(self, hub: Hub, folder: BackupFolder) -> None:
        self._hub = hub
        self._folder = folder
        self._home = hub.settings.home
        self._skipped = {(self._home / name).resolve() for name in (*ELSEWHERE, *DERIVED)}
        self._skipped |= {hub.settings.effective_log_shards.resolve(), folder.root.resolve()}
        names = folder.names()
        earlier = _readable(folder, names[-1], hub.signer.public_key) if names else None
        self._known = {file.path: file for file in earlier.files} if earlier is not None else {}
        self._tiles = {file.path: file for file in earlier.evidence} if earlier is not None else {}

    def run(self, passphrase: bytes | None) -> Manifest:
        first = {path: self._copied(path, found) for path, found in self._present()}
        before = {path for path, _ in self._present()}
        with self._fixed() as (database, connection, content):
            opened_ns = time.time_ns()
            taken_at = self._hub.clock.now()
            files = self._second_look(first, before, opened_ns)
            tables, sequences = self._tables(connection, database)
            evidence, size = self._evidence(database)
            manifest = Manifest(
                name=taken_at.strftime(NAME_FORMAT),
                taken_at=taken_at,
                software=__version__,
                engine="sqlite" if database.is_sqlite else "postgresql",
                schema_revision=newest_revision(),
                origin=self._hub.settings.log_origin,
                log_key=self._hub.signer.public_key.hex(),
                size=size,
                database=content,
                tables=tuple(tables),
                sequences=sequences,
                files=tuple(files),
                evidence=tuple(evidence),
                keys=self._keys(passphrase),
                left_out=left_out(passphrase is not None),
            )
        self._folder.finish(manifest, self._hub.signer)
        return manifest

    @contextmanager
    def _fixed(self) -> Iterator[tuple[Database, Connection, StoredContent | None]]:
        """Yield the database as of one moment, and its content where it is a file."""
        live = self._hub.database
        if not live.is_sqlite:
            with live.snapshot() as connection:
                # A snapshot is that of the first statement.
                connection.exec_driver_sql("SELECT 1")
                pinned = PinnedDatabase(live.url, connection)
                yield pinned, connection, None
                pinned.close()
            return
        copy = self._folder.root / ".control.tmp"
        try:
            copy_sqlite(Path(make_url(live.url).database or ""), copy)
            content = self._folder.store_file(copy, deflate=True)
            fixed = Database(f"sqlite:///{copy.absolute()}")
            with fixed.snapshot() as connection:
                pinned = PinnedDatabase(fixed.url, connection)
                yield pinned, connection, content
                pinned.close()
            fixed.close()
        finally:
            for leftover in self._folder.root.glob(f"{copy.name}*"):
                leftover.unlink()

    def _tables(self, connection: Connection, database: Database) -> tuple[list[StoredTable], dict[str, int]]:
        if database.is_sqlite:
            return sqlite_tables(self._folder.root / ".control.tmp"), {}
        return postgresql_tables(connection, self._folder), postgresql_sequences(connection)

    def _evidence(self, database: Database) -> tuple[list[StoredFile], int]:
        """Store the log as that state of the database has published it; full tiles of an earlier backup stay."""
        hub = self._hub
        ledger = Ledger(
            database=database,
            clock=hub.clock,
            signer=hub.signer,
            origin=hub.settings.log_origin,
            tiles=ShardedStore(open_tiles(hub.settings), hub.settings.effective_log_shards),
        )
        stored = []
        for name, read in ledger.export_files():
            path = f"{_LOG}/{name}"
            known = self._tiles.get(path) if name.startswith(_TILES) and ".p/" not in name else None
            if known is not None and not self._folder.has(known.content):
                known = None
            stored.append(known or StoredFile(path=path, content=self._folder.store([read()], deflate=True)))
        return stored, ledger.size()

    def _keys(self, passphrase: bytes | None) -> tuple[SealedKey, ...]:
        if passphrase is None:
            return ()
        found = sorted(path for path in (self._home / "keys").iterdir() if path.is_file() and path.name[0] != ".")
        return tuple(seal(f"keys/{path.name}", path.read_bytes(), passphrase) for path in found)

    def _present(self) -> Iterator[tuple[str, stat_result]]:
        """Yield the hub's files, as paths relative to its folder."""
        waiting = [self._home]
        while waiting:
            try:
                entries = sorted(waiting.pop().iterdir())
            except FileNotFoundError:
                continue
            for path in entries:
                if path.is_dir() and not path.is_symlink():
                    if path.resolve() not in self._skipped:
                        waiting.append(path)
                    continue
                if (path.parent == self._home and path.name.startswith(_DATABASES)) or path.name.endswith(_UNFINISHED):
                    continue
                try:
                    found = path.lstat()
                except FileNotFoundError:
                    continue
                if S_ISREG(found.st_mode):
                    yield path.relative_to(self._home).as_posix(), found

    def _second_look(self, first: dict[str, _Copied | None], before: set[str], opened_ns: int) -> list[StoredFile]:
        files: dict[str, _Copied | None] = {}
        for path, found in self._present():
            earlier = first.get(path)
            replaced = earlier is None or earlier.inode != found.st_ino
            # Written behind the moment that was fixed: what it replaced is what that moment had, if it had any.
            later = replaced and found.st_mtime_ns > opened_ns
            if later or (earlier is not None and _same(earlier.stored, found)):
                files[path] = earlier
            else:
                files[path] = self._copied(path, found) or earlier
        # Deleted since: the state that was fixed may need it.
        files |= {path: first[path] for path in before & first.keys() - files.keys()}
        return [one.stored for _, one in sorted(files.items()) if one is not None]

    def _copied(self, path: str, found: stat_result) -> _Copied | None:
        """Return a file, stored; None when it is gone meanwhile."""
        known = self._known.get(path)
        if known is not None and _same(known, found) and self._folder.has(known.content):
            return _Copied(known, found.st_ino)
        try:
            content = self._folder.store_file(self._home / path)
        except FileNotFoundError:
            return None
        return _Copied(StoredFile(path=path, content=content, changed_ns=found.st_mtime_ns), found.st_ino)


def left_out(with_keys: bool) -> tuple[LeftOut, ...]:
    """Return what no backup holds, and the keys unless they are sealed."""
    always = (
        LeftOut(
            name="settings",
            why=Text(
                zh="环境变量及其指向的文件（规范包、节假日）：含口令，请另行保存。",
                en="The environment and the files it names (norm packs, holidays): passwords are in it, keep it apart.",
            ),
        ),
        LeftOut(name=", ".join(sorted(DERIVED)), why=Text(zh="需要时重新生成。", en="Made again when needed.")),
        LeftOut(
            name="jobs",
            why=Text(
                zh="正在进行的建库作业：由启动时的枢纽重新排队。",
                en="Builds under way: the hub queues them when it starts.",
            ),
        ),
        LeftOut(
            name="shards",
            why=Text(
                zh="归档的月份：存证日志已整体备份，恢复后再归档。",
                en="Archived months: the log is in the backup as a whole; archive them again.",
            ),
        ),
        LeftOut(name="nodes", why=Text(zh="节点的目录：由各部门备份。", en="Nodes' folders: the departments' own.")),
    )
    if with_keys:
        return always
    keys = LeftOut(
        name="keys",
        why=Text(
            zh="没有口令文件：私钥不在备份里，恢复时用 --hub-key 指定。",
            en="There was no passphrase file: private keys are not in it; a restore names the key by --hub-key.",
        ),
    )
    return (*always, keys)


def _same(stored: StoredFile, found: stat_result) -> bool:
    return (stored.content.bytes, stored.changed_ns) == (found.st_size, found.st_mtime_ns)


def _readable(folder: BackupFolder, name: str, key: bytes) -> Manifest | None:
    """Return the manifest of the backup before; one that is damaged is not built upon."""
    try:
        return folder.manifest(name, key)
    except DatongError:
        return None
