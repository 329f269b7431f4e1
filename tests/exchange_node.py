"""A node process for fault tests: works until idle, or kills itself at the n-th passing of a step."""

import os
import signal
import sys
import time
from pathlib import Path

from datong.adapters.connections import open_changes, open_connector, open_target
from datong.adapters.file_keys import load_or_create_signer
from datong.kernel import SystemClock, Text
from datong.node import NodeProgram, Step
from datong.norms import load_pack


def work_off(folder: Path, fatal: Step | None = None, number: int = 1) -> None:
    """Do everything that waits for the node of `folder`; die by SIGKILL when `fatal` is passed the `number`-th time."""
    left = number

    def passed(step: Step) -> None:
        nonlocal left
        if step is fatal:
            left -= 1
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def tell(text: Text) -> None:
        sys.stderr.write(text.en + "\n")

    program = NodeProgram(
        directory=folder,
        clock=SystemClock(),
        load_signer=load_or_create_signer,
        open_connector=open_connector,
        open_changes=open_changes,
        open_target=open_target,
        load_pack=lambda: load_pack(None),
        passed=passed,
        sleep=lambda seconds: time.sleep(min(seconds, 0.05)),
    )
    client = program.client()
    loop = program.loop(client, tell)
    while not client.work(0).is_empty:
        loop.round(0)
    client.close()
