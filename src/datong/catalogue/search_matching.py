"""Which resources of a segment a query matches, and how well: arrays in, arrays out.

Work goes from the rarest term on, so that it follows the number of resources that still match instead of the number
that the commonest term has.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from datong.catalogue.search_query import Ranges, SearchQuery, Unit
from datong.catalogue.search_segment import IMPACT_FULL, Segment
from datong.catalogue.search_terms import Places

Scores = npt.NDArray[np.float32]
Idf = Callable[[int, int], float]
FEW = 2_000
"""So many resources are looked up in a posting list one by one; more are looked up in a table of all resources."""
UNKNOWN_IDF_MAX = 9.0
PARTLY = 0.8
"""How much a unit counts that matches in part: never as much as one that matches wholly."""


class Found(NamedTuple):
    """Resources in order, each with a score."""

    docs: Places
    scores: Scores


NOTHING = Found(np.empty(0, np.uint32), np.empty(0, np.float32))


def match_all(segment: Segment, query: SearchQuery, idf: Idf) -> Found:
    """Return the resources that match every unit of the query which is not a wish."""
    needed = [unit for unit in query.units if not unit.wish]
    if not needed:
        return NOTHING
    found: Found | None = None
    for unit in sorted(needed, key=lambda unit: _commonness(unit, idf)):
        found = _narrow(segment, found, _unit(segment, unit, idf, found))
        if len(found.docs) == 0:
            return NOTHING
    if found is None:
        return NOTHING
    for unit in query.units:
        if unit.wish:
            for low, high in unit.alternatives[0].ranges:
                strength = _strength(segment, found.docs, low, high)
                found = Found(found.docs, found.scores + strength * np.float32(idf(low, high) / IMPACT_FULL))
    return found


def match_some(segment: Segment, query: SearchQuery, idf: Idf) -> tuple[Found, Scores]:
    """Return the resources that match anything of the query, and which share of it each matches (0 to 1)."""
    size = len(segment)
    score, share = np.zeros(size, np.float32), np.zeros(size, np.float32)
    whole = 0.0
    for unit in query.units:
        weights = [min(idf(low, high), UNKNOWN_IDF_MAX) for low, high in unit.alternatives[0].ranges]
        weight = max(weights, default=0.0) * (0.1 if unit.wish else 1.0)
        whole += weight
        covered = np.zeros(size, np.float32)
        for (low, high), term_weight in zip(unit.alternatives[0].ranges, weights, strict=True):
            docs, impacts = _postings(segment, low, high)
            score[docs] += impacts * np.float32(term_weight / IMPACT_FULL)
            covered[docs] += np.float32(PARTLY * term_weight / max(sum(weights), 1e-6))
        for alternative in unit.alternatives:
            wholly = _conjunction(segment, alternative.ranges, idf, None)
            covered[wholly.docs] = 1.0
            if alternative is not unit.alternatives[0]:
                score[wholly.docs] += wholly.scores * np.float32(alternative.weight)
        share += covered * np.float32(weight)
    docs = np.flatnonzero(share > 0).astype(np.uint32)
    return Found(docs, score[docs]), share[docs] / np.float32(max(whole, 1e-6))


def _unit(segment: Segment, unit: Unit, idf: Idf, within: Found | None) -> Found:
    """What matches one of a unit's alternatives, with the best of their scores."""
    ways = [
        Found(found.docs, found.scores * np.float32(way.weight))
        for way in unit.alternatives
        if len((found := _conjunction(segment, way.ranges, idf, within)).docs)
    ]
    if len(ways) <= 1:
        return ways[0] if ways else NOTHING
    table = np.full(len(segment), -1, np.float32)
    for way in ways:
        table[way.docs] = np.maximum(table[way.docs], way.scores)
    docs = np.flatnonzero(table >= 0).astype(np.uint32)
    return Found(docs, table[docs])


