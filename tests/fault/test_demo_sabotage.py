"""Real harm in a step of the story makes exactly that step fail."""

import os
from pathlib import Path

import pytest

from tests.demo_story import played

SABOTAGED = range(1, 10) if os.environ.get("DATONG_FAULT_ROUNDS") else (4, 5)


@pytest.mark.parametrize("step", SABOTAGED)
def test_sabotage_makes_that_step_fail(tmp_path: Path, step: int) -> None:
    status, report = played(tmp_path, sabotage=step)
    assert status != 0
    assert [entry["number"] for entry in report["steps"] if not entry["holds"]] == [step], report
