"""Imports that take longer than a request should: each runs in a thread of its own, and pages ask how far it is.

Kept in memory. A hub that stops rolls the import back; who asks afterwards is told that there is no such import, and
finds all of it in the catalogue, or nothing.
"""

import logging
import threading
from collections.abc import Callable
from datetime import datetime

from datong.catalogue.interchange import ImportProgress, ImportReport, ImportStage
from datong.kernel import Clock, Conflict, DatongError, NotFound, Text, Unavailable, new_id

LOGGER = logging.getLogger("datong.catalogue")
RUNNING_MAX = 2
KEPT_MAX = 50


class ImportJob:
    """One import, written by its own thread and read by pages; `over` once there is a report or a problem."""

    def __init__(self, owner: str, started_at: datetime) -> None:
        self.id = new_id()
        self.owner, self.started_at = owner, started_at
        self.stage, self.part = ImportStage.READING, 0.0
        self.report: ImportReport | None = None
        self.problem: DatongError | None = None
        self._over = threading.Event()

    @property
    def over(self) -> bool:
        """Whether it has come to its end, well or not."""
        return self._over.is_set()

    def wait(self, seconds: float) -> bool:
        """Return whether it came to its end within `seconds`."""
        return self._over.wait(seconds)

    def note(self, stage: ImportStage, done: int, total: int) -> None:
        """Say how far it is."""
        self.stage, self.part = stage, done / max(total, 1)

    def run(self, work: Callable[[ImportProgress], ImportReport]) -> None:
        """Do the work and keep what came of it."""
        try:
            self.report = work(self.note)
        except DatongError as problem:
            self.problem = problem
        except Exception:
            # The thread has nobody above it: the log gets the trace, the person a sentence.
            LOGGER.exception("import %s failed", self.id)
            self.problem = Unavailable(
                "catalogue.import_failed",
                what=Text(zh="导入中断，没有写入任何内容。", en="The import broke off; nothing was written."),
                remedy=Text(zh="请稍后重试；仍然失败请联系运维。", en="Try again later; if it fails, tell operations."),
            )
        finally:
            self._over.set()


class ImportJobs:
    """The imports of one hub process, a bounded number at a time."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._jobs: dict[str, ImportJob] = {}

    def start(self, owner: str, work: Callable[[ImportProgress], ImportReport]) -> ImportJob:
        """Start an import for the account `owner`.

        Raises:
            Conflict: as many imports run as may.
        """
        job = ImportJob(owner, self._clock.now())
        with self._lock:
            if sum(not known.over for known in self._jobs.values()) >= RUNNING_MAX:
                raise Conflict(
                    "catalogue.imports_busy",
                    what=Text(zh="其他导入正在进行。", en="Other imports are running."),
                    remedy=Text(zh="请稍后再试。", en="Try again in a moment."),
                )
            finished = [key for key, known in self._jobs.items() if known.over]
            for key in finished[: max(0, len(self._jobs) + 1 - KEPT_MAX)]:
                del self._jobs[key]
            self._jobs[job.id] = job
        threading.Thread(target=job.run, args=(work,), name=f"import-{job.id}", daemon=True).start()
        return job

    def get(self, job_id: str, owner: str) -> ImportJob:
        """Return an import of `owner`, or raise NotFound."""
        with self._lock:
            job = self._jobs.get(job_id)
        if job is None or job.owner != owner:
            raise NotFound(
                "catalogue.import_not_found",
                what=Text(
                    zh="没有这次导入；平台可能已重新启动，未完成的导入不会留下内容。",
                    en="There is no such import; the hub may have been restarted. What was not finished left nothing.",
                ),
                remedy=Text(zh="请在编目工作台核对后重新导入。", en="Look at the work list, then import again."),
            )
        return job
