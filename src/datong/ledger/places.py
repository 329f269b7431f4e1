"""Which place in the log each entry has.

Entries are numbered in *runs*: so many entries whose serials follow one another have places that do so, too. A writer
that commits gives the database consecutive serials, so a run covers all that was committed since the last step, and
grows while nothing comes between: numbering writes one row, whatever it numbers, and touches no entry.

Serials are given before transactions commit (PostgreSQL), so an entry may appear below one that is numbered already.
What is not there when its neighbours are numbered is a *gap*; it is looked into again until nobody can fill it.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.exc import OperationalError

from datong.ledger.tables import ENTRIES, GAPS, RUNS

GAPS_MAX = 32
"""With more gaps, the writers are waited for once, after which no gap can be filled any more."""
WRITERS_WAIT_MILLISECONDS = 50
_NEAR = 1024
"""Runs whose serials lie so close are read in one query."""

PLACE = (
    select(case((ENTRIES.c.serial < RUNS.c.serial + RUNS.c.length, RUNS.c.position + ENTRIES.c.serial - RUNS.c.serial)))
    .where(RUNS.c.serial <= ENTRIES.c.serial)
    .order_by(RUNS.c.serial.desc())
    .limit(1)
    .correlate(ENTRIES)
    .scalar_subquery()
    .label("position")
)
"""The place of an entry, for queries of `ENTRIES`; NULL while it has none."""

_FIRST = (
    select(RUNS.c.position)
    .where(RUNS.c.position <= bindparam("from_place"))
    .order_by(RUNS.c.position.desc())
    .limit(1)
    .scalar_subquery()
)
_BETWEEN = (
    select(RUNS.c.position, RUNS.c.serial, RUNS.c.length)
    .where(RUNS.c.position < bindparam("to_place"), RUNS.c.position >= func.coalesce(_FIRST, 0))
    .order_by(RUNS.c.position)
)

_NEXT = (
    select(ENTRIES.c.serial)
    .where(ENTRIES.c.serial >= bindparam("next"))
    .order_by(ENTRIES.c.serial)
    .limit(bindparam("most", type_=Integer))
)
_IN_GAP = and_(ENTRIES.c.serial >= GAPS.c.serial, ENTRIES.c.serial < GAPS.c.until)
_WAITING = _NEXT.subquery()
_AHEAD = select(
    func.count(_WAITING.c.serial),
    func.min(_WAITING.c.serial),
    func.max(_WAITING.c.serial),
    select(func.count()).select_from(GAPS).scalar_subquery(),
    exists(select(ENTRIES.c.serial).join(GAPS, _IN_GAP)),
)
"""How many entries are to be numbered next, between which serials; how many gaps there are; whether one was filled."""
_GOES_ON = (
    update(RUNS)
    .where(
        RUNS.c.position == select(func.max(RUNS.c.position)).scalar_subquery(),
        RUNS.c.position + RUNS.c.length == bindparam("place"),
        RUNS.c.serial + RUNS.c.length == bindparam("first"),
    )
    .values(length=RUNS.c.length + bindparam("more"))
)


class Run(NamedTuple):
    """Entries whose places and serials both follow one another, from `position` and `serial` on."""

    position: int
    serial: int
    length: int

    @property
    def end(self) -> int:
        """The serial behind the last."""
        return self.serial + self.length

    def within(self, begin: int, end: int) -> "Run":
        """Return the part with places from `begin` to `end`."""
        skipped = max(begin - self.position, 0)
        left = min(end - self.position, self.length) - skipped
        return Run(self.position + skipped, self.serial + skipped, left)


class Gap(NamedTuple):
    """Serials from `serial` to `until`, none of whose entries was there."""

    serial: int
    until: int


def waits(next_serial: ColumnElement[int]) -> ColumnElement[bool]:
    """Return the condition that an entry waits for its place; `next_serial` is behind the last that was numbered."""
    return or_(
        exists(select(ENTRIES.c.serial).where(ENTRIES.c.serial >= next_serial)),
        exists(select(ENTRIES.c.serial).join(GAPS, _IN_GAP)),
    )


def number(connection: Connection, *, position: int, next_serial: int, most: int, settle: bool) -> tuple[int, int]:
    """Give the entries that wait the places from `position` on, the oldest first, at most `most`.

    The caller holds the lock of the log's state. Returns how many got a place, and the next serial. With `settle` the
    writers are waited for, if there are many gaps.
    """
    ahead = connection.execute(_AHEAD, {"next": next_serial, "most": most})
    given, lowest, highest, gaps_known, any_late = ahead.one()
    settle = settle and gaps_known > GAPS_MAX
    if given and highest - lowest + 1 == given and not any_late and not settle:
        # What was committed since the last step stands together, as a rule: no serial need be looked at.
        _keep(connection, [Run(position, lowest, given)])
        if lowest > next_serial:
            connection.execute(insert(GAPS), Gap(next_serial, lowest)._asdict())
        return given, highest + 1
    gaps = [Gap(*row) for row in connection.execute(select(GAPS.c.serial, GAPS.c.until).order_by(GAPS.c.serial))]
    settled = settle and _writers_done(connection)
    late = _late(connection, gaps, most)
    serials = [*late, *connection.scalars(_NEXT, {"next": next_serial, "most": most - len(late)})]
    runs = list(_runs(serials, position))
    if runs:
        _keep(connection, runs)
    after = max(next_serial, serials[-1] + 1) if serials else next_serial
    left = [] if settled else list(_left([*gaps, Gap(next_serial, after)], serials))
    if left != gaps:
        connection.execute(delete(GAPS))
        if left:
            connection.execute(insert(GAPS), [gap._asdict() for gap in left])
    return len(serials), after


def runs_between(connection: Connection, begin: int, end: int) -> list[Run]:
    """Return the runs of the places from `begin` to `end`, cut to them, in the log's order."""
    rows = connection.execute(_BETWEEN, {"from_place": begin, "to_place": end})
    cut = (Run(*row).within(begin, end) for row in rows)
    return [run for run in cut if run.length > 0]


