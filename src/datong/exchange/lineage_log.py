"""The hub's own record of lineage events, and their posting to an OpenLineage endpoint, in order and at least once.

An event is written in the transaction of what it tells. Posting is repeated until the endpoint takes it; the same event
twice says the same (run id, type and time are equal), so a repetition harms nothing.
"""

from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Connection, func, insert, select, update

from datong.exchange import store
from datong.exchange.lineage import Event, LineageKind, run_event
from datong.exchange.run_values import Run
from datong.exchange.tables import LINEAGE, TASKS
from datong.exchange.values import Task
from datong.kernel import Clock, Database, DatongError, DepartmentCode, TaskId, Value
from datong.kernel.limits import PAGE_ROWS_MAX

POSTED_AT_ONCE_MAX = 100
POST_DELAY_SECONDS = 2.0
POST_DELAY_SECONDS_MAX = 600.0
POST_ATTEMPTS_MAX = 1000
"""Some days of an endpoint that is down; later events are not held back for ever by one that it will not take."""


class LineageEntry(Value):
    """One recorded event; `serial` is where a reader goes on."""

    serial: int
    task_id: TaskId
    run: int
    kind: LineageKind
    at: datetime
    event: dict[str, Any]
    posted_at: datetime | None = None


class LineageReceiver(Protocol):
    """Where events are posted."""

    def post(self, event: Event) -> None:
        """Hand over one event.

        Raises:
            Unavailable: later perhaps. Refused, Invalid: never.
        """
        ...


class LineageLog:
    """Writes, reads and posts lineage events. `hub` names this installation in them."""

    def __init__(self, *, database: Database, clock: Clock, hub: str) -> None:
        self._database = database
        self._clock = clock
        self._hub = hub

    def write(self, connection: Connection, task: Task, run: Run, kind: LineageKind) -> None:
        """Record an event in the transaction of what it tells."""
        now = self._clock.now()
        newest = store.newest_batch(connection, task.id)
        columns = () if newest is None else newest.manifest.columns
        event = run_event(task, run, kind, at=now, hub=self._hub, columns=columns)
        connection.execute(
            insert(LINEAGE).values(
                task_id=task.id, run=run.run, kind=kind.value, at=now, event=event, attempts=0, next_post_at=now
            )
        )

    def events(
        self,
        *,
        after: int = 0,
        limit: int = 100,
        department: DepartmentCode | None = None,
        task_id: TaskId | None = None,
    ) -> tuple[LineageEntry, ...]:
        """Return events after a serial, in order; `department` is provider or consumer of the task."""
        query = select(LINEAGE).join(TASKS, TASKS.c.id == LINEAGE.c.task_id).where(LINEAGE.c.serial > after)
        if department is not None:
            query = query.where((TASKS.c.provider == department) | (TASKS.c.consumer == department))
        if task_id is not None:
            query = query.where(LINEAGE.c.task_id == task_id)
        with self._database.snapshot() as connection:
            rows = connection.execute(query.order_by(LINEAGE.c.serial).limit(min(limit, PAGE_ROWS_MAX))).mappings()
            return tuple(
                LineageEntry.model_validate({name: row[name] for name in LineageEntry.model_fields}) for row in rows
            )

    def post_waiting(self, receiver: LineageReceiver) -> bool:
        """Post what waits, oldest first, until something fails; return whether more is to be posted at once.

        Two processes may post the same event: it then arrives twice, which says the same.
        """
        now = self._clock.now()
        query = select(LINEAGE).where(LINEAGE.c.posted_at.is_(None), LINEAGE.c.attempts < POST_ATTEMPTS_MAX)
        with self._database.snapshot() as connection:
            rows = connection.execute(query.order_by(LINEAGE.c.serial).limit(POSTED_AT_ONCE_MAX)).mappings().all()
        for row in rows:
            if row["next_post_at"] > now:
                return False
            try:
                receiver.post(row["event"])
            except DatongError as error:
                self._failed(row["serial"], row["attempts"] + 1, final=not error.transient)
                if error.transient:
                    raise
            else:
                self._set(row["serial"], posted_at=self._clock.now())
        return len(rows) == POSTED_AT_ONCE_MAX

    def waiting(self) -> int:
        """Return how many events wait to be posted."""
        query = select(func.count()).select_from(LINEAGE)
        query = query.where(LINEAGE.c.posted_at.is_(None), LINEAGE.c.attempts < POST_ATTEMPTS_MAX)
        with self._database.snapshot() as connection:
            return int(connection.execute(query).scalar_one())

    def _failed(self, serial: int, attempts: int, *, final: bool) -> None:
        delay = min(POST_DELAY_SECONDS * 2.0 ** min(attempts - 1, 40), POST_DELAY_SECONDS_MAX)
        self._set(
            serial,
            attempts=POST_ATTEMPTS_MAX if final else attempts,
            next_post_at=self._clock.now() + timedelta(seconds=delay),
        )

    def _set(self, serial: int, **values: object) -> None:
        with self._database.transaction() as connection:
            connection.execute(update(LINEAGE).where(LINEAGE.c.serial == serial).values(**values))
