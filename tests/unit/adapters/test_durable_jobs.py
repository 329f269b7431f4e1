"""A killed process's job is run again by the next process of its name; one that ended is not."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from datong.adapters import DurableJobs
from datong.kernel import Unavailable
from tests.unit.web.asking import run_apart

PROGRAM = """
import os, sys, time
from pathlib import Path
from dbos import DBOS
from datong.adapters import DurableJobs, JobInterrupted
folder, name, how = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
def build(key):
    with (folder / "runs").open("a") as runs:
        runs.write(key + "\\n")
    if how == "dies":
        os._exit(9)
    if how == "stops":
        (folder / "done").touch()
        raise JobInterrupted
    (folder / "done").touch()
jobs = DurableJobs(
    database_url=f"sqlite:///{folder / 'jobs.sqlite'}", executor_id=name, at_once=2, handlers={"build": build}
)
jobs.start()
if how == "rescues":
    print(jobs.rescue({name}))
else:
    jobs.submit("build", "b1")
end = time.monotonic() + 60
while not (folder / "done").exists() and time.monotonic() < end:
    time.sleep(0.05)
# The engine puts the end of a job on record after the job has ended.
while how != "stops" and not DBOS.list_workflows(status="SUCCESS") and time.monotonic() < end:
    time.sleep(0.05)
# Nothing else begins meanwhile.
time.sleep(0.5)
jobs.stop()
"""


def run(folder: Path, name: str, how: str) -> int:
    return subprocess.run([sys.executable, "-c", PROGRAM, str(folder), name, how], check=False, timeout=300).returncode


def test_a_job_survives_its_process_and_runs_once_to_its_end(tmp_path: Path) -> None:
    assert run(tmp_path, "hub", "dies") == 9
    assert run(tmp_path, "hub", "lives") == 0
    assert (tmp_path / "runs").read_text().split() == ["b1", "b1"]
    assert run(tmp_path, "hub", "lives") == 0
    assert (tmp_path / "runs").read_text().split() == ["b1", "b1"], "a job that ended is not run again"


def test_a_job_is_rescued_from_a_process_that_does_not_come_back(tmp_path: Path) -> None:
    assert run(tmp_path, "one", "dies") == 9
    assert run(tmp_path, "two", "rescues") == 0
    assert (tmp_path / "runs").read_text().split() == ["b1", "b1"]
    assert (tmp_path / "done").exists()


def test_a_job_that_stops_halfway_is_run_again_by_the_next_start(tmp_path: Path) -> None:
    assert run(tmp_path, "hub", "stops") == 0
    (tmp_path / "done").unlink()
    assert run(tmp_path, "hub", "lives") == 0
    assert (tmp_path / "runs").read_text().split() == ["b1", "b1"]
    assert (tmp_path / "done").exists()


def test_a_queue_that_cannot_be_opened_is_unavailable_and_worth_a_retry(tmp_path: Path) -> None:
    jobs = DurableJobs(
        database_url=f"sqlite:///{tmp_path}/no/such/folder/jobs.sqlite", executor_id="hub", at_once=1, handlers={}
    )
    with pytest.raises(Unavailable):
        jobs.start()


def test_a_queue_that_cannot_be_opened_here_leaves_no_thread_behind(tmp_path: Path) -> None:
    jobs = DurableJobs(database_url=f"sqlite:///{tmp_path / 'jobs.sqlite'}", executor_id="hub", at_once=1, handlers={})

    async def start() -> None:
        jobs.start()

    before = set(threading.enumerate())
    with pytest.raises(RuntimeError, match="event loop"):
        run_apart(start)
    assert {thread for thread in threading.enumerate() if not thread.daemon} <= before