def all_runs(connection: Connection) -> list[Run]:
    """Return every run, in the log's order."""
    query = select(RUNS.c.position, RUNS.c.serial, RUNS.c.length).order_by(RUNS.c.position)
    return [Run(*row) for row in connection.execute(query)]


def serial_at(connection: Connection, position: int) -> int | None:
    """Return the serial of the entry at a place of the log; None if none has it."""
    for run in runs_between(connection, position, position + 1):
        return run.serial
    return None


def near(runs: Sequence[Run]) -> Iterator[list[Run]]:
    """Yield runs in groups that one query reads without much else, in the same order."""
    group: list[Run] = []
    for run in runs:
        if group and not -_NEAR <= run.serial - group[-1].end <= _NEAR:
            yield group
            group = []
        group.append(run)
    if group:
        yield group


def outside(runs: Iterable[Run]) -> list[Gap]:
    """Return the serials that no run covers; the last gap has no end, written as 2^63 - 1."""
    left, begin = [], 0
    for run in sorted(runs, key=lambda one: one.serial):
        if run.serial > begin:
            left.append(Gap(begin, run.serial))
        begin = max(begin, run.end)
    return [*left, Gap(begin, 2**63 - 1)]


def _late(connection: Connection, gaps: Sequence[Gap], most: int) -> list[int]:
    """Return the serials of entries that have appeared in gaps."""
    if not gaps:
        return []
    query = select(ENTRIES.c.serial).join(GAPS, _IN_GAP).order_by(ENTRIES.c.serial).limit(most)
    return list(connection.scalars(query))


def _runs(serials: Sequence[int], position: int) -> Iterator[Run]:
    """Yield the runs that give `serials`, in this order, the places from `position` on."""
    begin = 0
    for place, serial in enumerate(serials):
        if place + 1 == len(serials) or serials[place + 1] != serial + 1:
            yield Run(position + begin, serials[begin], place + 1 - begin)
            begin = place + 1


def _keep(connection: Connection, runs: Sequence[Run]) -> None:
    """Store runs; the first of them goes on with the newest one if it can."""
    first = runs[0]
    known = {"place": first.position, "first": first.serial, "more": first.length}
    new = runs[1:] if connection.execute(_GOES_ON, known).rowcount else runs
    if new:
        connection.execute(insert(RUNS), [run._asdict() for run in new])


def _left(gaps: Sequence[Gap], serials: Sequence[int]) -> Iterator[Gap]:
    """Yield what is left of gaps once `serials` are numbered."""
    taken = sorted(serials)
    for gap in gaps:
        within = [serial for serial in taken if gap.serial <= serial < gap.until]
        for before, after in pairwise([gap.serial - 1, *within, gap.until]):
            if after - before > 1:
                yield Gap(before + 1, after)


def _writers_done(connection: Connection) -> bool:
    """Wait a moment until nobody is writing entries; what is not there then never comes. SQLite has one writer."""
    if connection.dialect.name == "sqlite":
        return True
    try:
        with connection.begin_nested():
            connection.execute(text(f"SET LOCAL lock_timeout = {WRITERS_WAIT_MILLISECONDS}"))
            connection.execute(text(f"LOCK TABLE {ENTRIES.name} IN SHARE MODE"))
    except OperationalError:
        return False
    return True
