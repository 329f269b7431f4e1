"""Processes that tests kill. All fork from clean ones that have imported everything: starting one costs no imports."""

import atexit
import multiprocessing
import os
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from datong.adapters.launcher import Launched, Launcher
from datong.demo.processes import DATONG, IMPORTED
from datong.kernel.settings import without_settings

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["tests.exchange_node", "tests.exchange_hub", "tests.capture_node", "tests.unit.catalogue.conftest"]
)
"""For functions of tests."""


def exit_code(target: Callable[..., None], *arguments: object) -> int | None:
    """Run `target` in a process of its own to its end, which may be its kill; return the exit code."""
    process = PROCESSES.Process(target=target, args=arguments)
    process.start()
    process.join(300)
    code = process.exitcode
    process.kill()
    process.join()
    process.close()
    return code


def datong(*arguments: str, log: Path, environment: Mapping[str, str]) -> Launched:
    """Start the command line `datong` with these arguments; what it writes is added to `log`."""
    with log.open("ab") as output:
        return launcher().start([*DATONG, *arguments], environment=environment, output=output)


@cache
def launcher() -> Launcher:
    """Return what starts programs, begun at the first call; processes that are forked afterwards use it too."""
    made = Launcher(*IMPORTED, environment=without_settings(os.environ))
    atexit.register(made.close)
    return made
