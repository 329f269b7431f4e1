"""The simulated year's transfers: runs, batches, receipts, pauses, rejected rows, reconciliations, corrections."""

import math
from datetime import datetime, timedelta
from typing import NamedTuple

from benchmarks.year_city import CYCLES, City, Department, Resource
from benchmarks.year_time import CALENDAR, DAY, Delays, after, between, midnight, works
from datong.governance import DutyKind, Party
from datong.kernel import DepartmentCode, JsonValue
from datong.ledger import EntryKind

ODD_TASKS_SHARE = 0.3
"""So many tasks have something out of the ordinary with their volume, once or twice in the year."""
KINDS = ("drop", "surge", "rejects", "drift")
DRIFT_RUNS = 40
DRIFT_SHARE = 0.02
PACKING = timedelta(minutes=3)


class Flow(NamedTuple):
    """A task: who sends what to whom, and how many rows a run usually has."""

    task: str
    agreement: str
    resource: Resource
    consumer: Department
    rows: float


class Oddity(NamedTuple):
    """From which run on something is out of the ordinary, and what."""

    run: int
    kind: str


class Tasks:
    """Draws what happens under the agreements of a city."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._dice = city.dice
        self._sequence: dict[str, int] = {}
        self._fresh_until: dict[str, datetime] = {}

    def run_all(self) -> None:
        """Draw every task."""
        for number, (agreement, resource, consumer, first) in enumerate(self._city.provided):
            rows = math.exp(self._dice.uniform(math.log(200), math.log(50_000)))
            self._task(Flow(f"task-{number}", agreement, resource, consumer, rows), first)

    def _task(self, flow: Flow, first: datetime) -> None:
        """Runs by schedule until the year is over, of which some stop for a while, and what becomes of them."""
        city, dice, resource = self._city, self._dice, flow.resource
        self._emit(first - timedelta(hours=1), EntryKind.TASK, flow, {"action": "create", "run_requested": 0})
        odd = self._odd(resource)
        at, run = first, 1
        done = self._deliver(flow, run, first, odd, dawdled=False)
        last = done
        stop_at = city.start + (city.end - city.start) * dice.uniform(0.3, 0.9)
        stops = dice.random() < 0.12
        while True:
            at = self._next(at, done, CYCLES[resource.cycle])
            stopped_by = Party.PROVIDER
            if stops and at > stop_at:
                stops = False
                at, stopped_by = self._stopped(flow, last, at)
            elif at < self._fresh_until[flow.task]:
                # The schedule would have done; only the hub's absence makes it late.
                stopped_by = Party.PLATFORM
            at = city.absences.act(at, None, Party.PLATFORM, Delays(), machine=False)
            if at >= city.end - 20 * DAY:
                break
            if at >= self._fresh_until[flow.task]:
                city.truth[DutyKind.FRESHNESS, f"{flow.task}/{self._sequence[flow.task]}"] = stopped_by
            run += 1
            at, done = self._requested(flow, run, at, odd)
            last = done
        self._emit(max(done, at) + timedelta(hours=1), EntryKind.TASK, flow, {"action": "end", "run_requested": run})
        self._compared(flow, first)
        self._corrected(flow, first)

    def _requested(self, flow: Flow, run: int, at: datetime, odd: list[Oddity]) -> tuple[datetime, datetime]:
        """One run from its request to its receipt; return when it was requested and received."""
        city, dice = self._city, self._dice
        provider, consumer = flow.resource.provider, flow.consumer
        due = CALENDAR.deadline(at, 1)
        self._emit(at, EntryKind.TASK, flow, {"action": "run", "run_requested": run})
        allowed = between(at, due)
        delays = Delays()
        begins = at
        if dice.random() < 0.004:
            paused = dice.uniform(2, 5)
            begins = after(at, paused)
            delays.add(Party.CONSUMER, paused)
            by = consumer.code
            said: dict[str, JsonValue] = {"action": "pause", "run_requested": run}
            self._emit(at + timedelta(seconds=1), EntryKind.TASK, flow, said, by=by)
            self._emit(begins, EntryKind.TASK, flow, {**said, "action": "resume"}, by=by)
        late = dice.random() < 0.12 * (1 - provider.diligence)
        took = allowed + dice.uniform(0.2, 5) if late else dice.uniform(0.003, 0.3)
        if late:
            delays.add(Party.PROVIDER, took - allowed)
        # Nodes send at night and on Sundays as well.
        wanted = after(begins, took) if late else begins + DAY * took
        sent = city.absences.act(wanted, provider.code, Party.PROVIDER, delays, machine=True)
        received = self._deliver(
            flow, run, sent, odd, dawdled=dice.random() < 0.06 * (1 - consumer.diligence), delays=delays
        )
        if received >= due:
            city.truth[DutyKind.TRANSFER, f"{flow.task}/{run}"] = delays.culprit
        return at, received

    def _deliver(
        self,
        flow: Flow,
        run: int,
        sent: datetime,
        odd: list[Oddity],
        *,
        dawdled: bool,
        delays: Delays | None = None,
    ) -> datetime:
        """A run's only batch and its receipt; return when it was received."""
        city, dice = self._city, self._dice
        sequence = self._sequence[flow.task] = self._sequence.get(flow.task, 0) + 1
        rows, rejected = self._volume(flow, run, sent, odd)
        batch = f"{flow.task}-batch-{sequence}"
        self._emit(
            sent,
            EntryKind.BATCH,
            flow,
            {
                "batch": batch,
                "sequence": sequence,
                "run": run,
                "last": True,
                "rows": rows,
                "produced_at": (sent - PACKING).isoformat(),
            },
            by=flow.resource.provider.code,
        )
        delays = Delays() if delays is None else delays
        took = dice.uniform(1.2, 4) if dawdled else dice.uniform(0.0005, 0.02)
        if dawdled:
            delays.add(Party.CONSUMER, took)
        # The node acknowledges at night and on Sundays as well, unless nobody looks after it.
        at = after(sent, took) if dawdled else sent + DAY * took
        received = city.absences.act(at, flow.consumer.code, Party.CONSUMER, delays, machine=True)
        facts: dict[str, JsonValue] = {
            "batch": batch,
            "sequence": sequence,
            "rows_applied": rows - rejected,
            "rows_rejected": rejected,
        }
        self._emit(received, EntryKind.RECEIPT, flow, facts, by=flow.consumer.code)
        fresh = sent - PACKING + timedelta(days=CYCLES[flow.resource.cycle])
        fresh = fresh if works(fresh.date()) else CALENDAR.deadline(fresh, 1)
        self._fresh_until[flow.task] = max(fresh, CALENDAR.deadline(received, 1))
        if rejected:
            city.truth[DutyKind.QUALITY, batch] = Party.PROVIDER
        return received

    def _volume(self, flow: Flow, run: int, sent: datetime, odd: list[Oddity]) -> tuple[int, int]:
        """Draw how many rows a run has and how many of them are rejected, with what is out of the ordinary."""
        city, dice = self._city, self._dice
        weekday = 1.15 if sent.weekday() == 0 else 1.0
        month_end = 1.2 if sent.day >= 28 else 1.0
        rows = flow.rows * weekday * month_end * math.exp(dice.gauss(0, 0.08))
        careless = 1 - flow.resource.provider.diligence
        share = dice.uniform(0, 0.03) * careless if dice.random() < 0.25 * careless else 0.0
        for one in odd:
            if one.kind == "drift" and run >= one.run:
                # What was lost stays lost.
                rows *= (1 - DRIFT_SHARE) ** min(run - one.run, DRIFT_RUNS)
            if one.kind == "drift" and one.run <= run < one.run + DRIFT_RUNS:
                city.oddities[flow.task, f"{sent:%Y-%m-%d}", "drift"] = one.kind
            elif one.run == run and one.kind in {"drop", "surge"}:
                rows *= dice.uniform(0.02, 0.5) if one.kind == "drop" else dice.uniform(1.9, 4)
                city.oddities[flow.task, f"{sent:%Y-%m-%d}", "volume"] = one.kind
            elif one.run == run and one.kind == "rejects":
                share = dice.uniform(0.12, 0.5)
                city.oddities[flow.task, f"{sent:%Y-%m-%d}", "rejects"] = one.kind
        whole = max(1, round(rows))
        return whole, round(whole * share)

    def _odd(self, resource: Resource) -> list[Oddity]:
        """Draw what is out of the ordinary with a task, never before there is a history of it."""
        if self._dice.random() >= ODD_TASKS_SHARE:
            return []
        runs = {"daily": 180, "weekly": 40, "monthly": 9}[resource.cycle]
        if runs < 20:
            return []
        kind = self._dice.choice(KINDS if resource.cycle == "daily" else KINDS[:3])
        return [Oddity(self._dice.randint(min(30, runs // 2), runs), kind)]

    def _stopped(self, flow: Flow, last: datetime, at: datetime) -> tuple[datetime, Party]:
        """Nobody requests a run for weeks: the provider's schedule is off, or the consumer has paused the task.

        Return when it goes on and who stopped it.
        """
        dice = self._dice
        again = after(at, CYCLES[flow.resource.cycle] + dice.uniform(8, 20))
        if dice.random() >= 0.4:
            return again, Party.PROVIDER
        by = flow.consumer.code
        said: dict[str, JsonValue] = {"action": "pause", "run_requested": 0}
        self._emit(last + timedelta(minutes=1), EntryKind.TASK, flow, said, by=by)
        self._emit(again - timedelta(minutes=30), EntryKind.TASK, flow, {**said, "action": "resume"}, by=by)
        return again, Party.CONSUMER

    def _compared(self, flow: Flow, first: datetime) -> None:
        """Monthly reconciliations; once in a while rows are missing that nobody rejected."""
        dice = self._dice
        at = first + 20 * DAY
        number = 0
        while at < self._city.end - 20 * DAY:
            number += 1
            rows = max(1000, round(flow.rows * 10))
            missing = round(rows * dice.uniform(0.06, 0.2)) if dice.random() < 0.004 else 0
            ends: JsonValue = {"producer": {"rows": rows, "rejected": 0}, "consumer": {"rows": rows, "rejected": 0}}
            subject = f"{flow.task}-reconciliation-{number}"
            facts: dict[str, JsonValue] = {
                "reconciliation": subject,
                "state": "differs" if missing else "equal",
                "missing": missing,
                "ends": ends,
            }
            self._emit(at, EntryKind.RECONCILIATION, flow, facts)
            if missing:
                lost = dice.random() < 0.5
                self._city.truth[DutyKind.COMPLETENESS, subject] = Party.CONSUMER if lost else Party.PROVIDER
            at += 30 * DAY

    def _corrected(self, flow: Flow, first: datetime) -> None:
        """Wrong values that consumers report."""
        city, dice, provider = self._city, self._dice, flow.resource.provider
        at = first
        number = 0
        while True:
            at += timedelta(days=dice.expovariate(1 / 90))
            if at >= city.end - 40 * DAY:
                return
            number += 1
            subject = f"{flow.task}-report-{number}"
            due = CALENDAR.deadline(at, 10)
            delays = Delays()
            allowed = between(at, due)
            late = dice.random() < 0.5 * (1 - provider.diligence)
            took = allowed + dice.uniform(0.3, 8) if late else allowed * dice.uniform(0.05, 0.85)
            if late:
                delays.add(Party.PROVIDER, took - allowed)
            done = city.absences.act(after(at, took), None, Party.PROVIDER, delays, machine=False)
            facts: dict[str, JsonValue] = {
                "resource_id": flow.resource.id,
                "provider": provider.code,
                "consumer": flow.consumer.code,
                "due_at": due.isoformat(),
                "disputes": 0,
            }
            said = {**facts, "action": "report"}
            city.emit(at, EntryKind.CORRECTION, subject, flow.consumer.code, said)
            city.emit(done, EntryKind.CORRECTION, subject, provider.code, {**facts, "action": "reject"})
            if done >= due:
                city.truth[DutyKind.CORRECTION, f"{subject}/0"] = delays.culprit

    def _next(self, at: datetime, done: datetime, days: int) -> datetime:
        """Return when the next run is asked for: at six by schedule, or as soon as the one before is done."""
        day = at.date() + DAY * days
        while days == 1 and not works(day):
            day += DAY
        return max(midnight(day) + timedelta(hours=6), done + timedelta(minutes=10))

    def _emit(
        self,
        at: datetime,
        kind: EntryKind,
        flow: Flow,
        facts: dict[str, JsonValue],
        *,
        by: DepartmentCode | None = None,
    ) -> None:
        said: dict[str, JsonValue] = {
            "task": flow.task,
            "agreement": flow.agreement,
            "resource": flow.resource.id,
            "provider": flow.resource.provider.code,
            "consumer": flow.consumer.code,
            **facts,
        }
        self._city.emit(at, kind, flow.task, by, said)
