"""Random bytes drawn from the system's generator a page at a time.

Each draw is a call of the system during which other threads run: a call of the gateway needs seven, and got its turn
back seven times. Nothing is handed out twice, neither to two threads nor to a process and its child.
"""

import os
import threading

DRAWN_BYTES = 4096


class _Drawn(threading.local):
    """What this thread has drawn and not used yet: the bytes from `used` on."""

    def __init__(self) -> None:
        self.page = b""
        self.used = 0


_DRAWN = _Drawn()


def random_bytes(count: int) -> bytes:
    """Return random bytes that nobody can guess (`os.urandom`)."""
    drawn = _DRAWN
    begin = drawn.used
    end = begin + count
    if end > len(drawn.page):
        drawn.page = os.urandom(max(count, DRAWN_BYTES))
        begin, end = 0, count
    drawn.used = end
    return drawn.page[begin:end]


def _forget() -> None:
    """Draw anew in a child process; of its parent's threads it has the one that made it."""
    _DRAWN.page, _DRAWN.used = b"", 0


os.register_at_fork(after_in_child=_forget)
