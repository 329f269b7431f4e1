"""Background work of one process: the periodic sweeps, and library builds as durable jobs."""

import logging
import time

from datong import adapters
from datong.app.hub import Hub
from datong.app.leases import EveryTurn, Leases, Turns
from datong.app.opening import library_place_unusable
from datong.app.worker import Sweep, Worker
from datong.kernel import BuildId, DatongError
from datong.library import Following

BUILD_JOB = "library-build"
RESCUE = "rescue"
"""The turn of looking whether a worker that lives no more left a build unfinished."""
RESCUE_INTERVAL_SECONDS = 5.0
BUILD_INTERVAL_SECONDS = 0.5
BUILD_RETRY_SECONDS = 2.0
REFRESH_INTERVAL_SECONDS = 20.0
"""How often it is looked whether an input of a derived library has a newer version."""
SHELF_INTERVAL_SECONDS = 60.0
"""How often it is looked whether a version that should lie on the shelf does not."""
CACHE_INTERVAL_SECONDS = 5.0
"""How soon a cache has a version that was published, and how soon it has no more what was disposed of."""
LOGGER = logging.getLogger("datong.background")


def cache_worker(hub: Hub) -> Worker | None:
    """Fill this machine's cache of the libraries, and return what keeps it fresh; None where they are no cache.

    Nothing is served before: whoever asked would wait for a download.
    """
    shelving = hub.services.library.shelving
    if shelving is None or not shelving.cache:
        return None
    try:
        shelving.catch_up()
    except DatongError as error:
        LOGGER.warning("the libraries are served as far as they are here: %s", error)
    take = Sweep(name="library-cache", interval_seconds=CACHE_INTERVAL_SECONDS, run=shelving.catch_up, everywhere=True)
    return Worker([take])


class Background:
    """Starts and stops what a hub does besides answering requests."""

    def __init__(self, hub: Hub) -> None:
        """Prepare the work of `hub`.

        Raises:
            Misconfigured: this machine has only a cache of the libraries, and builds nothing.
        """
        if hub.settings.library_place == "cache":
            raise library_place_unusable(hub.settings)
        self._library = hub.services.library
        self._hub = hub
        self._jobs: adapters.DurableJobs | None = None
        self._queued: set[BuildId] = set()
        self._rescue_at = 0.0
        # Every process takes builds from the queue, so each opens it when there is one.
        builds = Sweep(name="builds", interval_seconds=BUILD_INTERVAL_SECONDS, run=self._queue_builds, everywhere=True)
        refresh = Sweep(name="derived", interval_seconds=REFRESH_INTERVAL_SECONDS, run=self._refresh)
        self._following = Following(self._library, rest_seconds=hub.settings.library_rest_seconds)
        follow = Sweep(name="following", interval_seconds=REFRESH_INTERVAL_SECONDS, run=self._follow)
        sweeps = [*hub.sweeps(), builds, refresh, follow]
        if self._library.shelving is not None:
            shelf = self._library.shelving.catch_up
            sweeps.append(Sweep(name="shelf", interval_seconds=SHELF_INTERVAL_SECONDS, run=shelf))
        alone = [sweep.name for sweep in sweeps if not sweep.everywhere]
        # The log comes first: whatever else is late, evidence is not.
        alone.sort(key=lambda name: name != "log")
        self._turns: Turns = (
            EveryTurn() if hub.database.is_sqlite else Leases(hub.database, hub.worker_name, [*alone, RESCUE])
        )
        self._worker = Worker(sweeps, self._turns)

    def start(self) -> None:
        """Begin the sweeps; the first look for builds finds those that an earlier process left unfinished."""
        self._worker.start()

    def stop(self) -> None:
        """End the sweeps and the queue; unfinished jobs are resumed by the next start."""
        self._worker.stop()
        if self._jobs is not None:
            self._jobs.stop()

    def _queue_builds(self) -> bool:
        """Queue the oldest waiting build of every library; a build that is queued already stays as it is."""
        libraries: set[str] = set()
        pending = self._library.pending_builds()
        if pending:
            self._rescue()
        for build_id in pending:
            library = self._library.build(build_id).library
            if library not in libraries and build_id not in self._queued:
                self._queue().submit(BUILD_JOB, build_id)
                self._queued.add(build_id)
            libraries.add(library)
        return False

    def _rescue(self) -> None:
        """Have builds run again whose worker lives no more; its lock on the library ended with it."""
        live = self._turns.live() if self._turns.holds(RESCUE) and time.monotonic() >= self._rescue_at else None
        if live is not None:
            self._rescue_at = time.monotonic() + RESCUE_INTERVAL_SECONDS
            self._queue().rescue(live)

    def _refresh(self) -> bool:
        """Request the builds of derived libraries whose inputs have changed."""
        return bool(self._library.refresh_derived())

    def _follow(self) -> bool:
        """Request the builds of libraries that fell behind what has landed."""
        return bool(self._following.request_due(time.monotonic()))

    def _queue(self) -> "adapters.DurableJobs":
        """Return the queue of jobs, opened at the first build: its library takes long to load, and polls."""
        if self._jobs is None:
            settings, database = self._hub.settings, self._hub.database
            jobs_path = (settings.home / "jobs.sqlite").absolute()
            jobs = adapters.DurableJobs(
                database_url=f"sqlite:///{jobs_path}" if database.is_sqlite else database.url,
                executor_id=self._hub.worker_name,
                at_once=settings.builds_at_once,
                handlers={BUILD_JOB: lambda key: self._build(BuildId(key))},
            )
            jobs.start()
            self._jobs = jobs
        return self._jobs

    def _build(self, build_id: BuildId) -> None:
        """Run a build; what hinders it for a while (another process has the library, no room) is waited for.

        Raises:
            JobInterrupted: the hub stops meanwhile.
            DatongError: the build failed for good.
        """
        while not self._tried(build_id):
            if self._worker.wait(BUILD_RETRY_SECONDS):
                raise adapters.JobInterrupted

    def _tried(self, build_id: BuildId) -> bool:
        """Run a build and return whether it came to its end; False: what hinders it may pass."""
        try:
            self._library.run_build(build_id)
        except DatongError as error:
            if not error.transient:
                raise
            LOGGER.warning("build %s will be tried again: %s", build_id, error)
            return False
        return True
