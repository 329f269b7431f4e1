"""Background work of one process: the periodic sweeps, and library builds as durable jobs."""

from datong import adapters
from datong.app.composition import Hub
from datong.app.worker import Sweep, Worker
from datong.kernel import BuildId

BUILD_JOB = "library-build"
BUILD_INTERVAL_SECONDS = 0.5
REFRESH_INTERVAL_SECONDS = 20.0
"""How often it is looked whether an input of a derived library has a newer version."""


class Background:
    """Starts and stops what a hub does besides answering requests."""

    def __init__(self, hub: Hub) -> None:
        self._library = hub.services.library
        self._hub = hub
        self._jobs: adapters.DurableJobs | None = None
        self._queued: set[BuildId] = set()
        builds = Sweep(name="builds", interval_seconds=BUILD_INTERVAL_SECONDS, run=self._queue_builds)
        refresh = Sweep(name="derived", interval_seconds=REFRESH_INTERVAL_SECONDS, run=self._refresh)
        self._worker = Worker([*hub.sweeps(), builds, refresh])

    def start(self) -> None:
        """Begin the sweeps; the first look for builds finds those that an earlier process left unfinished."""
        self._worker.start()

    def stop(self) -> None:
        """End the sweeps and the queue; unfinished jobs are resumed by the next start."""
        self._worker.stop()
        if self._jobs is not None:
            self._jobs.stop()

    def wait(self) -> None:
        """Block until `stop` is called."""
        self._worker.wait()

    def _queue_builds(self) -> bool:
        """Queue every build that waits; a build that is queued already stays as it is."""
        for build_id in self._library.pending_builds():
            if build_id not in self._queued:
                self._queue().submit(BUILD_JOB, build_id)
                self._queued.add(build_id)
        return False

    def _refresh(self) -> bool:
        """Request the builds of derived libraries whose inputs have changed."""
        return bool(self._library.refresh_derived())

    def _queue(self) -> "adapters.DurableJobs":
        """Return the queue of jobs, opened at the first build: its library takes long to load, and polls."""
        if self._jobs is None:
            settings, database = self._hub.settings, self._hub.database
            jobs_path = (settings.home / "jobs.sqlite").absolute()
            jobs = adapters.DurableJobs(
                database_url=f"sqlite:///{jobs_path}" if database.is_sqlite else database.url,
                executor_id=settings.worker_name,
                handlers={BUILD_JOB: lambda key: self._build(BuildId(key))},
            )
            jobs.start()
            self._jobs = jobs
        return self._jobs

    def _build(self, build_id: BuildId) -> None:
        self._library.run_build(build_id)
