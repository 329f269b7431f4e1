"""Restoring a backup into an empty hub: everything is verified aside, then takes its place at once, or nothing does.

1. The manifest is the hub key's; this installation can hold what it describes, and is empty.
2. Every file is written aside and is what its digest says; the log verifies by itself, to the checkpoint's size.
3. The tables hold what they held, by their digests; `fsck` finds that they say what the log says.
4. The folder takes its place, the database commits. A kill in between leaves a mark with which no hub starts, and which
   the next restore sweeps away.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Connection, inspect
from sqlalchemy.engine import make_url

from datong.adapters.directory_store import DirectoryStore
from datong.adapters.file_keys import load_signer
from datong.app.backups.folder import BackupFolder
from datong.app.backups.sealing import unseal
from datong.app.backups.tables import PinnedDatabase, load_postgresql, sqlite_tables
from datong.app.backups.values import Manifest, checked_name, damaged
from datong.app.fsck import AREAS
from datong.app.hub import RESTORING
from datong.app.opening import open_clock, open_tiles
from datong.app.schema import MIGRATION_LOCK, MIGRATIONS, migrate, newest_revision
from datong.app.upgrade import upgrade
from datong.kernel import (
    METADATA,
    Conflict,
    Corrupt,
    Database,
    Misconfigured,
    NotFound,
    Settings,
    StorageFull,
    Text,
    Value,
)
from datong.kernel.files import flush
from datong.ledger import Ed25519Signer, FsckReport, Ledger, verify_log

HUB_KEY = "keys/hub.key"
_OWNER_ONLY, _OWNER_FOLDER = 0o600, 0o700
_EXPORT_ONLY = ("checkpoint", "keys.json", "cosigned")
"""Files of an exported log that a hub has in its database."""


class RestoreReport(Value):
    """What was restored, and what was verified before it took its place."""

    name: str
    taken_at: str
    size: int
    pending: int
    files: int
    tables: int
    rows: int
    compared: dict[str, int]


class HubKey(Value):
    """The hub's key for a restore: kept elsewhere as a file, or sealed in the backup under a passphrase."""

    file: Path | None = None
    passphrase: bytes | None = None

    def keys_of(self, manifest: Manifest) -> dict[str, bytes]:
        """Return the key files of the restored hub, by their path.

        Raises:
            NotFound: no file was named, and the backup has no keys, or no passphrase was given.
            Refused: the passphrase is another one.
            Misconfigured: the file is no private key of its owner alone.
        """
        if self.file is not None:
            load_signer(self.file)
            return {HUB_KEY: self.file.read_bytes()}
        if self.passphrase is None or not manifest.keys:
            raise NotFound(
                "app.backup_without_key",
                what=Text(
                    zh="恢复需要枢纽的私钥：备份里没有，或没有给出口令。",
                    en="A restore needs the hub's private key: the backup has none, or no passphrase was given.",
                ),
                remedy=Text(
                    zh="请用 --hub-key 指定单独保存的私钥文件，或用 --passphrase-file 指定备份时的口令文件。",
                    en="Name the key kept elsewhere by --hub-key, or the backup's passphrase by --passphrase-file.",
                ),
            )
        return {key.path: unseal(key, self.passphrase) for key in manifest.keys if key.path.startswith("keys/")}


def choose(folder: BackupFolder, *, name: str | None, at: str | None, size: int | None) -> str:
    """Return the name of a backup: that one, or else the newest not after `at` and of at most `size` entries.

    Raises:
        Invalid: the name is none of a backup.
        NotFound: there is none such.
    """
    if name is not None:
        return checked_name(name)
    for found in reversed(folder.names()):
        if (at is None or found <= at) and (size is None or folder.manifest(found, None).size <= size):
            return found
    raise NotFound(
        "app.backup_none_so_early",
        what=Text(zh=f"{folder.root} 中没有这样早的备份。", en=f"{folder.root} has no backup that early."),
        remedy=Text(zh="请用 datong hub backups 列出备份。", en="List them by datong hub backups."),
    )


