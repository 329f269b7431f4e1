"""Estimates against exact sets. Seeds are fixed, so a failure is a change, not bad luck."""

import math
import random
import statistics
from functools import cache

import pytest

from datong.catalogue import Estimate, OverlapEstimate, cardinality, overlap
from datong.catalogue.sketches import level_of

BINS = 4096
TRIALS = 12
CASES = (
    (20_000, 20_000, 20_000),
    (10_000, 10_000, 200),
    (0, 30_000, 1500),
    (75, 30_000, 1425),
    (750, 30_000, 750),
    (5000, 5000, 0),
    (10, 20, 30_000),
)
"""How many values only A, only B, and both hold."""


def lowest(dice: random.Random, number: int) -> list[int]:
    """Return the lowest of `number` random ranks in each bin: what a keyed hash makes of any set of that size."""
    ranks = [1 << 64] * BINS
    for _ in range(number):
        bits = dice.getrandbits(76)
        place, rank = bits & (BINS - 1), bits >> 12
        ranks[place] = min(ranks[place], rank)
    return ranks


def registers(*ranks: list[int]) -> bytes:
    lows = map(min, *ranks) if len(ranks) > 1 else ranks[0]
    return bytes(0 if low == 1 << 64 else level_of(low) for low in lows)


@cache
def trials(only_left: int, only_right: int, both: int) -> list[OverlapEstimate]:
    dice = random.Random(f"{only_left}/{only_right}/{both}")
    found = []
    for _ in range(TRIALS):
        left, right, shared = (lowest(dice, number) for number in (only_left, only_right, both))
        found.append(overlap(registers(left, shared), registers(right, shared)))
    return found


def minhash_error(only_left: int, only_right: int, both: int) -> float:
    """The standard error of A's containment by an ideal MinHash of as many bins, exact cardinalities given."""
    union = only_left + only_right + both
    jaccard = both / union
    return math.sqrt(jaccard * (1 - jaccard) / BINS) * union / (only_left + both)


@pytest.mark.parametrize("case", CASES)
def test_overlap_is_estimated_within_the_error_it_states(case: tuple[int, int, int]) -> None:
    only_left, only_right, both = case
    found = trials(*case)
    union = only_left + only_right + both
    facts: list[tuple[list[Estimate], float]] = [
        ([one.left for one in found], only_left + both),
        ([one.right for one in found], only_right + both),
        ([one.jaccard for one in found], both / union),
        ([one.left_held for one in found], both / (only_left + both)),
        ([one.right_held for one in found], both / (only_right + both)),
    ]
    for estimates, truth in facts:
        stated = math.sqrt(statistics.mean(one.error**2 for one in estimates))
        actual = math.sqrt(statistics.mean((one.value - truth) ** 2 for one in estimates))
        assert actual <= 1.5 * stated + 1e-6, (actual, stated)
        covered = sum(abs(one.value - truth) <= 2.5 * one.error + 1e-6 for one in estimates)
        assert covered >= TRIALS - 2


def test_containment_beats_counting_equal_registers() -> None:
    for case in ((75, 30_000, 1425), (0, 30_000, 1500)):
        truth = case[2] / (case[0] + case[2])
        actual = math.sqrt(statistics.mean((one.left_held.value - truth) ** 2 for one in trials(*case)))
        assert actual < minhash_error(*case)


@pytest.mark.parametrize("number", [1000, 5000, 100_000])
def test_cardinality(number: int) -> None:
    dice = random.Random(number)
    found = [cardinality(registers(lowest(dice, number))) for _ in range(TRIALS)]
    actual = math.sqrt(statistics.mean((one.value - number) ** 2 for one in found))
    assert actual <= 0.022 * number
    assert statistics.mean(one.error for one in found) >= actual / 1.4


def test_equal_sets_overlap_wholly_and_nothing_is_refused() -> None:
    ranks = lowest(random.Random(5), 1500)
    found = overlap(registers(ranks), registers(ranks))
    assert found.jaccard.value > 0.999
    assert found.left_held.value <= 1
    assert cardinality(bytes(BINS)) == Estimate(value=0, error=0)
    with pytest.raises(ValueError, match="equally many"):
        overlap(bytes(BINS), registers(ranks))
    with pytest.raises(ValueError, match="equally many"):
        overlap(registers(ranks)[:2048], registers(ranks))


def test_any_registers_give_finite_estimates() -> None:
    dice = random.Random(6)
    for _ in range(60):
        top = dice.choice((1, 3, 40, 255))
        left, right = (bytes(dice.choices(range(top + 1), k=256)) for _ in range(2))
        if dice.random() < 0.3:
            right = bytes(dice.choice(pair) for pair in zip(left, right, strict=True))
        if not any(left) or not any(right):
            continue
        found = overlap(left, right)
        numbers = [
            value
            for part in (found.left, found.both, found.jaccard, found.left_held)
            for value in (part.value, part.error)
        ]
        assert all(math.isfinite(value) and value >= 0 for value in numbers)
        assert found.left_held.value <= 1 + 1e-9
