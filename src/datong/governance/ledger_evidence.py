"""The evidence source of a running hub: the pure rules over the entries of the ledger."""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType
from typing import Protocol

from datong.governance import service_levels, timelines
from datong.governance.call_days import CALLS, CallDays
from datong.governance.counting import observations_of_duties, observations_of_entry, observations_of_staff
from datong.governance.disposal import disposal_duties
from datong.governance.drawn import DrawnDuties, Look, Same, ids
from datong.governance.duties import Duty
from datong.governance.guards import STORY_KINDS, Story, Suspicion, suspicions
from datong.governance.interfaces import (
    LiveInterface,
    LiveSpan,
    live_interfaces,
    live_spans,
    observations_of_failure,
    observations_of_service,
    observations_of_time,
)
from datong.governance.observations import Observation
from datong.governance.outages import Outages, outages_of
from datong.governance.periods import Period
from datong.governance.response_times import MonthOfCalls, ResponseTimes, months_to_judge, response_duties
from datong.kernel import DepartmentCode, EntryId, ResourceId, Text, WorkingCalendar
from datong.ledger import COMMITTED_WITHIN, EntryKind, RecordedEntry

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
REMEMBERED_MAX = 300_000
"""Entries kept in memory, some two kilobytes each."""
DUTY_KINDS = (
    EntryKind.CATALOGUE_STEP,
    EntryKind.DRIFT,
    EntryKind.REQUEST,
    EntryKind.DECISION,
    EntryKind.AGREEMENT,
    EntryKind.TASK,
    EntryKind.BATCH,
    EntryKind.RECEIPT,
    EntryKind.CORRECTION,
    EntryKind.WISH,
    EntryKind.RECONCILIATION,
    EntryKind.REFUSAL,
    EntryKind.LIVE,
    EntryKind.OUTAGE,
)
COUNTED_KINDS = frozenset(
    {
        EntryKind.CATALOGUE_STEP,
        EntryKind.INVENTORY,
        EntryKind.REQUEST,
        EntryKind.DECISION,
        EntryKind.BATCH,
        EntryKind.RECEIPT,
        EntryKind.RECONCILIATION,
        EntryKind.DEAD_LETTERS,
        EntryKind.ACCESS,
        EntryKind.REFUSAL,
        EntryKind.FAILURE,
        EntryKind.RATING,
    }
)
SERVICE_KINDS = frozenset({EntryKind.LIVE, EntryKind.OUTAGE})
"""What tells for how long interfaces were there."""
STOCK_KINDS = (EntryKind.CATALOGUE_STEP, EntryKind.INVENTORY, EntryKind.DEAD_LETTERS)
"""Kinds whose observations are a stock: what was published before the period still counts in it."""


REMEMBERED_KINDS = frozenset({*DUTY_KINDS, *STOCK_KINDS, EntryKind.STAFF})
"""What every look at duties reads from the beginning; calls are many and read by period."""


class EntryBook(Protocol):
    """Entries by kind and time; a hub's `Ledger` is one."""

    def entries_between(self, *, kinds: Collection[EntryKind], since: datetime, until: datetime) -> list[RecordedEntry]:
        """Return the entries of some kinds from `since` (inclusive) to `until` (exclusive), oldest first."""
        ...

    def each_between(
        self, *, kinds: Collection[EntryKind], since: datetime, until: datetime
    ) -> Iterator[RecordedEntry]:
        """Yield what `entries_between` returns, without holding all of it."""
        ...


class GivenEntries:
    """A book of entries that holds what it is given, oldest first: those of an exported log."""

    def __init__(self, entries: Iterable[RecordedEntry]) -> None:
        self.given = list(entries)

    def entries_between(self, *, kinds: Collection[EntryKind], since: datetime, until: datetime) -> list[RecordedEntry]:
        """Return the given entries of some kinds within a time."""
        return list(self.each_between(kinds=kinds, since=since, until=until))

    def each_between(
        self, *, kinds: Collection[EntryKind], since: datetime, until: datetime
    ) -> Iterator[RecordedEntry]:
        """Yield the given entries of some kinds within a time."""
        return (entry for entry in self.given if entry.kind in kinds and since <= entry.at < until)


