"""Any process is killed in any step and started again: the story still holds, with the same golden records."""

import os
from pathlib import Path

import pytest

from datong.demo.options import PROCESSES, STEPS
from tests.demo_story import played, undisturbed

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
STORIES = TOGETHER | {f"{process}@{step}": [f"{process}@{step}"] for step in STEPS for process in PROCESSES}
"""And one for every single kill."""
IN_TURN = "everybody in turn"
"""One story in which a process is killed in every step, the hub in every other one."""
STORIES[IN_TURN] = [
    f"{PROCESSES[0] if step % 2 else PROCESSES[1:][step // 2 % (len(PROCESSES) - 1)]}@{step}+0.5" for step in STEPS
]
LONG_RUN = "DATONG_FAULT_ROUNDS" in os.environ
pytestmark = pytest.mark.timeout(3600)  # a story on a crowded machine may take long, and still must hold


@pytest.fixture(scope="module")
def golden_digest(tmp_path_factory: pytest.TempPathFactory) -> str:
    status, report = undisturbed(tmp_path_factory)
    assert status == 0, report
    return str(report["facts"]["golden_digest"])


@pytest.mark.parametrize("name", list(STORIES) if LONG_RUN else [IN_TURN])
def test_kills_leave_the_same_golden_records(tmp_path: Path, golden_digest: str, name: str) -> None:
    status, report = played(tmp_path, kill=STORIES[name])
    assert status == 0, report
    assert report["facts"]["golden_digest"] == golden_digest
