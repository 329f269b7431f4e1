"""A city's year of acts with known truth: who is diligent, who held up what, what was out of the ordinary.

Behaviour is drawn, acts follow from it, and the acts alone become entries. Beside each duty that was not kept stands
who held it up longest in the simulation's own account (working time; an outage counts for who was away at the moment
that somebody wanted to act). The rules see none of this.
"""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple

from benchmarks.year_time import CALENDAR, DAY, Absence, Absences, Delays, after, between, midnight, works
from datong.governance import DutyKind, Party
from datong.kernel import PLATFORM_ACTOR, Actor, ActorKind, DepartmentCode, JsonValue
from datong.ledger import EntryKind
from datong.sharing.outages import HUB, OutageCause, outage_facts

LEVELS: dict[str, JsonValue] = {
    "provide_within_working_days": 20,
    "latency_ms_p95": 500,
    "availability_permille": 990,
    "completeness_permille": 950,
}
LIABILITY: dict[str, JsonValue] = {"provider_permille": 400, "consumer_permille": 400, "platform_permille": 200}
CYCLES = {"daily": 1, "weekly": 7, "monthly": 30}


class Act(NamedTuple):
    """One act that becomes an entry."""

    at: datetime
    kind: EntryKind
    subject: str
    actor: Actor
    facts: Mapping[str, JsonValue]


class Department(NamedTuple):
    """A department and how diligent it is, from 0 to 1."""

    code: DepartmentCode
    diligence: float


class Resource(NamedTuple):
    """A resource; its interface is answered live by the provider's node, `served` from the library, or it has none."""

    id: str
    provider: Department
    conditional: bool
    cycle: str
    live: bool
    served: bool

    @property
    def has_interface(self) -> bool:
        """Whether it can be called."""
        return self.live or self.served


