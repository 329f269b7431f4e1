import threading

import pytest

from datong.app.worker import FAILED_SWEEPS, Sweep, Worker
from datong.kernel import Text, Unavailable


def test_a_sweep_repeats_at_once_while_there_is_more() -> None:
    turns: list[int] = []
    done = threading.Event()

    def run() -> bool:
        turns.append(len(turns))
        if len(turns) == 5:
            done.set()
        return len(turns) < 5

    worker = Worker([Sweep(name="busy", interval_seconds=3600, run=run)])
    worker.start()
    assert done.wait(60)
    worker.stop()
    assert turns == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "failure",
    [
        Unavailable("test.away", what=Text(zh="不在", en="Away."), remedy=Text(zh="等", en="Wait.")),
        OSError("disk"),
        ValueError("data that nobody expected"),
        KeyError("missing"),
    ],
)
def test_a_failed_sweep_is_counted_and_tried_again(failure: Exception) -> None:
    before = FAILED_SWEEPS.labels(sweep="flaky")._value.get()
    done = threading.Event()
    turns: list[int] = []

    def run() -> bool:
        turns.append(1)
        if len(turns) < 3:
            raise failure
        done.set()
        return False

    worker = Worker([Sweep(name="flaky", interval_seconds=0.01, run=run)])
    worker.start()
    assert done.wait(60)
    worker.stop()
    assert FAILED_SWEEPS.labels(sweep="flaky")._value.get() - before == 2
