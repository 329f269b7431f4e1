"""The dictionary of a segment's pairs of characters: by first and second character, and by pinyin.

It serves queries in pinyin (hunyin: which pairs are read so?) and corrections (which character fits between two?).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from datong import catalogue
from datong.catalogue.search_terms import HAN, HAN_SHIFT, KIND_SHIFT, Keys

READINGS_MAX = 3
_SYLLABLES = 512
_SECOND_MASK = np.uint64((1 << HAN_SHIFT) - 1)


@dataclass(frozen=True, kw_only=True)
class PairTable:
    """Pairs in the order of their numbers, once more in the order of the second character, and by their readings."""

    keys: Keys
    by_second: Keys
    second_keys: Keys
    read: npt.NDArray[np.int64]
    read_keys: Keys

    @classmethod
    def of(cls, keys: Keys) -> "PairTable":
        """Return the table of the pairs among a segment's terms."""
        low, high = np.searchsorted(keys, np.array([HAN, HAN + (1 << KIND_SHIFT)], dtype=np.uint64))
        pairs = keys[low:high]
        pairs = pairs[(pairs & _SECOND_MASK) > 0]
        second = pairs & _SECOND_MASK
        order = np.argsort(second, kind="stable")
        numbers = {syllable: number for number, syllable in enumerate(catalogue.syllables())}
        codes, places = np.unique(
            np.concatenate([(pairs >> np.uint64(HAN_SHIFT)) & _SECOND_MASK, second]), return_inverse=True
        )
        table = np.full((len(codes), READINGS_MAX), -1, np.int64)
        known = catalogue.character_readings()
        for row, code in enumerate(codes):
            for column, syllable in enumerate(known.get(int(code), ())[:READINGS_MAX]):
                table[row, column] = numbers[syllable]
        first_rows, second_rows = places[: len(pairs)], places[len(pairs) :]
        read, read_keys = [], []
        for one in range(READINGS_MAX):
            for other in range(READINGS_MAX):
                left, right = table[first_rows, one], table[second_rows, other]
                both = (left >= 0) & (right >= 0)
                read.append(left[both] * _SYLLABLES + right[both])
                read_keys.append(pairs[both])
        all_read, all_keys = np.concatenate(read), np.concatenate(read_keys)
        by_reading = np.argsort(all_read, kind="stable")
        return cls(
            keys=pairs,
            by_second=pairs[order],
            second_keys=second[order],
            read=all_read[by_reading],
            read_keys=all_keys[by_reading],
        )

    def after(self, first: str) -> Keys:
        """Return the pairs that begin with `first`."""
        low = HAN | ord(first) << HAN_SHIFT
        begin, end = np.searchsorted(self.keys, np.array([low, low + (1 << HAN_SHIFT)], dtype=np.uint64))
        return self.keys[begin:end]

    def before(self, second: str) -> Keys:
        """Return the pairs that end with `second`."""
        begin = np.searchsorted(self.second_keys, np.uint64(ord(second)), "left")
        end = np.searchsorted(self.second_keys, np.uint64(ord(second)), "right")
        return self.by_second[begin:end]

    def spoken(self, first: str, second: str) -> Keys:
        """Return the pairs that can be read as these two syllables."""
        numbers = {syllable: number for number, syllable in enumerate(catalogue.syllables())}
        wanted = numbers[first] * _SYLLABLES + numbers[second]
        begin, end = np.searchsorted(self.read, [wanted, wanted + 1])
        return self.read_keys[begin:end]
