"""One state of the index: its segments, which of their resources live, and what a query finds in them.

A view never changes, so that a search needs no lock. Everything is counted over living resources only, however the
segments came about: the same resources give the same hits, scores, counts and order.
"""

import math
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from datong.catalogue.search_matching import Found, match_all, match_some
from datong.catalogue.search_query import SearchQuery
from datong.catalogue.search_segment import FACETS, JOINT_FACETS, Segment
from datong.catalogue.search_terms import Places
from datong.catalogue.search_titles import Marks
from datong.kernel import Text

Mask = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.int64]
Wanted = dict[str, frozenset[str]]
SortKey = Callable[[npt.NDArray[np.int64]], npt.NDArray[np.generic]]
"""Gives what decides the order for some places of a selection, which come sorted."""
WINDOW = 200
"""So many of the best are looked at once more, title by title."""
EXACT_TITLE_BOOST = 1000.0
PREFIX_TITLE_BOOST = 6.0
CONTAINED_TITLE_BOOST = 5.0
UNITS_IN_TITLE_BOOST = 6.0
WHOLE_QUERY_BOOST = 100.0
USE_SHARE_PER_LEVEL = 0.02
"""What being used adds to a score, per level of use; ten levels at most, so a fifth at most."""
SHARE_MIN = 0.25
"""Relaxed, a resource must match so much of the query, unless nothing does."""
JOINT_MIN = 10_000
"""For fewer resources than this, facets are quicker counted one by one."""
COUNTS_KEPT_MAX = 200_000
_RANK_SHIFT = 21


class SearchOrder(StrEnum):
    """In which order hits come."""

    RELEVANCE = "relevance"
    NEWEST = "newest"
    MOST_USED = "most_used"

    @property
    def label(self) -> Text:
        """The order's name."""
        return _ORDERS[self]


_ORDERS = {
    SearchOrder.RELEVANCE: Text(zh="最相关", en="Best match"),
    SearchOrder.NEWEST: Text(zh="最新发布", en="Newest"),
    SearchOrder.MOST_USED: Text(zh="使用最多", en="Most used"),
}


class Selection(NamedTuple):
    """What matched in every segment, before it is put in order: places and scores, and what facets count."""

    docs: tuple[Places, ...]
    scores: tuple[npt.NDArray[np.float32], ...]
    total: int
    facets: dict[str, dict[str, int]]


class Ranked(NamedTuple):
    """One resource in its place."""

    segment: int
    doc: int
    score: float


class Placed(NamedTuple):
    """Places in a selection, counted over its segments, in order; and the score of each."""

    places: Positions
    scores: npt.NDArray[np.float64]


