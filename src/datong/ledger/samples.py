"""Samples of the log: which entries an auditor looks at follows from a seed and the log's size, and nothing else.

Draw `i` of a sample is the place SHA-256("datong-sample-v1\\n" + seed + "\\n" + i) mod size, of which the first eight
bytes count, big-endian. A place that was drawn before, or whose entry is of another kind than asked for, is passed
over. Who has the exported log draws the same entries; who runs the log cannot tell beforehand which they will be.
"""

import hashlib
from collections.abc import Iterator

from sqlalchemy import Connection, Row, select

from datong.kernel import Value
from datong.ledger.entries import EntryKind, RecordedEntry
from datong.ledger.places import PLACE, serial_at
from datong.ledger.tables import ENTRIES

SAMPLE_ENTRIES_MAX = 100
SEED_CHARS_MAX = 200
DRAWS_MAX = 2000
"""So many places are drawn at most: of a rare kind a sample is smaller than asked for."""
_AT_ONCE = 50
_LABEL = "datong-sample-v1"


class Sample(Value):
    """Entries in the order in which they were drawn; `draws` is how many places it took, `size` the log's length."""

    seed: str
    kind: EntryKind | None
    size: int
    draws: int
    entries: tuple[RecordedEntry, ...]


def drawn_places(seed: str, size: int) -> Iterator[int]:
    """Yield the place of each draw, from 0 to `size` - 1, without end; none where the log is empty."""
    number = 0
    while size > 0:
        digest = hashlib.sha256(f"{_LABEL}\n{seed}\n{number}".encode()).digest()
        yield int.from_bytes(digest[:8], "big") % size
        number += 1


def draw(
    connection: Connection, *, seed: str, size: int, count: int, kind: EntryKind | None
) -> tuple[list[Row[tuple[object, ...]]], int]:
    """Return the rows of at most `count` entries in the order in which they are drawn, and the number of draws."""
    found: list[Row[tuple[object, ...]]] = []
    numbered, seen, draws = enumerate(drawn_places(seed, size), start=1), set[int](), 0
    wanted = min(count, size, SAMPLE_ENTRIES_MAX)
    while len(found) < wanted and draws < DRAWS_MAX and len(seen) < size:
        fresh: dict[int, int] = {}
        while len(fresh) < _AT_ONCE and draws < DRAWS_MAX and len(seen) < size:
            draws, place = next(numbered)
            if place not in seen:
                seen.add(place)
                fresh[place] = draws
        rows = _rows(connection, list(fresh), kind)
        for place, number in fresh.items():
            if place in rows and len(found) < wanted:
                found.append(rows[place])
                if len(found) == wanted:
                    draws = number
    return found, draws


def _rows(connection: Connection, places: list[int], kind: EntryKind | None) -> dict[int, Row[tuple[object, ...]]]:
    serials = [serial for serial in (serial_at(connection, place) for place in places) if serial is not None]
    query = select(ENTRIES, PLACE).where(ENTRIES.c.serial.in_(serials))
    if kind is not None:
        query = query.where(ENTRIES.c.kind == kind.value)
    return {row.position: row for row in connection.execute(query)}
