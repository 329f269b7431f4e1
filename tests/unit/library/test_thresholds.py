"""The threshold tool: estimates that are shares, and move the right way."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.library import WeightBin, operating_points
from datong.library.thresholds import BIN_BITS, probability

BINS = st.lists(st.integers(0, 10_000), min_size=1, max_size=60).map(
    lambda counts: [WeightBin(low=-10 + place * BIN_BITS, pairs=count) for place, count in enumerate(counts)]
)


@given(BINS)
def test_a_higher_threshold_joins_fewer_and_surer_pairs(bins: list[WeightBin]) -> None:
    points = operating_points(bins[::-1])
    assert points[0].pairs == sum(one.pairs for one in bins)
    for lower, higher in pairwise(points):
        assert lower.threshold < higher.threshold
        assert lower.pairs >= higher.pairs
        assert lower.recall >= higher.recall - 1e-9
        assert lower.precision <= higher.precision + 1e-9
    assert all(0 <= share <= 1 for point in points for share in (point.precision, point.recall))


def test_odds_are_powers_of_two() -> None:
    assert probability(0) == 0.5
    assert probability(1) == pytest.approx(2 / 3)
    assert probability(-1) == pytest.approx(1 / 3)
    assert probability(2000) == 1.0
    assert probability(-2000) == 0.0
    assert operating_points(()) == ()
