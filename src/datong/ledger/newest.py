"""What was put on record lately, by kind: one look at the end of the table, for who only asks whether to look again."""

from sqlalchemy import select

from datong.kernel import Database
from datong.ledger.entries import EntryKind
from datong.ledger.tables import ENTRIES

LOOKED_BACK = 300
"""Serials below the highest that are looked at again: one that was given earlier may be committed later."""
LOOKED_AT_MAX = 5000
"""Entries that one look reads at most; of more, the newest tell enough."""


class NewestEntries:
    """Which kinds of entries became visible since the last look; one for each process, used by one thread at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._highest: int | None = None
        self._seen: frozenset[int] = frozenset()

    def look(self) -> frozenset[EntryKind]:
        """Return the kinds of the entries that were committed since the look before; nothing at the first."""
        table = ENTRIES.c
        query = select(table.serial, table.kind).order_by(table.serial.desc())
        if self._highest is None:
            query = query.limit(LOOKED_BACK)
        else:
            query = query.where(table.serial > self._highest - LOOKED_BACK).limit(LOOKED_AT_MAX)
        with self._database.snapshot() as connection:
            rows = connection.execute(query).all()
        first, known = self._highest is None, self._seen
        self._highest = max((serial for serial, _ in rows), default=0)
        self._seen = frozenset(serial for serial, _ in rows if serial > self._highest - LOOKED_BACK)
        fresh = {kind for serial, kind in rows if serial not in known}
        # Another process may be of a newer version already, and write kinds that this one has nothing to do with.
        return frozenset() if first else frozenset(kind for kind in EntryKind if kind.value in fresh)
