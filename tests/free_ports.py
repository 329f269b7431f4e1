"""Ports for servers that tests start a moment after they chose the port.

A port that the system gives out (port 0) and that is let go again may be given to another process meanwhile, as the
port of a server or of one end of a connection. These lie below the range that the system gives out, and each process
has some to itself as long as it lives.
"""

import fcntl
import os
import socket
from collections.abc import Iterator
from functools import cache
from itertools import cycle
from pathlib import Path

LOCKS = Path("/tmp") / f"datong-ports-{os.getuid()}"
FIRST, END, OF_PROCESS = 12_000, 32_000, 100


def free_port() -> int:
    """Return a TCP port of the loopback address on which nobody listens, and which no other test process will take.

    Raises:
        RuntimeError: every port of this process is in use.
    """
    turn = _turn(os.getpid())
    for _ in range(OF_PROCESS):
        port = next(turn)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("every port of this process is in use")


@cache
def _turn(_process: int) -> Iterator[int]:
    """Return the ports of this process, one after the other, again and again; one forked from it has others."""
    first = _claim()
    return cycle(range(first, first + OF_PROCESS))


def _claim() -> int:
    """Return the first of some ports that no other process has; the lock on them ends with this one."""
    LOCKS.mkdir(exist_ok=True)
    for first in range(FIRST, END, OF_PROCESS):
        lock = os.open(LOCKS / str(first), os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            return first
    raise RuntimeError("every port is taken")
