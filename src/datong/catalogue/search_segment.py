"""A segment of the search index: immutable arrays over some resources, in memory or mapped from files.

For every term (see `search_terms`) the segment keeps which resources have it and how strongly: an *impact*, the BM25
weight over the fields without its idf. Impacts use fixed typical lengths instead of the catalogue's averages, so that
they depend on the resource alone, and an index that grew by changes equals one built from scratch.
"""

import json
import math
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from datong.catalogue.search_pairs import PairTable
from datong.catalogue.search_strings import StringTable
from datong.catalogue.search_terms import Keys, Places, terms_of
from datong.catalogue.search_text import core_title, fold, squeezed
from datong.catalogue.search_titles import Cores, cores_of, merged_cores

FACETS = ("departments", "share_types", "themes", "formats", "update_cycles", "grades", "open")
"""What is counted and filtered by, under the names of `SearchFilters`."""
JOINT_FACETS = ("share_types", "formats", "update_cycles", "grades", "open")
IMPACT_FULL = 255
DENSE_SHARE = 32
"""A term that one resource in so many has is common: its impacts are kept as a table of all resources."""
DENSE_BYTES_MAX = 64_000_000
"""Memory for such tables, per segment."""
MERGED_POSTINGS_MAX = 4_000_000
"""Postings in memory at once while segments are merged."""
ARRAYS = ("keys", "starts", "docs", "impacts", "ids", "published", "uses", "title_order")
_SATURATION = 1.2
_LENGTH_SHARE = 0.6


class Field(NamedTuple):
    """One searched field: its weight, and the number of terms it typically has."""

    weight: float
    typical_terms: float


FIELDS = (Field(3.0, 14.0), Field(1.3, 40.0), Field(0.9, 40.0))
"""Title, items, and the rest: summary, keywords, department, code."""
_IMPACT_MAX = sum(field.weight for field in FIELDS)


