"""The cores of titles (see `core_title`): what near-duplicates share, and what is suggested while somebody types."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from datong import catalogue
from datong.catalogue.search_strings import StringTable
from datong.catalogue.search_text import fold, squeezed

READ_CHARS_MAX = 24
Marks = npt.NDArray[np.uint64]
"""Numbers that stand for cores in every segment alike."""
_Order = npt.NDArray[np.uint32]


@dataclass(frozen=True, kw_only=True)
class Cores:
    """Distinct cores in the order of their folded form, their readings, and the core of each resource.

    The mark of a core is 64 bits of its digest: among a million cores, two share one with a chance of 1 in 37 million.
    """

    keys: StringTable
    marks: Marks
    readings: StringTable
    initials: StringTable
    by_reading: _Order
    by_initials: _Order
    of_doc: _Order

    @cached_property
    def _by_mark(self) -> npt.NDArray[np.int64]:
        return np.argsort(self.marks)

    def places_of(self, marks: Marks) -> npt.NDArray[np.int64]:
        """Return the place of the core of each mark, -1 where there is none."""
        if len(self.marks) == 0:
            return np.full(len(marks), -1, np.int64)
        order = self._by_mark
        at = np.minimum(np.searchsorted(self.marks, marks, sorter=order), len(order) - 1)
        return np.where(self.marks[order[at]] == marks, order[at], -1)

    def find(self, key: bytes) -> int | None:
        """Return the place of a core by its folded form, if there is one."""
        place = self.keys.lower_bound(key)
        return place if place < len(self.keys) and self.keys[place] == key else None

    def begin_with(self, text: str) -> _Order:
        """Return the cores that begin with a folded text, or whose pinyin or initials do."""
        wanted = text.encode()
        after = wanted + b"\xff"
        low, high = self.keys.lower_bound(wanted), self.keys.lower_bound(after)
        found = [np.arange(low, high, dtype=np.uint32)]
        if text.isascii():
            for table, order in ((self.readings, self.by_reading), (self.initials, self.by_initials)):
                found.append(order[table.lower_bound(wanted, order) : table.lower_bound(after, order)])
        return np.unique(np.concatenate(found))


def cores_of(titles: Sequence[str]) -> Cores:
    """Return the cores of the resources' core titles, given in the order of the resources."""
    keys = [(squeezed(title) or title).encode() for title in fold("\n".join(titles)).split("\n")] if titles else []
    ordered = sorted(set(keys))
    number = {key: place for place, key in enumerate(ordered)}
    return _table(ordered, np.fromiter((number[key] for key in keys), np.uint32, len(keys)))


def merged_cores(parts: Sequence[Cores], alive: Sequence[npt.NDArray[np.bool_]], order: npt.NDArray[np.int64]) -> Cores:
    """Return the cores of the living resources of several segments, in the order `order` of them all together."""
    used = [np.unique(part.of_doc[mask]) for part, mask in zip(parts, alive, strict=True)]
    keys = [[part.keys[int(place)] for place in places] for part, places in zip(parts, used, strict=True)]
    ordered = sorted({key for those in keys for key in those})
    number = {key: place for place, key in enumerate(ordered)}
    moved = []
    for part, mask, places, those in zip(parts, alive, used, keys, strict=True):
        table = np.zeros(len(part.keys), np.uint32)
        table[places] = [number[key] for key in those]
        moved.append(table[part.of_doc[mask]])
    return _table(ordered, np.concatenate(moved)[order])


def _table(keys: Sequence[bytes], of_doc: _Order) -> Cores:
    readings = [_read(key.decode()) for key in keys]
    spelled = ["".join(syllables).encode() for syllables in readings]
    initials = ["".join(syllable[0] for syllable in syllables).encode() for syllables in readings]
    return Cores(
        keys=StringTable.of(keys),
        marks=np.fromiter((_mark(key) for key in keys), np.uint64, len(keys)),
        readings=StringTable.of(spelled),
        initials=StringTable.of(initials),
        by_reading=np.array(sorted(range(len(spelled)), key=spelled.__getitem__), dtype=np.uint32),
        by_initials=np.array(sorted(range(len(initials)), key=initials.__getitem__), dtype=np.uint32),
        of_doc=of_doc,
    )


def _mark(key: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little")


def _read(key: str) -> list[str]:
    known = catalogue.character_readings()
    return [known[ord(character)][0] for character in key[:READ_CHARS_MAX] if known.get(ord(character))]
