"""How applications are doing: calls, refusals, failures and latency by day, counted in memory and written together.

These are figures for the people who run an application, not evidence: each call has its own entry in the log. What a
process had not written yet when it was killed is lost, at most FLUSH_SECONDS of it.
"""

import threading
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from enum import StrEnum

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite

from datong.kernel import CHINA, Clock, Database, Text, Value
from datong.sharing import tables
from datong.sharing.applications.keys import ApplicationKey, KeyKind
from datong.sharing.applications.rules import ApplicationState, Registration

FLUSH_SECONDS = 5.0
DAYS_SHOWN = 30
KEY_AGE = timedelta(days=90)
KEY_ENDS = timedelta(days=14)
REFUSED_SHARE_MAX = 0.2
SLOW_MILLISECONDS = 500
_FIGURES = ("calls", "refused", "failed", "slow", "milliseconds")


class CallOutcome(StrEnum):
    """What became of a call, as far as its caller's health goes."""

    ANSWERED = "answered"
    REFUSED = "refused"
    FAILED = "failed"


class DayOfCalls(Value):
    """An application's calls of one day."""

    day: date
    calls: int
    refused: int
    failed: int
    slow: int
    milliseconds: int
    """Of all calls together."""
    milliseconds_max: int

    @property
    def mean_milliseconds(self) -> float:
        """How long a call took on average."""
        return self.milliseconds / self.calls if self.calls else 0.0


class Finding(StrEnum):
    """What is wrong with an application, or may soon be."""

    NO_LIVE_KEY = "no_live_key"
    KEY_ENDS_SOON = "key_ends_soon"
    KEY_IS_OLD = "key_is_old"
    OFTEN_REFUSED = "often_refused"
    FAILING = "failing"
    SLOW = "slow"
    UNUSED = "unused"

    @property
    def label(self) -> Text:
        """The finding in words."""
        return _FINDINGS[self]


_FINDINGS = {
    Finding.NO_LIVE_KEY: Text(zh="没有可用的正式密钥", en="No live key works"),
    Finding.KEY_ENDS_SOON: Text(zh="正式密钥将在 14 天内到期", en="The live key ends within 14 days"),
    Finding.KEY_IS_OLD: Text(zh="正式密钥已用 90 天以上，请轮换", en="The live key is older than 90 days: rotate it"),
    Finding.OFTEN_REFUSED: Text(
        zh="近 7 天超过两成的调用被拒绝", en="More than a fifth of a week's calls were refused"
    ),
    Finding.FAILING: Text(zh="近 7 天有调用失败", en="Calls failed within a week"),
    Finding.SLOW: Text(zh="近 7 天有调用超过半秒", en="Calls took more than half a second within a week"),
    Finding.UNUSED: Text(zh="近 30 天没有调用", en="Not used for 30 days"),
}


class ApplicationHealth(Value):
    """An application's last days, and what to see to."""

    days: tuple[DayOfCalls, ...]
    last_used_at: datetime | None
    key_age_days: int | None
    """How old the newest live key that works is; None: none works."""
    findings: tuple[Finding, ...]


