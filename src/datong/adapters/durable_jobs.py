"""Durable jobs on DBOS: work that outlives the process that began it.

A job is a kind and a key, for example a library build and its id. Submitting the same job twice runs it once; a job
that a killed process left unfinished is run again when a process with the same executor id starts. Handlers must
therefore be resumable: correctness sits in what they write, and this engine stays replaceable (docs/adr/0006).

DBOS keeps one global instance per process, so this module does as well; it is imported only by processes that do
background work, since the import takes longer than the rest of the hub together.
"""

from collections.abc import Callable, Collection, Mapping

from dbos import DBOS, DBOSConfig, SetWorkflowID
from dbos import error as dbos_error
from sqlalchemy.exc import SQLAlchemyError

from datong.kernel import Text, Unavailable

QUEUE = "datong"
POLL_SECONDS = 0.25

_handlers: dict[str, Callable[[str], None]] = {}


class JobInterrupted(BaseException):
    """A handler has to stop before its work is done: the job stays unfinished, and the next start runs it again.

    It is no `Exception`, since those end a job for good.
    """


@DBOS.step(name="datong.run")
def _run(kind: str, key: str) -> None:
    _handlers[kind](key)


@DBOS.workflow(name="datong.job")
def _job(kind: str, key: str) -> None:
    _run(kind, key)


class DurableJobs:
    """A queue of jobs in the system database at `database_url` (SQLite file or PostgreSQL); `at_once` run together."""

    def __init__(
        self, *, database_url: str, executor_id: str, at_once: int, handlers: Mapping[str, Callable[[str], None]]
    ) -> None:
        self._at_once = at_once
        self._config: DBOSConfig = {
            "name": "datong",
            "system_database_url": database_url,
            "application_version": "1",
            "executor_id": executor_id,
            "log_level": "WARNING",
            "enable_otlp": False,
        }
        self._job_handlers = dict(handlers)

    def start(self) -> None:
        """Open the queue and resume what an earlier process with this executor id left unfinished.

        Raises:
            Unavailable: the system database does not answer; nothing is left half open.
        """
        _handlers.clear()
        _handlers.update(self._job_handlers)
        try:
            DBOS(config=self._config)
            DBOS.launch()
            DBOS.register_queue(QUEUE, worker_concurrency=self._at_once, polling_interval_sec=POLL_SECONDS)
        except Exception as error:
            DBOS.destroy()
            if not isinstance(error, dbos_error.DBOSException | SQLAlchemyError):
                raise
            raise Unavailable(
                "adapters.jobs_unavailable",
                what=Text(zh=f"后台任务队列打不开：{error}。", en=f"The queue of jobs cannot be opened: {error}."),
                remedy=Text(zh="请检查任务数据库；稍后会自动重试。", en="Check the jobs database; it is tried again."),
            ) from error

    def submit(self, kind: str, key: str) -> None:
        """Queue the job; a job of this kind and key that was ever queued is left as it is."""
        with SetWorkflowID(f"{kind}:{key}"):
            DBOS.enqueue_workflow(QUEUE, _job, kind, key)

    def rescue(self, live: Collection[str]) -> int:
        """Have the jobs that executors which live no more left unfinished run again, by anybody; return how many."""
        left = [
            job.workflow_id
            for job in DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
            if job.executor_id not in live
        ]
        for workflow_id in left:
            DBOS.resume_workflow(workflow_id, queue_name=QUEUE)
        return len(left)

    def stop(self) -> None:
        """Close the queue; running jobs are resumed by the next start."""
        DBOS.destroy()
