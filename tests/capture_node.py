"""A node process that captures changes until its log is read up to a position, or kills itself at a step."""

import os
import signal
import sys
import time
from pathlib import Path

from datong.adapters.connections import open_changes, open_connector, open_target
from datong.adapters.file_keys import load_or_create_signer
from datong.adapters.postgresql_capture import position_number
from datong.kernel import SystemClock, Text
from datong.node import NodeProgram, Step
from datong.norms import load_pack


def capture(folder: Path, until: int, fatal: Step | None = None, number: int = 1) -> None:
    """Capture up to the position `until`; die by SIGKILL when `fatal` is passed the `number`-th time."""
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
    (work,) = client.work(0).produce
    program.capture(client, tell, rest_seconds=0).produce(
        work, lambda seen: bool(seen) and position_number(seen) >= until
    )
    client.close()
