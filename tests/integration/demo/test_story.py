"""The whole story, played with real processes: it holds, and real harm in a step makes exactly that step fail."""

import os
from pathlib import Path

import pytest

from tests.demo_story import played, undisturbed

SABOTAGED = range(1, 10) if os.environ.get("DATONG_FAULT_ROUNDS") else (4, 5)


def test_all_nine_steps_hold(tmp_path_factory: pytest.TempPathFactory) -> None:
    status, report = undisturbed(tmp_path_factory)
    assert [step["holds"] for step in report["steps"]] == [True] * 9, report
    assert status == 0
    assert report["facts"]["f1"] >= 0.98


@pytest.mark.parametrize("step", SABOTAGED)
def test_sabotage_makes_that_step_fail(tmp_path: Path, step: int) -> None:
    status, report = played(tmp_path, sabotage=step)
    assert status != 0
    assert [entry["number"] for entry in report["steps"] if not entry["holds"]] == [step], report
