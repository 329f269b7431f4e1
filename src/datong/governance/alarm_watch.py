"""The alarms of a hub: each day that is over is tallied once, compared with the days before it, and left alone.

Work is by day and incremental: a day's entries are read once, its tallies and alarms are written in one transaction
with the mark that it is done, so that a second process or a second run does nothing twice.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from enum import StrEnum

from sqlalchemy import Connection, RowMapping, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from datong.governance.alarms import HISTORY_DAYS, Alarm, AlarmKind, alarms_of
from datong.governance.tables import ALARM, TALLY
from datong.governance.tallies import TALLIED_KINDS, Tally, tallied
from datong.kernel import (
    CHINA,
    PLATFORM_ACTOR,
    Actor,
    Clock,
    Conflict,
    Database,
    DepartmentCode,
    EntryId,
    Invalid,
    JsonValue,
    NotFound,
    Page,
    Text,
    Value,
    WorkingCalendar,
    insert_rows,
    page_of,
    sha256_hex,
)
from datong.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, TEXT_CHARS_MAX
from datong.ledger import EntryKind, Ledger

ALARMS = uuid.UUID("6b0c1d0e-7d35-5a0e-8a53-3f6f1c7f6a51")
"""The namespace of the identities of alarms (RFC 9562, version 5)."""
WAIT = timedelta(minutes=10)
"""A day is tallied so long after its end: acts of its last moment are on record by then."""
DAYS_AT_ONCE_MAX = 31
"""Days tallied in one run; a hub that was away catches up in several."""
_DONE = ""


class AlarmState(StrEnum):
    """What became of an alarm."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    DISMISSED = "dismissed"


STATE_NAMES = {
    AlarmState.OPEN: Text(zh="待处理", en="open"),
    AlarmState.ACKNOWLEDGED: Text(zh="已确认", en="acknowledged"),
    AlarmState.DISMISSED: Text(zh="已排除", en="dismissed"),
}


class AlarmDecision(StrEnum):
    """What somebody may make of an alarm."""

    ACKNOWLEDGE = "acknowledge"
    DISMISS = "dismiss"


TRANSITIONS = {
    (AlarmState.OPEN, AlarmDecision.ACKNOWLEDGE): AlarmState.ACKNOWLEDGED,
    (AlarmState.OPEN, AlarmDecision.DISMISS): AlarmState.DISMISSED,
    (AlarmState.ACKNOWLEDGED, AlarmDecision.DISMISS): AlarmState.DISMISSED,
}
"""What is dismissed stays so; what was acknowledged may still turn out to be nothing."""


class AlarmRecord(Value):
    """An alarm as it is kept; `entry_id` is the evidence of what was done with it last."""

    id: str
    alarm: Alarm
    said: Text
    state: AlarmState
    raised_at: datetime
    decided_at: datetime | None
    decided_by: Actor | None
    reason: str | None
    entry_id: EntryId


