"""Counts of calls under quotas, in the control database: they hold over any number of processes.

Calls are counted with the transaction that puts them on record; one that is turned away counts nowhere and leaves
nothing.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, update
from sqlalchemy.dialects import postgresql, sqlite

from datong.sharing import tables
from datong.sharing.quotas import NOT_COUNTED, Allowance, Counted, nearest


def take(connection: Connection, calls: Sequence[Sequence[Allowance]], now: datetime) -> list[Counted]:
    """Count calls, each against its allowances, and return which pass.

    Counters that grow stay locked until the transaction ends; they are taken in one order, so that two transactions
    never wait for each other.
    """
    wanted: dict[Allowance, int] = defaultdict(int)
    for call in calls:
        for one in call:
            wanted[one] += 1
    if not wanted:
        return [NOT_COUNTED] * len(calls)
    ordered = sorted(wanted, key=lambda one: one.counter)
    standing = {one: _add(connection, one, wanted[one]) - wanted[one] for one in ordered}
    counted, turned_away = [], defaultdict[Allowance, int](int)
    for call in calls:
        passes = all(standing[one] < one.limit for one in call)
        for one in call:
            if passes:
                standing[one] += 1
            else:
                turned_away[one] += 1
        counted.append(Counted(passes, nearest(call, standing, now, passes=passes)))
    for one in sorted(turned_away, key=lambda one: one.counter):
        _add(connection, one, -turned_away[one])
    return counted


def forget_windows(connection: Connection, now: datetime) -> int:
    """Remove the counts of windows that are over; return how many."""
    table = tables.quota
    return connection.execute(delete(table).where(table.c.ends_at < now)).rowcount


def _add(connection: Connection, one: Allowance, calls: int) -> int:
    """Add to a counter, and return what it holds then."""
    table = tables.quota
    holder, window, started = one.counter
    if calls < 0:
        matching = (table.c.holder == holder, table.c.span == window, table.c.started_second == started)
        shrunk = update(table).where(*matching).values(calls=table.c.calls + calls).returning(table.c.calls)
        return int(connection.execute(shrunk).scalar_one())
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    insert = dialect.insert(table).values(
        holder=holder,
        span=window,
        started_second=started,
        ends_at=one.started_at + timedelta(seconds=one.window.seconds),
        calls=calls,
    )
    upsert = insert.on_conflict_do_update(
        index_elements=["holder", "span", "started_second"], set_={"calls": table.c.calls + insert.excluded.calls}
    )
    return int(connection.execute(upsert.returning(table.c.calls)).scalar_one())
