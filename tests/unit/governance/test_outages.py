"""Outages move the ball to the platform or the network for exactly as long as they hindered its holder."""

from datetime import datetime, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from datong.governance import Duty, DutyKind, Party, judge
from datong.governance.outages import Outage, Outages, outages_of, stretches, with_outages
from datong.kernel import DepartmentCode, EntryId
from datong.ledger import EntryKind
from tests.unit.governance.samples import CALENDAR, EDUCATION, MONDAY, POLICE, duty, entry, late_duties, span

HOUR = timedelta(hours=1)


def outage(
    party: Party, since: datetime, hours: float, department: DepartmentCode | None = POLICE, number: int = 0
) -> Outage:
    until = since + timedelta(hours=hours)
    return Outage(department=department, since=since, until=until, party=party, entry_id=EntryId(f"outage-{number:03}"))


def shares(late: Duty, *outages: Outage) -> dict[Party, int]:
    found = judge(with_outages(late, Outages(outages)), now=MONDAY + timedelta(days=60), calendar=CALENDAR)
    assert found is not None
    return {share.party: share.basis_points for share in found.parties}


def test_entries_become_outages() -> None:
    facts: dict[str, object] = {
        "cause": "network",
        "department": POLICE,
        "since": MONDAY.isoformat(),
        "until": (MONDAY + HOUR).isoformat(),
        "running_seconds": 7200,
        "unanswered": 3,
    }
    entries = [entry(EntryKind.OUTAGE, "node", MONDAY + HOUR, facts), entry(EntryKind.LIVE, "r", MONDAY, {})]
    (one,) = outages_of(entries).of(POLICE)
    assert (one.party, one.department, one.until - one.since) == (Party.NETWORK, POLICE, HOUR)


def test_whose_node_was_cut_off_while_it_had_to_act_answers_for_nothing() -> None:
    late = duty(
        span(Party.PROVIDER, MONDAY),
        kind=DutyKind.TRANSFER,
        due_at=CALENDAR.deadline(MONDAY, 1),
        done_at=MONDAY + timedelta(days=2),
    )
    day = MONDAY + HOUR
    assert shares(late) == {Party.PROVIDER: 10_000}
    assert shares(late, outage(Party.NETWORK, day, 40)) == {Party.NETWORK: 10_000}
    assert shares(late, outage(Party.PLATFORM, day, 40, None)) == {Party.PLATFORM: 10_000}
    assert shares(late, outage(Party.PROVIDER, day, 40)) == {Party.PROVIDER: 10_000}
    assert shares(late, outage(Party.NETWORK, day, 40, EDUCATION)) == {Party.PROVIDER: 10_000}


def test_people_answer_requests_and_need_no_node() -> None:
    late = duty(span(Party.PROVIDER, MONDAY), done_at=CALENDAR.deadline(MONDAY, 11))
    day = MONDAY + HOUR
    assert shares(late, outage(Party.NETWORK, day, 48)) == {Party.PROVIDER: 10_000}
    assert shares(late, outage(Party.PLATFORM, day, 48, None)) == {Party.PLATFORM: 10_000}


def test_where_outages_coincide_the_platforms_counts_first() -> None:
    coinciding = Outages(
        [
            outage(Party.PROVIDER, MONDAY, 10, number=1),
            outage(Party.NETWORK, MONDAY + 2 * HOUR, 4, number=2),
            outage(Party.PLATFORM, MONDAY + 5 * HOUR, 3, None, number=3),
        ]
    )
    found = stretches(coinciding, POLICE, since=MONDAY + HOUR, until=None)
    begin = [(stretch.party, (stretch.since - MONDAY) / HOUR, (stretch.until - MONDAY) / HOUR) for stretch in found]
    assert begin == [
        (Party.PROVIDER, 1, 2),
        (Party.NETWORK, 2, 5),
        (Party.PLATFORM, 5, 8),
        (Party.PROVIDER, 8, 10),
    ]


OUTAGES = st.lists(
    st.builds(
        outage,
        st.sampled_from([Party.PLATFORM, Party.NETWORK, Party.PROVIDER]),
        st.integers(-50, 900).map(lambda hours: MONDAY + hours * HOUR),
        st.integers(1, 80),
        st.sampled_from([None, POLICE, EDUCATION]),
        st.integers(0, 20),
    ),
    max_size=6,
)


@given(late_duties(), OUTAGES, st.randoms(use_true_random=False))
def test_outages_keep_shares_whole_in_any_order(late: Duty, outages: list[Outage], random: Random) -> None:
    now = MONDAY + timedelta(days=90)
    hindered = with_outages(late, Outages(outages))
    found, plain = judge(hindered, now=now, calendar=CALENDAR), judge(late, now=now, calendar=CALENDAR)
    assert (found is None) == (plain is None)
    if found is None or plain is None:
        return
    assert sum(share.basis_points for share in found.parties) == 10_000
    assert found.points == plain.points == sum(share.points for share in found.parties)
    assert min(one.since for one in hindered.spans) == min(one.since for one in late.spans)
    random.shuffle(outages)
    assert judge(with_outages(late, Outages(outages)), now=now, calendar=CALENDAR) == found
