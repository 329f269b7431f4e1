"""What lies in a bucket in the place of a version's list: it is the list that a build put there, or it is refused."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.adapters.directory_store import DirectoryStore
from datong.kernel import BuildId, Corrupt
from datong.library import Shelf

BUILD = BuildId("b1")
LIST = f"population/versions/{BUILD}.json"
FILE = {"path": "population/builds/b1/golden.parquet", "sha256": "0" * 64, "bytes": 3}
WHOLE = {"library": "population", "build_id": BUILD, "files": [FILE]}


@pytest.mark.parametrize(
    "listed",
    [
        {**WHOLE, "files": [{**FILE, "path": "population/builds/../../../outside"}]},
        {**WHOLE, "files": [{**FILE, "path": "/etc/outside"}]},
        {**WHOLE, "files": [{**FILE, "path": "population/builds//outside"}]},
        {**WHOLE, "files": [{**FILE, "path": "population/builds/\0"}]},
        {**WHOLE, "files": [{**FILE, "sha256": "../../population"}]},
        {**WHOLE, "files": [{**FILE, "bytes": -1}]},
        {**WHOLE, "build_id": "b2"},
        {**WHOLE, "library": "firms"},
    ],
)
def test_a_list_that_no_build_wrote_is_refused_and_nothing_is_taken(tmp_path: Path, listed: object) -> None:
    store, folder = DirectoryStore(tmp_path / "bucket"), tmp_path / "here" / "library"
    store.write(LIST, json.dumps(listed).encode())
    with pytest.raises(Corrupt, match=r"library\.shelved_list_changed"):
        Shelf(store, folder, cache=True).take("population", BUILD, "builds")
    assert not folder.exists()


@given(
    content=st.binary(max_size=200) | st.recursive(st.text() | st.integers(), st.lists).map(json.dumps).map(str.encode)
)
def test_any_other_bytes_are_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("shelf")
    store = DirectoryStore(folder / "bucket")
    store.write(LIST, content)
    with pytest.raises(Corrupt):
        Shelf(store, folder / "library", cache=True).version("population", BUILD)
