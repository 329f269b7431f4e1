"""Leases: what one process of a hub at a time does, shared out among those that live, with nobody above them.

Each process says every second that it lives, and takes a fair part of what nobody holds; a process that ends hands its
part back, one that is killed loses it when its time is over. All times are the control database's own, so the machines'
clocks do not matter. A lease spares work and keeps order; that nothing is done twice rests on what each job commits
(docs/adr/0227), since a process may sleep through the end of its lease.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import Protocol

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import SQLAlchemyError

from datong.app.tables import lease
from datong.kernel import Database, new_id

LEASE_SECONDS = 4.0
RENEW_SECONDS = 1.0
MARGIN_SECONDS = 0.5
"""A holder stops relying on a lease so long before the server would give it to another."""
FORGOTTEN_AFTER = timedelta(days=1)
"""Workers that were not heard of for so long are forgotten."""
LEASES_LOCK = 0x44415432
"""PostgreSQL advisory lock under which leases are shared out ("DAT2"); held for some milliseconds."""
WORKER = "worker:"
LOGGER = logging.getLogger("datong.leases")


class Turns(Protocol):
    """Says whether this process does a job now."""

    def holds(self, name: str) -> bool:
        """Whether the job of that name is this process's own now."""
        ...

    def live(self) -> frozenset[str] | None:
        """Return the names of the workers that live; None: nobody can tell."""
        ...

    def begin(self) -> None:
        """Begin to take part."""
        ...

    def end(self) -> None:
        """Hand everything back."""
        ...


class EveryTurn:
    """Turns of a hub on an embedded database, which one process serves: every job is its own."""

    def holds(self, _name: str) -> bool:
        """Say yes."""
        return True

    def live(self) -> frozenset[str] | None:
        """Return None: nobody can tell."""
        return None

    def begin(self) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""


class Leases:
    """Turns among the processes on one PostgreSQL; `names` in the order of their importance.

    A lease lasts `lease_seconds` from the moment it was asked for; processes that share a database have the same.
    """

    def __init__(
        self,
        database: Database,
        worker: str,
        names: Sequence[str],
        *,
        lease_seconds: float = LEASE_SECONDS,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._own = f"{WORKER}{worker}"
        self._names = tuple(names)
        self._lease_seconds = lease_seconds
        self._seconds = seconds
        self._holder = f"{worker[:40]}/{new_id()}"
        self._held: frozenset[str] = frozenset()
        self._live: frozenset[str] = frozenset()
        self._until = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="leases", daemon=True)
        self._warned = False

    def holds(self, name: str) -> bool:
        """Whether the job of that name is this process's own now."""
        return name in self._held and self._seconds() < self._until

    def live(self) -> frozenset[str] | None:
        """Return the names of the workers that live, this one among them; None when that is not known just now."""
        return self._live if self._seconds() < self._until else None

    def begin(self) -> None:
        """Take part at once, and go on every second in a thread."""
        self._try()
        self._thread.start()

    def end(self) -> None:
        """Hand everything back, so that others take over without waiting."""
        self._stopping.set()
        self._thread.join()
        self._held, self._until = frozenset(), 0.0
        try:
            with self._database.transaction() as connection:
                connection.execute(delete(lease).where(lease.c.holder == self._holder, lease.c.name == self._own))
                connection.execute(update(lease).where(lease.c.holder == self._holder).values(until=func.now()))
        except SQLAlchemyError as error:
            LOGGER.warning("the leases of this process run out by themselves: %s", error)

    def renew(self) -> None:
        """Say that this process lives; keep or take a fair part of the jobs."""
        asked = self._seconds()
        until = func.now() + timedelta(seconds=self._lease_seconds)
        with self._database.transaction() as connection:
            # One after the other: each sees what the one before it took, and none waits for a row of another's.
            connection.execute(select(func.pg_advisory_xact_lock(LEASES_LOCK)))
            free = lease.c.until < func.now()
            insert = postgresql.insert(lease)
            mine = insert.values(name=self._own, holder=self._holder, until=until).on_conflict_do_update(
                index_elements=["name"],
                set_={"holder": self._holder, "until": until},
                where=or_(lease.c.holder == self._holder, free),
            )
            present = connection.execute(mine.returning(lease.c.name)).first() is not None
            rows = connection.execute(select(lease.c.name, lease.c.holder, free.label("free"))).all()
            known = {row.name: row for row in rows}
            live = {row.name for row in rows if row.name.startswith(WORKER) and not row.free}
            missing = [name for name in self._names if name not in known]
            if missing:
                made = insert.values([{"name": name, "holder": "", "until": func.now()} for name in missing])
                connection.execute(made.on_conflict_do_nothing())
            wanted = self._wanted({name: row.holder for name, row in known.items() if not row.free}, len(live))
            held: Collection[str] = ()
            if present:
                taken = lease.c.name.in_(wanted) & or_(lease.c.holder == self._holder, lease.c.until <= func.now())
                query = update(lease).where(taken).values(holder=self._holder, until=until).returning(lease.c.name)
                held = connection.execute(query).scalars().all()
                surplus = (lease.c.holder == self._holder) & lease.c.name.not_in([*held, self._own])
                connection.execute(update(lease).where(surplus).values(holder="", until=func.now()))
            forgotten = lease.c.name.startswith(WORKER) & (lease.c.until < func.now() - FORGOTTEN_AFTER)
            connection.execute(delete(lease).where(forgotten))
        self._held = frozenset(held)
        self._live = frozenset(name.removeprefix(WORKER) for name in live)
        self._until = asked + self._lease_seconds - MARGIN_SECONDS
        if not present and not self._warned:
            self._warned = True
            LOGGER.warning("another process works under the name %s: this one waits", self._own.removeprefix(WORKER))

    def _wanted(self, holders: dict[str, str], workers: int) -> list[str]:
        """Return the jobs to keep or take: this process's first, then those of nobody, up to a fair part."""
        share = math.ceil(len(self._names) / max(workers, 1))
        own = [name for name in self._names if holders.get(name) == self._holder]
        nobodys = [name for name in self._names if not holders.get(name)]
        return [*own, *nobodys][:share]

    def _try(self) -> None:
        try:
            self.renew()
        except SQLAlchemyError as error:
            LOGGER.warning("leases were not renewed: %s", error)

    def _keep(self) -> None:
        while not self._stopping.wait(RENEW_SECONDS):
            self._try()
