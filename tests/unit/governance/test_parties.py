"""Shares and exact division."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from datong.governance import PARTY_NAMES, Party, Shares
from datong.governance.parties import divide, shares_of

WEIGHTS = st.dictionaries(st.sampled_from(Party), st.integers(0, 10**9), min_size=1).filter(
    lambda weights: any(weights.values())
)


@given(st.integers(0, 10**6), WEIGHTS)
def test_division_is_exact_and_fair(total: int, weights: dict[Party, int]) -> None:
    """The parts sum to the total, and each is within one of its exact proportion."""
    parts = divide(total, weights)
    whole = sum(weights.values())
    assert sum(parts.values()) == total
    for party, part in parts.items():
        assert abs(part - total * weights.get(party, 0) / whole) <= 1


@given(WEIGHTS)
def test_shares_sum_to_one(weights: dict[Party, int]) -> None:
    """Shares are a whole by construction."""
    shares = shares_of(weights)
    assert sum(shares.basis_points.values()) == 10_000
    assert sum(round(shares.of(party) * 10_000) for party in Party) == 10_000


def test_nothing_to_divide_by_is_refused() -> None:
    """Without a positive weight, or with a negative one, there is no division."""
    with pytest.raises(ValueError, match="positive"):
        divide(1, {Party.PROVIDER: 0})
    with pytest.raises(ValueError, match="positive"):
        divide(1, {Party.PROVIDER: 2, Party.CONSUMER: -1})


def test_shares_that_are_no_whole_are_refused() -> None:
    """The value itself refuses what does not sum to one."""
    with pytest.raises(ValidationError):
        Shares(basis_points={Party.PROVIDER: 9_999})
    with pytest.raises(ValidationError):
        Shares(basis_points={Party.PROVIDER: 10_001, Party.CONSUMER: -1})


def test_every_party_has_a_name() -> None:
    """Findings are read by people."""
    assert set(PARTY_NAMES) == set(Party)