class CallMeter:
    """Counts calls of applications; threads and processes may share the table."""

    def __init__(self, *, database: Database, clock: Clock, seconds: Callable[[], float] = time.monotonic) -> None:
        self._database, self._clock, self._seconds = database, clock, seconds
        self._lock = threading.Lock()
        self._counted: dict[tuple[str, str], dict[str, int]] = {}
        self._flushed = seconds()

    def note(self, client_id: str, outcome: CallOutcome, milliseconds: float) -> bool:
        """Count one call; return whether it is time to `flush`."""
        now = self._clock.now()
        spent = int(milliseconds)
        with self._lock:
            day = self._counted.setdefault(
                (client_id, now.astimezone(CHINA).date().isoformat()), dict.fromkeys((*_FIGURES, "milliseconds_max"), 0)
            )
            day["calls"] += 1
            day["refused"] += outcome is CallOutcome.REFUSED
            day["failed"] += outcome is CallOutcome.FAILED
            day["slow"] += spent > SLOW_MILLISECONDS
            day["milliseconds"] += spent
            day["milliseconds_max"] = max(day["milliseconds_max"], spent)
            return self._seconds() - self._flushed >= FLUSH_SECONDS

    def flush(self) -> None:
        """Write what was counted."""
        with self._lock:
            counted, self._counted, self._flushed = self._counted, {}, self._seconds()
        if not counted:
            return
        table, now = tables.application_day, self._clock.now()
        with self._database.transaction() as connection:
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            # In one order, so that two processes never wait for each other.
            for (client_id, day), figures in sorted(counted.items()):
                insert = dialect.insert(table).values(application_id=client_id, day=day, last_at=now, **figures)
                new = insert.excluded
                larger = func.max if connection.dialect.name == "sqlite" else func.greatest
                connection.execute(
                    insert.on_conflict_do_update(
                        index_elements=["application_id", "day"],
                        set_={
                            **{name: table.c[name] + new[name] for name in _FIGURES},
                            "milliseconds_max": larger(table.c.milliseconds_max, new.milliseconds_max),
                            "last_at": now,
                        },
                    )
                )

    def by_day(self, since: date, until: date) -> tuple[tuple[str, int, int], ...]:
        """Return (day, calls answered, calls refused) of all applications; days without any are left out."""
        self.flush()
        table = tables.application_day
        query = (
            select(table.c.day, func.sum(table.c.calls - table.c.refused), func.sum(table.c.refused))
            .where(table.c.day >= since.isoformat(), table.c.day <= until.isoformat())
            .group_by(table.c.day)
            .order_by(table.c.day)
        )
        with self._database.snapshot() as connection:
            return tuple((row[0], int(row[1]), int(row[2])) for row in connection.execute(query))

    def health(self, registration: Registration, keys: tuple[ApplicationKey, ...]) -> ApplicationHealth:
        """Return how an application is doing."""
        self.flush()
        now, table = self._clock.now(), tables.application_day
        since = (now.astimezone(CHINA).date() - timedelta(days=DAYS_SHOWN)).isoformat()
        own = table.c.application_id == registration.client_id
        query = select(table).where(own, table.c.day > since).order_by(table.c.day)
        with self._database.snapshot() as connection:
            rows = connection.execute(query).mappings().all()
            last = connection.execute(select(func.max(table.c.last_at)).where(own)).scalar()
        days = tuple(DayOfCalls.model_validate({name: row[name] for name in DayOfCalls.model_fields}) for row in rows)
        return judged(registration, keys, days, last, now)


def judged(
    registration: Registration,
    keys: tuple[ApplicationKey, ...],
    days: tuple[DayOfCalls, ...],
    last_used_at: datetime | None,
    now: datetime,
) -> ApplicationHealth:
    """Return the health of an application from its figures. Only an approved one can have findings."""
    live = [key for key in keys if key.kind is KeyKind.LIVE and key.works(now)]
    newest = max((key.created_at for key in live), default=None)
    week = [one for one in days if one.day > (now.astimezone(CHINA).date() - timedelta(days=7))]
    calls = sum(one.calls for one in week)
    found = {
        Finding.NO_LIVE_KEY: not live,
        Finding.KEY_ENDS_SOON: bool(live) and max(key.expires_at for key in live) < now + KEY_ENDS,
        Finding.KEY_IS_OLD: newest is not None and now - newest > KEY_AGE,
        Finding.OFTEN_REFUSED: calls > 0 and sum(one.refused for one in week) > REFUSED_SHARE_MAX * calls,
        Finding.FAILING: any(one.failed for one in week),
        Finding.SLOW: any(one.slow for one in week),
        Finding.UNUSED: now - registration.registered_at > timedelta(days=DAYS_SHOWN) and not days,
    }
    approved = registration.state is ApplicationState.APPROVED
    return ApplicationHealth(
        days=days,
        last_used_at=last_used_at,
        key_age_days=None if newest is None else (now - newest).days,
        findings=tuple(finding for finding, there in found.items() if there and approved),
    )
