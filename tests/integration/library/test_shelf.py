"""A machine that builds and one that only serves, over one control database and one store: what each kill leaves."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from datong.adapters.directory_store import DirectoryStore
from datong.kernel import PLATFORM_ACTOR, BuildId, Corrupt, Database, EntityId, NotFound
from datong.library import FileStore, Library, RetentionOrder, Shelf
from datong.norms import load_pack
from tests.integration.library.test_corrections import OFFICER, RIGHT, Hub, Killed
from tests.library_sources import with_increment
from tests.new_control import new_control

DISTRICT = EntityId("440604")
DAY = timedelta(days=1)


class MortalStore:
    """A store that kills whoever asks it once too often; `left` None is for ever."""

    def __init__(self, store: FileStore) -> None:
        self._store = store
        self.left: int | None = None

    def _step(self) -> FileStore:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed
        return self._store

    def read(self, path: str) -> bytes:
        return self._step().read(path)

    def write(self, path: str, content: bytes) -> None:
        self._step().write(path, content)

    def holds(self, path: str) -> bool:
        return self._step().holds(path)

    def put_file(self, path: str, source: Path) -> None:
        self._step().put_file(path, source)

    def fetch_file(self, path: str, target: Path) -> None:
        self._step().fetch_file(path, target)

    def names(self, folder: str) -> Iterator[str]:
        return self._step().names(folder)

    def discard(self, path: str) -> None:
        self._step().discard(path)


@pytest.fixture(scope="module")
def first_version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a hub whose library of divisions has one version, from before there was a shelf."""
    folder = tmp_path_factory.mktemp("shelf")
    database = new_control(folder)
    Hub(database, folder)
    database.close()
    return folder


class Machines:
    """A machine that builds and a cache of what it publishes, over `bucket`."""

    def __init__(self, first_version: Path, folder: Path) -> None:
        shutil.copytree(first_version, folder, dirs_exist_ok=True)
        self.folder, self.bucket, self.cached = folder, folder / "bucket", folder / "cache"
        self.database = Database(f"sqlite:///{folder / 'control.sqlite'}")
        self.hub = Hub(self.database, folder, built=True)
        self.store = MortalStore(DirectoryStore(self.bucket))
        self.builder = self.machine(folder / "lake", self.store, cache=False)
        self.cache = self.restarted_cache()

    def machine(self, lake: Path, store: FileStore, *, cache: bool) -> Library:
        return Library(
            database=self.database,
            clock=self.hub.clock,
            ledger=self.hub.ledger,
            pack=load_pack(None),
            lake=lake,
            landing=self.hub.landing,
            shelf=Shelf(store, lake / "library", cache=cache),
        )

    def restarted_cache(self) -> Library:
        return self.machine(self.cached, DirectoryStore(self.bucket), cache=True)

    def catch_up(self) -> None:
        for one in (self.builder, self.cache):
            assert one.shelving is not None
            assert not one.shelving.catch_up()

    def build(self) -> None:
        """Run the build that waits, killed before each step of the store in turn, until it comes to its end."""
        build = self.builder.request_build("geography", actor=PLATFORM_ACTOR)
        for steps in range(200):
            self.store.left = steps
            try:
                self.builder.run_build(build.id)
            except Killed:
                self.store.left = None
                # Whoever serves, serves a version that is whole, and the one that the control database says.
                served = self.cache.dataset("geography").version
                assert name(self.cache) == {1: "禅成区", 2: "禅城区"}[served]
                with self.database.transaction() as connection:
                    connection.execute(text("UPDATE library_build SET attempts = 0"))
                continue
            self.store.left = None
            assert steps > 5
            return
        pytest.fail("the build never came to its end")

    def on_shelf(self) -> set[str]:
        return {path.name for path in (self.bucket / "geography" / "files").iterdir()}

    def listed(self) -> set[str]:
        """Return what the versions that lie there consist of."""
        assert self.builder.shelving is not None
        shelf = Shelf(DirectoryStore(self.bucket), self.folder / "nowhere", cache=True)
        lists = (self.bucket / "geography" / "versions").iterdir()
        found = [shelf.version("geography", BuildId(path.stem)) for path in lists]
        return {file.sha256 for version in found if version is not None for file in version.files}

    def close(self) -> None:
        self.database.close()


