"""Reconciliations by schedule, on both control databases."""

from datetime import timedelta
from pathlib import Path

import pytest

from datong.exchange import Confirmed, ReconciliationState
from datong.kernel import PLATFORM_ACTOR, Database
from tests.unit.exchange.test_hub import NODE
from tests.unit.exchange.test_runs import TimedScene


@pytest.fixture
def scene(tmp_path: Path, control_database: Database) -> TimedScene:
    return TimedScene(tmp_path, control_database)


def test_a_task_is_reconciled_every_so_many_hours_until_that_is_taken_back(scene: TimedScene) -> None:
    reconciliations = scene.exchange.reconciliations
    task = scene.task()
    reconciliations.schedule(task.id, 24, actor=PLATFORM_ACTOR)
    assert reconciliations.every_hours(task.id) == 24
    assert not reconciliations.keep_up(), "there is nothing to compare before the first batch"
    signed, payload = scene.cut(task, Confirmed(), range(5))
    scene.upload(signed, payload)
    scene.exchange.finish_run(task.id, 1, actor=NODE)
    scene.receive(signed)
    assert reconciliations.keep_up()
    assert not reconciliations.keep_up(), "it is asked once"
    first = reconciliations.newest(task.id)
    assert first is not None
    assert first.state is ReconciliationState.WAITING
    scene.clock.advance(timedelta(hours=25))
    assert reconciliations.keep_up()
    second, given_up = reconciliations.history(task.id, 2)
    assert (given_up.id, given_up.state) == (first.id, ReconciliationState.ABANDONED)
    assert second.state is ReconciliationState.WAITING
    reconciliations.schedule(task.id, None, actor=PLATFORM_ACTOR)
    scene.clock.advance(timedelta(hours=25))
    assert not reconciliations.keep_up()
    assert reconciliations.every_hours(task.id) is None
