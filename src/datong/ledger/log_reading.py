"""Reading entries of a log out of the control database, with the places that the published checkpoint gives them."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from datong.kernel import Database, DepartmentCode, EntryId, NotFound, Page, Text, page_of
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.ledger.entries import EntryKind, RecordedEntry, parse_leaf
from datong.ledger.places import PLACE, runs_between
from datong.ledger.samples import Sample, draw
from datong.ledger.sequencer import published_size, unpublished
from datong.ledger.tables import ENTRIES, ENTRY_DEPARTMENTS

ROWS_AT_ONCE = 2000
RUNS_AT_ONCE = 500
"""Runs of places that `published_from` looks through in one call."""


class LogReading:
    """What was recorded; entries below the published checkpoint's size have an index, others none yet."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def first_at(self) -> datetime | None:
        """Return when the first entry was made; None while there is none."""
        with self._database.snapshot() as connection:
            return connection.scalar(select(ENTRIES.c.at).order_by(ENTRIES.c.serial).limit(1))

    def size(self) -> int:
        """Return how many entries the published checkpoint covers."""
        with self._database.snapshot() as connection:
            return published_size(connection)

    def waiting(self) -> int:
        """Return how many committed entries no checkpoint covers yet."""
        with self._database.snapshot() as connection:
            return unpublished(connection)

    def sample(self, *, seed: str, count: int, kind: EntryKind | None = None) -> Sample:
        """Return entries drawn from the published log by `seed`, the same for everybody; see `samples`."""
        with self._database.snapshot() as connection:
            size = published_size(connection)
            rows, draws = draw(connection, seed=seed, size=size, count=count, kind=kind)
            return Sample(
                seed=seed, kind=kind, size=size, draws=draws, entries=tuple(_recorded(row, size) for row in rows)
            )

    def entry(self, entry_id: EntryId) -> RecordedEntry:
        """Return one entry.

        Raises:
            NotFound: there is none with this id.
        """
        with self._database.snapshot() as connection:
            return _recorded(self._row(connection, entry_id), published_size(connection))

    def leaves(self, connection: Connection, entry_ids: Sequence[EntryId]) -> list[tuple[datetime, str]]:
        """Return when entries were made and the hashes of their leaves, in no order; ids of none are passed over."""
        found: list[tuple[datetime, str]] = []
        for begin in range(0, len(entry_ids), PAGE_ROWS_MAX):
            some = ENTRIES.c.id.in_(entry_ids[begin : begin + PAGE_ROWS_MAX])
            rows = connection.execute(select(ENTRIES.c.at, ENTRIES.c.leaf_hash).where(some))
            found += [(row.at, row.leaf_hash) for row in rows]
        return found

    def entries(
        self,
        *,
        kind: EntryKind | None = None,
        subject: str | None = None,
        department: DepartmentCode | None = None,
        offset: int = 0,
        limit: int = 50,
    ) -> Page[RecordedEntry]:
        """Return entries, newest first; `department` keeps those that name it, as actor or as a party."""
        offset = max(offset, 0)
        with self._database.snapshot() as connection:
            total = _count(connection, kind, subject, department)
            rows = _newest(connection, kind, subject, department, offset=offset, limit=limit)
        return page_of(rows, total=total, offset=offset)

    def newest(
        self,
        *,
        kind: EntryKind | None = None,
        subject: str | None = None,
        department: DepartmentCode | None = None,
        limit: int,
    ) -> tuple[RecordedEntry, ...]:
        """Return the newest entries, as `entries` does, without counting all that there are."""
        with self._database.snapshot() as connection:
            return _newest(connection, kind, subject, department, offset=0, limit=limit)

    def newest_of(
        self, kinds: Collection[EntryKind], *, since: datetime, until: datetime, limit: int
    ) -> tuple[RecordedEntry, ...]:
        """Return the newest entries of some kinds from `since` (inclusive) to `until` (exclusive), newest first."""
        query = _between(kinds, since, until).order_by(ENTRIES.c.at.desc(), ENTRIES.c.serial.desc())
        query = query.limit(min(max(limit, 1), PAGE_ROWS_MAX))
        with self._database.snapshot() as connection:
            published = published_size(connection)
            return tuple(_recorded(row, published) for row in connection.execute(query))

    def entries_between(self, *, kinds: Collection[EntryKind], since: datetime, until: datetime) -> list[RecordedEntry]:
        """Return the entries of some kinds from `since` (inclusive) to `until` (exclusive), oldest first."""
        with self._database.snapshot() as connection:
            published = published_size(connection)
            rows = connection.execute(_between(kinds, since, until).order_by(ENTRIES.c.serial))
            return [_recorded(row, published) for row in rows]

    def each_between(
        self, *, kinds: Collection[EntryKind], since: datetime, until: datetime
    ) -> Iterator[RecordedEntry]:
        """Yield what `entries_between` returns, without holding all of it."""
        with self._database.snapshot() as connection:
            published = published_size(connection)
            streamed = connection.execution_options(yield_per=ROWS_AT_ONCE)
            for row in streamed.execute(_between(kinds, since, until).order_by(ENTRIES.c.serial)):
                yield _recorded(row, published)

    def published_from(
        self, position: int, *, kinds: Collection[EntryKind], since: datetime, limit: int
    ) -> tuple[list[RecordedEntry], int]:
        """Return at most `limit` published entries from `position` on, in the log's order, and where to go on.

        Only those of `kinds` that were made at or after `since` are returned; others are passed over. Whoever keeps
        the second number misses nothing and sees nothing twice: positions never change, and have no gaps.
        """
        found: list[RecordedEntry] = []
        wanted = (ENTRIES.c.kind.in_([kind.value for kind in kinds]), ENTRIES.c.at >= since)
        with self._database.snapshot() as connection:
            published = published_size(connection)
            for run in runs_between(connection, position, published)[:RUNS_AT_ONCE]:
                query: Select[tuple[object, ...]] = (
                    select(ENTRIES, PLACE)
                    .where(ENTRIES.c.serial >= run.serial, ENTRIES.c.serial < run.end, *wanted)
                    .order_by(ENTRIES.c.serial)
                    .limit(limit - len(found))
                )
                found += [_recorded(row, published) for row in connection.execute(query)]
                if len(found) == limit:
                    return found, (found[-1].index or 0) + 1
                position = run.position + run.length
        return found, position

    def _row(self, connection: Connection, entry_id: EntryId) -> Row[tuple[object, ...]]:
        row = connection.execute(select(ENTRIES, PLACE).where(ENTRIES.c.id == entry_id)).one_or_none()
        if row is None:
            raise NotFound(
                "ledger.entry_unknown",
                what=Text(zh=f"没有编号为 {entry_id[:64]} 的存证条目。", en=f"There is no entry {entry_id[:64]}."),
                remedy=Text(zh="请核对编号。", en="Check the id."),
            )
        return row