class SearchDocument(NamedTuple):
    """What is indexed of one visible resource; `fields` are in the order of `FIELDS`."""

    resource_id: str
    title: str
    fields: tuple[str, str, str]
    facets: tuple[str, ...]
    published_microseconds: int
    use_level: int


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Resources in the order of their ids, and the postings of every term."""

    keys: Keys
    starts: npt.NDArray[np.int64]
    docs: Places
    impacts: npt.NDArray[np.uint8]
    ids: npt.NDArray[np.bytes_]
    published: npt.NDArray[np.int64]
    uses: npt.NDArray[np.uint8]
    titles: StringTable
    """Folded titles without spaces and signs."""
    title_order: Places
    facet_codes: dict[str, npt.NDArray[np.uint16]]
    facet_values: dict[str, tuple[str, ...]]
    cores: Cores
    folder: Path | None = None

    def __len__(self) -> int:
        """The number of resources, those taken out since included."""
        return len(self.ids)

    def places(self, low: int, high: int) -> tuple[int, int]:
        """Return where the postings of the terms in a half-open range of numbers lie."""
        first, last = np.searchsorted(self.keys, np.array([low, high], dtype=np.uint64))
        return int(self.starts[first]), int(self.starts[last])

    def dense_table(self, low: int, high: int) -> npt.NDArray[np.uint8] | None:
        """Return every resource's impact for a common term, kept for the next query; None for another term."""
        begin, end = self.places(low, high)
        if high != low + 1 or end - begin < max(len(self) // DENSE_SHARE, 1):
            return None
        known = self._dense.get(low)
        if known is None:
            while len(self._dense) >= max(DENSE_BYTES_MAX // max(len(self), 1), 1):
                self._dense.pop(next(iter(self._dense)), None)
            known = np.zeros(len(self), np.uint8)
            known[self.docs[begin:end]] = self.impacts[begin:end]
            self._dense[low] = known
        return known

    @cached_property
    def _dense(self) -> dict[int, npt.NDArray[np.uint8]]:
        return {}

    @cached_property
    def joint_codes(self) -> tuple[tuple[int, ...], npt.NDArray[np.uint16]] | None:
        """The facets with few values in one number per resource, so that they are counted in one go."""
        sizes = tuple(len(self.facet_values[facet]) for facet in JOINT_FACETS)
        if math.prod(sizes) > np.iinfo(np.uint16).max or len(self) == 0:
            return None
        codes = [self.facet_codes[facet] for facet in JOINT_FACETS]
        return sizes, np.ravel_multi_index(codes, sizes).astype(np.uint16)

    @cached_property
    def pairs(self) -> PairTable:
        """The dictionary of the pairs of characters, made at the first need."""
        return PairTable.of(self.keys)

    def find(self, resource_id: str) -> int | None:
        """Return the place of a resource, if the segment has it."""
        wanted = resource_id.encode()
        place = int(np.searchsorted(self.ids, np.bytes_(wanted)))
        return place if place < len(self.ids) and bytes(self.ids[place]) == wanted else None

    def titled(self, beginning: str, *, exactly: bool = False) -> Places:
        """Return the resources whose folded title begins with `beginning`, or is it."""
        low = self.titles.lower_bound(beginning.encode(), self.title_order)
        after = beginning.encode() + (b"\x00" if exactly else b"\xff")
        return self.title_order[low : self.titles.lower_bound(after, self.title_order)]


def build_segment(documents: Iterable[SearchDocument]) -> Segment:
    """Index `documents`, which may come in any order and are each of another resource."""
    ordered = sorted(documents, key=lambda document: document.resource_id)
    keys, starts, docs, impacts = _postings(ordered)
    folded = fold("\n".join(document.title.replace("\n", " ") for document in ordered))
    titles = [squeezed(title).encode() for title in folded.split("\n")] if ordered else []
    codes, values = {}, {}
    for index, facet in enumerate(FACETS):
        column = [document.facets[index] for document in ordered]
        known = sorted(set(column))
        numbers = {value: number for number, value in enumerate(known)}
        codes[facet] = np.fromiter((numbers[value] for value in column), np.uint16, len(column))
        values[facet] = tuple(known)
    return Segment(
        keys=keys,
        starts=starts,
        docs=docs,
        impacts=impacts,
        ids=np.array([document.resource_id.encode() for document in ordered], dtype=np.bytes_),
        published=np.fromiter((document.published_microseconds for document in ordered), np.int64, len(ordered)),
        uses=np.fromiter((document.use_level for document in ordered), np.uint8, len(ordered)),
        titles=StringTable.of(titles),
        title_order=np.array(sorted(range(len(titles)), key=titles.__getitem__), dtype=np.uint32),
        facet_codes=codes,
        facet_values=values,
        cores=cores_of([core_title(document.title.replace("\n", " ")) for document in ordered]),
    )


def _postings(ordered: Sequence[SearchDocument]) -> tuple[Keys, npt.NDArray[np.int64], Places, npt.NDArray[np.uint8]]:
    cut = [
        terms_of([document.fields[index] for document in ordered], initials=index == 0) for index in range(len(FIELDS))
    ]
    keys = np.unique(np.concatenate([terms for terms, _ in cut]))
    # Term, resource and field in one number: one sort brings together what belongs together.
    packed = [
        np.searchsorted(keys, terms).astype(np.uint64) << np.uint64(34)
        | places.astype(np.uint64) << np.uint64(2)
        | np.uint64(index)
        for index, (terms, places) in enumerate(cut)
    ]
    cells, frequencies = np.unique(np.concatenate(packed), return_counts=True)
    if len(cells) == 0:
        return keys, np.zeros(1, np.int64), np.empty(0, np.uint32), np.empty(0, np.uint8)
    places = ((cells >> np.uint64(2)) & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    field = (cells & np.uint64(3)).astype(np.int64)
    lengths = np.stack([np.bincount(places_of, minlength=len(ordered)) for _, places_of in cut])
    typical = np.array([each.typical_terms for each in FIELDS])
    weights = np.array([each.weight for each in FIELDS])
    norms = _SATURATION * (1 - _LENGTH_SHARE + _LENGTH_SHARE * lengths / typical[:, None])
    strength = weights[field] * frequencies / (frequencies + norms[field, places])
    first = np.flatnonzero(np.diff(cells >> np.uint64(2), prepend=np.uint64(2**63)))
    total = np.add.reduceat(strength, first)
    impacts = np.maximum(np.rint(total * (IMPACT_FULL / _IMPACT_MAX)), 1).astype(np.uint8)
    ranks = (cells[first] >> np.uint64(34)).astype(np.int64)
    starts = np.searchsorted(ranks, np.arange(len(keys) + 1)).astype(np.int64)
    return keys, starts, places[first], impacts


def merge_segments(
    parts: Sequence[tuple[Segment, npt.NDArray[np.bool_] | None]], folder: Path | None = None
) -> Segment:
    """Return one segment of what still lives in `parts`, written to the new folder `folder` or kept in memory.

    A mask says which of a part's resources live; None stands for all. No resource lives in two parts.
    """
    alive = [np.ones(len(part), np.bool_) if mask is None else mask for part, mask in parts]
    ids = np.concatenate([part.ids[mask] for (part, _), mask in zip(parts, alive, strict=True)])
    order = np.argsort(ids, kind="stable")
    place_of = np.empty(len(ids), np.int64)
    place_of[order] = np.arange(len(ids))
    moves, at = [], 0
    for mask in alive:
        count = int(mask.sum())
        move = np.full(len(mask), -1, np.int64)
        move[mask] = place_of[at : at + count]
        moves.append(move)
        at += count
    segments = [part for part, _ in parts]

    def gathered(arrays: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
        return np.concatenate([array[mask] for array, mask in zip(arrays, alive, strict=True)])[order]

    codes, values = _merged_facets(segments, gathered)
    titles = [
        segment.titles[int(place)]
        for segment, mask in zip(segments, alive, strict=True)
        for place in np.flatnonzero(mask)
    ]
    titles = [titles[int(place)] for place in order]
    keys, starts, docs, impacts = _merged_postings(segments, moves, folder)
    merged = Segment(
        keys=keys,
        starts=starts,
        docs=docs,
        impacts=impacts,
        ids=ids[order],
        published=gathered([segment.published for segment in segments]),
        uses=gathered([segment.uses for segment in segments]),
        titles=StringTable.of(titles),
        title_order=np.array(sorted(range(len(titles)), key=titles.__getitem__), dtype=np.uint32),
        facet_codes=codes,
        facet_values=values,
        cores=merged_cores([segment.cores for segment in segments], alive, order),
    )
    return merged if folder is None else _saved(merged, folder)


def _merged_facets(
    segments: Sequence[Segment], gathered: Any
) -> tuple[dict[str, npt.NDArray[np.uint16]], dict[str, tuple[str, ...]]]:
    codes, values = {}, {}
    for facet in FACETS:
        known = sorted({value for segment in segments for value in segment.facet_values[facet]})
        numbers = {value: number for number, value in enumerate(known)}
        translated = []
        for segment in segments:
            table = np.array([numbers[value] for value in segment.facet_values[facet]], dtype=np.uint16)
            translated.append(table[segment.facet_codes[facet]] if len(table) else segment.facet_codes[facet])
        codes[facet], values[facet] = gathered(translated), tuple(known)
    return codes, values


def _merged_postings(
    segments: Sequence[Segment], moves: Sequence[npt.NDArray[np.int64]], folder: Path | None
) -> tuple[Keys, npt.NDArray[np.int64], Places, npt.NDArray[np.uint8]]:
    keys, counts, docs, impacts = [], [], [], []
    if folder is not None:
        folder.mkdir(parents=True)
    for chunk in _merged_chunks(segments, moves):
        keys.append(chunk[0])
        counts.append(chunk[1])
        if folder is None:
            docs.append(chunk[2])
            impacts.append(chunk[3])
            continue
        for name, array in (("docs", chunk[2]), ("impacts", chunk[3])):
            with (folder / name).open("ab") as file:
                array.tofile(file)
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.concatenate([*counts, np.empty(0, np.int64)]))])
    all_keys = np.concatenate([*keys, np.empty(0, np.uint64)])
    if folder is not None:
        return all_keys, starts, _mapped(folder / "docs", np.uint32), _mapped(folder / "impacts", np.uint8)
    return (
        all_keys,
        starts,
        np.concatenate([*docs, np.empty(0, np.uint32)]),
        np.concatenate([*impacts, np.empty(0, np.uint8)]),
    )


def _merged_chunks(
    segments: Sequence[Segment], moves: Sequence[npt.NDArray[np.int64]]
) -> Iterator[tuple[Keys, npt.NDArray[np.int64], Places, npt.NDArray[np.uint8]]]:
    """Yield the merged postings in the order of terms, so many terms at once as memory is set aside for."""
    every = np.unique(np.concatenate([segment.keys for segment in segments]))
    sizes = np.zeros(len(every), np.int64)
    for segment in segments:
        sizes[np.searchsorted(every, segment.keys)] += np.diff(segment.starts)
    cuts = np.searchsorted(np.cumsum(sizes), np.arange(MERGED_POSTINGS_MAX, sizes.sum(), MERGED_POSTINGS_MAX))
    bounds = np.unique(np.concatenate([[0], cuts, [len(every)]]))
    for low, high in pairwise(bounds):
        chunk = every[low:high]
        packed = []
        for segment, move in zip(segments, moves, strict=True):
            first, last = np.searchsorted(segment.keys, chunk[0]), np.searchsorted(segment.keys, chunk[-1], "right")
            begin, end = int(segment.starts[first]), int(segment.starts[last])
            ranks = np.repeat(
                np.searchsorted(chunk, segment.keys[first:last]), np.diff(segment.starts[first : last + 1])
            )
            places = move[segment.docs[begin:end]]
            cells = (
                ranks.astype(np.uint64) << np.uint64(40)
                | np.maximum(places, 0).astype(np.uint64) << np.uint64(8)
                | segment.impacts[begin:end].astype(np.uint64)
            )
            packed.append(cells[places >= 0])
        cells = np.sort(np.concatenate(packed))
        counts = np.bincount((cells >> np.uint64(40)).astype(np.int64), minlength=len(chunk))
        kept = counts > 0
        yield (
            chunk[kept],
            counts[kept].astype(np.int64),
            ((cells >> np.uint64(8)) & np.uint64(0xFFFFFFFF)).astype(np.uint32),
            (cells & np.uint64(0xFF)).astype(np.uint8),
        )


def save_segment(segment: Segment, folder: Path) -> Segment:
    """Write a segment to the new folder `folder`, and return it mapped from there."""
    folder.mkdir(parents=True)
    segment.docs.tofile(folder / "docs")
    segment.impacts.tofile(folder / "impacts")
    return _saved(segment, folder)


def load_segment(folder: Path) -> Segment:
    """Return the segment in `folder`, mapped; raises OSError or ValueError if it is not whole."""
    described = json.loads((folder / "segment.json").read_text())
    arrays = {
        name: _mapped(folder / name, np.dtype(kind), length) for name, (kind, length) in described["arrays"].items()
    }

    def table(name: str) -> StringTable:
        return StringTable(arrays[f"{name}.blob"], arrays[f"{name}.offsets"])

    return Segment(
        **{name: arrays[name] for name in ARRAYS},
        titles=table("titles"),
        facet_codes={facet: arrays[f"facet.{facet}"] for facet in FACETS},
        facet_values={facet: tuple(described["facets"][facet]) for facet in FACETS},
        cores=Cores(
            keys=table("cores"), marks=arrays["cores_marks"], readings=table("cores_readings"),
            initials=table("cores_initials"), by_reading=arrays["cores_by_reading"],
            by_initials=arrays["cores_by_initials"], of_doc=arrays["core_of_doc"],
        ),
        folder=folder,
    )  # fmt: skip


def remove_segment(folder: Path) -> None:
    """Remove the files of a segment; processes that have it mapped keep what they see."""
    shutil.rmtree(folder, ignore_errors=True)


def _saved(segment: Segment, folder: Path) -> Segment:
    cores = segment.cores
    arrays: dict[str, npt.NDArray[Any]] = {name: getattr(segment, name) for name in ARRAYS}
    arrays |= {f"facet.{facet}": segment.facet_codes[facet] for facet in FACETS}
    arrays |= {
        "cores_marks": cores.marks,
        "cores_by_reading": cores.by_reading,
        "cores_by_initials": cores.by_initials,
        "core_of_doc": cores.of_doc,
    }
    tables = {
        "titles": segment.titles,
        "cores": cores.keys,
        "cores_readings": cores.readings,
        "cores_initials": cores.initials,
    }
    for name, table in tables.items():
        arrays |= {f"{name}.blob": table.blob, f"{name}.offsets": table.offsets}
    for name, array in arrays.items():
        if name not in ("docs", "impacts"):
            array.tofile(folder / name)
    described = {
        "arrays": {name: (array.dtype.str, len(array)) for name, array in arrays.items()},
        "facets": {facet: list(values) for facet, values in segment.facet_values.items()},
    }
    # The description is written last: a folder without it is what a killed process left behind.
    (folder / "segment.json").write_text(json.dumps(described, ensure_ascii=False))
    return load_segment(folder)


def _mapped(path: Path, kind: npt.DTypeLike, length: int | None = None) -> npt.NDArray[Any]:
    """Return a file's array, which is mapped and therefore shared by every process of the machine."""
    wanted = np.dtype(kind)
    size = path.stat().st_size if path.exists() else 0
    if length is not None and size != length * wanted.itemsize:
        raise ValueError(f"{path.name} has {size} bytes instead of {length} values")
    if size == 0:
        return np.empty(0, wanted)
    # A plain array over the map: numpy's memmap class costs a microsecond more at every slice.
    return np.asarray(np.memmap(path, dtype=wanted, mode="r"))
