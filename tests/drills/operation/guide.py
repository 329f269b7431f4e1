"""Runs the shell blocks of docs/operation.md in one bash, as somebody types them one after the other."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from datong.kernel.settings import without_settings

GUIDE = Path(__file__).parents[3] / "docs" / "operation.md"
BLOCK_SECONDS_MAX = 240.0
MARK = "--end-of-block--"
_BLOCK = re.compile(r"^```sh (?P<name>[\w-]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def guide_blocks(text: str) -> dict[str, str]:
    """Return the named shell blocks of a page, in order."""
    blocks: dict[str, str] = {}
    for match in _BLOCK.finditer(text):
        if match["name"] in blocks:
            raise ValueError(f"two blocks are called {match['name']}")
        blocks[match["name"]] = match["text"]
    return blocks


def exported(block: str) -> list[str]:
    """Return the names that a block exports."""
    return re.findall(r"^export (\w+)=", block, re.MULTILINE)


class BlockFailed(Exception):
    """A command of a block ended with another status than 0, or not in time."""


class Shell:
    """A bash that ends at the first command that fails; everything it started ends with it."""

    def __init__(
        self, environment: Mapping[str, str], folder: Path, programs: Path = Path(sys.executable).parent
    ) -> None:
        """Begin in `folder`, with what is in `programs` and what the machine has."""
        ours = str(Path(sys.executable).parent)
        inherited = without_settings(os.environ)
        inherited.pop("VIRTUAL_ENV", None)
        path = ":".join([str(programs), *(place for place in os.environ["PATH"].split(":") if place != ours)])
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-euo", "pipefail", "-s"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**inherited, **environment, "PATH": path, "PYTHONUNBUFFERED": "1"},
            cwd=folder,
            text=True,
            start_new_session=True,
        )

    def run(self, block: str) -> str:
        """Run a block to its end and return what it printed.

        Raises:
            BlockFailed: what it printed so far is in the message.
        """
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        too_long = threading.Timer(BLOCK_SECONDS_MAX, self._kill)
        too_long.start()
        lines: list[str] = []
        try:
            # A group in braces is read as a whole before it begins, so that no command of it can read what follows.
            self._bash.stdin.write(f"{{\n{block}\n}} </dev/null\necho\necho {MARK}\n")
            self._bash.stdin.flush()
            for line in self._bash.stdout:
                if line == f"{MARK}\n":
                    return "".join(lines).removesuffix("\n")
                lines.append(line)
        except BrokenPipeError:
            pass
        finally:
            too_long.cancel()
        raise BlockFailed("".join(lines))

    def close(self) -> None:
        """End the shell and every process that it started."""
        self._kill()
        self._bash.wait()
        for stream in (self._bash.stdin, self._bash.stdout):
            if stream is not None:
                stream.close()

    def _kill(self) -> None:
        try:
            os.killpg(self._bash.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