class IndexView:
    """The segments with their living resources; `masks` has None where all live."""

    def __init__(self, segments: Sequence[Segment], masks: Sequence[Mask | None]) -> None:
        self.segments, self.masks = tuple(segments), tuple(masks)
        self._counts: dict[tuple[int, int], int] = {}
        self.size = sum(
            len(segment) if mask is None else int(mask.sum())
            for segment, mask in zip(self.segments, self.masks, strict=True)
        )

    def count(self, low: int, high: int) -> int:
        """Return how many postings of living resources a range of terms has."""
        known = self._counts.get((low, high))
        if known is None:
            if len(self._counts) >= COUNTS_KEPT_MAX:
                self._counts.clear()
            known = self._counts[low, high] = self._counted(low, high)
        return known

    def _counted(self, low: int, high: int) -> int:
        total = 0
        for segment, mask in zip(self.segments, self.masks, strict=True):
            begin, end = segment.places(low, high)
            total += end - begin if mask is None else int(np.count_nonzero(mask[segment.docs[begin:end]]))
        return total

    def idf(self, low: int, high: int) -> float:
        """Return how telling a term is: 0 for one that every resource has."""
        count = min(self.count(low, high), self.size)
        return math.log(1 + (self.size - count + 0.5) / (count + 0.5))

    def resource_id(self, ranked: Ranked) -> str:
        """Return the id of a resource."""
        return bytes(self.segments[ranked.segment].ids[ranked.doc]).decode()

    def core(self, ranked: Ranked) -> bytes:
        """Return what near-duplicates of a resource share with it."""
        cores = self.segments[ranked.segment].cores
        return cores.keys[int(cores.of_doc[ranked.doc])]

    def marks(self, selection: Selection, places: Positions) -> Marks:
        """Return, for some places of a selection, a number that near-duplicates share."""
        segments, docs = self.located(selection, places)
        found = np.empty(len(places), np.uint64)
        for index in np.unique(segments):
            here, cores = segments == index, self.segments[index].cores
            found[here] = cores.marks[cores.of_doc[docs[here]]]
        return found

    def marked(self, selection: Selection, marks: Marks) -> Mask:
        """Return which places of a selection have one of some marks."""
        parts = []
        for segment, docs in zip(self.segments, selection.docs, strict=True):
            known = segment.cores.places_of(marks)
            table = np.zeros(len(segment.cores.keys), np.bool_)
            table[known[known >= 0]] = True
            parts.append(table[segment.cores.of_doc[docs]])
        return np.concatenate(parts) if parts else np.empty(0, np.bool_)

    def mark_counts(self, selection: Selection, marks: Marks) -> npt.NDArray[np.int64]:
        """Return how many of a selection have each of some marks."""
        counts = np.zeros(len(marks), np.int64)
        for segment, docs in zip(self.segments, selection.docs, strict=True):
            known = segment.cores.places_of(marks)
            tally = np.bincount(segment.cores.of_doc[docs], minlength=len(segment.cores.keys) + 1)
            counts += np.where(known >= 0, tally[known], 0)
        return counts

    def facet(self, ranked: Ranked, facet: str) -> str:
        """Return the value that a resource has in a facet."""
        segment = self.segments[ranked.segment]
        return segment.facet_values[facet][int(segment.facet_codes[facet][ranked.doc])]

    def title(self, ranked: Ranked) -> str:
        """Return a resource's folded title."""
        return self.segments[ranked.segment].titles[ranked.doc].decode()

    def subjects(self, beginning: str, most: int) -> dict[bytes, int]:
        """Return the subjects (cores of titles) that begin so, or are read so, with how many resources each has.

        Of many, those with the most resources in each segment are compared.
        """
        found: dict[bytes, int] = {}
        for segment, tally in zip(self.segments, self._tallies, strict=True):
            places = segment.cores.begin_with(beginning)
            numbers = tally[places]
            if len(places) > most:
                best = np.argpartition(-numbers, most)[:most]
                places, numbers = places[best], numbers[best]
            for place, number in zip(places, numbers, strict=True):
                if number:
                    key = segment.cores.keys[int(place)]
                    found[key] = found.get(key, 0) + int(number)
        return found

    def subject_count(self, subject: bytes) -> int:
        """Return how many living resources are about a subject."""
        return sum(
            int(tally[place])
            for segment, tally in zip(self.segments, self._tallies, strict=True)
            if (place := segment.cores.find(subject)) is not None
        )

    def example(self, subject: bytes) -> str | None:
        """Return the first living resource that is about a subject, in the order of ids."""
        found: list[str] = []
        for segment, mask in zip(self.segments, self.masks, strict=True):
            place = segment.cores.find(subject)
            if place is not None:
                about = segment.cores.of_doc == place
                docs = np.flatnonzero(about if mask is None else about & mask)
                found.extend(bytes(segment.ids[doc]).decode() for doc in docs[:1])
        return min(found, default=None)

    def all(self, wanted: Wanted) -> Selection:
        """Select every living resource with the wanted values."""
        if not wanted:
            return self._everything
        return self._select([Found(docs, np.zeros(len(docs), np.float32)) for docs in self._living()], wanted)

    def matching(self, query: SearchQuery, wanted: Wanted) -> Selection:
        """Select what matches every unit of the query."""
        found = [self._boosted(segment, query, match_all(segment, query, self.idf)) for segment in self.segments]
        return self._select([self._alive(index, each) for index, each in enumerate(found)], wanted)

    def resembling(self, query: SearchQuery, wanted: Wanted, exact: Selection) -> Selection:
        """Select what matches a good part of the query: a quarter of it, or as much as the best one does.

        What matches all of it (`exact`) comes first.
        """
        parts = []
        for index, segment in enumerate(self.segments):
            found, shares = match_some(segment, query, self.idf)
            mask = self.masks[index]
            kept = np.ones(len(found.docs), np.bool_) if mask is None else mask[found.docs]
            parts.append((Found(found.docs[kept], found.scores[kept]), shares[kept]))
        best = max((float(shares.max()) for _, shares in parts if len(shares)), default=0.0)
        least = np.float32(min(SHARE_MIN, best * 0.999))
        chosen = []
        for segment, (found, shares), wholly in zip(self.segments, parts, exact.docs, strict=True):
            enough = (shares >= least) | np.isin(found.docs, wholly)
            # What is everywhere weighs nothing, so a whole match may lack even a share of the query.
            docs = np.union1d(found.docs[enough], wholly).astype(np.uint32)
            scores = np.zeros(len(docs), np.float32)
            scores[np.searchsorted(docs, found.docs[enough])] = found.scores[enough] * shares[enough] ** 2
            scores[np.searchsorted(docs, wholly)] += np.float32(WHOLE_QUERY_BOOST)
            chosen.append(self._boosted(segment, query, Found(docs, scores)))
        return self._select(chosen, wanted)

    def ordered(self, selection: Selection, order: SearchOrder, query: SearchQuery, most: int) -> list[Ranked]:
        """Return the first `most` of a selection in order; the first of them are looked at title by title."""
        return self.ranked(selection, self.placed(selection, order, query, most))

    def placed(
        self, selection: Selection, order: SearchOrder, query: SearchQuery, most: int, among: Positions | None = None
    ) -> Placed:
        """Return where the first `most` of a selection stand in it, in order, with their scores.

        `among` are the places that are left when the best ones were taken out: their titles are not looked at.
        """
        by_title = among is None and order is SearchOrder.RELEVANCE and bool(query.asked)
        keys = self._sort_keys(selection, order if query.asked else _without_query(order))
        left = np.arange(selection.total) if among is None else among
        best = _first(keys, left, max(most, WINDOW if by_title else 0))
        scores = np.concatenate(selection.scores)[best] if selection.scores else np.empty(0, np.float32)
        found = Placed(best, scores.astype(np.float64))
        if by_title:
            found = self._by_title(selection, found, query)
        return Placed(found.places[:most], found.scores[:most])

    def ranked(self, selection: Selection, placed: Placed) -> list[Ranked]:
        """Return the resources at some places of a selection."""
        segments, docs = self.located(selection, placed.places)
        rows = zip(segments.tolist(), docs.tolist(), placed.scores.tolist(), strict=True)
        return [Ranked(segment, doc, score) for segment, doc, score in rows]

    def located(self, selection: Selection, places: Positions) -> tuple[Positions, Positions]:
        """Return the segment, and the place in it, of some places of a selection."""
        begins = np.concatenate([[0], np.cumsum([len(docs) for docs in selection.docs])]).astype(np.int64)
        segments = np.searchsorted(begins[1:], places, "right")
        docs = np.empty(len(places), np.int64)
        for index in np.unique(segments):
            here = segments == index
            docs[here] = selection.docs[index][places[here] - begins[index]]
        return segments, docs

    def _by_title(self, selection: Selection, found: Placed, query: SearchQuery) -> Placed:
        needed = [unit for unit in query.units if not unit.wish]
        ways = [[(way.text.replace(" ", ""), way.weight) for way in unit.alternatives] for unit in needed]
        scores = found.scores.copy()
        for place, each in enumerate(self.ranked(selection, Placed(found.places[:WINDOW], scores[:WINDOW]))):
            title = self.title(each)
            if query.asked in title:
                scores[place] += CONTAINED_TITLE_BOOST * len(query.asked) / max(len(title), 1)
            said = sum(max((weight for text, weight in unit if text in title), default=0.0) for unit in ways)
            scores[place] += UNITS_IN_TITLE_BOOST * said / max(len(needed), 1)
        order = np.concatenate(
            [np.argsort(-scores[:WINDOW], kind="stable"), np.arange(min(WINDOW, len(scores)), len(scores))]
        )
        return Placed(found.places[order], scores[order])

    def _boosted(self, segment: Segment, query: SearchQuery, found: Found) -> Found:
        """Titles that are or begin with the query come first, the shorter ones before; use counts a little."""
        if len(found.docs) == 0:
            return found
        scores = found.scores * (1 + np.float32(USE_SHARE_PER_LEVEL) * segment.uses[found.docs])
        asked_bytes = len(query.asked.encode())
        for exactly, boost in ((False, PREFIX_TITLE_BOOST), (True, EXACT_TITLE_BOOST)):
            titled = segment.titled(query.asked, exactly=exactly) if query.asked else found.docs[:0]
            at = np.minimum(np.searchsorted(found.docs, titled), len(found.docs) - 1)
            hit = found.docs[at] == titled
            places = titled[hit].astype(np.int64)
            lengths = segment.titles.offsets[places + 1] - segment.titles.offsets[places]
            scores[at[hit]] += np.float32(boost) * (asked_bytes / np.maximum(lengths, 1)).astype(np.float32)
        return Found(found.docs, scores)

    def _alive(self, index: int, found: Found) -> Found:
        mask = self.masks[index]
        if mask is None or len(found.docs) == 0:
            return found
        kept = mask[found.docs]
        return Found(found.docs[kept], found.scores[kept])

    def _living(self) -> list[Places]:
        return [
            np.arange(len(segment), dtype=np.uint32) if mask is None else np.flatnonzero(mask).astype(np.uint32)
            for segment, mask in zip(self.segments, self.masks, strict=True)
        ]

    @cached_property
    def _tallies(self) -> list[npt.NDArray[np.int64]]:
        """How many living resources each subject of each segment has."""
        tallies = []
        for segment, mask in zip(self.segments, self.masks, strict=True):
            of_doc = segment.cores.of_doc if mask is None else segment.cores.of_doc[mask]
            tallies.append(np.bincount(of_doc, minlength=len(segment.cores.keys)))
        return tallies

    @cached_property
    def _everything(self) -> Selection:
        return self._select([Found(docs, np.zeros(len(docs), np.float32)) for docs in self._living()], {})

    def _select(self, found: Sequence[Found], wanted: Wanted) -> Selection:
        """Keep what has the wanted values; a facet counts what the other facets leave, so that its values compare."""
        docs, scores = [], []
        counts: dict[str, dict[str, int]] = {facet: {} for facet in FACETS}
        for segment, each in zip(self.segments, found, strict=True):
            at = each.docs.astype(np.intp)
            if not wanted:
                _tally_all(segment, at, counts)
                docs.append(each.docs)
                scores.append(each.scores)
                continue
            codes = {facet: segment.facet_codes[facet][at] for facet in FACETS}
            passing = {facet: _wanted_codes(segment, facet, values)[codes[facet]] for facet, values in wanted.items()}
            for facet in FACETS:
                others = [mask for name, mask in passing.items() if name != facet]
                column = codes[facet][np.logical_and.reduce(others)] if others else codes[facet]
                _tally(segment, facet, np.bincount(column, minlength=len(segment.facet_values[facet])), counts)
            kept = np.logical_and.reduce(list(passing.values()))
            docs.append(each.docs[kept])
            scores.append(each.scores[kept])
        return Selection(tuple(docs), tuple(scores), sum(len(those) for those in docs), counts)

    def _sort_keys(self, selection: Selection, order: SearchOrder) -> list[SortKey]:
        """What decides, most important first, the larger the better; the last one is different for every resource.

        Each gives the values of some of the selection: only what is equal so far is compared further.
        """
        begins = np.concatenate([[0], np.cumsum([len(docs) for docs in selection.docs])]).astype(np.int64)

        def key(arrays: Sequence[npt.NDArray[np.generic]], of_docs: bool) -> SortKey:
            def values(places: npt.NDArray[np.int64]) -> npt.NDArray[np.generic]:
                cuts = np.searchsorted(places, begins)
                parts = []
                for index, array in enumerate(arrays):
                    at = places[cuts[index] : cuts[index + 1]] - begins[index]
                    parts.append(array[selection.docs[index][at]] if of_docs else array[at])
                return np.concatenate(parts) if parts else np.empty(0, np.int64)

            return values

        published = key([segment.published for segment in self.segments], True)
        rank = key(self._ranks, True)
        if order is SearchOrder.NEWEST:
            return [published, rank]
        if order is SearchOrder.MOST_USED:
            return [key([segment.uses for segment in self.segments], True), published, rank]
        return [key(selection.scores, False), published, rank]

    @cached_property
    def _ranks(self) -> list[npt.NDArray[np.int64]]:
        """A number for every resource that falls with its id, over all segments."""
        if not self.segments:
            return []
        largest = max(range(len(self.segments)), key=lambda index: len(self.segments[index]))
        base = self.segments[largest].ids
        ranks = [np.empty(0, np.int64)] * len(self.segments)
        ranks[largest] = -(np.arange(1, len(base) + 1, dtype=np.int64) << _RANK_SHIFT)
        others = [index for index in range(len(self.segments)) if index != largest]
        if others:
            ids = np.concatenate([self.segments[index].ids for index in others])
            among = np.empty(len(ids), np.int64)
            among[np.argsort(ids, kind="stable")] = np.arange(1, len(ids) + 1)
            before = np.searchsorted(base, ids).astype(np.int64)
            joined = -((before << _RANK_SHIFT) + among)
            ends = np.cumsum([len(self.segments[index]) for index in others])
            for index, part in zip(others, np.split(joined, ends[:-1]), strict=True):
                ranks[index] = part
        return ranks


