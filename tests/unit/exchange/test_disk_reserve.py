"""The disk's reserve: uploads are turned away while there is room for the rest."""

from pathlib import Path

import pytest

from datong.exchange import DiskReserve
from datong.exchange.disk_reserve import free_bytes_of
from datong.kernel import StorageFull
from datong.web.problems import problem_of


def test_uploads_are_turned_away_before_the_disk_is_full(tmp_path: Path) -> None:
    reserve = DiskReserve(tmp_path, 1000, lambda _folder: 1500)
    reserve.require(500)
    with pytest.raises(StorageFull, match="storage_full") as full:
        reserve.require(501)
    assert full.value.transient
    assert full.value.context == {"free_bytes": 1500, "reserve_bytes": 1000, "wanted_bytes": 501}
    assert problem_of(full.value).status == 507


def test_the_disk_of_a_folder_that_is_not_there_yet_is_its_parents(tmp_path: Path) -> None:
    assert free_bytes_of(tmp_path / "not" / "yet") > 0
