"""Counts of calls under quotas, in the control database: they hold over any number of processes.

Calls are counted with the transaction that puts them on record; one that is turned away counts nowhere and leaves
nothing.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from datong.kernel import AgreementId, Clock, Database, Value
from datong.sharing import tables
from datong.sharing.quotas import NOT_COUNTED, Allowance, CallQuota, Counted, QuotaWindow, allowances, nearest


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


class QuotaUse(Value):
    """How much of one window is used up: `used` of `limit` calls, until the window that began at `since` is over."""

    window: QuotaWindow
    limit: int
    used: int
    since: datetime


class QuotaWatch:
    """Reads how far callers have used up what they may call; counts nothing."""

    def __init__(self, *, database: Database, clock: Clock, each_application: CallQuota) -> None:
        self._database = database
        self._clock = clock
        self._each_application = each_application

    def of_application(self, client_id: str) -> tuple[QuotaUse, ...]:
        """Return the windows of an application's own quota; none: the hub sets no limit."""
        return self._uses(f"application:{client_id}", self._each_application)

    def of_agreement(self, agreement_id: AgreementId, calls: CallQuota | None) -> tuple[QuotaUse, ...]:
        """Return the windows of what an agreement allows; none: no number is agreed."""
        return self._uses(f"agreement:{agreement_id}", calls)

    def _uses(self, holder: str, quota: CallQuota | None) -> tuple[QuotaUse, ...]:
        table = tables.quota
        found = allowances(holder, quota, self._clock.now())
        with self._database.snapshot() as connection:
            uses = []
            for one in found:
                _, window, started = one.counter
                query = select(table.c.calls).where(
                    table.c.holder == holder, table.c.span == window, table.c.started_second == started
                )
                used = connection.scalar(query) or 0
                uses.append(QuotaUse(window=one.window, limit=one.limit, used=used, since=one.started_at))
        return tuple(uses)


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
