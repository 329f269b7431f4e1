"""The simulated year's ends: agreements are terminated; consumers dispose of the data in time, late or never."""

from datetime import datetime, timedelta

from benchmarks.year_city import City, Department
from benchmarks.year_time import CALENDAR, DAY, Delays, after, between
from datong.governance import DutyKind, Party
from datong.ledger import EntryKind

ENDED_SHARE = 0.4
WORKING_DAYS = 10
NEVER_SHARE = 0.2
"""So many of those that are late never say that they disposed of it."""


class Ends:
    """Ends agreements about copies after their last transfer; those of interfaces go on."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._dice = city.later_dice

    def run_all(self) -> None:
        """Terminate some of them in the year's last weeks, when their tasks are over."""
        city, dice = self._city, self._dice
        over = {
            str(act.facts["agreement"]): act.at
            for act in city.acts
            if act.kind is EntryKind.TASK and act.facts["action"] == "end"
        }
        for agreement, resource, consumer, _ in city.provided:
            if resource.has_interface or agreement not in over or dice.random() >= ENDED_SHARE:
                continue
            at = max(over[agreement] + DAY, city.end - timedelta(days=dice.uniform(10, 14)))
            self._terminated(agreement, resource.provider, consumer, at)

    def _terminated(self, agreement: str, provider: Department, consumer: Department, at: datetime) -> None:
        """End one agreement, and let its consumer dispose of the data as diligently as it is."""
        city, dice = self._city, self._dice

        def step(when: datetime, name: str, by: Department) -> None:
            facts = {**city.agreed[agreement], "step": name, "state": "terminated"}
            city.emit(when, EntryKind.AGREEMENT, agreement, by.code, facts)

        step(at, "terminate", provider)
        due = CALENDAR.deadline(at, WORKING_DAYS)
        allowed, delays = between(at, due), Delays()
        late = dice.random() < 0.6 * (1 - consumer.diligence)
        took = allowed + dice.uniform(0.3, 15) if late else allowed * dice.uniform(0.05, 0.85)
        delays.add(Party.CONSUMER, max(0.0, took - allowed))
        if late and dice.random() < NEVER_SHARE:
            city.truth[DutyKind.DISPOSAL, agreement] = Party.CONSUMER
            return
        done = city.absences.act(after(at, took), None, Party.CONSUMER, delays, machine=False)
        step(done, "dispose", consumer)
        if done >= due:
            city.truth[DutyKind.DISPOSAL, agreement] = delays.culprit
