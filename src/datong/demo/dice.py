"""Seeded draws: the same seed gives the same city on every machine and Python."""

from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate
from random import Random
from typing import Generic, TypeVar

Choice = TypeVar("Choice")


class Dice(Random):
    """A seeded source of draws; every draw is made from `random()`, whose sequence Python guarantees."""

    def whole(self, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`, both included."""
        return low + int(self.random() * (high - low + 1))

    def pick(self, choices: Sequence[Choice]) -> Choice:
        """Return one of `choices`, each equally likely."""
        return choices[int(self.random() * len(choices))]

    def happens(self, probability: float) -> bool:
        """Return true with the given probability."""
        return self.random() < probability

    def near(self, middle: float, spread: float) -> float:
        """Return a number around `middle`: the sum of four uniform draws, with standard deviation about `spread`."""
        total = self.random() + self.random() + self.random() + self.random()
        return middle + (total - 2.0) * spread * 1.732


class Weighted(Generic[Choice]):
    """Choices with weights, prepared for many draws."""

    def __init__(self, weights: dict[Choice, float]) -> None:
        self._choices = tuple(weights)
        self._ends = tuple(accumulate(weights.values()))

    def draw(self, dice: Dice) -> Choice:
        """Return one choice, as likely as its weight."""
        return self._choices[min(bisect(self._ends, dice.random() * self._ends[-1]), len(self._choices) - 1)]