@pytest.fixture
def machines(first_version: Path, tmp_path: Path) -> Iterator[Machines]:
    made = Machines(first_version, tmp_path)
    yield made
    made.close()


def name(library: Library) -> str | None:
    (row,) = library.lookup("geography", "division_code", DISTRICT)
    return row.cells["division_name"].value


def names_of(library: Library) -> list[str]:
    return [path.name for path in library.table_files(library.dataset("geography"))]


def test_a_cache_serves_what_another_machine_published_wherever_that_is_killed(machines: Machines) -> None:
    builder, cache = machines.builder, machines.cache
    assert builder.shelving is not None
    assert cache.shelving is not None
    assert builder.shelving.missing() == ("geography",)
    machines.catch_up()
    assert builder.shelving.missing() == cache.shelving.awaited() == ()
    assert name(cache) == "禅成区"

    machines.hub.clock.advance(10 * DAY)
    machines.hub.source = with_increment(machines.hub.source, machines.folder, [RIGHT])
    machines.hub.landing.landed = (machines.hub.source,)
    machines.build()
    assert name(cache) == "禅城区"
    assert cache.report("geography") == builder.report("geography")
    assert cache.quality("geography") == builder.quality("geography")
    assert names_of(cache) == names_of(builder)
    assert cache.versions.past("geography", DISTRICT, version=1).cells["division_name"].value == "禅成区"
    machines.catch_up()
    assert machines.on_shelf() == machines.listed()

    # 2. What is disposed of goes there, and from the cache, too, wherever the disposal is killed.
    versions = builder.versions
    versions.declare("geography", RetentionOrder(days=0, versions_min=1, statement="试验"), actor=OFFICER)
    machines.hub.clock.advance(DAY)
    before = machines.on_shelf()
    for steps in range(200):
        machines.store.left = steps
        try:
            versions.sweep()
        except Killed:
            machines.store.left = None
            gone = {one.version: one.disposal for one in versions.versions("geography")}[1]
            assert gone is not None
            assert gone.erased_at is None, "it is not said to be erased before it is"
            continue
        break
    machines.store.left = None
    assert steps > 2
    gone = {one.version: one.disposal for one in versions.versions("geography")}[1]
    assert gone is not None
    assert gone.erased_at is not None
    assert machines.on_shelf() == machines.listed() < before
    machines.catch_up()
    kept = machines.restarted_cache()
    assert kept.shelving is not None
    assert name(kept) == "禅城区"
    with pytest.raises(NotFound, match=r"library\.version_disposed"):
        kept.versions.past("geography", DISTRICT, version=1)
    lake = machines.folder / "lake"
    held = {path.relative_to(machines.cached) for path in machines.cached.rglob("*.parquet")}
    assert held <= {path.relative_to(lake) for path in lake.rglob("*.parquet")}


def test_a_changed_file_is_not_served_and_what_is_here_is_served_while_the_store_is_away(machines: Machines) -> None:
    machines.catch_up()
    assert name(machines.cache) == "禅成区"
    for path in (machines.bucket / "geography" / "files").iterdir():
        path.write_bytes(path.read_bytes() + b"x")
    shutil.rmtree(machines.cached)
    with pytest.raises(Corrupt, match=r"library\.shelved_file_changed"):
        name(machines.restarted_cache())
    assert not list(machines.cached.rglob("*.sqlite")), "nothing of it has its name"
    assert not [path for path in machines.cached.rglob("*.part") if path.stat().st_size]

    # A machine that builds has all of it, whatever the store says; a cache goes on with what it took.
    shutil.rmtree(machines.bucket)
    assert name(machines.builder) == "禅成区"
    machines.builder = machines.machine(machines.folder / "lake", machines.store, cache=False)
    machines.cache = machines.restarted_cache()
    machines.catch_up()
    shutil.rmtree(machines.bucket)
    assert name(machines.restarted_cache()) == "禅成区"
