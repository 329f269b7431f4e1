"""A node process for fault tests: works until idle, or kills itself at the n-th passing of a step."""

import os
import signal
import sys
import time
from pathlib import Path

from datong.adapters.connections import open_changes, open_connector, open_target
from datong.adapters.file_keys import load_or_create_signer
from datong.exchange import ChangeSource, Correction
from datong.kernel import SystemClock, TaskId, Text
from datong.node import NodeProgram, Step
from datong.node.steps import Passed
from datong.norms import load_pack


def program_of(folder: Path, passed: Passed, changes: ChangeSource | None = None) -> NodeProgram:
    """Return the node of `folder` as a new process would make it; `changes` stands for every source's own."""
    return NodeProgram(
        directory=folder,
        clock=SystemClock(),
        load_signer=load_or_create_signer,
        open_connector=open_connector,
        open_changes=lambda url: changes or open_changes(url),
        open_target=open_target,
        load_pack=lambda: load_pack(None),
        passed=passed,
        sleep=lambda seconds: time.sleep(min(seconds, 0.05)),
    )


def killed_at(fatal: Step | None, number: int) -> Passed:
    """Return an observer that ends the process by SIGKILL when `fatal` is passed the `number`-th time."""
    left = number

    def passed(step: Step) -> None:
        nonlocal left
        if step is fatal:
            left -= 1
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return passed


def correct_letters(folder: Path, fatal: Step | None = None) -> None:
    """Give every dead letter of the node another name and apply it; die when `fatal` is passed."""
    with program_of(folder, killed_at(fatal, 1)).dead_letters() as desk:
        letters = desk.letters()
        corrections = [Correction(batch_id=one.batch_id, row=one.row, changes={"name": "改"}) for one in letters]
        if corrections:
            desk.correct(corrections, by="王五", note="")


def rotate_key(folder: Path, fatal: Step | None = None) -> None:
    """Replace the node's signing key; die when `fatal` is passed."""
    program_of(folder, killed_at(fatal, 1)).rotate_key()


def replay_batches(folder: Path, task_id: TaskId, fatal: Step | None = None) -> None:
    """Apply every batch of a task once more; die when `fatal` is passed."""
    program_of(folder, killed_at(fatal, 1)).replay(task_id, 1)


def work_off(folder: Path, fatal: Step | None = None, number: int = 1) -> None:
    """Do everything that waits for the node of `folder`; die by SIGKILL when `fatal` is passed the `number`-th time."""

    def tell(text: Text) -> None:
        sys.stderr.write(text.en + "\n")

    program = program_of(folder, killed_at(fatal, number))
    client = program.client()
    loop = program.loop(client, tell)
    while not client.work(0).is_empty:
        loop.round(0)
    client.close()
