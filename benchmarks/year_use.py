"""The simulated year's calls: by day, careless ones outside what was agreed, odd days, slow months."""

import math
from collections import Counter
from datetime import date, datetime, timedelta
from random import Random
from typing import NamedTuple

from benchmarks.year_city import LEVELS, City, Department, Resource
from benchmarks.year_time import DAY, midnight, works
from datong.governance import DutyKind, Party
from datong.kernel import DepartmentCode, JsonValue
from datong.ledger import EntryKind

HISTORY_DAYS = 90
ODD_DAYS_MEAN = 1.2
"""So many odd days a caller and resource has in a year."""
KINDS = ("burst", "hours", "newcomer", "breadth", "enumeration")
ASPECTS = {"burst": "calls", "hours": "hours", "newcomer": "newcomer", "breadth": "breadth", "enumeration": "misses"}
SLOW_MONTHS_SHARE = 0.1
"""So many months of a line are slow: a tenth to a half of their calls take longer than agreed."""
AGREED_MILLISECONDS = LEVELS["latency_ms_p95"]
CALLS_MIN, SLOW_SHARE_MAX = 20, 0.05
WEEKEND = 0.05
MISSES = 0.03


class Line(NamedTuple):
    """An application's calls about one resource."""

    application: str
    agreement: str
    resource: Resource
    consumer: Department
    since: datetime
    calls: float


class Calls:
    """Draws the calls of a city's applications."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._dice = city.dice
        self._made = 0
        self._slow_months: dict[tuple[str, str], float] = {}
        """The share of slow calls by agreement and month."""
        self._counted: Counter[tuple[str, str]] = Counter()
        self._slow: Counter[tuple[str, str]] = Counter()

    def run_all(self) -> None:
        """Draw every call of live interfaces, of which a third are in use, then of those that the library serves."""
        self._run(live=True)
        self._dice = self._city.later_dice
        self._run(live=False)
        parties = {agreement: resource.live for agreement, resource, _, _ in self._city.agreements}
        for (agreement, month), slow in self._slow.items():
            calls = self._counted[agreement, month]
            if calls >= CALLS_MIN and slow > SLOW_SHARE_MAX * calls:
                culprit = Party.PROVIDER if parties[agreement] else Party.PLATFORM
                self._city.truth[DutyKind.RESPONSE, f"{agreement}/{month}"] = culprit

    def _run(self, *, live: bool) -> None:
        dice, city = self._dice, self._city
        for agreement, resource, consumer, since in city.agreements:
            wanted = resource.live if live else resource.served
            if wanted and dice.random() < 0.35:
                calls = math.exp(dice.uniform(math.log(4), math.log(25)))
                self._line(
                    Line(f"application-{consumer.code}", agreement, resource, consumer, since, calls),
                )

    def _line(self, line: Line) -> None:
        city, dice = self._city, self._dice
        day, end = line.since.date() + DAY, (city.end - DAY).date()
        first_odd = day + HISTORY_DAYS * DAY
        days = (end - first_odd) / DAY
        odd: dict[date, str] = {}
        if days > 20:
            for _ in range(self._poisson(ODD_DAYS_MEAN)):
                odd[first_odd + timedelta(days=dice.randrange(int(days)))] = dice.choice(KINDS)
        while day < end:
            weekday = 1.2 if day.weekday() == 0 else 1.0
            mean = line.calls * (weekday if works(day) else WEEKEND)
            kind = odd.get(day)
            number = self._poisson(mean)
            if kind == "burst":
                number = max(round(line.calls * dice.uniform(3, 8)), 25)
            self._calls(line, line.application, day, number, hours=(8, 18), misses=MISSES)
            if kind is not None:
                self._odd(line, day, kind)
            if works(day) and dice.random() < 0.012 * (1 - line.consumer.diligence):
                self._outside(line, day)
            day += DAY

    def _odd(self, line: Line, day: date, kind: str) -> None:
        """Do what is out of the ordinary on a day, and note it."""
        dice, city = self._dice, self._city
        who, resource = line.application, line.resource.id
        if kind == "hours":
            self._calls(line, who, day, dice.randint(15, 60), hours=(0, 5), misses=MISSES)
        elif kind == "newcomer":
            who = f"newcomer-{self._made}"
            self._calls(line, who, day, dice.randint(30, 200), hours=(8, 18), misses=MISSES)
        elif kind == "breadth":
            others = dice.sample(city.resources, 10)
            for other in others:
                self._calls(line._replace(resource=other), who, day, dice.randint(1, 4), hours=(8, 18), misses=MISSES)
            resource = "*"
        elif kind == "enumeration":
            self._calls(line, who, day, dice.randint(40, 300), hours=(8, 18), misses=dice.uniform(0.6, 0.95))
        city.oddities[f"{who}|{resource}", f"{day}", ASPECTS[kind]] = kind

    def _calls(
        self, line: Line, who: str, day: date, number: int, *, hours: tuple[float, float], misses: float
    ) -> None:
        dice = self._dice
        for _ in range(number):
            at = midnight(day) + timedelta(hours=dice.uniform(*hours))
            self._call(line, who, at, EntryKind.ACCESS, rows=int(dice.random() >= misses), policies=["data.agreed"])

    def _outside(self, line: Line, day: date) -> None:
        """Some calls ask for what was not agreed; many of them on one day are a breach."""
        number = self._dice.choice((2, 3, 15, 25, 40))
        for _ in range(number):
            at = midnight(day) + timedelta(hours=self._dice.uniform(8, 18))
            self._call(line, line.application, at, EntryKind.REFUSAL, rows=0, policies=["data.other_purpose"])
        if number >= 10:
            self._city.truth[DutyKind.USE, f"{line.agreement}/{day}"] = Party.CONSUMER

    def _call(
        self, line: Line, who: str, at: datetime, kind: EntryKind, *, rows: int, policies: list[JsonValue]
    ) -> None:
        self._made += 1
        access = f"access-{self._made}"
        facts: dict[str, JsonValue] = {
            "access_id": access,
            "kind": "query",
            "allowed": kind is EntryKind.ACCESS,
            "consumer": line.consumer.code,
            "provider": line.resource.provider.code,
            "resource_id": line.resource.id,
            "agreement_ids": [line.agreement],
            "service_item": "义务教育入学审核",
            "policies": policies,
            "items": ["hjdz", "xm"],
            "rows": rows,
            "subjects": 1,
            "milliseconds": self._took(line.agreement, at) if kind is EntryKind.ACCESS else 0,
        }
        self._city.emit(at, kind, access, DepartmentCode(line.consumer.code), facts, actor=who)

    def _took(self, agreement: str, at: datetime) -> int:
        """Draw how many milliseconds a call took; whether it is slow depends on the month, not on what is asked."""
        dice: Random = self._city.later_dice
        key = agreement, f"{at:%Y-%m}"
        if key not in self._slow_months:
            slow_month = dice.random() < SLOW_MONTHS_SHARE
            self._slow_months[key] = dice.uniform(0.1, 0.5) if slow_month else dice.uniform(0, 0.02)
        slow = dice.random() < self._slow_months[key]
        self._counted[key] += 1
        self._slow[key] += slow
        agreed = int(str(AGREED_MILLISECONDS))
        return dice.randint(agreed + 1, 8 * agreed) if slow else dice.randint(agreed // 50, agreed)

    def _poisson(self, mean: float) -> int:
        """Draw from a Poisson distribution by multiplying uniform numbers; means here are small."""
        limit, number, product = math.exp(-mean), 0, self._dice.random()
        while product > limit:
            number += 1
            product *= self._dice.random()
        return number
