"""Many short texts in two arrays: one after the other, and where each begins."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class StringTable:
    """Texts as UTF-8; a text's place is its number."""

    blob: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]

    @classmethod
    def of(cls, texts: Sequence[bytes]) -> "StringTable":
        """Put `texts` one after the other."""
        offsets = np.zeros(len(texts) + 1, np.int64)
        np.cumsum(np.fromiter((len(text) for text in texts), np.int64, len(texts)), out=offsets[1:])
        return cls(np.frombuffer(b"".join(texts), dtype=np.uint8), offsets)

    def __len__(self) -> int:
        """The number of texts."""
        return len(self.offsets) - 1

    def __getitem__(self, place: int) -> bytes:
        """The text at `place`."""
        return self.blob[self.offsets[place] : self.offsets[place + 1]].tobytes()

    def lower_bound(self, wanted: bytes, order: npt.NDArray[np.uint32] | None = None) -> int:
        """Return how many texts are less than `wanted`; `order` names them in order, if they do not lie so."""
        low, high = 0, len(self) if order is None else len(order)
        while low < high:
            middle = (low + high) // 2
            if self[middle if order is None else int(order[middle])] < wanted:
                low = middle + 1
            else:
                high = middle
        return low
