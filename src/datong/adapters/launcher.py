"""Python programs that fork from a process which has imported them: starting one costs no imports.

A hub imports for some five processor seconds, a node for two. Whoever starts many of them on one machine (the demo, the
fault tests) pays for that once. What runs is the same program, in a process of its own, to be signalled and killed by
its process id.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from tempfile import TemporaryFile
from typing import Protocol, Self

from datong.adapters.zygote import Request

LONG_SECONDS = 3600.0


class Output(Protocol):
    """An open file, for what a program writes."""

    def fileno(self) -> int:
        """Return its descriptor."""


class Launched:
    """A program that was started; as `subprocess.Popen`, for what those need who start hubs and nodes."""

    def __init__(self, reports: int) -> None:
        self._reports = os.fdopen(reports, "rb", buffering=0)
        self._lock = threading.Lock()
        self._status: int | None = None
        line = self._reports.readline()
        if not line:
            self._reports.close()
            raise ChildProcessError("the launching process ended before it started the program")
        self.pid = int(line)

    def poll(self) -> int | None:
        """Return the exit status, minus the number of the signal that ended it, or nothing while it runs."""
        return self._ended_within(0)

    def wait(self, timeout: float = LONG_SECONDS) -> int:
        """Wait until it ends and return the exit status as `poll` does.

        Raises:
            subprocess.TimeoutExpired: it still runs after `timeout` seconds.
        """
        status = self._ended_within(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout)
        return status

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL)."""
        self.send_signal(signal.SIGKILL)

    def _ended_within(self, seconds: float) -> int | None:
        until = time.monotonic() + seconds
        while True:
            with self._lock:
                if self._status is not None:
                    return self._status
                if select.select([self._reports], [], [], 0)[0]:
                    # A keeper that was killed itself tells nothing: its program's end is then not known.
                    self._status = int(self._reports.readline() or b"255")
                    self._reports.close()
                    return self._status
            left = until - time.monotonic()
            if left <= 0:
                return None
            time.sleep(min(left, 0.01))


class Launcher:
    """Starts Python programs from a process that has imported `modules`; that process begins to when this is made.

    A module may be followed by a colon and a function of it, which that process calls without arguments.

    Safe to use from several threads. Programs outlive it, as they outlive whoever started them.
    """

    def __init__(self, *modules: str, environment: Mapping[str, str] | None = None) -> None:
        self._asked, taken = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "datong.adapters.zygote", str(taken.fileno()), *modules],
            pass_fds=[taken.fileno()],
            env=environment,
            stdin=subprocess.DEVNULL,
        )
        taken.close()

    def start(
        self, arguments: Sequence[str], *, environment: Mapping[str, str], output: Output, errors: Output | None = None
    ) -> Launched:
        """Start a program and return it once it has a process id.

        `arguments` are those of Python: `-m`, a module and what this takes, or a file and what this takes.

        Raises:
            OSError: the launching process has ended.
        """
        request = Request(arguments=list(arguments), environment=dict(environment), folder=os.getcwd())
        reports, reported = os.pipe()
        try:
            descriptors = [output.fileno(), (errors or output).fileno(), reported]
            socket.send_fds(self._asked, [json.dumps(request).encode()], descriptors)
        except OSError:
            os.close(reports)
            raise
        finally:
            os.close(reported)
        return Launched(reports)

    def run(
        self, arguments: Sequence[str], *, environment: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a program to its end and return its exit status and what it wrote.

        Raises:
            subprocess.TimeoutExpired: it still ran after `timeout` seconds, and was killed.
            OSError: the launching process has ended.
        """
        with TemporaryFile() as output, TemporaryFile() as errors:
            started = self.start(arguments, environment=environment, output=output, errors=errors)
            try:
                status = started.wait(timeout)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()
                raise
            for file in (output, errors):
                file.seek(0)
            return subprocess.CompletedProcess(list(arguments), status, output.read(), errors.read())

    def close(self) -> None:
        """End the launching process; programs go on."""
        self._asked.close()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
