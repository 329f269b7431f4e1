"""Programs that fork from a warm process are processes of their own: told apart, signalled, killed, waited for."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from datong.adapters.launcher import Launched, Launcher

PROGRAM = """
import os, signal, sys, time
print(os.environ["COLOUR"], len(os.environ), os.getcwd(), *sys.argv[1:], sys.stdin.read())
print("complaint", file=sys.stderr)
if sys.argv[1] == "sleep":
    time.sleep(600)
sys.exit(int(sys.argv[1]))
"""


LAST_ACTS = """
import atexit, sys, threading, time

def late():
    time.sleep(0.1)
    print("thread")

atexit.register(print, "atexit")
threading.Thread(target=late).start()
sys.stdout.write("begun ")
sys.exit("why")
"""


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    with Launcher("json") as made:
        yield made


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM, encoding="utf-8")
    return str(path)


def start(launcher: Launcher, program: str, tmp_path: Path) -> Launched:
    """Start the program that sleeps, and wait until it does."""
    log = tmp_path / "log"
    with log.open("ab") as output:
        started = launcher.start([program, "sleep"], environment={"COLOUR": "red"}, output=output)
    while "complaint" not in log.read_text(encoding="utf-8"):
        assert started.poll() is None
    return started


def test_a_program_has_its_own_surroundings_and_its_end_is_told(launcher: Launcher, program: str) -> None:
    done = launcher.run([program, "3", "四"], environment={"COLOUR": "red"}, timeout=60)
    assert done.returncode == 3
    assert done.stdout.decode().split() == ["red", "1", os.getcwd(), "3", "四"]
    assert done.stderr.decode() == "complaint\n"
    assert launcher.run(["-m", "json.tool", "--help"], environment={}, timeout=60).returncode == 0
    failed = launcher.run(["-m", "no.such.module"], environment={}, timeout=60)
    assert failed.returncode == 1
    assert b"no.such" in failed.stderr


def test_a_program_does_its_last_acts_and_says_why_it_ends(launcher: Launcher, tmp_path: Path) -> None:
    path = tmp_path / "last_acts.py"
    path.write_text(LAST_ACTS, encoding="utf-8")
    done = launcher.run([str(path)], environment={}, timeout=60)
    assert (done.returncode, done.stdout.split(), done.stderr) == (1, [b"begun", b"thread", b"atexit"], b"why\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_signals_reach_the_program(launcher: Launcher, program: str, tmp_path: Path, number: signal.Signals) -> None:
    started = start(launcher, program, tmp_path)
    with pytest.raises(subprocess.TimeoutExpired):
        started.wait(0.02)
    started.send_signal(number)
    # Python ends an interrupted program by the signal itself, once it has told where.
    assert started.wait(60) == started.poll() == -number
    started.kill()
    with pytest.raises(ProcessLookupError):
        os.kill(started.pid, 0)


def test_one_that_takes_too_long_is_killed(launcher: Launcher, program: str) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        launcher.run([program, "sleep"], environment={"COLOUR": "red"}, timeout=0.2)


def test_many_threads_start_programs_at_once(launcher: Launcher, program: str) -> None:
    told: dict[int, int] = {}

    def run(status: int) -> None:
        told[status] = launcher.run([program, str(status)], environment={"COLOUR": "red"}, timeout=60).returncode

    threads = [threading.Thread(target=run, args=(status,)) for status in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == {status: status for status in range(8)}


def test_programs_outlive_their_launcher_which_then_starts_none(program: str, tmp_path: Path) -> None:
    with Launcher() as launcher:
        started = start(launcher, program, tmp_path)
    assert started.poll() is None
    started.kill()
    assert started.wait(60) == -signal.SIGKILL
    with pytest.raises(OSError, match=r"."):
        launcher.run([program, "0"], environment={}, timeout=60)
