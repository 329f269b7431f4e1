"""The noise against its law."""

import math
import random
from collections import Counter
from fractions import Fraction

import pytest

from datong.sharing.discrete_noise import coin, coin_exp, discrete_laplace
from datong.sharing.statistic_values import Question, StatisticKind
from datong.sharing.statistics import error_95

DRAWS = 4000


@pytest.mark.parametrize("scale", [Fraction(1, 2), Fraction(7, 3), Fraction(10)])
def test_noise_has_the_discrete_laplace_law(scale: Fraction) -> None:
    dice = random.Random(f"noise {scale}")
    drawn = Counter(discrete_laplace(scale, dice.randrange) for _ in range(DRAWS))
    ratio = math.exp(-1 / float(scale))
    # Pearson's chi-square over the middle and both tails.
    edge = max(1, math.ceil(2 * scale))
    chances = {value: (1 - ratio) / (1 + ratio) * ratio ** abs(value) for value in range(-edge, edge + 1)}
    tail = (1 - sum(chances.values())) / 2
    expected = [tail, *chances.values(), tail]
    seen = [
        sum(times for value, times in drawn.items() if value < -edge),
        *(drawn[value] for value in chances),
        sum(times for value, times in drawn.items() if value > edge),
    ]
    square = sum((n - DRAWS * p) ** 2 / (DRAWS * p) for n, p in zip(seen, expected, strict=True))
    freedom = len(expected) - 1
    assert square < freedom + 4 * math.sqrt(2 * freedom)


def test_coins() -> None:
    dice = random.Random(5)
    for power in (Fraction(0), Fraction(1, 3), Fraction(5, 2)):
        heads = sum(coin_exp(power, dice.randrange) for _ in range(DRAWS))
        assert abs(heads / DRAWS - math.exp(-power)) < 0.04
    assert coin(Fraction(1), dice.randrange)
    assert not coin(Fraction(0), dice.randrange)


def test_the_systems_randomness_is_the_default() -> None:
    assert len({discrete_laplace(Fraction(10**6)) for _ in range(8)}) > 1


@pytest.mark.parametrize("epsilon_milli", [10, 100, 1000])
def test_the_error_that_is_told_holds(epsilon_milli: int) -> None:
    question = Question(dataset="d", kind=StatisticKind.COUNT, epsilon_milli=epsilon_milli)
    ratio = math.exp(-epsilon_milli / 1000)
    bound = error_95(question)
    assert 2 * ratio ** (bound + 1) / (1 + ratio) <= 0.05 + 1e-12
    assert bound == 0 or 2 * ratio**bound / (1 + ratio) > 0.05
