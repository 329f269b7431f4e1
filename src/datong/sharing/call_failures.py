"""Calls that failed, though the caller had a right to an answer: counted by hour, and put on record when it is over.

A failed call is on record before its caller is told, as an answered one is: its hour's count is committed first. What
is counted in memory only, because the control database does not answer or calls are turned away by the thousand, is
written with the next failure or turn of the sweep; a process that is killed before loses that, and nothing else.
"""

import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, case, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import InterfaceError, OperationalError

from datong.kernel import (
    PLATFORM_ACTOR,
    Clock,
    Database,
    DatongError,
    DepartmentCode,
    JsonValue,
    ResourceId,
    canonical_json,
)
from datong.ledger import EntryKind, Ledger
from datong.norms import ShareMode
from datong.sharing import tables
from datong.sharing.failure_causes import FailureCause, cause_of
from datong.sharing.gateway_calls import Asked
from datong.sharing.gateway_told import AtNode, Reply
from datong.sharing.terms import Agreement, AgreementState

HOUR = timedelta(hours=1)
WAITING_MAX = 10_000
"""Sums that a process keeps in memory while it cannot write them; what comes beyond is counted nowhere."""
RECORDED_AT_ONCE = 500


class _Sum(NamedTuple):
    """Failures that are counted together: whose calls, to what, for which service item, why, in which hour."""

    department: DepartmentCode
    resource_id: ResourceId
    service_item: str
    cause: FailureCause
    hour: datetime


class _Count(NamedTuple):
    calls: int
    first_at: datetime
    last_at: datetime

    def with_more(self, other: "_Count") -> "_Count":
        """Return both together."""
        return _Count(self.calls + other.calls, min(self.first_at, other.first_at), max(self.last_at, other.last_at))


class CallFailures:
    """Counts failed calls of a hub; `agreements` returns those between a department and a resource's provider."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        ledger: Ledger,
        agreements: Callable[[DepartmentCode, ResourceId], Sequence[Agreement]],
    ) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._agreements = agreements
        self._lock = threading.Lock()
        self._waiting: dict[_Sum, _Count] = {}

    def settle(self, calls: Sequence[Asked], done: Sequence[Reply | AtNode]) -> None:
        """Put on record which of some calls failed, before their callers are told what became of them."""
        failed = [
            (asked, cause)
            for asked, one in zip(calls, done, strict=True)
            if isinstance(one, Reply) and isinstance(one.answer, DatongError) and (cause := cause_of(one.answer))
        ]
        if failed:
            self.note(failed)
            self.keep()

    def note(self, failed: Iterable[tuple[Asked, FailureCause]]) -> None:
        """Count failed calls in memory."""
        now = self._clock.now()
        once = _Count(1, now, now)
        with self._lock:
            for asked, cause in failed:
                if asked.principal.department is not None:
                    hour = now.replace(minute=0, second=0, microsecond=0)
                    item = asked.purpose.strip()
                    self._add(_Sum(asked.principal.department, asked.resource_id, item, cause, hour), once)

    def keep(self) -> None:
        """Write down what was counted; where the control database does not answer, it stays counted for later."""
        with self._lock:
            taken, self._waiting = self._waiting, {}
        if not taken:
            return
        try:
            self._write(taken)
        except (OperationalError, InterfaceError):
            with self._lock:
                for one, count in taken.items():
                    self._add(one, count)

    def record(self) -> bool:
        """Put on record what failed in hours that are over, an entry for each sum; return whether there may be more."""
        self.keep()
        over, table = self._clock.now() - HOUR, tables.call_failure
        due = select(table).where(table.c.hour <= over).order_by(table.c.hour, table.c.key).limit(RECORDED_AT_ONCE)
        with self._database.snapshot() as connection:
            if connection.execute(due.limit(1)).first() is None:
                return False
        with self._database.transaction() as connection:
            rows = connection.execute(due.with_for_update(skip_locked=True)).mappings().all()
            self._ledger.append_many(
                connection,
                kind=EntryKind.FAILURE,
                actor=PLATFORM_ACTOR,
                entries=[
                    (
                        row["content"]["resource_id"],
                        {
                            **row["content"],
                            "calls": row["calls"],
                            "first_at": row["first_at"].isoformat(),
                            "last_at": row["last_at"].isoformat(),
                        },
                    )
                    for row in rows
                ],
            )
            connection.execute(delete(table).where(table.c.key.in_([row["key"] for row in rows])))
        return len(rows) == RECORDED_AT_ONCE

    def _add(self, one: _Sum, count: _Count) -> None:
        known = self._waiting.get(one)
        if known is not None:
            self._waiting[one] = known.with_more(count)
        elif len(self._waiting) < WAITING_MAX:
            self._waiting[one] = count

    def _write(self, taken: Mapping[_Sum, _Count]) -> None:
        rows: dict[str, dict[str, object]] = {}
        for one, count in sorted(taken.items(), key=lambda pair: (pair[0].hour, pair[0])):
            agreements = self._in_force(one, count.last_at)
            if not agreements:
                continue  # Without an agreement in force the call would have been refused.
            content: dict[str, JsonValue] = {
                "hour": one.hour.isoformat(),
                "consumer": one.department,
                "provider": agreements[0].provider,
                "resource_id": one.resource_id,
                "agreement_ids": sorted(agreement.id for agreement in agreements),
                "service_item": one.service_item,
                "cause": one.cause.value,
            }
            key = hashlib.sha256(canonical_json(content)).hexdigest()
            rows[key] = {"key": key, "hour": one.hour, "content": content, **count._asdict()}
        if rows:
            with self._database.transaction() as connection:
                # In one order, so that two transactions never wait for each other.
                for key in sorted(rows):
                    _count(connection, rows[key])

    def _in_force(self, one: _Sum, at: datetime) -> list[Agreement]:
        return [
            agreement
            for agreement in self._agreements(one.department, one.resource_id)
            if agreement.state is AgreementState.ACTIVE
            and ShareMode.INTERFACE in agreement.purpose.modes
            and agreement.valid_from <= at < agreement.valid_until
            and agreement.purpose.service_item == one.service_item
        ]


def _count(connection: Connection, row: Mapping[str, object]) -> None:
    table = tables.call_failure
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    made = dialect.insert(table).values(row)
    new = made.excluded
    connection.execute(
        made.on_conflict_do_update(
            index_elements=[table.c.key],
            set_={
                "calls": table.c.calls + new.calls,
                "first_at": case((new.first_at < table.c.first_at, new.first_at), else_=table.c.first_at),
                "last_at": case((new.last_at > table.c.last_at, new.last_at), else_=table.c.last_at),
            },
        )
    )