def _tally_all(segment: Segment, at: npt.NDArray[np.intp], counts: dict[str, dict[str, int]]) -> None:
    """Count every facet of the resources at `at`."""
    joint = segment.joint_codes
    together = joint is not None and len(at) > JOINT_MIN
    if joint is not None and together:
        sizes, codes = joint
        tally = np.bincount(codes[at], minlength=math.prod(sizes)).reshape(sizes)
        for axis, facet in enumerate(JOINT_FACETS):
            _tally(segment, facet, tally.sum(axis=tuple(other for other in range(len(sizes)) if other != axis)), counts)
    for facet in FACETS:
        if not (together and facet in JOINT_FACETS):
            column = segment.facet_codes[facet][at]
            _tally(segment, facet, np.bincount(column, minlength=len(segment.facet_values[facet])), counts)


def _tally(segment: Segment, facet: str, tally: npt.NDArray[np.int64], counts: dict[str, dict[str, int]]) -> None:
    for value, number in zip(segment.facet_values[facet], tally, strict=True):
        if number:
            counts[facet][value] = counts[facet].get(value, 0) + int(number)


def _without_query(order: SearchOrder) -> SearchOrder:
    """Where nothing was asked, nothing is more relevant: the newest come first."""
    return SearchOrder.NEWEST if order is SearchOrder.RELEVANCE else order


def _wanted_codes(segment: Segment, facet: str, values: frozenset[str]) -> Mask:
    known = segment.facet_values[facet]
    return np.fromiter((value in values for value in known), np.bool_, len(known))


def _first(keys: list[SortKey], left: Positions, most: int) -> Positions:
    """Return those of the places `left` that are the `most` largest by the first key, then the second, and so on."""
    chosen: list[Positions] = []
    among = left
    for key in keys:
        need = most - sum(len(part) for part in chosen)
        if len(among) <= need:
            break
        values = key(among)
        limit = np.partition(values, len(values) - need)[len(values) - need]
        chosen.append(among[values > limit])
        among = among[values == limit]
    chosen.append(among)
    places = np.sort(np.concatenate(chosen))
    columns = [key(places) for key in keys[::-1]]
    falling = [-column.astype(np.float64 if column.dtype.kind == "f" else np.int64) for column in columns]
    return places[np.lexsort(falling)][:most]
