"""Memory: the garbage collector does not slow start-up, nor look through what that made again; threads share heaps."""

import ctypes
import gc

M_ARENA_MAX = -8
"""glibc's number of the option (malloc.h)."""
HEAPS_MAX = 2
M_MMAP_THRESHOLD = -3
LARGE_BLOCK_BYTES_MIN = 1024 * 1024
"""Blocks from this size on are given back when they are let go. glibc raises its own bound to 32 MiB with use, and what
was a piece of rows then stays in the heap, as room that the next one may not fit into."""

STARTING_THRESHOLDS = (500_000, 50, 100)
"""New objects before the collector looks: the 400,000 that a hub's modules make stay, and looking took a quarter of a
start."""
_USUAL_THRESHOLDS = gc.get_threshold()


def start() -> None:
    """Have the collector look rarely: called once when a program begins."""
    gc.set_threshold(*STARTING_THRESHOLDS)


def settle() -> None:
    """Set aside every object there is now: called once by a process that has started and goes on to serve.

    Looking through them again and again took an eighth of what a hub did while nothing happened. From now on the
    collector looks as often as usual: rows that hang in a cycle of objects would otherwise keep their memory longer.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_USUAL_THRESHOLDS)


def few_heaps() -> None:
    """Let threads share heaps: called by a program of many threads before it starts them.

    glibc would give nearly each of a hub's thirty threads a heap of its own, with free room that no other may use.
    Other C libraries have no such option, and need none.
    """
    option = getattr(ctypes.CDLL(None), "mallopt", None)
    if option is not None:
        option(M_ARENA_MAX, HEAPS_MAX)
        option(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES_MIN)
