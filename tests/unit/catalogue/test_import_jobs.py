import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from datong.catalogue import ImportJob, ImportJobs, ImportProgress, ImportReport, ImportStage
from datong.catalogue.import_jobs import KEPT_MAX, RUNNING_MAX, SILENT_MAX
from datong.kernel import Conflict, Database, FixedClock, Invalid, NotFound, Text

REPORT = ImportReport(resources=1, readable=1, errors=0, warnings=0, problems=(), taken=True)
PATIENCE_SECONDS = 120


CLOCK = FixedClock(datetime(2026, 11, 24, tzinfo=UTC))


@pytest.fixture
def jobs(control_database: Database) -> ImportJobs:
    return ImportJobs(database=control_database, clock=CLOCK)


def test_an_import_tells_how_far_it_is_and_ends_with_its_report(jobs: ImportJobs) -> None:
    go_on, told = threading.Event(), threading.Event()

    def work(note: ImportProgress) -> ImportReport:
        note(ImportStage.WRITING, 1, 4)
        told.set()
        assert go_on.wait(PATIENCE_SECONDS)
        return REPORT

    job = jobs.start("p", work)
    assert told.wait(PATIENCE_SECONDS)
    assert (job.stage, job.part, job.over) == (ImportStage.WRITING, 0.25, False)
    assert jobs.get(job.id, "p") is job
    with pytest.raises(NotFound):
        jobs.get(job.id, "somebody else")
    go_on.set()
    assert job.wait(PATIENCE_SECONDS)
    assert job.report == REPORT


def test_what_goes_wrong_is_kept_for_the_page(jobs: ImportJobs) -> None:
    text = Text(zh="不能读取", en="unreadable")

    def unreadable(_note: ImportProgress) -> ImportReport:
        raise Invalid("catalogue.not_a_spreadsheet", what=text, remedy=text)

    def broken(_note: ImportProgress) -> ImportReport:
        raise ZeroDivisionError

    codes = []
    for work in (unreadable, broken):
        job = jobs.start("p", work)
        assert job.wait(PATIENCE_SECONDS)
        assert job.problem is not None
        codes.append(job.problem.code)
    assert codes == ["catalogue.not_a_spreadsheet", "catalogue.import_failed"]


def test_only_so_many_run_and_only_so_many_are_kept(jobs: ImportJobs, control_database: Database) -> None:
    go_on = threading.Event()

    def waits(_note: ImportProgress) -> ImportReport:
        assert go_on.wait(PATIENCE_SECONDS)
        return REPORT

    running = [jobs.start("p", waits) for _ in range(RUNNING_MAX)]
    with pytest.raises(Conflict):
        jobs.start("p", waits)
    go_on.set()
    assert all(job.wait(PATIENCE_SECONDS) for job in running)
    for _ in range(KEPT_MAX):
        assert jobs.start("p", waits).wait(PATIENCE_SECONDS)
    if control_database.is_sqlite:
        with pytest.raises(NotFound):
            jobs.get(running[0].id, "p")
    else:
        assert jobs.get(running[0].id, "p").report == REPORT


def test_another_process_tells_how_far_an_import_is(jobs: ImportJobs, control_database: Database) -> None:
    """On an embedded database, which one process serves, there is no other to tell."""
    later = FixedClock(CLOCK.now() + SILENT_MAX * 2)
    other, late = (ImportJobs(database=control_database, clock=clock) for clock in (CLOCK, later))
    go_on, told = threading.Event(), threading.Event()
    text = Text(zh="不能读取", en="unreadable")

    def unreadable(note: ImportProgress) -> ImportReport:
        note(ImportStage.WRITING, 1, 4)
        told.set()
        assert go_on.wait(PATIENCE_SECONDS)
        raise Invalid("catalogue.not_a_spreadsheet", what=text, remedy=text)

    job = jobs.start("p", unreadable)
    assert told.wait(PATIENCE_SECONDS)
    if control_database.is_sqlite:
        with pytest.raises(NotFound):
            other.get(job.id, "p")
    else:
        seen = other.get(job.id, "p")
        assert (seen.stage, seen.part, seen.over, seen.started_at) == (ImportStage.WRITING, 0.25, False, CLOCK.now())
        for somebody, owner in ((other, "somebody else"), (late, "p")):
            with pytest.raises(NotFound):
                somebody.get(job.id, owner)
    go_on.set()
    assert job.wait(PATIENCE_SECONDS)
    report = jobs.start("p", lambda _note: REPORT)
    assert report.wait(PATIENCE_SECONDS)
    if not control_database.is_sqlite:
        failed = eventually(lambda: late.get(job.id, "p"))
        assert failed.problem is not None
        assert (failed.problem.code, failed.problem.what) == ("catalogue.not_a_spreadsheet", text)
        assert eventually(lambda: other.get(report.id, "p")).report == REPORT


def eventually(look: Callable[[], ImportJob]) -> ImportJob:
    """Return an import that another process tells the end of, a moment after it."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        with suppress(NotFound):
            job = look()
            if job.over:
                return job
        assert time.monotonic() < until
        time.sleep(0.01)
