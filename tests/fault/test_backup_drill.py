"""Backups under load, and restores that are killed: what comes back is one state of the hub, or nothing does."""

import itertools
import os
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import inspect, select

from datong.app.backups import BackupFolder, take
from datong.app.fsck import check
from datong.app.hub import RESTORING, Hub
from datong.catalogue import Department
from datong.kernel import METADATA, PLATFORM_ACTOR, Database, DepartmentCode, Misconfigured, Settings, Text
from datong.kernel.settings import without_settings
from datong.ledger import verify_log
from tests.conftest import sqlalchemy_url
from tests.processes import datong
from tests.servers import PostgresqlServer

SEED = int(os.environ.get("DATONG_FAULT_SEED", "20261128"))
POLICE, CIVIL = DepartmentCode("11440600007029017Q"), DepartmentCode("11440600007029025K")
KILLED_SECONDS_MAX = 2.0
"""A killed program lives up to so long: from before its first step to near its end."""
RESTORES_KILLED = 2
PAUSE_SECONDS = 0.02


class Writer(threading.Thread):
    """Corrects a department's name again and again: file n first, then row and entry n; then file n - 5 is deleted."""

    def __init__(self, hub: Hub, code: DepartmentCode) -> None:
        super().__init__(daemon=True)
        self._hub, self._code = hub, code
        self.acknowledged = 0
        self.stopping = threading.Event()

    def run(self) -> None:
        """Write until told to stop."""
        for number in itertools.count(1):
            if self.stopping.wait(PAUSE_SECONDS):
                return
            path = file_of(self._hub.settings, self._code, number)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(str(number).encode() * 1000)
            name = Text(zh=f"第{number}次", en=str(number))
            department = Department(code=self._code, name=name, short_name=name, is_authority=False)
            self._hub.services.departments.register(department, PLATFORM_ACTOR)
            self.acknowledged = number
            file_of(self._hub.settings, self._code, number - 5).unlink(missing_ok=True)
            self._hub.services.ledger.integrate()


def file_of(settings: Settings, code: str, number: int) -> Path:
    """Return the place of a file that a writer writes."""
    return settings.lake / code / f"{number}.arrow"


class Drill:
    """The commands of an operator, over settings that are a hub's environment."""

    def __init__(self, folder: Path, server: PostgresqlServer | None) -> None:
        self.folder = folder
        self._server = server
        self._urls: list[str] = []
        self.backups = BackupFolder(folder / "backups")
        self._passphrase = folder / "passphrase"
        self._passphrase.write_text("a passphrase kept elsewhere\n")
        self._log = folder / "commands.log"

    def settings(self, name: str) -> Settings:
        """Return the settings of a hub that is not there yet."""
        url = ""
        if self._server is not None:
            self._urls.append(self._server.create_database())
            url = sqlalchemy_url(self._urls[-1])
        return Settings(home=self.folder / name / "hub", database_url=url)

    def run(self, settings: Settings, command: str, *arguments: str, killed_after: float | None = None) -> int:
        """Run a command to its end or to its kill, and return its exit status."""
        environment = without_settings(os.environ) | {"DATONG_HOME": str(settings.home)}
        if settings.database_url:
            environment["DATONG_DATABASE_URL"] = settings.database_url
        line = ["hub", command, str(self.backups.root), "--passphrase-file", str(self._passphrase), *arguments]
        program = datong(*line, log=self._log, environment=environment)
        if killed_after is not None:
            time.sleep(killed_after)
            program.kill()
        return program.wait(120)

    def told(self) -> str:
        """Return what the commands said last."""
        return self._log.read_text()[-2000:]

    def close(self) -> None:
        """Drop the databases."""
        for url in self._urls:
            if self._server is not None:
                self._server.drop_database(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def drill(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Drill]:
    """A drill on each engine."""
    server = None if request.param == "sqlite" else request.getfixturevalue("postgresql_server")
    made = Drill(tmp_path, server)
    yield made
    made.close()


def test_a_backup_under_load_restores_to_one_state(drill: Drill) -> None:
    chance = random.Random(SEED)
    hub = Hub(drill.settings("origin"))
    writers = [Writer(hub, code) for code in (POLICE, CIVIL)]
    for writer in writers:
        writer.start()
    # 1. A backup that is killed leaves nothing that hinders the next one.
    drill.run(hub.settings, "backup", killed_after=chance.uniform(0, KILLED_SECONDS_MAX))
    before = [writer.acknowledged for writer in writers]
    assert drill.run(hub.settings, "backup") == 0, drill.told()
    after = [writer.acknowledged for writer in writers]
    for writer in writers:
        writer.stopping.set()
        writer.join()
    assert all(writer.acknowledged > 0 for writer in writers)
    name = drill.backups.names()[-1]
    manifest = drill.backups.manifest(name, hub.signer.public_key)
    hub.close()

    # 2. Restores that are killed leave no hub that starts, and no hindrance that is not told.
    target = drill.settings("restored")
    for number in range(RESTORES_KILLED):
        drill.run(target, "restore", killed_after=chance.uniform(0, KILLED_SECONDS_MAX))
        if (target.home / RESTORING).exists():
            with pytest.raises(Misconfigured):
                Hub(target)
        if target.home.exists() and not (target.home / RESTORING).exists():
            # It had come to its end.
            target = drill.settings(f"once-more-{number}")
        elif tables_of(target):
            # Committed, and the mark still there: the remedy is an empty database.
            target = target.model_copy(update={"database_url": drill.settings("emptied").database_url})
    assert drill.run(target, "restore", "--backup", name) == 0, drill.told()

    # 3. Tables equal by digest, log and state verified by others than the restore itself.
    restored = Hub(target)
    again = take(restored, BackupFolder(drill.folder / "again"))
    assert [(one.name, one.rows, one.digest) for one in again.tables] == [
        (one.name, one.rows, one.digest) for one in manifest.tables
    ]
    restored.services.ledger.export(drill.folder / "exported")
    assert verify_log(drill.folder / "exported", log_key=restored.signer.public_key).size == again.size
    assert check(restored, quiet=True).faults == ()
    # 4. No acknowledged write is missing, and the files are those of the same state as the rows.
    with restored.database.snapshot() as connection:
        department = METADATA.tables["catalogue_department"]
        rows = {row.code: int(row.name_en) for row in connection.execute(select(department)) if row.name_en.isdigit()}
    for code, earlier, later in zip((POLICE, CIVIL), before, after, strict=True):
        assert earlier <= rows[code] <= later + 1
        held = {int(path.stem) for path in (target.lake / code).iterdir()}
        # Behind the last deletion before it there are six at most, and the one whose row was not committed yet.
        assert set(range(rows[code] - 4, rows[code] + 1)) & set(range(1, rows[code] + 1)) <= held
        assert all(file_of(target, code, number).read_bytes() in (str(number).encode() * 1000, b"") for number in held)
    # 5. It goes on where it was.
    writer = Writer(restored, POLICE)
    writer.start()
    while writer.acknowledged < 2:
        time.sleep(PAUSE_SECONDS)
    writer.stopping.set()
    writer.join()
    assert check(restored, quiet=True).faults == ()
    restored.close()


def tables_of(settings: Settings) -> list[str]:
    """Return the tables of a hub's database on PostgreSQL; none on SQLite, whose file is in the hub's folder."""
    if not settings.database_url:
        return []
    database = Database(settings.database_url)
    with database.snapshot() as connection:
        found = inspect(connection).get_table_names()
    database.close()
    return found
