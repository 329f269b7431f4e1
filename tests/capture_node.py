"""A node process that captures changes until its log is read up to a position, or kills itself at a step."""

import sys
from collections.abc import Callable
from pathlib import Path

from datong.kernel import Text
from datong.node import Step
from tests.exchange_node import killed_at, program_of


def capture(
    folder: Path, number_of: Callable[[str], int], until: int, fatal: Step | None = None, number: int = 1
) -> None:
    """Capture up to the position numbered `until`; die by SIGKILL when `fatal` is passed the `number`-th time."""

    def tell(text: Text) -> None:
        sys.stderr.write(text.en + "\n")

    program = program_of(folder, killed_at(fatal, number))
    client = program.client()
    (work,) = client.work(0).produce
    program.capture(client, tell, rest_seconds=0).produce(work, lambda seen: bool(seen) and number_of(seen) >= until)
    client.close()
