import threading
from datetime import UTC, datetime

import pytest

from datong.catalogue import ImportJobs, ImportProgress, ImportReport, ImportStage
from datong.catalogue.import_jobs import KEPT_MAX, RUNNING_MAX
from datong.kernel import Conflict, FixedClock, Invalid, NotFound, Text

REPORT = ImportReport(resources=1, readable=1, errors=0, warnings=0, problems=(), taken=True)
PATIENCE_SECONDS = 30


@pytest.fixture
def jobs() -> ImportJobs:
    return ImportJobs(clock=FixedClock(datetime(2026, 11, 24, tzinfo=UTC)))


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


def test_only_so_many_run_and_only_so_many_are_kept(jobs: ImportJobs) -> None:
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
    with pytest.raises(NotFound):
        jobs.get(running[0].id, "p")
