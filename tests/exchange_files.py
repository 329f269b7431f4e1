"""A node process for tests of file exchange: sends or receives a file, or kills itself at a step."""

import json
import os
import signal
from pathlib import Path

from datong.adapters.connections import open_connector, open_target
from datong.adapters.file_keys import load_or_create_signer
from datong.exchange import FileId
from datong.kernel import AgreementId, SystemClock
from datong.node import NodeProgram, Step
from datong.norms import load_pack


def send_or_receive(folder: Path, order: str, fatal: Step | None = None, number: int = 1) -> None:
    """Do what `order` says (JSON: `send`, `agreement`, `seal`, or `receive`, `to`); die by SIGKILL if so wished."""
    left = number

    def passed(step: Step) -> None:
        nonlocal left
        if step is fatal:
            left -= 1
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    program = NodeProgram(
        directory=folder,
        clock=SystemClock(),
        load_signer=load_or_create_signer,
        open_connector=open_connector,
        open_target=open_target,
        load_pack=load_pack,
        passed=passed,
    )
    wanted = json.loads(order)
    if "send" in wanted:
        program.send_file(
            Path(wanted["send"]), AgreementId(wanted["agreement"]), seal=wanted["seal"], progress=lambda *_: None
        )
    else:
        program.receive_file(FileId(wanted["receive"]), Path(wanted["to"]), progress=lambda *_: None)
