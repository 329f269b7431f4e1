"""Folders of files: what a link in one may lead to."""

import logging
import os
from pathlib import Path

import pytest

from datong.adapters.files import FileFolder


def test_a_link_that_leads_out_of_its_folder_is_not_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder, outside = tmp_path / "incoming", tmp_path / "outside"
    for path in (folder / "batches", outside):
        path.mkdir(parents=True)
    (outside / "secret.csv").write_text("id,name\n1,a\n")
    (folder / "own.csv").write_text("id,name\n1,a\n")
    (folder / "batches" / "one.csv").write_text("id,name\n2,b\n")
    for place, target in {
        "single.csv": outside / "secret.csv",
        "relative.csv": Path("../outside/secret.csv"),
        "batches/two.csv": outside / "secret.csv",
        "through": outside,
        "inside.csv": folder / "own.csv",
    }.items():
        os.symlink(target, folder / place)
    with caplog.at_level(logging.WARNING, "datong.sources"):
        tables = [schema.table for schema in FileFolder(folder, state=tmp_path / "state").inspect()]
    assert tables == ["batches", "inside", "own"]
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 3
    assert all("leads out" in line for line in told)
