"""Plays of the demo's story for tests. The undisturbed one is played once for all test processes of a run."""

import fcntl
import json
import os
from pathlib import Path
from typing import Any

import pytest

from datong.demo import DemoOptions, play
from tests.processes import launcher

PEOPLE = 800


def played(folder: Path, **options: Any) -> tuple[int, dict[str, Any]]:
    """Play the story below `folder` and return its exit status and report."""
    folder.mkdir(parents=True, exist_ok=True)
    report = folder / "report.json"
    settings = {"once": True, "people": PEOPLE, "home": folder / "home", "report": report, **options}
    status = play(DemoOptions.model_validate(settings), launcher())
    return status, json.loads(report.read_text(encoding="utf-8"))


def undisturbed(factory: pytest.TempPathFactory) -> tuple[int, dict[str, Any]]:
    """Return status and report of the story as it goes when nobody disturbs it, told in English."""
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    kept = shared / "undisturbed.json"
    with (shared / "undisturbed.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            told = played(factory.mktemp("undisturbed"), language="en")
            kept.write_text(json.dumps(told), encoding="utf-8")
    status, report = json.loads(kept.read_text(encoding="utf-8"))
    return status, report
