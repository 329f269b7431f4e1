"""The rules of liability, by example and by property."""

from datetime import datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.governance import Duty, DutyKind, Finding, Party, judge
from datong.governance.judgement import working_seconds
from datong.kernel import CHINA
from tests.unit.governance.samples import BUREAU, CALENDAR, EDUCATION, MONDAY, POLICE, duty, late_duties, span

HOURS = st.integers(0, 3000)


def assess(subject: Duty, now: datetime) -> Finding:
    """Return the finding that there must be."""
    finding = judge(subject, now=now, calendar=CALENDAR)
    assert finding is not None
    return finding


def test_a_duty_within_its_deadline_is_no_breach() -> None:
    """Nothing is found before the deadline, nor when the act came in time."""
    pending = duty(span(Party.PROVIDER, MONDAY))
    assert judge(pending, now=pending.due_at - timedelta(seconds=1), calendar=CALENDAR) is None
    kept = duty(span(Party.PROVIDER, MONDAY), done_at=pending.due_at - timedelta(seconds=1))
    assert judge(kept, now=MONDAY + timedelta(days=365), calendar=CALENDAR) is None


def test_a_silent_provider_answers_for_the_whole() -> None:
    """The only party that held the ball has every share, and pays per breach and per working day."""
    silent = duty(span(Party.PROVIDER, MONDAY))
    finding = assess(silent, datetime(2026, 11, 18, 10, 0, tzinfo=CHINA))
    assert finding.delay_working_days == 2
    assert finding.points == 200 + 2 * 50
    assert [(part.party, part.department, part.share, part.points) for part in finding.parties] == [
        (Party.PROVIDER, POLICE, 1.0, 300)
    ]
    assert finding.clause.article == 21
    assert not finding.settled
    assert "2 个工作日" in finding.summary.zh


def test_waiting_for_the_consumer_is_the_consumer_s() -> None:
    """A provider that was ready within its limit answers for nothing while the consumer's signature is missing."""
    waiting = duty(
        span(Party.PROVIDER, MONDAY, 0),
        span(Party.CONSUMER, MONDAY + timedelta(days=1), 1),
        kind=DutyKind.PROVISION,
    )
    finding = assess(waiting, waiting.due_at + timedelta(days=7))
    assert [(part.party, part.department) for part in finding.parties] == [(Party.CONSUMER, EDUCATION)]


def test_both_may_have_a_part() -> None:
    """Each answers for the working time it held the ball beyond what it was allowed."""
    due_at = CALENDAR.deadline(MONDAY, 1)
    both = duty(
        span(Party.PROVIDER, MONDAY.replace(hour=0), 0),
        span(Party.CONSUMER, datetime(2026, 11, 5, 0, 0, tzinfo=CHINA), 1),
        due_at=due_at,
        done_at=datetime(2026, 11, 6, 0, 0, tzinfo=CHINA),
    )
    finding = assess(both, datetime(2026, 12, 1, 0, 0, tzinfo=CHINA))
    assert {part.party: part.basis_points for part in finding.parties} == {Party.PROVIDER: 5000, Party.CONSUMER: 5000}
    assert finding.settled


def test_a_deadline_missed_over_a_holiday_is_the_owner_s() -> None:
    """Where no working time passed since the deadline, there is a breach without a day of delay."""
    due_at = datetime(2026, 11, 7, 0, 0, tzinfo=CHINA)
    finding = assess(duty(span(Party.PROVIDER, MONDAY), due_at=due_at), datetime(2026, 11, 8, 12, 0, tzinfo=CHINA))
    assert finding.delay_working_days == 0
    assert finding.points == 200
    assert finding.parties[0].basis_points == 10_000


def test_an_overdue_review_is_the_authority_s() -> None:
    """Article 17 binds the authority."""
    review = duty(span(Party.AUTHORITY, MONDAY), kind=DutyKind.REVIEW, due_at=CALENDAR.deadline(MONDAY, 2))
    finding = assess(review, MONDAY + timedelta(days=10))
    assert finding.parties[0].department == BUREAU
    assert finding.clause.article == 17


