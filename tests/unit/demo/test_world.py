from datetime import timedelta
from pathlib import Path

import pytest

from datong.demo.world import StoryClock, prepare_home
from datong.kernel import Misconfigured, OffsetClock, WorkingCalendar


def test_an_empty_or_former_home_is_prepared(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    prepare_home(home)
    (home / "left-over").write_text("x")
    prepare_home(home)
    assert not (home / "left-over").exists()


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(Misconfigured):
        prepare_home(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_the_clock_lets_working_days_pass_for_every_process(tmp_path: Path) -> None:
    clock = StoryClock(tmp_path / "offset")
    clock.set(0)
    before = clock.now()
    after = clock.pass_working_days(11)
    assert WorkingCalendar().working_days_between(before.date(), after.date()) == 11
    assert abs(OffsetClock(clock.path).now() - clock.now()) < timedelta(seconds=5)
