"""Values that a process keeps while what they were made from stays as it was.

Each value has a *stamp* that says which state of the control database it was made from: a version, a list of revisions.
Stamps are cheap to read, and those of many keys in one statement; values are dear to make. Nobody has to announce a
change: whoever changes the state changes its stamp. A stamp counts as present for `fresh_seconds` after it was read.
"""

import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

StampsOf = Callable[[Sequence[K]], Mapping[K, object]]
"""Returns the present stamp of each key; a key that names nothing has none."""


class _Kept(NamedTuple, Generic[V]):
    stamp: object
    value: V


class Remembered(Generic[K, V]):
    """Values by key, made by `read` and kept while their stamps stay the same, at most `most` of them.

    Several threads may use it: each entry is replaced as a whole, and a value is never older than its stamp.
    """

    def __init__(
        self,
        stamps_of: StampsOf[K],
        read: Callable[[K], V],
        *,
        most: int,
        fresh_seconds: float,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stamps_of = stamps_of
        self._read = read
        self._most = most
        self._fresh_seconds = fresh_seconds
        self._seconds = seconds
        self._stamps: dict[K, tuple[object, float]] = {}
        self._kept: dict[K, _Kept[V]] = {}

    def refresh(self, keys: Iterable[K], *, at_once: bool = False) -> None:
        """Look up the stamps of `keys` that were looked up too long ago; with `at_once` of all of them."""
        now = self._seconds()
        oldest = now if at_once else now - self._fresh_seconds
        wanted = [key for key in dict.fromkeys(keys) if self._stamps.get(key, (None, oldest))[1] <= oldest]
        if not wanted:
            return
        found = self._stamps_of(wanted)
        if len(self._stamps) + len(wanted) > self._most:
            self._stamps.clear()
            self._kept.clear()
        for key in wanted:
            self._stamps[key] = (found.get(key), now)

    def get(self, key: K) -> V:
        """Return the value of a key whose stamp has been refreshed; what `read` raises is not kept."""
        # One look: another thread may clear what is known at this moment.
        stamp, _ = self._stamps.get(key, (None, 0.0))
        kept = self._kept.get(key)
        if kept is not None and stamp is not None and kept.stamp == stamp:
            return kept.value
        value = self._read(key)
        if stamp is not None:
            self._kept[key] = _Kept(stamp, value)
        return value