def _conjunction(segment: Segment, ranges: Ranges, idf: Idf, within: Found | None) -> Found:
    """What has all of the terms; `within` bounds the work to resources that matched so far."""
    places = [segment.places(low, high) for low, high in ranges]
    if not ranges or any(begin == end for begin, end in places):
        return NOTHING
    # The order is the index's, not the segment's: sums are rounded, and must not depend on how segments were cut.
    order = sorted(range(len(ranges)), key=lambda index: -idf(*ranges[index]))
    tables = [segment.dense_table(*ranges[index]) for index in order]
    size = places[order[0]][1] - places[order[0]][0]
    if within is not None and len(within.docs) < size:
        docs, scores, rest = within.docs, np.zeros(len(within.docs), np.float32), order
    elif len(order) > 1 and all(table is not None for table in tables):
        # All terms are common: whole tables are compared, which is quicker than one list after the other.
        together = np.logical_and.reduce([table for table in tables if table is not None])
        docs, rest = np.flatnonzero(together).astype(np.uint32), []
        scores = np.zeros(len(docs), np.float32)
        for index, table in zip(order, tables, strict=True):
            if table is not None:
                scores += table[docs] * np.float32(idf(*ranges[index]) / IMPACT_FULL)
    else:
        low, high = ranges[order[0]]
        docs, impacts = _postings(segment, low, high)
        scores, rest = impacts * np.float32(idf(low, high) / IMPACT_FULL), order[1:]
    for index in rest:
        low, high = ranges[index]
        strength = _strength(segment, docs, low, high)
        kept = strength > 0
        docs, scores = docs[kept], scores[kept] + strength[kept] * np.float32(idf(low, high) / IMPACT_FULL)
    return Found(docs, scores)


def _narrow(segment: Segment, found: Found | None, more: Found) -> Found:
    if found is None:
        return more
    if len(found.docs) == 0 or len(more.docs) == 0:
        return NOTHING
    few, many = (found, more) if len(found.docs) <= len(more.docs) else (more, found)
    if len(few.docs) <= FEW:
        at = np.minimum(np.searchsorted(many.docs, few.docs), len(many.docs) - 1)
        kept = many.docs[at] == few.docs
        return Found(few.docs[kept], few.scores[kept] + many.scores[at[kept]])
    table = np.zeros(len(segment), np.float32)
    table[many.docs] = many.scores
    both = table[few.docs]
    kept = both > 0
    return Found(few.docs[kept], few.scores[kept] + both[kept])


def _strength(segment: Segment, docs: Places, low: int, high: int) -> Scores:
    """The impact that each of `docs` has for a term or range of terms; 0 where it lacks it."""
    begin, end = segment.places(low, high)
    if begin == end or len(docs) == 0:
        return np.zeros(len(docs), np.float32)
    if len(docs) <= FEW and high == low + 1:
        listed = segment.docs[begin:end]
        at = np.minimum(np.searchsorted(listed, docs), end - begin - 1)
        hit = segment.impacts[begin:end][at].astype(np.float32)
        return np.where(listed[at] == docs, hit, np.float32(0))
    table = segment.dense_table(low, high)
    if table is None:
        table = np.zeros(len(segment), np.uint8)
        table[segment.docs[begin:end]] = segment.impacts[begin:end]
    return table[docs].astype(np.float32)


def _postings(segment: Segment, low: int, high: int) -> tuple[Places, Scores]:
    """The resources with a term, in order; of a range of terms the last one's impact, for any will do."""
    begin, end = segment.places(low, high)
    if high == low + 1:
        return segment.docs[begin:end], segment.impacts[begin:end].astype(np.float32)
    table = np.zeros(len(segment), np.uint8)
    table[segment.docs[begin:end]] = segment.impacts[begin:end]
    docs = np.flatnonzero(table).astype(np.uint32)
    return docs, table[docs].astype(np.float32)


def _commonness(unit: Unit, idf: Idf) -> float:
    """Rises with how many resources may match a unit; the same for every segment."""
    return max(min(-idf(low, high) for low, high in way.ranges) for way in unit.alternatives)
