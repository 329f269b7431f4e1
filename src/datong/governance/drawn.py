"""Duties that groups of entries showed at the last look, so that only what got new entries is drawn again.

Entries never change, and the rules look at nothing but a group's entries, titles, and who the authorities are. So a
group with the same entries shows the same duties; whoever loses what is kept here draws all of them again.
"""

import threading
from collections.abc import Callable, Hashable, Iterable, Sequence

from datong.governance.duties import Duty
from datong.governance.outages import Outages, with_outages
from datong.governance.timelines import TitleOf
from datong.kernel import DepartmentCode, ResourceId, Text
from datong.ledger import RecordedEntry

GROUPS_MAX = 200_000
"""Groups that are kept; beyond that all is forgotten and drawn anew."""
Kept = dict[Hashable, tuple[Hashable, tuple[Duty, ...]]]


class Look:
    """One look at the evidence: `title_of` names resources, `of` draws a group or returns what it showed before."""

    def __init__(self, title_of: TitleOf, titles: dict[ResourceId, Text], groups: Kept) -> None:
        self._title_of, self._titles, self._groups = title_of, titles, groups

    def title_of(self, resource_id: ResourceId) -> Text:
        """Return what a resource is called; each is looked up once."""
        if resource_id not in self._titles:
            self._titles[resource_id] = self._title_of(resource_id)
        return self._titles[resource_id]

    def of(self, key: Hashable, seen: Hashable, draw: Callable[[], Iterable[Duty | None]]) -> tuple[Duty, ...]:
        """Return the duties of the group `key`; `seen` is all that they depend on, else they are drawn anew."""
        known = self._groups.get(key)
        if known is None or known[0] != seen:
            known = self._groups[key] = (seen, tuple(duty for duty in draw() if duty is not None))
        return known[1]

    def with_outages(self, duty: Duty, outages: Outages) -> Duty:
        """Return a duty with the outages in it, as `outages.with_outages` does."""
        seen = (Same(duty), Same(outages))
        (found,) = self.of(("outages", duty.kind, duty.subject), seen, lambda: (with_outages(duty, outages),))
        return found


class DrawnDuties:
    """Keeps what groups showed while titles and authorities stay what they were."""

    def __init__(self, title_of: TitleOf) -> None:
        self._title_of = title_of
        self._lock = threading.Lock()
        self._titles: dict[ResourceId, Text] = {}
        self._authorities: frozenset[DepartmentCode] = frozenset()
        self._groups: Kept = {}

    def look(self, authorities: frozenset[DepartmentCode]) -> Look:
        """Return a look; what was kept under other names or other authorities is forgotten."""
        with self._lock:
            titles = {one: self._title_of(one) for one in tuple(self._titles)}
            if titles != self._titles or authorities != self._authorities or len(self._groups) > GROUPS_MAX:
                # Who looks at this moment goes on with what it began with.
                self._titles, self._authorities, self._groups = titles, authorities, {}
            return Look(self._title_of, self._titles, self._groups)


def ids(entries: Sequence[RecordedEntry]) -> tuple[str, ...]:
    """Return what tells one group of entries from another."""
    return tuple(entry.entry_id for entry in entries)


class Same:
    """Compares by identity: what is kept is handed out again, not made again."""

    __slots__ = ("thing",)

    def __init__(self, thing: object) -> None:
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.thing is other.thing

    def __hash__(self) -> int:
        return id(self.thing)
