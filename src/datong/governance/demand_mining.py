"""The recommendations of a running hub: the pure rules over its log, and over the searches that found nothing."""

from collections.abc import Callable, Sequence
from contextlib import suppress

from datong.catalogue import UnmetDemand
from datong.governance.ledger_evidence import BEGINNING, EntryBook
from datong.governance.recommendations import (
    RECOMMENDED_KINDS,
    Recommendation,
    ordered,
    to_open,
    to_publish,
    to_request,
    to_share,
    usages_of,
)
from datong.kernel import Clock, DepartmentCode, NotFound, ResourceId, Text
from datong.ledger import EntryKind
from datong.sharing.wishes import Wish

ASKED_STATES = frozenset({"submitted", "granted"})


class DemandMining:
    """Recommends; `needs` returns the open unmet demands, `wishes` the unmet ones of the public, `title_of` what
    a published resource is called.

    Nothing is kept: what is recommended follows from the log, the searches and the wishes as they stand. `title_of`
    raises NotFound for what is not published (any more); that is recommended to nobody.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        ledger: EntryBook,
        needs: Callable[[], Sequence[UnmetDemand]],
        wishes: Callable[[], Sequence[Wish]],
        title_of: Callable[[ResourceId], Text],
    ) -> None:
        self._clock, self._ledger = clock, ledger
        self._needs, self._wishes, self._title_of = needs, wishes, title_of

    def recommend(self, department: DepartmentCode | None) -> Sequence[Recommendation]:
        """Return what is recommended to a department, or to all, by kind, the weightiest first; at most 200."""
        now = self._clock.now()
        entries = self._ledger.entries_between(kinds=RECOMMENDED_KINDS, since=BEGINNING, until=now)
        requests = [entry for entry in entries if entry.kind is not EntryKind.AGREEMENT]
        usages = usages_of(entry for entry in entries if entry.kind is EntryKind.AGREEMENT)
        newest = {entry.subject: entry.facts for entry in requests}
        asked = {
            (DepartmentCode(facts["consumer"]), facts["resource_id"])
            for facts in newest.values()
            if facts["state"] in ASKED_STATES
        }
        titles: dict[ResourceId, Text] = {}
        for resource in {*(one.resource_id for one in usages), *(entry.facts["resource_id"] for entry in requests)}:
            with suppress(NotFound):
                titles[resource] = self._title_of(resource)
        found = [
            *to_publish(self._needs()),
            *to_open(self._wishes()),
            *to_share(requests, titles, now=now),
            *to_request(usages, titles, asked=asked),
        ]
        return ordered(found, department)
