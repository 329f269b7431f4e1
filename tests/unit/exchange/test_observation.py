"""How transfers stand: lag, speed, queues, the last success, on both control databases; what nodes report."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.exchange import (
    Confirmed,
    Cursor,
    Retry,
    RunReason,
    RunState,
    Schedule,
    SchemaReport,
    SourceReport,
    TaskState,
    signed_schema_report,
)
from datong.exchange.observation import lag_seconds, moment_of_cursor
from datong.kernel import PLATFORM_ACTOR, Database, DepartmentCode, NodeId, Refused, TaskId
from tests.unit.exchange.test_hub import CONSUMER, NODE
from tests.unit.exchange.test_runs import TimedScene, failure

NOW = datetime(2026, 11, 24, 4, tzinfo=UTC)


@pytest.fixture
def scene(tmp_path: Path, control_database: Database) -> TimedScene:
    return TimedScene(tmp_path, control_database)


def test_a_running_transfer_shows_queue_speed_and_what_is_left(scene: TimedScene) -> None:
    task = scene.task()
    scene.runs.begin(task.id, 1, expected_rows=100, actor=NODE)
    scene.clock.advance(timedelta(seconds=10))
    signed, payload = scene.cut(task, Confirmed(), range(25), last=False)
    scene.upload(signed, payload)
    scene.clock.advance(timedelta(seconds=10))
    now = scene.exchange.observation.status(task.id)
    assert (now.rows, now.rows_applied, now.queue_batches, now.queue_bytes) == (25, 0, 1, len(payload))
    assert now.rows_per_second == round(25 / 60, 1)
    assert now.eta_seconds == 60.0
    assert now.lag_seconds == 20.0
    assert now.is_moving
    assert now.last_success_at is None


def test_after_success_nothing_lags(scene: TimedScene) -> None:
    task = scene.task()
    signed, payload = scene.cut(task, Confirmed(), range(25))
    scene.upload(signed, payload)
    scene.exchange.finish_run(task.id, 1, actor=NODE)
    scene.clock.advance(timedelta(seconds=5))
    scene.receive(signed)
    scene.clock.advance(timedelta(minutes=2))
    now = scene.exchange.observation.status(task.id)
    assert (now.queue_batches, now.lag_seconds, now.is_moving, now.rows_per_second) == (0, 0.0, False, 0.0)
    assert now.last_success_at == scene.clock.now() - timedelta(minutes=2)
    assert now.run is not None
    assert now.run.state is RunState.DONE
    points = scene.exchange.observation.throughput([task.id], minutes=5)[task.id]
    assert [point.rows for point in points] == [0, 0, 25, 0, 0]
    assert [point.rows_applied for point in points] == [0, 0, 25, 0, 0]
    assert scene.exchange.observation.everything()[0].task.id == task.id


def test_lists_show_what_concerns_a_department(scene: TimedScene) -> None:
    task = scene.task()
    page = scene.exchange.observation.statuses(department=DepartmentCode("education"))
    assert [one.task.id for one in page.rows] == [task.id]
    assert scene.exchange.observation.statuses(department=DepartmentCode("nobody")).rows == ()


def test_what_goes_on_only_when_somebody_acts_is_told_to_both_departments(scene: TimedScene) -> None:
    failed, stopped, fine = scene.task(retry=Retry(attempts_max=1)), scene.task(), scene.task()
    scene.runs.fail(failed.id, 1, failure(), actor=NODE)
    report = SchemaReport(task_id=stopped.id, department=stopped.provider, shape=None, at=NOW)
    scene.exchange.schemas.report(signed_schema_report(report, scene.police), actor=NODE)
    for code in ("police", "education"):
        found = scene.exchange.observation.troubled(DepartmentCode(code))
        assert {one.task.id for one in found} == {failed.id, stopped.id}
    assert scene.exchange.observation.troubled(DepartmentCode("nobody")) == ()
    scene.exchange.request_run(failed.id, actor=PLATFORM_ACTOR)
    scene.exchange.end(stopped.id, actor=PLATFORM_ACTOR)
    assert scene.exchange.observation.troubled() == ()
    assert scene.exchange.task(fine.id).state is TaskState.ACTIVE


def test_a_source_that_has_changed_is_run_once_a_change(scene: TimedScene) -> None:
    draft = scene.draft(schedule=Schedule(on_change_seconds=5))
    task = scene.exchange.create_task(draft, actor=PLATFORM_ACTOR)
    watch = scene.exchange.observation
    assert [(work.task.id, work.idle) for work in scene.exchange.work_for(NodeId(NODE.id)).watch] == [(task.id, True)]
    watch.change_seen(task.id, "a", actor=NODE)
    watch.change_seen(task.id, "b", actor=NODE)
    assert scene.runs.run(task.id, 1).reason is RunReason.CHANGE
    scene.exchange.finish_run(task.id, 1, actor=NODE)
    watch.change_seen(task.id, "a", actor=NODE)
    assert scene.exchange.task(task.id).run_requested == 1
    watch.change_seen(task.id, "b", actor=NODE)
    assert scene.exchange.task(task.id).run_requested == 2
    with pytest.raises(Refused):
        watch.change_seen(task.id, "c", actor=CONSUMER)


def test_a_task_that_does_not_run_on_change_is_not_run_by_one(scene: TimedScene) -> None:
    task = scene.exchange.create_task(scene.draft(), actor=PLATFORM_ACTOR)
    scene.exchange.observation.change_seen(task.id, "a", actor=NODE)
    assert scene.exchange.task(task.id).run_requested == 0


def test_only_the_producer_reports_about_a_source(scene: TimedScene) -> None:
    task = scene.task()
    report = SourceReport(task_id=task.id, newest=NOW, spool_batches=2, spool_bytes=10)
    scene.exchange.observation.note(NodeId(CONSUMER.id), [report])
    assert scene.exchange.observation.status(task.id).spool_bytes == 0
    scene.exchange.observation.note(NodeId(NODE.id), [report, SourceReport(task_id=TaskId("none"))])
    now = scene.exchange.observation.status(task.id)
    assert (now.spool_batches, now.spool_bytes, now.source_newest) == (2, 10, NOW)


def test_lag_is_the_distance_between_moments_or_the_age_of_what_waits() -> None:
    hour = timedelta(hours=1)
    assert lag_seconds(NOW, source=NOW, applied=NOW - hour, waiting=[]) == 3600
    assert lag_seconds(NOW, source=NOW - hour, applied=NOW, waiting=[NOW - hour]) == 0
    assert lag_seconds(NOW, source=None, applied=NOW, waiting=[NOW - hour, NOW]) == 3600
    assert lag_seconds(NOW, source=None, applied=None, waiting=[]) == 0


@given(st.lists(st.text(max_size=30), max_size=2))
def test_any_cursor_is_a_moment_or_none(values: list[str]) -> None:
    moment = moment_of_cursor(Cursor(values=tuple(values)))
    assert moment is None or moment.tzinfo is not None
