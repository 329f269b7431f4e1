"""One at a time applies a task's batches: the node's loop, or a replay that somebody started beside it."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datong.kernel import TaskId


@contextmanager
def alone(folder: Path, task_id: TaskId) -> Iterator[bool]:
    """Yield whether nobody else is at the task's target now; the system lets go when the process ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{task_id}.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