class City:
    """Draws the acts of a city from `start` to `end`; everything follows from `seed`."""

    def __init__(self, *, seed: int, departments: int, resources: int, start: datetime, end: datetime) -> None:
        self.dice = Random(seed)
        self.later_dice = Random(f"{seed}-later")
        """What was added to the simulation later draws from its own dice, so that all else stays as it was."""
        self.start, self.end = start, end
        self.acts: list[Act] = []
        self.truth: dict[tuple[DutyKind, str], Party] = {}
        """The culprit of each duty that was not kept, by kind and subject."""
        self.oddities: dict[tuple[str, str, str], str] = {}
        """What was out of the ordinary, by series (a task, or caller and resource), day, and what of it."""
        ranks = self.dice.sample(range(departments), departments)
        self.departments = [
            Department(DepartmentCode(f"1144{number:04d}MB2D{number:05d}X"), (rank + 0.5) / departments)
            for number, rank in enumerate(ranks)
        ]
        self.bureau = self.departments[0]
        self.absences = Absences(self._absences(), self.dice)
        self.resources = [
            self._resource(f"resource-{department.code}-{number}", department)
            for department in self.departments
            for number in range(resources)
        ]
        self.agreements: list[tuple[str, Resource, Department, datetime]] = []
        """Agreements with resource, consumer and since when they are in force."""
        self.provided: list[tuple[str, Resource, Department, datetime]] = []
        """The same with when the provider first delivers."""
        self.agreed: dict[str, dict[str, JsonValue]] = {}
        """What the newest entry of each agreement in force states."""
        self._away()
        for department in self.departments:
            self._registered(department)
        for resource in self.resources:
            self._catalogued(resource)
            for consumer in self.dice.sample(self.departments, 3):
                if consumer.code != resource.provider.code:
                    self._asked(resource, consumer)
        self._availability()

    def _resource(self, name: str, provider: Department) -> Resource:
        dice = self.dice
        conditional, cycle = dice.random() < 0.6, dice.choices(list(CYCLES), [2, 5, 3])[0]
        live = dice.random() < 0.5
        served = not live and self.later_dice.random() < 0.3
        return Resource(name, provider, conditional, cycle, live, served)

    # Who is away when

    def _absences(self) -> list[Absence]:
        """Draw outages: few and long ones of the hub and of lines, more of careless departments' nodes."""
        share = (self.end - self.start) / timedelta(days=365)
        found = []

        def draw(mean: float, hours: tuple[float, float], cause: str, department: DepartmentCode | None) -> None:
            at = self.start
            while True:
                at += (self.end - self.start) * self.dice.expovariate(max(mean * share, 0.01))
                if at >= self.end:
                    return
                until = at + timedelta(hours=math.exp(self.dice.uniform(*map(math.log, hours))))
                found.append(Absence(at, until, cause, department))
                at = until + DAY

        draw(8, (1, 50), "platform", None)
        for department in self.departments:
            draw(4, (1, 80), "network", department.code)
            draw(2 + 6 * (1 - department.diligence), (1, 80), "node", department.code)
        return found

    def _away(self) -> None:
        for one in self.absences.all:
            facts = outage_facts(
                cause=OutageCause(one.cause), since=one.since, until=one.until, department=one.department
            )
            self.emit(one.until, EntryKind.OUTAGE, one.department or HUB, one.department, facts)
            if one.department is None:
                # Each node comes back as well, and says that it called in vain.
                for department in self.departments:
                    cut_off = outage_facts(
                        cause=OutageCause.NETWORK, since=one.since, until=one.until, department=department.code
                    )
                    self.emit(one.until, EntryKind.OUTAGE, f"node-{department.code}", department.code, cut_off)

    # The catalogue

    def _registered(self, department: Department) -> None:
        facts: dict[str, JsonValue] = {
            "action": "register_department",
            "department": department.code,
            "is_authority": department is self.bureau,
        }
        self.emit(self.start, EntryKind.DEPARTMENT_KEY, department.code, None, facts)

    def _catalogued(self, resource: Resource) -> None:
        """A draft, submitted, reviewed, published; later the source may depart from it."""
        dice, department = self.dice, resource.provider
        facts: dict[str, JsonValue] = {
            "department": department.code,
            "version": 1,
            "share_type": "2" if resource.conditional else "1",
            "items": 20,
            "mapped_items": round(20 * min(1, max(0, dice.gauss(0.25 + 0.7 * department.diligence, 0.1)))),
            "standard_items": round(20 * min(1, max(0, dice.gauss(0.15 + 0.7 * department.diligence, 0.1)))),
            "bound": dice.random() < 0.4 + 0.6 * department.diligence,
            "legal_basis_cited": True,
        }

        def step(at: datetime, action: str, before: str, state: str, by: Department, **more: JsonValue) -> None:
            said = {**facts, "action": action, "from_state": before, "to_state": state, **more}
            self.emit(at, EntryKind.CATALOGUE_STEP, resource.id, by.code, said)

        at = after(self.start, dice.uniform(0, 5))
        step(at, "draft", "", "draft", department)
        # Resources beside those that are shared: drafts that careless departments leave lying.
        for number in range(2):
            if dice.random() > department.diligence:
                said = {**facts, "action": "draft", "from_state": "", "to_state": "draft"}
                self.emit(at, EntryKind.CATALOGUE_STEP, f"{resource.id}-idle-{number}", department.code, said)
        at = after(at, dice.uniform(0.1, 3))
        due = CALENDAR.deadline(at, 2)
        step(at, "submit", "draft", "submitted", department, due_at=due.isoformat())
        delays = Delays()
        late = dice.random() < 0.06
        took = dice.uniform(3, 6) if late else dice.uniform(0.1, 1.8)
        delays.add(Party.AUTHORITY, max(0.0, took - between(at, due)))
        done = self.absences.act(after(at, took), None, Party.AUTHORITY, delays, machine=False)
        step(done, "publish", "submitted", "published", self.bureau, published_version=1)
        if resource.live:
            offer: dict[str, JsonValue] = {
                "resource_id": resource.id,
                "provider": department.code,
                "node": f"node-{department.code}",
                "offered": True,
            }
            self.emit(done, EntryKind.LIVE, resource.id, department.code, offer)
        if done >= due:
            self.truth[DutyKind.REVIEW, resource.id] = delays.culprit
        if dice.random() < 0.4:
            self._drifted(resource, done, facts)

    def _drifted(self, resource: Resource, published: datetime, facts: Mapping[str, JsonValue]) -> None:
        dice, department = self.dice, resource.provider
        at = published + (self.end - published) * dice.uniform(0.05, 0.8)
        due = CALENDAR.deadline(at, 10)
        said: dict[str, JsonValue] = {
            "action": "open",
            "resource_id": resource.id,
            "department": department.code,
            "version": 1,
            "due_at": due.isoformat(),
        }
        self.emit(at, EntryKind.DRIFT, resource.id, None, said)
        delays = Delays()
        took = self._taken(between(at, due), 0.6 * (1 - department.diligence), delays, Party.PROVIDER)
        done = self.absences.act(after(at, took), None, Party.PROVIDER, delays, machine=False)
        again = {**facts, "version": 2, "action": "publish", "from_state": "approved", "to_state": "published"}
        self.emit(done, EntryKind.CATALOGUE_STEP, resource.id, self.bureau.code, {**again, "published_version": 2})
        if done >= due:
            self.truth[DutyKind.CATALOGUE_UPDATE, resource.id] = delays.culprit

    # Requests and agreements

    def _asked(self, resource: Resource, consumer: Department) -> None:
        """A request: answered, perhaps after an extension, perhaps refused or withdrawn; then an agreement."""
        dice, provider = self.dice, resource.provider
        # Most sharing is agreed early, so that there is a year of it.
        early = dice.random() < 0.6
        span = self.end - self.start
        at = self._office(self.start + span * dice.uniform(*((0.05, 0.15) if early else (0.15, 0.85))))
        request = f"request-{len(self.acts)}"
        due = CALENDAR.deadline(at, 10 if resource.conditional else 1)
        delays = Delays()

        def step(when: datetime, name: str, state: str, by: Department) -> None:
            facts: dict[str, JsonValue] = {
                "request_id": request,
                "step": name,
                "state": state,
                "consumer": consumer.code,
                "provider": provider.code,
                "resource_id": resource.id,
                "due_at": due.isoformat(),
            }
            kind = EntryKind.REQUEST if name in {"submit", "withdraw"} else EntryKind.DECISION
            self.emit(when, kind, request, by.code, facts)

        step(at, "submit", "submitted", consumer)
        allowed = between(at, due)
        took = self._taken(allowed, 0.45 * (1 - provider.diligence), delays, Party.PROVIDER)
        if took < allowed and dice.random() < 0.03:
            step(after(at, took), "withdraw", "withdrawn", consumer)
            return
        if resource.conditional and dice.random() < 0.12:
            asked = after(at, allowed * 0.6)
            step(asked, "extend", "submitted", provider)
            thought = dice.uniform(4, 8) if dice.random() < 0.3 else dice.uniform(0.1, 0.6)
            decided = self.absences.act(after(asked, thought), None, Party.AUTHORITY, delays, machine=False)
            consented = dice.random() < 0.5
            due = CALENDAR.deadline(due, 10) if consented else due
            delays.clear()
            delays.add(Party.AUTHORITY, thought)
            step(decided, "consent" if consented else "deny", "submitted", self.bureau)
            left = allowed * 0.4 + (10 if consented else 0)
            took = self._taken(left, 0.45 * (1 - provider.diligence), delays, Party.PROVIDER)
            done = after(decided, took if took > left else took * 0.5)
        else:
            done = after(at, took)
        done = self.absences.act(done, None, Party.PROVIDER, delays, machine=False)
        refused = dice.random() < 0.3 * (1 - provider.diligence)
        step(done, "refuse" if refused else "approve", "refused" if refused else "granted", provider)
        if done >= due:
            self.truth[DutyKind.REPLY, request] = delays.culprit
        if not refused:
            self._agreed(resource, consumer, done)

    def _agreed(self, resource: Resource, consumer: Department, at: datetime) -> None:
        """Confirmed and signed by both, provided; then used, refreshed and corrected until the year is over."""
        dice, provider = self.dice, resource.provider
        agreement = f"agreement-{len(self.acts)}"
        due = CALENDAR.deadline(at, 20)
        delays = Delays()

        def step(when: datetime, name: str, state: str, by: Department, confirmed: tuple[Department, ...]) -> None:
            facts: dict[str, JsonValue] = {
                "agreement_id": agreement,
                "step": name,
                "state": state,
                "consumer": consumer.code,
                "provider": provider.code,
                "resource_id": resource.id,
                "provide_due_at": due.isoformat(),
                "valid_until": (self.end + 400 * DAY).isoformat(),
                "modes": ["bulk", "interface"] if resource.has_interface else ["bulk"],
                "confirmed_by": [one.code for one in confirmed],
                "levels": {**LEVELS, "freshness_hours": CYCLES[resource.cycle] * 24},
                "liability": LIABILITY,
            }
            self.agreed[agreement] = facts
            self.emit(when, EntryKind.AGREEMENT, agreement, by.code, facts)

        step(at, "draw_up", "draft", provider, ())
        allowed = between(at, due)
        when = self._signed(at, provider, Party.PROVIDER, delays, 0.0)
        step(when, "confirm", "draft", provider, (provider,))
        when = self._signed(when, consumer, Party.CONSUMER, delays, 0.25 * (1 - consumer.diligence))
        step(when, "confirm", "confirmed", consumer, (provider, consumer))
        when = self._signed(when, provider, Party.PROVIDER, delays, 0.0)
        step(when, "sign", "confirmed", provider, (provider, consumer))
        when = self._signed(when, consumer, Party.CONSUMER, delays, 0.0)
        step(when, "sign", "active", consumer, (provider, consumer))
        late = dice.random() < 0.3 * (1 - provider.diligence)
        took = allowed + dice.uniform(1, 8) if late else dice.uniform(0.2, 6)
        delays.add(Party.PROVIDER, max(0.0, took + 3 - allowed))
        first = self.absences.act(after(when, took), provider.code, Party.PROVIDER, delays, machine=True)
        if first >= self.end:
            return
        self.agreements.append((agreement, resource, consumer, when))
        if first >= due:
            self.truth[DutyKind.PROVISION, agreement] = delays.culprit
        self.provided.append((agreement, resource, consumer, first))

    def _signed(self, at: datetime, by: Department, who: Party, delays: Delays, careless: float) -> datetime:
        dawdled = self.dice.random() < careless
        took = self.dice.uniform(12, 30) if dawdled else self.dice.uniform(0.05, 1.0)
        if dawdled:
            delays.add(who, took)
        return self.absences.act(after(at, took), by.code, who, delays, machine=False)

    def _availability(self) -> None:
        """The months in which an interface was away for more than one per cent of the time, by the main cause.

        One that the library serves is away with the hub only.
        """
        for agreement, resource, _, since in self.agreements:
            month = since.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
            counted = {None, resource.provider.code} if resource.live else {None}
            while resource.has_interface and month < self.end:
                following = (month + 32 * DAY).replace(day=1)
                away: dict[Party, float] = {}
                first = max(since, month)
                for one in self.absences.all:
                    if one.department not in counted:
                        continue
                    hours = (min(one.until, following) - max(one.since, first)) / timedelta(hours=1)
                    party = {"platform": Party.PLATFORM, "network": Party.NETWORK, "node": Party.PROVIDER}[one.cause]
                    if hours > 0:
                        away[party] = away.get(party, 0.0) + hours
                if sum(away.values()) > (following - first) / timedelta(hours=1) * 0.01:
                    subject = f"{agreement}/{month:%Y-%m}"
                    self.truth[DutyKind.AVAILABILITY, subject] = max(away, key=lambda party: away[party])
                month = following

    # Small things

    def _taken(self, allowed: float, careless: float, delays: Delays, who: Party) -> float:
        """Draw how many working days a department takes, and charge it what is beyond the allowance."""
        if self.dice.random() >= careless:
            return allowed * self.dice.uniform(0.05, 0.85)
        took = allowed + self.dice.uniform(0.3, 8)
        delays.add(who, took - allowed)
        return took

    def _office(self, at: datetime) -> datetime:
        """Return a moment in office hours near `at`."""
        day = at.date()
        while not works(day):
            day += DAY
        return midnight(day) + timedelta(hours=self.dice.uniform(9, 17))

    def emit(
        self,
        at: datetime,
        kind: EntryKind,
        subject: str,
        department: DepartmentCode | None,
        facts: Mapping[str, JsonValue],
        *,
        actor: str = "",
    ) -> None:
        """Put an act on record."""
        who = PLATFORM_ACTOR
        if department is not None:
            kind_of = ActorKind.APPLICATION if actor else ActorKind.PERSON
            who = Actor(kind=kind_of, id=actor or f"officer-{department}", department=department)
        self.acts.append(Act(at, kind, subject, who, facts))
