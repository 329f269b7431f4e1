"""Imports that take longer than a request should: each runs in a thread of its own, and pages ask how far it is.

The process that does an import keeps it in memory, and on PostgreSQL tells the others by a row, at most once a second:
a page may be asked of any of them. (An embedded database has one writer, which is the import; and one process.) A hub
that stops rolls the import back; who asks afterwards is told that there is no such import, and finds all of it in the
catalogue, or nothing.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Self

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import SQLAlchemyError

from datong.catalogue.interchange import ImportProgress, ImportReport, ImportStage
from datong.catalogue.tables import import_job
from datong.kernel import Clock, Conflict, Database, DatongError, NotFound, Text, Unavailable, Value, new_id

LOGGER = logging.getLogger("datong.catalogue")
RUNNING_MAX = 2
KEPT_MAX = 50
KEPT_FOR = timedelta(days=1)
TOLD_EVERY_SECONDS = 1.0
SILENT_MAX = timedelta(minutes=2)
"""An import of another process that was silent for so long ended with it."""


class _Told(Value):
    """What one process tells the others of an import."""

    stage: ImportStage
    part: float
    over: bool
    report: ImportReport | None = None
    problem_code: str = ""
    what: Text | None = None
    remedy: Text | None = None


class ImportJob:
    """One import, written by its own thread and read by pages; `over` once there is a report or a problem."""

    def __init__(
        self,
        owner: str,
        started_at: datetime,
        tell: Callable[["ImportJob"], None] = lambda _job: None,
        job_id: str | None = None,
    ) -> None:
        self.id = job_id or new_id()
        self.owner, self.started_at = owner, started_at
        self.stage, self.part = ImportStage.READING, 0.0
        self.report: ImportReport | None = None
        self.problem: DatongError | None = None
        self._over = threading.Event()
        self._tell = tell
        self._tell_at = 0.0
        self._ending = False

    @classmethod
    def of_another(cls, job_id: str, owner: str, started_at: datetime, content: object) -> Self:
        """Return an import of another process, as that one told of it."""
        said = _Told.model_validate(content)
        job = cls(owner, started_at, job_id=job_id)
        job.stage, job.part, job.report = said.stage, said.part, said.report
        if said.what is not None and said.remedy is not None:
            job.problem = DatongError(said.problem_code, what=said.what, remedy=said.remedy)
        if said.over:
            job._over.set()
        return job

    def told(self) -> dict[str, object]:
        """Return what others may know of it; they know first that it is over."""
        problem = self.problem
        said = _Told(
            stage=self.stage,
            part=self.part,
            over=self.over or self._ending,
            report=self.report,
            problem_code="" if problem is None else problem.code,
            what=None if problem is None else problem.what,
            remedy=None if problem is None else problem.remedy,
        )
        return said.model_dump(mode="json")

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
        if time.monotonic() >= self._tell_at:
            self._tell_at = time.monotonic() + TOLD_EVERY_SECONDS
            self._tell(self)

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
            self._ending = True
            self._tell(self)
            self._over.set()


class ImportJobs:
    """The imports of one hub process, a bounded number at a time, and what others tell of theirs."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._jobs: dict[str, ImportJob] = {}

    def start(self, owner: str, work: Callable[[ImportProgress], ImportReport]) -> ImportJob:
        """Start an import for the account `owner`.

        Raises:
            Conflict: as many imports run as may.
        """
        job = ImportJob(owner, self._clock.now(), self._tell)
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
        self._tell(job)
        threading.Thread(target=job.run, args=(work,), name=f"import-{job.id}", daemon=True).start()
        return job

    def get(self, job_id: str, owner: str) -> ImportJob:
        """Return an import of `owner`, or raise NotFound."""
        with self._lock:
            job = self._jobs.get(job_id)
        if job is None:
            job = self._of_another(job_id)
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

    def _tell(self, job: ImportJob) -> None:
        """Tell the other processes how far an import is; that they cannot be told does not end it."""
        if self._database.is_sqlite:
            return
        now = self._clock.now()
        row = {"owner": job.owner, "started_at": job.started_at, "told_at": now, "content": job.told()}
        try:
            with self._database.transaction() as connection:
                connection.execute(delete(import_job).where(import_job.c.told_at < now - KEPT_FOR))
                connection.execute(
                    postgresql.insert(import_job)
                    .values(id=job.id, **row)
                    .on_conflict_do_update(index_elements=["id"], set_=row)
                )
        except SQLAlchemyError:
            LOGGER.warning("other processes were not told of import %s", job.id, exc_info=True)

    def _of_another(self, job_id: str) -> ImportJob | None:
        """Return an import of another process, unless that one fell silent in the midst of it."""
        if self._database.is_sqlite:
            return None
        with self._database.snapshot() as connection:
            row = connection.execute(select(import_job).where(import_job.c.id == job_id)).mappings().first()
        if row is None:
            return None
        job = ImportJob.of_another(row["id"], row["owner"], row["started_at"], row["content"])
        return job if job.over or self._clock.now() - row["told_at"] <= SILENT_MAX else None