class RememberedEntries:
    """A book that keeps the entries of some kinds which it was asked for, so that each is read and parsed once.

    Entries commit a little after their time, so those of the last minutes are asked for again. Beyond
    `REMEMBERED_MAX` it keeps nothing and asks the book behind it every time.
    """

    def __init__(self, book: EntryBook, kinds: Collection[EntryKind]) -> None:
        self._book = book
        self._kinds = frozenset(kinds)
        self._lock = threading.Lock()
        self._until = BEGINNING
        self._kept: dict[EntryId, RecordedEntry] = {}

    def entries_between(self, *, kinds: Collection[EntryKind], since: datetime, until: datetime) -> list[RecordedEntry]:
        """Return the entries of some kinds within a time, oldest first."""
        others = set(kinds) - self._kinds
        found = self._book.entries_between(kinds=others, since=since, until=until) if others else []
        own = self._kinds.intersection(kinds)
        if own:
            found += self._remembered(own, since, until)
        return sorted(found, key=lambda entry: entry.at) if others and own else found

    def _remembered(self, kinds: Collection[EntryKind], since: datetime, until: datetime) -> list[RecordedEntry]:
        with self._lock:
            if len(self._kept) > REMEMBERED_MAX:
                self._kept, self._until = {}, BEGINNING
                return self._book.entries_between(kinds=kinds, since=since, until=until)
            if until > self._until:
                asked = max(BEGINNING, self._until - COMMITTED_WITHIN)
                new = self._book.entries_between(kinds=self._kinds, since=asked, until=until)
                self._kept |= {entry.entry_id: entry for entry in new}
                self._until = until
            kept = list(self._kept.values())
        return sorted(
            (entry for entry in kept if entry.kind in kinds and since <= entry.at < until), key=lambda entry: entry.at
        )


