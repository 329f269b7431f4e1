"""Outages: while the platform or the network kept a party from acting, that party does not hold the ball. Pure.

An entry `sharing.outage` tells from when until when a department's node, or the hub itself, could not be reached, and
why (docs: `governance`, *Outages*). A silent node is its department's affair. A node that ran and tried was cut off by
the network. While the hub itself was away nobody could act.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from datong.governance.duties import Duty, DutyKind, Span
from datong.governance.parties import Party
from datong.kernel import DepartmentCode, EntryId, Text, Value
from datong.ledger import EntryKind, RecordedEntry

_CAUSES = {"platform": Party.PLATFORM, "network": Party.NETWORK, "node": Party.PROVIDER}
_BY_MACHINE = frozenset({DutyKind.TRANSFER, DutyKind.PROVISION, DutyKind.FRESHNESS})
"""Duties that nodes fulfil: a node that is cut off cannot. Others are fulfilled by people, in the console."""
_ACTING = frozenset({Party.PROVIDER, Party.CONSUMER, Party.AUTHORITY})
_HUB_AWAY = Text(zh="平台中断，各方无法办理", en="the platform was down; nobody could act")
_CUT_OFF = Text(zh="节点在运行但网络不通", en="the node ran, but the network was down")


class Outage(Value):
    """From `since` to before `until` a department's node (None: the hub) could not be reached.

    `party` is `PLATFORM`, `NETWORK`, or `PROVIDER` for a node that itself was away, whoever it belongs to.
    """

    department: DepartmentCode | None
    since: datetime
    until: datetime
    party: Party
    entry_id: EntryId


class Stretch(NamedTuple):
    """A part of a time in which one outage counts."""

    since: datetime
    until: datetime
    party: Party
    entry_id: EntryId


class Outages:
    """Outages by whom they concern."""

    def __init__(self, outages: Iterable[Outage] = ()) -> None:
        self._of: dict[DepartmentCode | None, list[Outage]] = {}
        for one in sorted(outages, key=lambda one: (one.since, one.until, one.entry_id)):
            self._of.setdefault(one.department, []).append(one)

    def __bool__(self) -> bool:
        """Whether there was any."""
        return bool(self._of)

    @property
    def by_department(self) -> Mapping[DepartmentCode | None, Sequence[Outage]]:
        """Those of each department's nodes, and under None those of the hub."""
        return self._of

    def same_as(self, other: "Outages") -> bool:
        """Whether both hold the same outages."""
        return self.by_department == other.by_department

    def of(self, department: DepartmentCode | None) -> list[Outage]:
        """Return those of the hub and of a department's nodes."""
        hub = self._of.get(None, [])
        return hub if department is None else [*hub, *self._of.get(department, [])]


def outages_of(entries: Iterable[RecordedEntry]) -> Outages:
    """Return the outages that entries tell of; entries of other kinds are passed over."""
    found = [
        Outage(
            department=entry.facts["department"],
            since=datetime.fromisoformat(entry.facts["since"]),
            until=datetime.fromisoformat(entry.facts["until"]),
            party=_CAUSES[entry.facts["cause"]],
            entry_id=entry.entry_id,
        )
        for entry in entries
        if entry.kind is EntryKind.OUTAGE
    ]
    return Outages(found)


def stretches(
    outages: Outages, department: DepartmentCode | None, *, since: datetime, until: datetime | None
) -> list[Stretch]:
    """Return the parts of a time in which `department` could not be reached or could not reach the hub, in order.

    They do not overlap: where several outages coincide the platform's counts before the network's, and that before the
    node's own. Without `until` the time has no end.
    """
    concerned = [one for one in outages.of(department) if one.until > since and (until is None or one.since < until)]
    if not concerned:
        return []
    order = {Party.PLATFORM: 0, Party.NETWORK: 1, Party.PROVIDER: 2}
    taken: list[Stretch] = []
    for one in sorted(concerned, key=lambda one: (order[one.party], one.since, one.entry_id)):
        end = one.until if until is None else min(one.until, until)
        pieces = [(max(one.since, since), end)]
        for other in taken:
            pieces = [piece for start, stop in pieces for piece in _without(start, stop, other)]
        taken += [Stretch(start, stop, one.party, one.entry_id) for start, stop in pieces]
        taken.sort()
    return taken


def with_outages(duty: Duty, outages: Outages) -> Duty:
    """Return the duty with the ball at the platform or the network for as long as they kept its holder from acting."""
    if not outages:
        return duty
    spans: list[Span] = []
    ordered = sorted(duty.spans, key=lambda span: (span.since, span.entry_id, span.party))
    for number, span in enumerate(ordered):
        until = ordered[number + 1].since if number + 1 < len(ordered) else duty.done_at
        spans += _divided(duty, span, until, outages)
    return duty if len(spans) == len(ordered) else duty.model_copy(update={"spans": tuple(spans)})


def _divided(duty: Duty, span: Span, until: datetime | None, outages: Outages) -> list[Span]:
    """Return a span with the outages in it; no two begin at the same moment."""
    if span.party not in _ACTING or (until is not None and until <= span.since):
        return [span]
    hindered = [
        stretch
        for stretch in stretches(outages, duty.department_of(span.party), since=span.since, until=until)
        if stretch.party is Party.PLATFORM or (stretch.party is Party.NETWORK and duty.kind in _BY_MACHINE)
    ]
    spans = {span.since: span}
    for stretch in hindered:
        why = _HUB_AWAY if stretch.party is Party.PLATFORM else _CUT_OFF
        spans[stretch.since] = Span(party=stretch.party, since=stretch.since, entry_id=stretch.entry_id, why=why)
        if until is None or stretch.until < until:
            spans[stretch.until] = span.model_copy(update={"since": stretch.until, "entry_id": stretch.entry_id})
    return list(spans.values())


def _without(start: datetime, stop: datetime, taken: Stretch) -> list[tuple[datetime, datetime]]:
    if taken.until <= start or taken.since >= stop:
        return [(start, stop)]
    left = [(start, taken.since)] if start < taken.since else []
    return left + ([(taken.until, stop)] if taken.until < stop else [])
