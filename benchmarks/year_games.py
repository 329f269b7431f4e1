"""Departments that game their indicators: what each does is known, and guards are to find it, and nobody else."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple

from benchmarks.year_city import City, Department
from benchmarks.year_time import CALENDAR, DAY, after
from datong.governance import Performance
from datong.kernel import JsonValue
from datong.ledger import EntryKind

GAMED_MAX = 12
"""Departments that game, two of them as friends; in a small city fewer."""


class Caught(NamedTuple):
    """How what guards found compares with who gamed: pairs of guard and department."""

    right: int
    missed: tuple[tuple[str, str], ...]
    wrong: tuple[tuple[str, str], ...]

    def figures(self) -> dict[str, float | int]:
        """Return what is published."""
        found, true = self.right + len(self.wrong), self.right + len(self.missed)
        return {"games": true, "precision": self.right / max(1, found), "recall": self.right / max(1, true)}


class Games:
    """Draws games by dice of its own, so that the rest of the city stays as it was; `truth` says who plays what."""

    def __init__(self, city: City) -> None:
        self._city = city
        self._dice = Random(f"games {len(city.departments)} {city.start:%Y}")
        self.truth: set[tuple[str, str]] = set()

    def play(self) -> None:
        """Let some departments game, each in one way."""
        others = [one for one in self._city.departments if one is not self._city.bureau]
        players = self._dice.sample(others, min(GAMED_MAX, len(others) - 2))
        ways = (self._empty, self._split, self._cosmetic, self._own_requests, self._own_use, self._reports)
        friends = players[:2] if len(players) >= 4 else []
        if friends:
            self._friends(*friends)
        for number, player in enumerate(players[len(friends) :]):
            ways[number % len(ways)](player, self._dice.choice([one for one in others if one not in players]))

    def _at(self) -> datetime:
        span = self._city.end - self._city.start
        return after(self._city.start + span * self._dice.uniform(0.3, 0.6), 0.1)

    def _published(self, player: Department, number: int, items: int, at: datetime) -> str:
        facts: dict[str, JsonValue] = {
            "department": player.code, "version": 1, "share_type": "1", "items": items, "mapped_items": items,
            "standard_items": items, "bound": True, "legal_basis_cited": True, "action": "publish",
            "from_state": "submitted", "to_state": "published", "published_version": 1,
        }  # fmt: skip
        name = f"game-{player.code}-{items}-{number}"
        self._city.emit(at, EntryKind.CATALOGUE_STEP, name, self._city.bureau.code, facts)
        return name

    def _empty(self, player: Department, _: Department) -> None:
        for number in range(6):
            self._published(player, number, 0, self._at())
        self.truth.add(("empty_resource", player.code))

    def _split(self, player: Department, _: Department) -> None:
        at = self._at()
        for number in range(8):
            self._published(player, number, 2, at + timedelta(minutes=number))
        self.truth.add(("split_resource", player.code))

    def _request(
        self, provider: Department, consumer: Department, name: str, at: datetime, took: float, state: str
    ) -> datetime:
        due = CALENDAR.deadline(at, 10)
        facts: dict[str, JsonValue] = {
            "request_id": name, "provider": provider.code, "consumer": consumer.code, "due_at": due.isoformat(),
            "resource_id": f"game-{provider.code}-{name.rpartition('/')[0]}", "items": ["a"],
        }  # fmt: skip
        done = after(at, took)
        submitted: dict[str, JsonValue] = {**facts, "step": "submit", "state": "submitted"}
        self._city.emit(at, EntryKind.REQUEST, name, consumer.code, submitted)
        decided: dict[str, JsonValue] = {**facts, "step": "decide", "state": state}
        self._city.emit(done, EntryKind.DECISION, name, provider.code, decided)
        return done

    def _cosmetic(self, player: Department, friend: Department) -> None:
        for number in range(3):
            refused = self._request(player, friend, f"c-{player.code}-{number}/1", self._at(), 9.0, "refused")
            self._request(player, friend, f"c-{player.code}-{number}/2", refused + timedelta(hours=2), 9.0, "granted")
        self.truth.add(("cosmetic_refusal", player.code))

    def _own_requests(self, player: Department, _: Department) -> None:
        for number in range(5):
            self._request(player, player, f"o-{player.code}-{number}/1", self._at(), 0.1, "granted")
        self.truth.add(("own_requests", player.code))

    def _friends(self, one: Department, other: Department) -> None:
        span = self._city.end - self._city.start
        for number in range(8):
            at = after(self._city.end - min(span, 170 * DAY) * (1 - number / 9), 0.1)
            self._request(one, other, f"f-{one.code}-{number}/1", at, 0.1, "granted")
            self._request(other, one, f"f-{other.code}-{number}/1", at, 0.1, "granted")
        self.truth |= {("friendly_requests", one.code), ("friendly_requests", other.code)}

    def _own_use(self, player: Department, _: Department) -> None:
        resource = self._published(player, 0, 20, self._at())
        at = self._city.end - 20 * DAY
        facts: dict[str, JsonValue] = {
            "access_id": f"x-{player.code}", "kind": "query", "allowed": True, "consumer": player.code, "rows": 1,
            "provider": player.code, "resource_id": resource, "agreement_ids": [], "items": ["a"], "milliseconds": 9,
        }  # fmt: skip
        self._city.emit(at, EntryKind.ACCESS, f"x-{player.code}", player.code, facts)
        self.truth.add(("own_use", player.code))

    def _reports(self, player: Department, friend: Department) -> None:
        """Reports of one's own, a report that goes to and fro, and a series that is answered at once."""
        at = self._city.end - 60 * DAY
        reports = [("own", 1, player), ("back", 4, friend), *((f"quick-{one}", 1, friend) for one in range(6))]
        for report, rounds, consumer in reports:
            subject = f"game-{player.code}-{report}"
            for number in range(rounds):
                facts: dict[str, JsonValue] = {
                    "resource_id": f"game-{player.code}", "element": report[:5], "provider": player.code,
                    "consumer": consumer.code, "due_at": CALENDAR.deadline(at, 10).isoformat(), "disputes": number,
                }  # fmt: skip
                begun: dict[str, JsonValue] = {**facts, "action": "dispute" if number else "report"}
                self._city.emit(at, EntryKind.CORRECTION, subject, consumer.code, begun)
                at += timedelta(minutes=9)
                self._city.emit(at, EntryKind.CORRECTION, subject, player.code, {**facts, "action": "reject"})
                at += timedelta(minutes=9)
        guards = ("own_corrections", "correction_rounds", "instant_corrections")
        self.truth |= {(guard, player.code) for guard in guards}


def compared_games(games: Games, tables: Iterable[Performance]) -> Caught:
    """Compare who gamed with what guards took out of any table."""
    found = {
        (cut.guard, str(line.department))
        for table in tables
        for line in table.departments
        for value in line.values
        for cut in value.discounts
    }
    return Caught(len(found & games.truth), tuple(sorted(games.truth - found)), tuple(sorted(found - games.truth)))