def restore(settings: Settings, folder: BackupFolder, name: str, key: HubKey) -> RestoreReport:
    """Restore a backup as the hub of `settings`, whose folder and database are empty.

    Raises:
        Corrupt: something of the backup is damaged, or its tables do not say what its log says.
        Conflict: the hub is not empty.
        Misconfigured: the settings describe another hub than the backup's, or an older one.
        NotFound, Refused: the hub's key is missing.
        StorageFull: there is no room.
    """
    aside = settings.home.absolute().with_name(settings.home.name + ".restoring")
    keys = key.keys_of(folder.manifest(name, None))
    try:
        _write_keys(aside, keys)
        signer = load_signer(aside / HUB_KEY)
        # From here on nothing is believed that the hub's key did not sign.
        manifest = folder.manifest(name, signer.public_key)
        return _Restoring(settings, folder, manifest, signer, aside).run()
    finally:
        shutil.rmtree(aside, ignore_errors=True)


class _Restoring:
    def __init__(
        self, settings: Settings, folder: BackupFolder, manifest: Manifest, signer: Ed25519Signer, aside: Path
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._manifest = manifest
        self._signer = signer
        self._aside = aside
        self._url = make_url(settings.effective_database_url)

    def run(self) -> RestoreReport:
        self._check_fits()
        self._check_empty()
        self._write_files()
        self._verify_log()
        with self._database() as report:
            self._fill_object_store()
            self._take_place()
        (self._settings.home / RESTORING).unlink()
        flush(self._settings.home)
        manifest = self._manifest
        return RestoreReport(
            name=manifest.name,
            taken_at=manifest.taken_at.isoformat(),
            size=report.size,
            pending=report.pending,
            files=len(manifest.files) + len(manifest.evidence),
            tables=len(manifest.tables),
            rows=sum(table.rows for table in manifest.tables),
            compared=report.compared,
        )

    def _check_fits(self) -> None:
        manifest, settings = self._manifest, self._settings
        engine = "sqlite" if self._url.get_backend_name() == "sqlite" else "postgresql"
        for zh, en, backed_up, here, variable in (
            ("数据库引擎", "database engine", manifest.engine, engine, "DATONG_DATABASE_URL"),
            ("日志来源", "origin of the log", manifest.origin, settings.log_origin, "DATONG_LOG_ORIGIN"),
            ("日志公钥", "key of the log", manifest.log_key, self._signer.public_key.hex(), "--hub-key"),
        ):
            if backed_up != here:
                raise Misconfigured(
                    "app.restore_differs",
                    what=Text(
                        zh=f"备份的{zh}是 {backed_up}，这里却是 {here}。",
                        en=f"The backup's {en} is {backed_up}; here it is {here}.",
                    ),
                    remedy=Text(zh=f"请修改 {variable}。", en=f"Correct {variable}."),
                    field=variable,
                )
        if manifest.schema_revision > newest_revision():
            raise Misconfigured(
                "app.restore_newer",
                what=Text(
                    zh=f"备份出自更新的版本 {manifest.software}（结构 {manifest.schema_revision}）。",
                    en=f"The backup is of a newer version, {manifest.software} (schema {manifest.schema_revision}).",
                ),
                remedy=Text(zh="请先升级软件。", en="Upgrade the software first."),
            )
        free = shutil.disk_usage(_existing(settings.home.absolute())).free
        if free < manifest.stored_bytes:
            raise StorageFull(
                "app.restore_no_room",
                what=Text(
                    zh=f"需要 {manifest.stored_bytes} 字节，只剩 {free} 字节。",
                    en=f"{manifest.stored_bytes} bytes are needed, {free} are free.",
                ),
                remedy=Text(zh="请腾出空间。", en="Make room."),
            )

    def _check_empty(self) -> None:
        home = self._settings.home
        if home.exists() and any(home.iterdir()) and not (home / RESTORING).exists():
            raise _not_empty(Text(zh=f"目录 {home}", en=f"The folder {home}"))
        if self._url.get_backend_name() == "sqlite":
            path = Path(self._url.database or "")
            if path.exists() and not path.is_relative_to(home.absolute()):
                raise _not_empty(Text(zh=f"数据库文件 {path}", en=f"The database file {path}"))
            return
        with closing(Database(self._settings.effective_database_url)) as database, database.snapshot() as connection:
            if {*METADATA.tables, "alembic_version"} & set(inspect(connection).get_table_names()):
                raise _not_empty(Text(zh="数据库", en="The database"))

    def _write_files(self) -> None:
        for table in self._manifest.tables:
            # Read once more when it is loaded; a damaged object is found before anything costs time.
            for _ in self._folder.pieces(table.content, table.name) if table.content is not None else ():
                pass
        for file in (*self._manifest.files, *self._manifest.evidence):
            self._folder.write_file(file.content, self._aside / file.path, file.path)
        (self._aside / RESTORING).write_text(self._manifest.name)

    def _verify_log(self) -> None:
        log = self._aside / "log"
        if verify_log(log, log_key=self._signer.public_key).size != self._manifest.size:
            raise damaged("log/checkpoint")
        for name in _EXPORT_ONLY:
            path = log / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    @contextmanager
    def _database(self) -> Iterator[FsckReport]:
        """Fill and check the database; it is there when the block ends, and not when it raises."""
        if self._url.get_backend_name() != "sqlite":
            database = Database(self._settings.effective_database_url)
            try:
                with database.transaction() as connection:
                    # Also begins the transaction: the first migration would begin, and end, one of its own.
                    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
                    upgrade(connection, MIGRATIONS, self._manifest.schema_revision)
                    load_postgresql(connection, self._folder, self._manifest.tables, self._manifest.sequences)
                    upgrade(connection, MIGRATIONS)
                    yield self._fsck(database.url, connection)
            finally:
                database.close()
            return
        content = self._manifest.database
        path = Path(self._url.database or "").absolute()
        home = self._settings.home.absolute()
        inside = path.is_relative_to(home)
        written = self._aside / path.relative_to(home) if inside else path.with_name(path.name + ".restoring")
        written.unlink(missing_ok=True)
        try:
            if content is None:
                raise damaged("control.sqlite")
            self._folder.write_file(content, written, "control.sqlite")
            if tuple(sqlite_tables(written)) != self._manifest.tables:
                raise damaged("control.sqlite")
            report = self._migrated(written)
            yield report
            if not inside:
                written.rename(path)
        finally:
            if not inside:
                written.unlink(missing_ok=True)

    def _migrated(self, path: Path) -> FsckReport:
        database = Database(f"sqlite:///{path}")
        migrate(database)
        with database.snapshot() as connection:
            report = self._fsck(database.url, connection)
        with database.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()
        return report

    def _fsck(self, url: str, connection: Connection) -> FsckReport:
        """Return the report on a state that says what the log says.

        Raises:
            Corrupt: it does not.
        """
        pinned = PinnedDatabase(url, connection)
        ledger = Ledger(
            database=pinned,
            clock=open_clock(self._settings),
            signer=self._signer,
            origin=self._settings.log_origin,
            tiles=DirectoryStore(self._aside / "log"),
        )
        report = ledger.fsck(AREAS)
        pinned.close()
        if report.faults:
            first = report.faults[0]
            count = len(report.faults) + report.omitted
            raise Corrupt(
                "app.restore_differs_from_log",
                what=Text(
                    zh=f"备份的数据库有 {count} 处与存证日志不符，第一处：{first.what.zh}",
                    en=f"The backup's database differs from its log in {count} places, the first: {first.what.en}",
                ),
                remedy=Text(zh="请改用更早的备份；什么都没有写入。", en="Use an earlier backup; nothing was written."),
                context={"faults": count, "code": first.code},
            )
        return report

    def _fill_object_store(self) -> None:
        """Write the log's files to the bucket, if it is to hold them: an empty one, or nothing but theirs is in it."""
        if not self._settings.object_store:
            return
        store, log = open_tiles(self._settings), self._aside / "log"
        for path in sorted(one for one in log.rglob("*") if one.is_file()):
            store.write(path.relative_to(log).as_posix(), path.read_bytes())
        shutil.rmtree(log)

    def _take_place(self) -> None:
        home = self._settings.home.absolute()
        home.parent.mkdir(parents=True, exist_ok=True)
        if home.exists():
            # Empty, or what a restore left that was killed.
            shutil.rmtree(home)
        self._aside.rename(home)
        flush(home.parent)


def _write_keys(aside: Path, keys: dict[str, bytes]) -> None:
    shutil.rmtree(aside, ignore_errors=True)
    aside.parent.mkdir(parents=True, exist_ok=True)
    aside.mkdir(mode=_OWNER_FOLDER)
    (aside / "keys").mkdir(mode=_OWNER_FOLDER)
    for path, content in keys.items():
        place = aside / "keys" / Path(path).name
        with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)


def _not_empty(what: Text) -> Conflict:
    return Conflict(
        "app.restore_not_empty",
        what=Text(
            zh=f"{what.zh}不是空的：恢复不覆盖任何东西。", en=f"{what.en} is not empty: a restore replaces nothing."
        ),
        remedy=Text(
            zh="请指定新的 DATONG_HOME 和空的数据库，或先移走原有的。",
            en="Set a new DATONG_HOME and an empty database, or move what is there away first.",
        ),
    )