class LedgerEvidence:
    """Duties and observations as a book of entries shows them.

    `authorities` returns the codes of the data authorities, `title_of` what a resource is called.
    """

    def __init__(
        self,
        *,
        ledger: EntryBook,
        calendar: WorkingCalendar,
        authorities: Callable[[], frozenset[DepartmentCode]],
        title_of: Callable[[ResourceId], Text],
    ) -> None:
        self._ledger = RememberedEntries(ledger, REMEMBERED_KINDS)
        self._calendar = calendar
        self._authorities = authorities
        self._drawn, self._nameless = DrawnDuties(title_of), DrawnDuties(_nameless)
        self._outages: Outages | None = None
        self._days = CallDays(lambda since, until: ledger.each_between(kinds=CALLS, since=since, until=until))
        self._response_times = ResponseTimes(
            lambda kinds, since, until: ledger.entries_between(kinds=kinds, since=since, until=until)
        )

    def duties(self, *, until: datetime) -> Sequence[Duty]:
        """Return every duty that the entries before `until` show; what shows nothing new is not drawn again."""
        look = self._drawn.look(self._authorities())
        duties, entries = self._with_limits(until, look)
        outages = self._same_outages(outages_of(entries))
        duties += self._levels(entries, until, look, outages)
        return [look.with_outages(duty, outages) for duty in duties]

    def _same_outages(self, outages: Outages) -> Outages:
        """Return the outages known before if they are equal, so that nothing is drawn again for their sake."""
        if self._outages is None or not self._outages.same_as(outages):
            self._outages = outages
        return self._outages

    def _with_limits(self, until: datetime, look: Look) -> tuple[list[Duty], list[RecordedEntry]]:
        """Return the duties that have a time limit or are about rows, and the entries before `until` for others."""
        entries = self._ledger.entries_between(kinds=DUTY_KINDS, since=BEGINNING, until=until)
        authorities, title_of = self._authorities(), look.title_of
        authority = min(authorities, default=None)
        duties: list[Duty] = []

        def draw(
            kinds: set[EntryKind],
            key_of: Callable[[RecordedEntry], str],
            rule: Callable[[str, list[RecordedEntry]], Iterable[Duty | None]],
            beside: Mapping[str, list[RecordedEntry]] = MappingProxyType({}),
        ) -> None:
            name = tuple(sorted(kinds))
            for key, group in _grouped(entries, kinds, key_of).items():
                seen = ids(group), ids(beside.get(key, ()))
                duties.extend(look.of((name, key), seen, partial(rule, key, group)))

        draw(
            {EntryKind.REQUEST, EntryKind.DECISION},
            _subject,
            lambda _, group: [timelines.reply_duty(group, title_of=title_of)],
        )
        deliveries = _grouped(entries, {EntryKind.BATCH}, _agreement)
        draw(
            {EntryKind.AGREEMENT},
            _subject,
            lambda key, group: [
                timelines.provision_duty(group, deliveries.get(key, ()), title_of=title_of, authorities=authorities)
            ],
            deliveries,
        )
        draw(
            {EntryKind.CATALOGUE_STEP},
            _subject,
            lambda _, group: timelines.review_duties(group, title_of=title_of, authority=authority),
        )
        draw(
            {EntryKind.CATALOGUE_STEP, EntryKind.DRIFT},
            _subject,
            lambda _, group: timelines.catalogue_update_duties(group, title_of=title_of),
        )
        draw(
            {EntryKind.TASK, EntryKind.BATCH, EntryKind.RECEIPT},
            _subject,
            lambda _, group: timelines.transfer_duties(group, calendar=self._calendar, title_of=title_of),
        )
        draw({EntryKind.CORRECTION}, _subject, lambda _, group: timelines.correction_duties(group, title_of=title_of))
        draw({EntryKind.WISH}, _subject, lambda _, group: timelines.wish_duties(group))
        return duties, entries

    def _levels(self, entries: Sequence[RecordedEntry], until: datetime, look: Look, outages: Outages) -> list[Duty]:
        """Return what agreements promised and did not get."""
        kinds = {EntryKind.TASK, EntryKind.BATCH, EntryKind.RECEIPT}
        tasks = _grouped(entries, kinds, lambda entry: f"{entry.facts['agreement']} {entry.subject}")
        tasks_of: dict[str, list[Sequence[RecordedEntry]]] = {}
        for key, group in tasks.items():
            tasks_of.setdefault(key.partition(" ")[0], []).append(group)
        compared = _grouped(entries, {EntryKind.RECONCILIATION}, _agreement)
        refused = _refusals_under(entries)
        live = _grouped(entries, {EntryKind.LIVE}, _subject)
        duties: list[Duty] = []
        groups = _grouped(entries, {EntryKind.AGREEMENT}, _subject)
        agreements = {agreement: timelines.in_order(group) for agreement, group in groups.items()}
        found = [service_levels.terms_of(group, title_of=look.title_of) for group in agreements.values()]
        known = {terms.agreement: terms for terms in found if terms is not None}
        alike: dict[tuple[DepartmentCode, ResourceId], list[service_levels.Terms]] = {}
        for terms in known.values():
            alike.setdefault((terms.consumer, terms.resource_id), []).append(terms)
        months = self._months(known.values(), until)
        for agreement, terms in known.items():
            spans = live_spans(live.get(terms.resource_id, ()), until)
            others = [one for one in alike[terms.consumer, terms.resource_id] if one is not terms]
            acts = (agreements[agreement], *tasks_of.get(agreement, ()))
            beside = (compared.get(agreement, ()), refused.get(agreement, ()), live.get(terms.resource_id, ()))
            seen = (
                tuple(ids(group) for group in (*acts, *beside)),
                tuple((one.agreement, one.since, one.until) for one in others),
                Same(outages),
                # What else depends on the time: which months are over, and whether the agreement is.
                Period.containing(until).name,
                terms.until <= until,
            )
            duties += look.of(
                ("levels", agreement),
                seen,
                partial(self._levels_of, terms, acts, beside, others, spans, outages, until),
            )
            for month, calls in months:
                if agreement in calls:
                    duties += response_duties(terms, month, calls[agreement], live=spans)
        return duties

    def _levels_of(
        self,
        terms: service_levels.Terms,
        groups: Sequence[Sequence[RecordedEntry]],
        beside: tuple[Sequence[RecordedEntry], Sequence[RecordedEntry], Sequence[RecordedEntry]],
        others: Sequence[service_levels.Terms],
        live: Sequence[LiveSpan],
        outages: Outages,
        until: datetime,
    ) -> list[Duty]:
        """Return what one agreement promised and did not get; `groups` are its own entries and those of its tasks."""
        own, *tasks = groups
        compared, refused, _ = beside
        duties: list[Duty] = []
        for acts in tasks:
            duties += service_levels.freshness_duties(
                terms, timelines.in_order(acts), calendar=self._calendar, until=until
            )
        duties += service_levels.availability_duties(terms, outages, live=live, until=until)
        duties += service_levels.completeness_duties(terms, compared)
        duties += service_levels.use_duties(terms, refused)
        received = [act for acts in tasks for act in acts]
        duties += disposal_duties(terms, own, received, others=others, calendar=self._calendar, until=until)
        return duties

    def _months(
        self, agreements: Iterable[service_levels.Terms], until: datetime
    ) -> list[tuple[Period, Mapping[str, MonthOfCalls]]]:
        """Return the calls of the months that are judged now, by agreement; none where none could be slow."""
        levels = {one.agreement: one.levels["latency_ms_p95"] for one in agreements if "latency_ms_p95" in one.levels}
        return [(month, self._response_times.of(month, levels)) for month in months_to_judge(until)] if levels else []

    def observations(self, *, since: datetime, until: datetime) -> Sequence[Observation]:
        """Return what happened from `since` to before `until`, and the stock of the catalogue before it."""
        calls = self._ledger.entries_between(kinds=CALLS, since=since, until=until)
        live, observed = self._without_calls(since, until)
        for call in calls:
            observed += observations_of_entry(call)
            if call.kind is EntryKind.ACCESS:
                observed += observations_of_time(call, live)
        return observed

    def sums(self, *, since: datetime, until: datetime) -> Sequence[Observation]:
        """Return observations that add up to the same; calls are read day by day, days that are over once."""
        live, observed = self._without_calls(since, until)
        for day in self._days.of(live, since=since, until=until):
            observed += day.observations
        return observed

    def _without_calls(self, since: datetime, until: datetime) -> tuple[dict[str, LiveInterface], list[Observation]]:
        """Return the interfaces that nodes answer, and what anything but calls counts for."""
        entries = self._ledger.entries_between(kinds=COUNTED_KINDS - CALLS, since=since, until=until)
        stock = self._ledger.entries_between(kinds=STOCK_KINDS, since=BEGINNING, until=since)
        observed = [seen for entry in (*stock, *entries) for seen in observations_of_entry(entry)]
        for entry in self._ledger.entries_between(kinds={EntryKind.STAFF}, since=BEGINNING, until=until):
            observed += observations_of_staff(entry, until=until)
        told = self._ledger.entries_between(kinds=SERVICE_KINDS, since=BEGINNING, until=until)
        live = live_interfaces(_grouped(told, {EntryKind.LIVE}, _subject), until)
        outages = outages_of(told)
        observed += observations_of_service(live.values(), outages, since=since, until=until)
        for entry in entries:
            if entry.kind is EntryKind.FAILURE:
                observed += observations_of_failure(entry, outages)
        # Whether a duty was kept does not depend on who held the ball, nor does a level of service count here.
        duties = observations_of_duties(
            self._with_limits(until, self._nameless.look(self._authorities()))[0], until=until
        )
        return live, [*observed, *(seen for seen in duties if seen.at >= since)]

    def suspicions(self, *, since: datetime, until: datetime) -> Sequence[Suspicion]:
        """Return what the guards against gaming find in that period."""

        def calls(first: datetime) -> list[RecordedEntry]:
            # One of each day stands for those that guards do not tell apart.
            return [call for day in self._days.of(live, since=first, until=until) for call in day.calls]

        told = self._ledger.entries_between(kinds={EntryKind.LIVE}, since=BEGINNING, until=until)
        live = live_interfaces(_grouped(told, {EntryKind.LIVE}, _subject), until)

        entries = self._ledger.entries_between(kinds=STORY_KINDS, since=BEGINNING, until=until)
        return suspicions(Story(entries, calls(since), calls, since=since, until=until))


def _nameless(resource_id: ResourceId) -> Text:
    """Return what a resource is called where nobody reads it."""
    return Text(zh=resource_id, en=resource_id)


def _grouped(
    entries: Sequence[RecordedEntry], kinds: set[EntryKind], key_of: Callable[[RecordedEntry], str]
) -> dict[str, list[RecordedEntry]]:
    groups: dict[str, list[RecordedEntry]] = {}
    for entry in entries:
        if entry.kind in kinds:
            groups.setdefault(key_of(entry), []).append(entry)
    return groups


def _refusals_under(entries: Sequence[RecordedEntry]) -> dict[str, list[RecordedEntry]]:
    """Return the refused calls by the agreement they were judged under; refused batches name none."""
    under: dict[str, list[RecordedEntry]] = {}
    for entry in entries:
        if entry.kind is EntryKind.REFUSAL:
            for agreement in entry.facts.get("agreement_ids", ()):
                under.setdefault(agreement, []).append(entry)
    return under


def _subject(entry: RecordedEntry) -> str:
    return entry.subject


def _agreement(entry: RecordedEntry) -> str:
    return str(entry.facts["agreement"])
