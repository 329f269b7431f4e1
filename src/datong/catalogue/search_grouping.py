"""Hits about the same thing as one: near-duplicates share the core of their titles (see `core_title`).

The index keeps the core of every resource, so that grouping looks at the best hits only, and counts the members of the
groups that are shown over all hits in one pass. Groups come in the order of their best members. If the best hits
belong to too few groups, those groups are taken out and the best of what is left follow.
"""

from typing import NamedTuple

import numpy as np

from datong.catalogue.search_query import SearchQuery
from datong.catalogue.search_titles import Marks
from datong.catalogue.search_view import WINDOW, IndexView, Placed, Positions, Ranked, SearchOrder, Selection

HITS_AT_ONCE = 1_000
"""So many of the best hits are put into groups at once."""
ROUNDS_MAX = 20
"""So often the next best hits are looked at; a list of groups ends there."""
MEMBERS_MAX = 10
"""So many members of a group are returned, the best first."""


class Group(NamedTuple):
    """Hits about the same: the best one, some of the others in order, and how many there are in all."""

    members: tuple[Ranked, ...]
    total: int


def grouped(
    view: IndexView,
    selection: Selection,
    order: SearchOrder,
    query: SearchQuery,
    *,
    offset: int,
    limit: int,
    hits_at_once: int = HITS_AT_ONCE,
) -> tuple[list[Group], bool]:
    """Return the groups of one page, and whether more follow."""
    rounds: list[tuple[Placed, Marks]] = []
    marks = np.empty(0, np.uint64)
    left: Positions | None = None
    for _ in range(ROUNDS_MAX):
        # Titles are looked at in the first round only, so it takes in all that come before others by their title.
        first = left is None and order is SearchOrder.RELEVANCE
        most = max(hits_at_once, WINDOW) if first else hits_at_once
        placed = view.placed(selection, order, query, most, left)
        found = view.marks(selection, placed.places)
        rounds.append((placed, found))
        marks = np.concatenate([marks, _in_order(found)])
        if len(marks) > offset + limit or len(placed.places) < most:
            break
        left = np.flatnonzero(~view.marked(selection, marks))
        if len(left) == 0:
            break
    shown = marks[offset : offset + limit]
    totals = view.mark_counts(selection, shown)
    groups = []
    for mark, total in zip(shown, totals.tolist(), strict=True):
        # All members among the best hits were found in one round: the next one is without the group.
        placed, found = next((placed, found) for placed, found in rounds if mark in found)
        here = np.flatnonzero(found == mark)[: MEMBERS_MAX + 1]
        members = view.ranked(selection, Placed(placed.places[here], placed.scores[here]))
        groups.append(Group(tuple(members), total))
    return groups, len(marks) > offset + limit


def _in_order(marks: Marks) -> Marks:
    """Return distinct marks in the order in which they come first."""
    _, first = np.unique(marks, return_index=True)
    return marks[np.sort(first)]
