"""Where a run keeps its temporary files: in memory where there is room, so that no commit waits for a disk.

Hubs and nodes write as installations do; a commit that waits for a disk took 2 to 15 ms, in which nobody computed. What
tests kill dies as before: a killed process loses nothing of what it had handed to the system, on a disk or in memory.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MEMORY = Path("/dev/shm")
PREFIX = "dt-run-"
"""Short: the path of a socket below it may have a hundred characters."""
MARK = "in-use"
ROOM_BYTES_MIN = 12 * 1024**3
"""Of memory that nobody uses, and of `MEMORY`: a run's files take some two gigabytes, its processes four."""


@contextmanager
def quick_files() -> Iterator[Path]:
    """Yield a folder for this run, which its processes find in `TMPDIR`, and which is removed at the end.

    What a killed run left in memory is removed by the next.
    """
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_place()))
    # As the system's own: servers that run as other users write there, too.
    folder.chmod(0o1777)
    with (folder / MARK).open("w") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _place() -> Path | None:
    """Return where in memory there is room for files, which tests may run, too; None where there is none."""
    if not MEMORY.is_dir() or os.statvfs(MEMORY).f_flag & os.ST_NOEXEC:
        return None
    for mark in MEMORY.glob(f"{PREFIX}*/{MARK}"):
        with mark.open() as file, suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(mark.parent, ignore_errors=True)
    facts = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    free = int(facts["MemAvailable"].removesuffix("kB")) * 1024
    return MEMORY if min(free, shutil.disk_usage(MEMORY).free) >= ROOM_BYTES_MIN else None