def test_rejected_rows_are_the_signer_s_and_cost_by_their_share() -> None:
    """A batch whose rows were all taken is no finding; the more were rejected, the more it costs."""
    held = span(Party.PROVIDER, MONDAY)
    assert judge(duty(held, kind=DutyKind.QUALITY, amount=100), now=MONDAY, calendar=CALENDAR) is None
    few = assess(duty(held, kind=DutyKind.QUALITY, faults=1, amount=1000), MONDAY)
    many = assess(duty(held, kind=DutyKind.QUALITY, faults=500, amount=1000), MONDAY)
    assert few.points == 50 + 10
    assert many.points == 50 + 5000
    assert few.settled
    assert "拒收 1 行" in few.summary.zh


def test_a_duty_that_nobody_held_is_an_error() -> None:
    """A duty without a span is not evidence of anything."""
    with pytest.raises(ValueError, match="no span"):
        judge(duty(), now=MONDAY, calendar=CALENDAR)


@given(late_duties(), HOURS)
def test_shares_sum_to_one_and_points_to_their_total(late: Duty, hours: int) -> None:
    """Whatever happened, the parties' shares are a whole and their points the finding's."""
    finding = judge(late, now=late.due_at + timedelta(hours=hours), calendar=CALENDAR)
    if finding is not None:
        assert sum(part.basis_points for part in finding.parties) == 10_000
        assert sum(part.points for part in finding.parties) == finding.points
        assert all(part.basis_points > 0 for part in finding.parties)


@given(late_duties(), HOURS, st.randoms(use_true_random=False))
def test_the_order_of_evidence_does_not_matter(late: Duty, hours: int, random: Random) -> None:
    """Shuffled and doubled evidence gives the same finding."""
    spans, evidence = list(late.spans), [*late.evidence, *late.evidence]
    random.shuffle(spans)
    shuffled = late.model_copy(update={"spans": tuple(spans), "evidence": tuple(evidence)})
    now = late.due_at + timedelta(hours=hours)
    assert judge(shuffled, now=now, calendar=CALENDAR) == judge(late, now=now, calendar=CALENDAR)


@given(late_duties(), HOURS, HOURS)
def test_more_delay_never_means_fewer_points(late: Duty, first: int, second: int) -> None:
    """Points in total, and those of the party that holds the ball last, never fall as the delay grows."""
    open_duty = late.model_copy(update={"done_at": None})
    earlier, later = sorted((first, second))
    last = max(open_duty.spans, key=lambda held: (held.since, held.entry_id, held.party))
    start = max(open_duty.due_at, last.since)
    before = judge(open_duty, now=start + timedelta(hours=earlier), calendar=CALENDAR)
    after = judge(open_duty, now=start + timedelta(hours=later), calendar=CALENDAR)
    assert before is not None
    assert after is not None
    assert after.points >= before.points
    assert after.delay_working_days >= before.delay_working_days
    assert points_of(after, last.party) >= points_of(before, last.party) - 1  # a hundredth may be rounded away


@given(late_duties(), HOURS)
def test_a_finding_keeps_its_identity_and_forgets_when_it_was_looked_at(late: Duty, hours: int) -> None:
    """Judging a done duty at any later moment gives the same facts under the same id."""
    done = late.model_copy(update={"done_at": late.done_at or late.due_at + timedelta(days=3)})
    ended = max(done.due_at, done.done_at or done.due_at)
    one = judge(done, now=ended, calendar=CALENDAR)
    other = judge(done, now=ended + timedelta(hours=hours), calendar=CALENDAR)
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert one.facts() == other.facts()


@given(HOURS, HOURS, HOURS)
def test_working_time_adds_up(first: int, second: int, third: int) -> None:
    """Time is additive, and never longer than the clock's."""
    a, b, c = (MONDAY + timedelta(hours=hours) for hours in sorted((first, second, third)))
    assert working_seconds(CALENDAR, a, b) + working_seconds(CALENDAR, b, c) == working_seconds(CALENDAR, a, c)
    assert 0 <= working_seconds(CALENDAR, a, c) <= (c - a).total_seconds()
    assert working_seconds(CALENDAR, c, a) == 0


def points_of(finding: Finding, party: Party) -> int:
    """Return the points of `party`, 0 if it has no part."""
    return next((part.points for part in finding.parties if part.party is party), 0)