def _between(kinds: Collection[EntryKind], since: datetime, until: datetime) -> Select[tuple[object, ...]]:
    wanted = [kind.value for kind in kinds]
    return select(ENTRIES, PLACE).where(ENTRIES.c.kind.in_(wanted), ENTRIES.c.at >= since, ENTRIES.c.at < until)


def _count(
    connection: Connection, kind: EntryKind | None, subject: str | None, department: DepartmentCode | None
) -> int:
    """Return how many entries there are; of the whole log the sequencer knows, for others an index is read."""
    if kind is None and subject is None:
        if department is None:
            return published_size(connection) + unpublished(connection)
        named = select(func.count()).where(ENTRY_DEPARTMENTS.c.department == department)
        return connection.scalar(named) or 0
    return connection.scalar(_of(select(func.count(ENTRIES.c.serial)), kind, subject, department)) or 0


def _newest(
    connection: Connection,
    kind: EntryKind | None,
    subject: str | None,
    department: DepartmentCode | None,
    *,
    offset: int,
    limit: int,
) -> tuple[RecordedEntry, ...]:
    """Return entries, newest first; those of a kind by their times, which the index of kinds has in order."""
    by_time = kind is not None and subject is None
    order = (ENTRIES.c.at.desc(), ENTRIES.c.serial.desc()) if by_time else (ENTRIES.c.serial.desc(),)
    query = _of(select(ENTRIES, PLACE), kind, subject, department).order_by(*order)
    published = published_size(connection)
    rows = connection.execute(query.offset(offset).limit(min(max(limit, 1), PAGE_ROWS_MAX)))
    return tuple(_recorded(row, published) for row in rows)


def _of(
    query: Select[Any], kind: EntryKind | None, subject: str | None, department: DepartmentCode | None
) -> Select[Any]:
    """Return a query of `ENTRIES` narrowed to those that are asked for."""
    if kind is not None:
        query = query.where(ENTRIES.c.kind == kind.value)
    if subject is not None:
        query = query.where(ENTRIES.c.subject == subject)
    if department is not None:
        query = query.join(ENTRY_DEPARTMENTS, ENTRY_DEPARTMENTS.c.serial == ENTRIES.c.serial)
        query = query.where(ENTRY_DEPARTMENTS.c.department == department)
    return query


def _recorded(row: Row[tuple[object, ...]], published: int) -> RecordedEntry:
    content = parse_leaf(row.leaf)
    return RecordedEntry(
        entry_id=row.id,
        index=row.position if row.position is not None and row.position < published else None,
        leaf_hash=row.leaf_hash,
        kind=content.kind,
        at=content.at,
        subject=content.subject,
        actor=content.actor,
        facts=content.facts,
    )
