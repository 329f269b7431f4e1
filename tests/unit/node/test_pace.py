"""The rate limit of a task."""

from datong.node.outbox import Pace


def test_rows_over_the_rate_wait() -> None:
    waits: list[float] = []
    pace = Pace(100, waits.append)
    pace.passed(50)
    pace.passed(50)
    assert len(waits) == 2
    assert 0.4 < waits[0] <= 0.5
    assert 0.9 < waits[1] <= 1.0


def test_no_rate_never_waits() -> None:
    waits: list[float] = []
    Pace(None, waits.append).passed(10**9)
    assert not waits
