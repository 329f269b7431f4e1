"""What entries and duties count for."""

from datetime import timedelta

from datong.governance import DutyKind, Measure, Observation, Party
from datong.governance.counting import observations_of_duties, observations_of_entry
from datong.governance.indicators import distinct
from datong.ledger import EntryKind, RecordedEntry
from tests.unit.governance.samples import BUREAU, EDUCATION, MONDAY, POLICE, duty, entry, span

DAY = timedelta(days=1)


def counted(*entries: RecordedEntry) -> dict[Measure, int]:
    """Return the sums over all departments of what the entries count for."""
    sums: dict[Measure, int] = {}
    for seen in distinct(seen for one in entries for seen in observations_of_entry(one)):
        sums[seen.measure] = sums.get(seen.measure, 0) + seen.count
    return sums


def step(state: str, days: int, **facts: object) -> RecordedEntry:
    """Return a step of a resource's life."""
    return entry(
        EntryKind.CATALOGUE_STEP,
        "resource-1",
        MONDAY + days * DAY,
        {"department": POLICE, "to_state": state, "items": 4, "mapped_items": 3, "bound": True, **facts},
    )


def test_a_published_resource_is_a_stock_with_its_terms() -> None:
    """Drafting counts once, and terms are those of the newest publication."""
    sums = counted(
        step("draft", 0, share_type="3"),
        step("published", 1, share_type="3", legal_basis_cited=False),
        step("published", 2, share_type="2", legal_basis_cited=False),
    )
    assert sums[Measure.RESOURCE_DRAFTED] == sums[Measure.RESOURCE_PUBLISHED] == sums[Measure.RESOURCE_BOUND] == 1
    assert (sums[Measure.ITEM_DECLARED], sums[Measure.ITEM_MAPPED]) == (4, 3)
    assert (sums[Measure.RESOURCE_RESTRICTED], sums[Measure.RESOURCE_WITHHELD_BASELESS]) == (1, 0)


def test_a_retired_resource_is_no_stock() -> None:
    """Nor is one that was only drafted published."""
    assert set(counted(step("published", 0, share_type="1"), step("retired", 1, share_type="1")).values()) == {0}
    assert counted(step("draft", 0)) == {Measure.RESOURCE_DRAFTED: 1}


def test_requests_transfers_and_reconciliations() -> None:
    """Each entry counts for its provider."""
    sums = counted(
        entry(EntryKind.DECISION, "r", MONDAY, {"request_id": "r", "state": "granted", "provider": POLICE}),
        entry(EntryKind.DECISION, "s", MONDAY + DAY, {"request_id": "s", "state": "refused", "provider": POLICE}),
        entry(EntryKind.BATCH, "t", MONDAY, {"provider": POLICE, "resource": "resource-1"}),
        entry(EntryKind.RECEIPT, "t", MONDAY, {"provider": POLICE, "rows_applied": 90, "rows_rejected": 10}),
        entry(EntryKind.RECONCILIATION, "t", MONDAY, {"provider": POLICE, "state": "equal"}),
        entry(EntryKind.RECONCILIATION, "t", MONDAY + DAY, {"provider": POLICE, "state": "different"}),
    )
    assert (sums[Measure.REQUEST_VALID], sums[Measure.REQUEST_SATISFIED]) == (2, 1)
    assert (sums[Measure.ROWS_SENT], sums[Measure.ROWS_ACCEPTED]) == (100, 90)
    assert (sums[Measure.RECONCILED], sums[Measure.RECONCILED_EQUAL]) == (2, 1)
    assert sums[Measure.RESOURCE_USED] == 1


def test_calls_count_for_the_caller_and_uses_for_the_provider() -> None:
    """A refusal of something other than a call to a resource counts for nobody."""
    facts: dict[str, object] = {"provider": POLICE, "consumer": EDUCATION, "resource_id": "resource-1"}
    answered = list(observations_of_entry(entry(EntryKind.ACCESS, "a", MONDAY, facts)))
    assert [(seen.measure, seen.department) for seen in answered] == [
        (Measure.CALL_MADE, EDUCATION),
        (Measure.CALL_ANSWERED, POLICE),
        (Measure.RESOURCE_USED, POLICE),
    ]
    refused = list(observations_of_entry(entry(EntryKind.REFUSAL, "a", MONDAY, facts)))
    assert [(seen.measure, seen.department) for seen in refused] == [
        (Measure.CALL_MADE, EDUCATION),
        (Measure.CALL_REFUSED, EDUCATION),
    ]
    assert list(observations_of_entry(entry(EntryKind.REFUSAL, "a", MONDAY, {"provider": POLICE}))) == []


def test_a_duty_counts_when_it_is_decided() -> None:
    """Kept duties count when done, missed ones at their deadline, and running ones not yet."""
    kept = duty(span(Party.PROVIDER, MONDAY), done_at=MONDAY + DAY)
    missed = duty(span(Party.AUTHORITY, MONDAY), kind=DutyKind.REVIEW)
    quality = duty(span(Party.PROVIDER, MONDAY), kind=DutyKind.QUALITY)

    def seen_until(days: int) -> list[Observation]:
        return list(observations_of_duties([kept, missed, quality], until=MONDAY + days * DAY))

    assert seen_until(0) == []
    assert [seen.measure for seen in seen_until(2)] == [Measure.REPLY_DUE, Measure.REPLY_IN_TIME]
    later = seen_until(60)
    assert [(seen.measure, seen.department) for seen in later][2:] == [(Measure.REVIEW_DUE, BUREAU)]
