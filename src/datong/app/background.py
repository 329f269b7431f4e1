"""Background work of one process: the periodic sweeps, and library builds as durable jobs."""

from datong.adapters.durable_jobs import DurableJobs
from datong.app.composition import Hub
from datong.app.worker import Sweep, Worker
from datong.kernel import BuildId

BUILD_JOB = "library-build"
BUILD_INTERVAL_SECONDS = 0.5


class Background:
    """Starts and stops what a hub does besides answering requests."""

    def __init__(self, hub: Hub) -> None:
        self._library = hub.services.library
        settings = hub.settings
        embedded = hub.database.is_sqlite
        self._jobs = DurableJobs(
            database_url=f"sqlite:///{(settings.home / 'jobs.sqlite').absolute()}" if embedded else hub.database.url,
            executor_id="hub",
            handlers={BUILD_JOB: lambda key: self._build(BuildId(key))},
        )
        builds = Sweep(name="builds", interval_seconds=BUILD_INTERVAL_SECONDS, run=self._queue_builds)
        self._worker = Worker([*hub.sweeps(), builds])

    def start(self) -> None:
        """Resume unfinished jobs and begin the sweeps."""
        self._jobs.start()
        self._worker.start()

    def stop(self) -> None:
        """End the sweeps and the queue; unfinished jobs are resumed by the next start."""
        self._worker.stop()
        self._jobs.stop()

    def wait(self) -> None:
        """Block until `stop` is called."""
        self._worker.wait()

    def _queue_builds(self) -> bool:
        """Queue every build that waits; a build that is queued already stays as it is."""
        for build_id in self._library.pending_builds():
            self._jobs.submit(BUILD_JOB, build_id)
        return False

    def _build(self, build_id: BuildId) -> None:
        self._library.run_build(build_id)
