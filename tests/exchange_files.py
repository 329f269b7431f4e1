"""A node process for tests of file exchange: sends or receives a file, or kills itself at a step."""

import json
from pathlib import Path

from datong.exchange import FileId
from datong.kernel import AgreementId
from datong.node import Step
from tests.exchange_node import killed_at, program_of


def send_or_receive(folder: Path, order: str, fatal: Step | None = None, number: int = 1) -> None:
    """Do what `order` says (JSON: `send`, `agreement`, `seal`, or `receive`, `to`); die by SIGKILL if so wished."""
    program = program_of(folder, killed_at(fatal, number))
    wanted = json.loads(order)
    if "send" in wanted:
        program.send_file(
            Path(wanted["send"]), AgreementId(wanted["agreement"]), seal=wanted["seal"], progress=lambda *_: None
        )
    else:
        program.receive_file(FileId(wanted["receive"]), Path(wanted["to"]), progress=lambda *_: None)