class AlarmWatch:
    """Raises alarms and keeps what became of them."""

    def __init__(self, *, database: Database, clock: Clock, calendar: WorkingCalendar, ledger: Ledger) -> None:
        self._database = database
        self._clock = clock
        self._calendar = calendar
        self._ledger = ledger

    def run(self) -> bool:
        """Tally the days that are over and raise their alarms; return whether more days wait."""
        days = self._due()
        if not days:
            return False
        chosen = days[:DAYS_AT_ONCE_MAX]
        history = _History(self._tallies(since=chosen[0] - timedelta(days=HISTORY_DAYS), until=chosen[0]))
        for day in chosen:
            begin = datetime.combine(day, time(0), tzinfo=CHINA)
            entries = self._ledger.entries_between(kinds=TALLIED_KINDS, since=begin, until=begin + timedelta(days=1))
            tallies = tallied(day, entries)
            alarms = history.alarms(day, tallies, self._calendar)
            try:
                with self._database.transaction() as connection:
                    self.write(connection, day, tallies, alarms)
            except IntegrityError:
                # Another process of this hub did the day; what it wrote stands and ours was rolled back.
                return True
            history.add(tallies)
        return len(days) > len(chosen)

    def find(
        self,
        *,
        kind: AlarmKind | None = None,
        state: AlarmState | None = None,
        department: DepartmentCode | None = None,
        offset: int = 0,
        limit: int = PAGE_ROWS_DEFAULT,
    ) -> Page[AlarmRecord]:
        """Return alarms, newest day first; `department` is a party to them."""
        wanted = []
        if kind is not None:
            wanted.append(ALARM.c.kind == kind)
        if state is not None:
            wanted.append(ALARM.c.state == state)
        if department is not None:
            wanted.append((ALARM.c.provider == department) | (ALARM.c.consumer == department))
        newest = select(ALARM).where(*wanted).order_by(ALARM.c.day.desc(), ALARM.c.id)
        with self._database.snapshot() as connection:
            total = connection.scalar(select(func.count()).select_from(ALARM).where(*wanted)) or 0
            rows = connection.execute(newest.offset(offset).limit(min(limit, PAGE_ROWS_MAX))).mappings()
            return page_of(tuple(_record(row) for row in rows), total=total, offset=offset)

    def get(self, alarm_id: str) -> AlarmRecord:
        """Return one alarm.

        Raises:
            NotFound: there is none.
        """
        with self._database.snapshot() as connection:
            row = connection.execute(select(ALARM).where(ALARM.c.id == alarm_id)).mappings().first()
        if row is None:
            raise NotFound(
                "governance.alarm_not_found",
                what=Text(zh=f"没有编号为 {alarm_id} 的预警。", en=f"There is no alarm {alarm_id}."),
                remedy=Text(zh="请从预警列表中选择。", en="Choose one from the list of alarms."),
            )
        return _record(row)

    def history(self, record: AlarmRecord) -> tuple[Tally, ...]:
        """Return the series of an alarm, up to its day: what it was compared with."""
        tally = record.alarm.tally
        query = (
            select(TALLY.c.content)
            .where(
                TALLY.c.series == tally.series,
                TALLY.c.day >= str(tally.day - timedelta(days=HISTORY_DAYS)),
                TALLY.c.day <= str(tally.day),
            )
            .order_by(TALLY.c.day)
        )
        with self._database.snapshot() as connection:
            return tuple(Tally.model_validate(content) for content in connection.execute(query).scalars())

    def decide(self, alarm_id: str, decision: AlarmDecision, *, actor: Actor, reason: str) -> AlarmRecord:
        """Acknowledge or dismiss an alarm, with a reason.

        Raises:
            NotFound: there is no such alarm. Invalid: there is no reason, or too long a one.
            Conflict: it was decided before.
        """
        reason = reason.strip()
        if not reason or len(reason) > TEXT_CHARS_MAX:
            raise Invalid(
                "governance.reason_missing",
                what=Text(
                    zh=f"需要理由，且不超过 {TEXT_CHARS_MAX} 字。",
                    en=f"A reason of at most {TEXT_CHARS_MAX} characters is needed.",
                ),
                remedy=Text(zh="请写明核实的结果。", en="Write what was found."),
                field="/reason",
            )
        record = self.get(alarm_id)
        now = self._clock.now()
        with self._database.transaction() as connection:
            query = select(ALARM.c.state).where(ALARM.c.id == alarm_id).with_for_update()
            before = AlarmState(connection.execute(query).scalar_one())
            state = TRANSITIONS.get((before, decision))
            if state is None:
                raise Conflict(
                    "governance.alarm_decided",
                    what=Text(
                        zh=f"该预警{STATE_NAMES[before].zh}。", en=f"The alarm is {STATE_NAMES[before].en} already."
                    ),
                    remedy=Text(zh="请刷新后查看。", en="Reload to see what was decided."),
                )
            facts = {**_facts(alarm_id, record.alarm, state), "reason_sha256": sha256_hex(reason.encode())}
            entry_id = self._ledger.append(connection, kind=EntryKind.ALARM, subject=alarm_id, actor=actor, facts=facts)
            connection.execute(
                update(ALARM)
                .where(ALARM.c.id == alarm_id)
                .values(
                    state=state,
                    decided_at=now,
                    decided_by=actor.model_dump(mode="json"),
                    reason=reason,
                    entry_id=entry_id,
                )
            )
        return self.get(alarm_id)

    def _due(self) -> list[date]:
        """Return the days that are over and not yet done, oldest first."""
        first = self._ledger.first_at()
        if first is None:
            return []
        with self._database.snapshot() as connection:
            newest = connection.scalar(select(func.max(TALLY.c.day)).where(TALLY.c.series == _DONE))
        day = first.astimezone(CHINA).date() if newest is None else date.fromisoformat(newest) + timedelta(days=1)
        over = (self._clock.now() - WAIT).astimezone(CHINA).date()
        return [day + timedelta(days=number) for number in range((over - day).days)]

    def _tallies(self, *, since: date, until: date) -> list[Tally]:
        query = (
            select(TALLY.c.content)
            .where(TALLY.c.day >= str(since), TALLY.c.day < str(until), TALLY.c.series != _DONE)
            .order_by(TALLY.c.day, TALLY.c.series)
        )
        with self._database.snapshot() as connection:
            return [Tally.model_validate(content) for content in connection.execute(query).scalars()]

    def write(self, connection: Connection, day: date, tallies: Sequence[Tally], alarms: Sequence[Alarm]) -> None:
        """Keep a day: its tallies, its alarms with their evidence, and the mark that it is done."""
        rows: list[dict[str, object]] = [{"day": str(day), "series": _DONE, "content": {}}]
        rows += [
            {"day": str(day), "series": tally.series, "content": tally.model_dump(mode="json", exclude_defaults=True)}
            for tally in tallies
        ]
        insert_rows(connection, TALLY, rows)
        for alarm in alarms:
            alarm_id = alarm_id_of(alarm)
            entry_id = self._ledger.append(
                connection,
                kind=EntryKind.ALARM,
                subject=alarm_id,
                actor=PLATFORM_ACTOR,
                facts=_facts(alarm_id, alarm, AlarmState.OPEN),
            )
            connection.execute(
                insert(ALARM).values(
                    id=alarm_id,
                    kind=alarm.kind,
                    series=alarm.tally.series,
                    day=str(day),
                    provider=alarm.tally.provider,
                    consumer=alarm.tally.consumer,
                    state=AlarmState.OPEN,
                    raised_at=self._clock.now(),
                    entry_id=entry_id,
                    document=alarm.model_dump(mode="json"),
                )
            )


