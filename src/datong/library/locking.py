"""One process at a time builds a library, or erases files of it: a lock file that dies with its process."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datong.kernel import Text, Unavailable


@contextmanager
def build_lock(home: Path, library: str) -> Iterator[None]:
    """Hold the build lock of the library in the folder `home`; the system releases it when the process ends.

    Raises:
        Unavailable: another process holds it.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / "build.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Unavailable(
                "library.build_running",
                what=Text(zh="该资源库正在构建。", en="Another build of this library is running."),
                remedy=Text(zh="请等待其完成。", en="Wait until it has ended."),
                context={"library": library},
            ) from error
        yield
