"""Which versions are due: never the current one, never one that is held, never one that is young enough."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from datong.library.retention_rules import RetentionRule, disposable_at, due_versions, version_at, version_times

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
GAPS = st.lists(st.integers(min_value=0, max_value=40), min_size=1, max_size=12)


def _times(gaps: list[int]) -> list[tuple[int, datetime]]:
    days = [sum(gaps[: place + 1]) for place in range(len(gaps))]
    return [(place + 1, START + day * DAY) for place, day in enumerate(days)]


@given(
    gaps=GAPS,
    rule=st.builds(RetentionRule, days=st.integers(0, 60), versions_min=st.integers(1, 5)),
    held=st.sets(st.integers(1, 12)),
    after=st.integers(0, 600),
)
def test_what_is_due_is_old_enough_unheld_and_not_among_the_newest(
    gaps: list[int], rule: RetentionRule, held: set[int], after: int
) -> None:
    times = version_times(_times(gaps))
    now = START + after * DAY
    due = due_versions(times, rule, held=held, now=now)
    newest = {one.version for one in times[-rule.versions_min :]}
    for one in times:
        end = disposable_at(one, rule)
        expected = one.version not in newest and one.version not in held and end is not None and end <= now
        assert (one.version in due) is expected
    assert times[-1].version not in due
    assert list(due) == sorted(due)


def test_a_moment_finds_the_version_that_was_served_then() -> None:
    times = version_times(_times([0, 10, 10]))
    assert version_at(times, START - DAY) is None
    assert version_at(times, START) == 1
    assert version_at(times, START + 15 * DAY) == 2
    assert version_at(times, START + 900 * DAY) == 3
    assert [one.superseded_at for one in times] == [START + 10 * DAY, START + 20 * DAY, None]
