import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from datong.adapters import ObjectStore, ObjectStoreAccess
from datong.adapters.directory_store import DirectoryStore
from datong.kernel import (
    PLATFORM_ACTOR,
    Corrupt,
    Misconfigured,
    NotFound,
    SystemClock,
    Unavailable,
    new_id,
)
from datong.ledger import Ed25519Signer, EntryKind, Ledger, MemoryTileStore, TileStore, verify_log
from datong.library import FileStore
from tests.new_control import new_control
from tests.object_server import ObjectServer, start_object_server

NOWHERE = ObjectStoreAccess(
    address="s3://datong/hub",
    endpoint="http://127.0.0.1:9",
    region="us-east-1",
    key_id="datong",
    secret="no-secret-at-all",
)


@pytest.fixture(scope="module")
def object_server() -> Iterator[ObjectServer]:
    server = start_object_server()
    yield server
    server.stop()


@pytest.fixture(params=["memory", "directory", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> TileStore:
    if request.param == "memory":
        return MemoryTileStore()
    if request.param == "directory":
        return DirectoryStore(tmp_path / "log")
    server: ObjectServer = request.getfixturevalue("object_server")
    return ObjectStore(server.access(f"s3://datong/{new_id()}"), "log")


@pytest.fixture(params=["directory", "bucket"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> FileStore:
    """What keeps published versions of libraries."""
    if request.param == "directory":
        return DirectoryStore(tmp_path / "shelf")
    server: ObjectServer = request.getfixturevalue("object_server")
    return ObjectStore(server.access(f"s3://datong/{new_id()}"), "library")


def test_files_are_put_fetched_listed_and_discarded(files: FileStore, tmp_path: Path) -> None:
    large = bytes(range(256)) * 66_000
    contents = {
        "people/files/large": large,
        "people/files/none": b"",
        "people/versions/v": b"{}",
        "other/files/a": b"a",
    }
    source, target = tmp_path / "source", tmp_path / "target"
    assert list(files.names("people/files")) == []
    for path, content in contents.items():
        assert not files.holds(path)
        source.write_bytes(content)
        files.put_file(path, source)
        files.put_file(path, source)
        assert files.holds(path)
        files.fetch_file(path, target)
        assert target.read_bytes() == content
    assert set(files.names("people/files")) == {"people/files/large", "people/files/none"}
    assert set(files.names("people")) == contents.keys() - {"other/files/a"}
    files.discard("people/files/large")
    files.discard("people/files/large")
    assert set(files.names("people/files")) == {"people/files/none"}
    assert not files.holds("people/files")
    for path in ("people/files/large", "people/files", "people"):
        with pytest.raises(NotFound):
            files.fetch_file(path, target)
    files.write("people/versions/w", b"1")
    files.write("people/versions/w", b"1")
    with pytest.raises(Corrupt):
        files.write("people/versions/w", b"2")
    with pytest.raises(NotFound):
        files.read("people/versions/x")


def test_what_was_written_is_read(store: TileStore) -> None:
    store.write("tile/0/x001/000.p/3", b"abc")
    store.write("tile/0/x001/000.p/3", b"abc")
    store.write("tile/0/x001/000", b"abcd")
    assert store.read("tile/0/x001/000.p/3") == b"abc"
    assert store.read("tile/0/x001/000") == b"abcd"


def test_several_files_are_written_at_once(store: TileStore) -> None:
    files = [("tile/0/x001/000.p/3", b"abc"), ("tile/entries/x001/000.p/3", b"\0\1x"), ("tile/1/004.p/1", b"r")]
    store.write_all(files[:1])
    store.write_all(files)
    store.write_all([])
    assert [store.read(path) for path, _ in files] == [content for _, content in files]
    with pytest.raises(Corrupt) as caught:
        store.write_all([("tile/0/x001/000", b"abcd"), ("tile/1/004.p/1", b"s")])
    assert caught.value.context["file"] == "tile/1/004.p/1"
    assert store.read("tile/1/004.p/1") == b"r"


def test_nothing_of_an_attempt_stays_beside(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.write_all([("tile/0/000", b"abc"), ("tile/1/000.p/1", b"r")])
    with pytest.raises(Corrupt):
        store.write_all([("tile/0/001", b"abd"), ("tile/0/000", b"abd")])
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"000", "1"}


def test_a_file_never_changes(store: TileStore) -> None:
    store.write("tile/0/000", b"abc")
    with pytest.raises(Corrupt) as caught:
        store.write("tile/0/000", b"abd")
    assert caught.value.context["file"] == "tile/0/000"
    assert store.read("tile/0/000") == b"abc"


@pytest.mark.parametrize("path", ["tile/0/000", "tile", "tile/0/001/000"])
def test_what_was_not_written_is_not_found(store: TileStore, path: str) -> None:
    store.write("tile/0/001", b"")
    with pytest.raises(NotFound):
        store.read(path)


def test_a_folder_is_discarded(store: TileStore) -> None:
    store.write("tile/0/000.p/1", b"a")
    store.write("tile/0/000", b"b")
    store.discard("tile/0/000.p")
    store.discard("tile/0/000.p")
    with pytest.raises(NotFound):
        store.read("tile/0/000.p/1")
    assert store.read("tile/0/000") == b"b"


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../outside", "tile/../../outside"])
def test_a_store_stays_in_its_place(tmp_path: Path, path: str) -> None:
    for store in (DirectoryStore(tmp_path), ObjectStore(NOWHERE, "log")):
        for act in (store.read, store.discard, lambda place, to=store: to.write(place, b"")):
            with pytest.raises(NotFound):
                act(path)


def test_of_two_writers_one_creates_the_object_and_the_other_finds_it(object_server: ObjectServer) -> None:
    stores = [ObjectStore(object_server.access(f"s3://datong/{new_id()}"), "log")] * 8
    go = threading.Barrier(len(stores))

    def write(number: int) -> bool:
        go.wait()
        try:
            stores[number].write("tile/0/000", bytes([number % 2]))
        except Corrupt:
            return False
        return True

    with ThreadPoolExecutor(len(stores)) as pool:
        done = list(pool.map(write, range(len(stores))))
    kept = stores[0].read("tile/0/000")
    assert done == [bytes([number % 2]) == kept for number in range(len(stores))]


def test_a_log_lies_in_a_bucket_and_verifies(object_server: ObjectServer, tmp_path: Path) -> None:
    """Two processes integrate one after the other, as several hubs do."""
    database = new_control(tmp_path)
    clock, signer = SystemClock(), Ed25519Signer.generate()
    ledgers = [
        Ledger(database=database, clock=clock, signer=signer, origin="test.example/log", tiles=tiles)
        for tiles in [ObjectStore(object_server.access(f"s3://datong/{new_id()[-12:]}"), "log")] * 2
    ]
    for number in range(3):
        with database.transaction() as connection:
            for subject in range(130):
                ledgers[0].append(
                    connection, kind=EntryKind.ACCESS, subject=f"{number}-{subject}", actor=PLATFORM_ACTOR, facts={}
                )
        while ledgers[number % 2].integrate():
            pass
    ledgers[0].export(tmp_path / "export")
    assert verify_log(tmp_path / "export", log_key=signer.public_key).size == 390
    database.close()


def test_what_is_wrong_with_a_store_is_told_without_its_key(object_server: ObjectServer) -> None:
    wrong = object_server.access().model_copy(update={"secret": "another-secret"})
    for access in (wrong, NOWHERE):
        with pytest.raises(Unavailable, match=r"adapters\.object_store_failed") as caught:
            ObjectStore(access, "log").read("tile/0/000")
        assert access.secret not in str(caught.value)
    with pytest.raises(Misconfigured):
        ObjectStore(NOWHERE.model_copy(update={"address": "https://bucket"}), "log")


def test_no_temporary_files_are_left(tmp_path: Path) -> None:
    DirectoryStore(tmp_path).write("tile/0/000", b"abc")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["000"]
