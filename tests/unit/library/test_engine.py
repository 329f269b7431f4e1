"""The embedded table engine, and step folders."""

from pathlib import Path

from datong.library.engine import Engine, step_folder
from tests.workspace_contract import check_workspace


def test_the_embedded_engine_is_a_workspace(tmp_path: Path) -> None:
    with Engine(threads=1, memory="500MB").open(tmp_path / "spill") as work:
        check_workspace(work, tmp_path)


def test_small_tables_are_worked_on_by_as_many_cores_as_they_keep_busy() -> None:
    engine = Engine(threads=4, memory="500MB")
    assert [engine.narrowed(rows).threads for rows in (0, 122_879, 122_880, 10_000_000)] == [1, 1, 2, 4]
    assert engine.narrowed(0).memory == "500MB"


def test_a_step_folder_appears_when_its_step_is_complete(tmp_path: Path) -> None:
    folder = tmp_path / "step"
    with step_folder(folder) as scratch:
        assert scratch is not None
        (scratch / "file").write_text("whole")
        assert not folder.exists()
    assert (folder / "file").read_text() == "whole"
    with step_folder(folder) as again:
        assert again is None
