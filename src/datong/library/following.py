"""Published libraries follow what lands: once it has rested, a build is asked for by itself.

The rule: a library that has a published version is due when what a build would read now is not what its last build
read. Landings come in bursts, so the platform waits until nothing has changed for a while, but not for ever. Pure, but
for `Following.request_due`, which asks.
"""

from typing import NamedTuple

from datong.kernel import PLATFORM_ACTOR, BuildId
from datong.library.service import Library
from datong.library.values import BuildState

RESTS_MAX = 6
"""A library is due at the latest after so many times the rest, however much goes on landing."""


class Waiting(NamedTuple):
    """What a library would read, since when it differs from what the last build read, and when it last changed; in
    seconds of a clock that never goes back."""

    digest: str
    since_seconds: float
    changed_seconds: float


def waiting(known: Waiting | None, digest: str, now_seconds: float) -> Waiting:
    """Return what is known when a library would read `digest` now."""
    if known is None:
        return Waiting(digest, now_seconds, now_seconds)
    return known if known.digest == digest else Waiting(digest, known.since_seconds, now_seconds)


def is_due(known: Waiting, now_seconds: float, rest_seconds: float) -> bool:
    """Return whether a build is due: nothing changed for `rest_seconds`, or for too long something did."""
    return (
        now_seconds - known.changed_seconds >= rest_seconds
        or now_seconds - known.since_seconds >= RESTS_MAX * rest_seconds
    )


class Following:
    """Asks for builds of the libraries that fell behind what has landed.

    What it waits for is forgotten with its process; then it waits anew. Two processes ask for one build.
    """

    def __init__(self, library: Library, *, rest_seconds: float) -> None:
        self._library = library
        self._rest_seconds = rest_seconds
        self._waiting: dict[str, Waiting] = {}

    def request_due(self, now_seconds: float) -> tuple[BuildId, ...]:
        """Request the builds that are due; a build that failed on an input is not repeated."""
        if self._rest_seconds == 0:
            return ()
        requested = []
        published = {dataset.library for dataset in self._library.datasets()}
        for definition in self._library.definitions():
            if definition.reads or definition.name not in published:
                continue
            digest = self._behind(definition.name)
            if digest is None:
                self._waiting.pop(definition.name, None)
                continue
            known = self._waiting[definition.name] = waiting(self._waiting.get(definition.name), digest, now_seconds)
            if is_due(known, now_seconds, self._rest_seconds):
                requested.append(self._library.request_build(definition.name, actor=PLATFORM_ACTOR).id)
        return tuple(requested)

    def _behind(self, name: str) -> str | None:
        """Return what a build would read, if the last one read something else and none is on its way."""
        last = next(iter(self._library.builds(name, limit=1).rows))
        if last.state in (BuildState.REQUESTED, BuildState.RUNNING):
            return None
        digest = self._library.input_digest(name)
        return None if digest in (None, last.input_digest) else digest
