"""How the interfaces did that departments' nodes answer: for how long they were there, how long calls took. Pure.

What the library answers is the platform's affair and counts for nobody here; nor does a time in which the platform or
the network was away.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from datong.governance.observations import Measure, Observation
from datong.governance.outages import Outages, stretches
from datong.governance.parties import Party
from datong.governance.response_times import KINDS
from datong.governance.timelines import in_order
from datong.kernel import DepartmentCode, EntryId
from datong.ledger import RecordedEntry
from datong.sharing import FailureCause

LiveSpan = tuple[datetime, datetime]


class LiveInterface(NamedTuple):
    """A resource that its provider's node answered live: from when to when, by which entry first."""

    resource: str
    provider: DepartmentCode
    spans: tuple[LiveSpan, ...]
    entry_id: EntryId


def live_spans(offers: Sequence[RecordedEntry], until: datetime) -> list[LiveSpan]:
    """Return from when to when a resource was answered live by its node."""
    spans: list[LiveSpan] = []
    since: datetime | None = None
    for offer in in_order(offers):
        if offer.facts["offered"]:
            since = since or offer.at
        elif since is not None:
            spans.append((since, offer.at))
            since = None
    return spans if since is None else [*spans, (since, until)]


def live_interfaces(offers: Mapping[str, Sequence[RecordedEntry]], until: datetime) -> dict[str, LiveInterface]:
    """Return what was ever answered live before `until`, by resource; `offers` are the entries of each."""
    found = {}
    for resource, entries in offers.items():
        if spans := live_spans(entries, until):
            first = entries[0]
            provider = DepartmentCode(first.facts["provider"])
            found[resource] = LiveInterface(resource, provider, tuple(spans), first.entry_id)
    return found


def observations_of_service(
    interfaces: Iterable[LiveInterface], outages: Outages, *, since: datetime, until: datetime
) -> Iterator[Observation]:
    """Yield for how many minutes of a period each interface was to be there, and was but for its node's own outages."""
    for one in interfaces:
        promised = sum((_common(span, (since, until)) for span in one.spans), timedelta(0))
        if not promised:
            continue
        away = timedelta(0)
        for stretch in stretches(outages, one.provider, since=since, until=until):
            if stretch.party is Party.PROVIDER:
                away += sum((_common(span, (stretch.since, stretch.until)) for span in one.spans), timedelta(0))
        at = max(since, one.spans[0][0])
        for measure, time in ((Measure.SERVICE_PROMISED, promised), (Measure.SERVICE_AVAILABLE, promised - away)):
            yield Observation(
                measure=measure,
                department=one.provider,
                at=at,
                entry_id=one.entry_id,
                count=int(time / timedelta(minutes=1)),
                key=one.resource,
            )


def observations_of_time(call: RecordedEntry, interfaces: Mapping[str, LiveInterface]) -> Iterator[Observation]:
    """Yield that a call succeeded which the provider's node answered, and how many milliseconds it took."""
    took = call.facts.get("milliseconds")
    one = interfaces.get(str(call.facts.get("resource_id")))
    if took is None or one is None or call.facts.get("kind") not in KINDS:
        return
    if any(since <= call.at < until for since, until in one.spans):
        counts = {Measure.CALL_MILLISECONDS: int(took), Measure.CALL_SUCCEEDED: 1, Measure.CALL_TRIED: 1}
        for measure, count in counts.items():
            yield Observation(measure=measure, department=one.provider, at=call.at, entry_id=call.entry_id, count=count)


def observations_of_failure(failure: RecordedEntry, outages: Outages) -> Iterator[Observation]:
    """Yield how many calls failed by the provider's doing; none if the platform or the network was away meanwhile."""
    facts = failure.facts
    provider = DepartmentCode(facts["provider"])
    since, until = (datetime.fromisoformat(facts[name]) for name in ("first_at", "last_at"))
    met = stretches(outages, provider, since=since, until=until + timedelta(microseconds=1))
    if FailureCause(facts["cause"]).by_provider and all(one.party is Party.PROVIDER for one in met):
        yield Observation(
            measure=Measure.CALL_TRIED,
            department=provider,
            at=failure.at,
            entry_id=failure.entry_id,
            count=int(facts["calls"]),
        )


def _common(one: LiveSpan, other: LiveSpan) -> timedelta:
    return max(timedelta(0), min(one[1], other[1]) - max(one[0], other[0]))
