from pathlib import Path

import pytest

from datong.adapters.directory_store import DirectoryStore
from datong.kernel import Corrupt, NotFound
from datong.ledger import MemoryTileStore, TileStore


@pytest.fixture(params=["memory", "directory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> TileStore:
    return MemoryTileStore() if request.param == "memory" else DirectoryStore(tmp_path / "log")


def test_what_was_written_is_read(store: TileStore) -> None:
    store.write("tile/0/x001/000.p/3", b"abc")
    store.write("tile/0/x001/000.p/3", b"abc")
    store.write("tile/0/x001/000", b"abcd")
    assert store.read("tile/0/x001/000.p/3") == b"abc"
    assert store.read("tile/0/x001/000") == b"abcd"


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
def test_a_directory_store_stays_in_its_directory(tmp_path: Path, path: str) -> None:
    with pytest.raises(NotFound):
        DirectoryStore(tmp_path).read(path)
    with pytest.raises(NotFound):
        DirectoryStore(tmp_path).write(path, b"")


def test_no_temporary_files_are_left(tmp_path: Path) -> None:
    DirectoryStore(tmp_path).write("tile/0/000", b"abc")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["000"]
