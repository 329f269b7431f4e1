"""Backups of a hub on each engine: what is restored is what was backed up, or nothing is."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from datong.app.backups import BackupFolder, HubKey, Manifest, choose, restore, take
from datong.app.fsck import NOT_COMPARED, check
from datong.app.hub import RESTORING, Hub
from datong.catalogue import Department
from datong.kernel import (
    PLATFORM_ACTOR,
    Conflict,
    Corrupt,
    DepartmentCode,
    Misconfigured,
    NotFound,
    Refused,
    Settings,
    Text,
)
from datong.ledger import EntryKind
from tests.conftest import sqlalchemy_url
from tests.new_control import new_control
from tests.reused_database import ReusedDatabase
from tests.servers import PostgresqlServer

PASSPHRASE = b"a passphrase kept elsewhere"
KIND = EntryKind(NOT_COMPARED[0])
"""Evidence of nothing that has rows."""
POLICE = DepartmentCode("11440600007029017Q")


class Scene:
    """A hub to back up, and settings of empty hubs to restore to."""

    def __init__(self, folder: Path, settings: Settings, server: PostgresqlServer | None) -> None:
        self.hub = Hub(settings)
        self.key = HubKey(file=settings.home / "keys" / "hub.key")
        self.folder = BackupFolder(folder / "backups")
        self._targets = folder / "targets"
        self._server = server
        self.urls: list[str] = []
        self._number = 0

    def empty(self) -> Settings:
        """Return the settings of a hub that is not there yet."""
        self._number += 1
        url = ""
        if self._server is not None:
            self.urls.append(self._server.create_database())
            url = sqlalchemy_url(self.urls[-1])
        return Settings(home=self._targets / str(self._number) / "hub", database_url=url)

    def write(self, number: int) -> None:
        """Record something, with a row and a file of its own."""
        with self.hub.database.transaction() as connection:
            self.hub.services.ledger.append_many(
                connection,
                kind=KIND,
                actor=PLATFORM_ACTOR,
                entries=[(f"batch-{number}-{one}", {"text": "张三\n\\\t"}) for one in range(200)],
            )
        path = self.hub.settings.lake / "batches" / f"{number}.arrow"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([number]) * 1000)

    def objects(self) -> int:
        """Return how many objects the folder has."""
        return len(list((self.folder.root / "objects").glob("*/*")))


@pytest.fixture(params=["sqlite", "postgresql"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    """A hub with a department and an account."""
    home = tmp_path / "hub"
    home.mkdir()
    server: PostgresqlServer | None = None
    reused: ReusedDatabase | None = None
    if request.param == "sqlite":
        new_control(home).close()
        settings = Settings(home=home)
    else:
        server, reused = request.getfixturevalue("postgresql_server"), request.getfixturevalue("reused_postgresql")
        assert isinstance(reused, ReusedDatabase)
        settings = Settings(home=home, database_url=sqlalchemy_url(reused.take()))
    made = Scene(tmp_path, settings, server)
    name = Text(zh="公安局", en="Police")
    made.hub.services.departments.register(
        Department(code=POLICE, name=name, short_name=name, is_authority=False), PLATFORM_ACTOR
    )
    yield made
    made.hub.close()
    for url in made.urls:
        assert server is not None
        server.drop_database(url)
    if reused is not None:
        reused.give_back()


def parts(manifest: Manifest) -> set[str]:
    """Return the objects that a backup consists of."""
    return {part for content in manifest.contents() for part in content.parts}


def held(manifest: Manifest) -> list[tuple[str, int, str]]:
    """Return what the tables of a backup hold."""
    return [(table.name, table.rows, table.digest) for table in manifest.tables]


def test_what_is_restored_is_what_was_backed_up(scene: Scene) -> None:
    scene.write(1)
    scene.hub.services.ledger.integrate()
    first = take(scene.hub, scene.folder, passphrase=PASSPHRASE)
    scene.write(2)
    scene.hub.services.ledger.integrate()
    # Committed, and not in the log yet: it is in the backup, and comes into the log of the restored hub.
    scene.write(3)
    (scene.hub.settings.lake / "batches" / "1.arrow").unlink()
    second = take(scene.hub, scene.folder, passphrase=PASSPHRASE)
    assert second.size > first.size >= 200
    stored = scene.objects()
    assert {file.path for file in second.files} == {"lake/batches/2.arrow", "lake/batches/3.arrow"}

    target = scene.empty()
    report = restore(target, scene.folder, second.name, HubKey(passphrase=PASSPHRASE))
    assert report.size == second.size
    assert (target.lake / "batches" / "3.arrow").read_bytes() == b"\3" * 1000
    assert not (target.home / RESTORING).exists()
    restored = Hub(target)
    again = take(restored, scene.folder)
    # No row more or less, in any table; and what did not change is not stored again.
    assert held(again) == held(second)
    assert again.keys == ()
    assert scene.objects() == stored
    with restored.database.transaction() as connection:
        restored.services.ledger.append(connection, kind=KIND, subject="after", actor=PLATFORM_ACTOR, facts={})
    while restored.services.ledger.integrate():
        pass
    assert check(restored, quiet=True).faults == ()
    restored.close()
    with pytest.raises(Conflict):
        restore(target, scene.folder, second.name, scene.key)

    # The state before, by its checkpoint and by its time, with a key that was kept elsewhere.
    assert choose(scene.folder, name=None, at=first.name, size=None) == first.name
    earlier = choose(scene.folder, name=None, at=None, size=second.size - 1)
    assert earlier == first.name
    other = scene.empty()
    assert restore(other, scene.folder, earlier, scene.key).size == first.size
    assert (other.lake / "batches" / "1.arrow").is_file()
    with scene.folder.writing():
        assert scene.folder.keep_newest(2) == [first.name]
    assert scene.objects() == stored - len(parts(first) - parts(second))
    scene.folder.verify(second)
    with pytest.raises(NotFound):
        choose(scene.folder, name=None, at=first.name, size=None)


def test_nothing_is_written_from_what_does_not_verify(scene: Scene) -> None:
    scene.write(1)
    manifest = take(scene.hub, scene.folder, passphrase=PASSPHRASE)
    target = scene.empty()

    def refused(error: type[Exception], key: HubKey = scene.key, settings: Settings = target) -> None:
        with pytest.raises(error):
            restore(settings, scene.folder, manifest.name, key)
        assert not settings.home.exists()
        assert not list(settings.home.parent.iterdir()) if settings.home.parent.exists() else True

    refused(Refused, HubKey(passphrase=b"another passphrase"))
    refused(NotFound, HubKey())
    refused(Misconfigured, settings=target.model_copy(update={"log_origin": "another.example/log"}))
    # Each object in turn, and the manifest itself.
    contents = [content for content in manifest.contents() if content.parts]
    for content in (contents[0], contents[-1], manifest.evidence[0].content):
        victim = scene.folder.root / "objects" / content.parts[0][:2] / content.parts[0]
        kept = victim.read_bytes()
        victim.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
        refused(Corrupt)
        victim.unlink()
        refused(Corrupt)
        victim.write_bytes(kept)
    signed = scene.folder.root / "backups" / manifest.name / "manifest.json"
    kept = signed.read_bytes()
    signed.write_bytes(kept.replace(b'"size":', b'"size": ', 1))
    refused(Corrupt)
    signed.write_bytes(kept)

    # A row that was changed behind the log's back.
    with scene.hub.database.transaction() as connection:
        connection.execute(text("UPDATE ledger_entry SET subject = 'forged' WHERE serial = 2"))
    manifest = take(scene.hub, scene.folder)
    refused(Corrupt)


def test_a_hub_does_not_start_on_half_a_restore(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    (tmp_path / RESTORING).write_text("")
    with pytest.raises(Misconfigured):
        Hub(settings)
