"""The whole story, played with real processes: it holds, and real harm in a step makes exactly that step fail."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from datong.demo import DemoOptions, play

PEOPLE = 800
SABOTAGED = range(1, 10) if os.environ.get("DATONG_FAULT_ROUNDS") else (4, 5, 8)


def _play(tmp_path: Path, **options: Any) -> tuple[int, dict[str, Any]]:
    report = tmp_path / "report.json"
    settings = {"once": True, "people": PEOPLE, "home": tmp_path / "home", "report": report, **options}
    status = play(DemoOptions(**settings))
    return status, json.loads(report.read_text(encoding="utf-8"))


def test_all_nine_steps_hold(tmp_path: Path) -> None:
    status, report = _play(tmp_path, language="en")
    assert [step["holds"] for step in report["steps"]] == [True] * 9, report
    assert status == 0
    assert report["facts"]["f1"] >= 0.98


@pytest.mark.parametrize("step", SABOTAGED)
def test_sabotage_makes_that_step_fail(tmp_path: Path, step: int) -> None:
    status, report = _play(tmp_path, sabotage=step)
    assert status != 0
    assert [entry["number"] for entry in report["steps"] if not entry["holds"]] == [step], report
