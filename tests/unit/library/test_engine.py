"""The embedded table engine, and step folders."""

from pathlib import Path

from datong.library.engine import Engine, step_folder
from tests.workspace_contract import check_workspace


def test_the_embedded_engine_is_a_workspace(tmp_path: Path) -> None:
    with Engine(threads=1, memory="500MB").open(tmp_path / "spill") as work:
        check_workspace(work, tmp_path)


def test_a_step_folder_appears_when_its_step_is_complete(tmp_path: Path) -> None:
    folder = tmp_path / "step"
    with step_folder(folder) as scratch:
        assert scratch is not None
        (scratch / "file").write_text("whole")
        assert not folder.exists()
    assert (folder / "file").read_text() == "whole"
    with step_folder(folder) as again:
        assert again is None
