"""Any process is killed in any step and started again: the story still holds, with the same golden records."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from datong.demo import DemoOptions, play
from datong.demo.options import PROCESSES, STEPS

PEOPLE = 800
EVERY_ONE_ALONE = [f"{process}@{step}" for step in STEPS for process in PROCESSES]
NODE_GROUPS = 3
TOGETHER = {"the hub in every step": [f"hub@{step}+{0.2 * step:.1f}" for step in STEPS]} | {
    f"nodes, group {group}": [
        f"{process}@{step}+0.5"
        for step in STEPS
        for place, process in enumerate(PROCESSES[1:])
        if (step + place) % NODE_GROUPS == group
    ]
    for group in range(NODE_GROUPS)
}
"""Four stories in which, together, every process is killed in every step."""
SHORT = ["the hub in every step", "nodes, group 0"]
LONG_RUN = "DATONG_FAULT_ROUNDS" in os.environ
pytestmark = pytest.mark.timeout(3600)  # a story on a crowded machine may take long, and still must hold


def _play(folder: Path, kill: list[str]) -> tuple[int, dict[str, Any]]:
    folder.mkdir(parents=True, exist_ok=True)
    report = folder / "report.json"
    options = {"once": True, "people": PEOPLE, "home": folder / "home", "report": report, "kill": kill}
    status = play(DemoOptions.model_validate(options))
    return status, json.loads(report.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def golden_digest(tmp_path_factory: pytest.TempPathFactory) -> str:
    status, report = _play(tmp_path_factory.mktemp("undisturbed"), [])
    assert status == 0, report
    return str(report["facts"]["golden_digest"])


@pytest.mark.parametrize("name", list(TOGETHER) if LONG_RUN else SHORT)
def test_many_kills_leave_the_same_golden_records(tmp_path: Path, golden_digest: str, name: str) -> None:
    status, report = _play(tmp_path, TOGETHER[name])
    assert status == 0, report
    assert report["facts"]["golden_digest"] == golden_digest


@pytest.mark.parametrize("kill", EVERY_ONE_ALONE if LONG_RUN else ["hub@6+0.8"])
def test_one_kill_leaves_the_same_golden_records(tmp_path: Path, golden_digest: str, kill: str) -> None:
    status, report = _play(tmp_path, [kill])
    assert status == 0, report
    assert report["facts"]["golden_digest"] == golden_digest