class _History:
    """The tallies of the days before, by series."""

    def __init__(self, tallies: Iterable[Tally]) -> None:
        self._of: dict[str, list[Tally]] = defaultdict(list)
        self._of_resource: dict[str, dict[date, int]] = defaultdict(dict)
        self.add(tallies)

    def add(self, tallies: Iterable[Tally]) -> None:
        """Take in a day."""
        for tally in tallies:
            self._of[tally.series].append(tally)
            if tally.series.startswith("line:") and tally.resource_id is not None:
                days = self._of_resource[tally.resource_id]
                days[tally.day] = days.get(tally.day, 0) + tally.calls

    def alarms(self, day: date, tallies: Sequence[Tally], calendar: WorkingCalendar) -> list[Alarm]:
        """Return the alarms of a day."""
        found: list[Alarm] = []
        oldest = day - timedelta(days=HISTORY_DAYS)
        for tally in tallies:
            before = [one for one in self._of.get(tally.series, ()) if one.day >= oldest]
            others = list(self._of_resource.get(tally.resource_id or "", {}).values())
            caller = tally.series.removeprefix("line:").partition("|")[0]
            known = bool(self._of.get(f"caller:{caller}"))
            found += alarms_of(tally, before, works=calendar.is_working_day, others=others, known=known)
        return found


def alarm_id_of(alarm: Alarm) -> str:
    """Return the identity of an alarm: the same for ever, on every hub."""
    return str(uuid.uuid5(ALARMS, f"{alarm.kind} {alarm.tally.series} {alarm.tally.day}"))


def _facts(alarm_id: str, alarm: Alarm, state: AlarmState) -> dict[str, JsonValue]:
    tally = alarm.tally
    return {
        "alarm": alarm_id,
        "kind": alarm.kind.value,
        "series": tally.series,
        "day": str(tally.day),
        "state": state.value,
        "provider": tally.provider,
        "consumer": tally.consumer,
        "resource_id": tally.resource_id,
        "observed": alarm.observed,
        "expected": alarm.expected,
        "score_tenths": alarm.score_tenths,
    }


def _record(row: RowMapping) -> AlarmRecord:
    alarm = Alarm.model_validate(row["document"])
    return AlarmRecord(
        id=row["id"],
        alarm=alarm,
        said=alarm.said,
        state=row["state"],
        raised_at=row["raised_at"],
        decided_at=row["decided_at"],
        decided_by=None if row["decided_by"] is None else Actor.model_validate(row["decided_by"]),
        reason=row["reason"],
        entry_id=row["entry_id"],
    )
