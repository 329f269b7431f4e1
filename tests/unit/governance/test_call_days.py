"""Calls added up by day say the same as each call by itself."""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from random import Random

from datong.governance.indicators import assess
from datong.governance.ledger_evidence import GivenEntries, LedgerEvidence
from datong.governance.periods import Period
from datong.ledger import EntryKind, RecordedEntry
from datong.norms import load_pack
from tests.unit.governance.samples import BUREAU, CALENDAR, EDUCATION, MONDAY, POLICE, TITLE, entry

NOVEMBER = Period.parse("2026-11")
DEPARTMENTS = dict.fromkeys((POLICE, EDUCATION, BUREAU), TITLE)
LATER = MONDAY + timedelta(days=9)


class Book(GivenEntries):
    """Entries, and which calls were read."""

    def __init__(self, entries: Iterable[RecordedEntry]) -> None:
        super().__init__(entries)
        self.read: list[tuple[datetime, datetime]] = []

    @property
    def days(self) -> int:
        return len(self.read)

    def each_between(
        self, *, kinds: Collection[EntryKind], since: datetime, until: datetime
    ) -> Iterator[RecordedEntry]:
        if EntryKind.ACCESS in kinds:
            self.read.append((since, until))
        return super().each_between(kinds=kinds, since=since, until=until)


def month() -> Book:
    """Return a fortnight of calls of three departments, some answered live, some refused, most of them on one day."""
    random = Random(7)
    told = [entry(EntryKind.LIVE, "r-1", MONDAY, {"offered": True, "provider": POLICE})]
    for number in range(900):
        at = MONDAY + timedelta(minutes=random.randrange(14 * 24 * 60) if number % 3 else number)
        facts: dict[str, object] = {
            "provider": random.choice((POLICE, BUREAU)),
            "consumer": random.choice((EDUCATION, POLICE)),
            "resource_id": random.choice(("r-1", "r-2", "r-3")),
            "kind": random.choice(("query", "verify", "table")),
            "rows": random.choice((0, 1)),
            "milliseconds": random.randrange(40),
            "agreement_ids": [],
            "policies": [],
        }
        kind = EntryKind.REFUSAL if random.random() < 0.1 else EntryKind.ACCESS
        told.append(entry(kind, f"call-{number:03}", at, facts))
    failed: dict[str, object] = {"provider": POLICE, "cause": "node_timeout", "calls": 3}
    told.append(
        entry(EntryKind.FAILURE, "r-1", LATER, failed | {name: LATER.isoformat() for name in ("first_at", "last_at")})
    )
    return Book(sorted(told, key=lambda one: one.at))


def evidence_of(book: Book) -> LedgerEvidence:
    return LedgerEvidence(
        ledger=book, calendar=CALENDAR, authorities=lambda: frozenset({BUREAU}), title_of=lambda _: TITLE
    )


def test_sums_by_day_lead_to_the_same_table_and_days_that_are_over_are_read_once() -> None:
    book = month()
    evidence = evidence_of(book)
    pack, until = load_pack(None).indicators, MONDAY + timedelta(days=13, hours=3)
    for end in (LATER, until, NOVEMBER.until):
        tables = [
            assess(pack, look(since=NOVEMBER.since, until=end), DEPARTMENTS, {}, period=NOVEMBER)
            for look in (evidence.observations, evidence.sums)
        ]
        assert tables[0] == tables[1]
    (police,) = [one for one in tables[1].departments if one.department == POLICE]
    counted = {one.key: (one.counted, one.base) for one in police.values if one.base}
    succeeded, tried = counted["call_success_rate"]
    assert tried == succeeded + 3 > 53
    assert counted["latency_p95"][1] == succeeded
    found = evidence.suspicions(since=NOVEMBER.since, until=until)
    assert {(one.guard, one.subject) for one in found} == set()
    before = book.days
    evidence.sums(since=NOVEMBER.since, until=until + timedelta(hours=1))
    assert book.days == before + 1, "only what is not settled is read again"


def test_what_is_not_settled_is_read_once_for_numbers_and_guards() -> None:
    book = month()
    evidence = evidence_of(book)
    until = MONDAY + timedelta(hours=5)
    evidence.sums(since=NOVEMBER.since, until=until)
    evidence.suspicions(since=NOVEMBER.since, until=until)
    assert [end for _, end in book.read].count(until) == 1
