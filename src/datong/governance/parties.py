"""The parties among whom a breach is divided, and shares that sum to one by construction."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Self

from pydantic import model_validator

from datong.kernel import Text, Value

WHOLE = 10_000
"""A whole in basis points. Shares are integers: evidence holds no floats, and integers sum exactly."""


class Party(StrEnum):
    """A side that can hold a duty up."""

    PROVIDER = "provider"
    CONSUMER = "consumer"
    AUTHORITY = "authority"
    PLATFORM = "platform"
    NETWORK = "network"


PARTY_NAMES: Mapping[Party, Text] = {
    Party.PROVIDER: Text(zh="提供部门", en="provider"),
    Party.CONSUMER: Text(zh="需求部门", en="consumer"),
    Party.AUTHORITY: Text(zh="主管部门", en="authority"),
    Party.PLATFORM: Text(zh="平台", en="platform"),
    Party.NETWORK: Text(zh="网络", en="network"),
}


class Shares(Value):
    """How a breach is divided, in basis points by party; only parties with a share are named."""

    basis_points: dict[Party, int]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if sum(self.basis_points.values()) != WHOLE or min(self.basis_points.values()) <= 0:
            raise ValueError("shares are positive and sum to one")
        return self

    def of(self, party: Party) -> float:
        """Return the share of `party`, from 0 to 1."""
        return self.basis_points.get(party, 0) / WHOLE


def divide(total: int, weights: Mapping[Party, int]) -> dict[Party, int]:
    """Divide the integer `total` in proportion to `weights`, exactly (largest remainder; ties by party's order).

    Raises:
        ValueError: no weight is positive, or one is negative.
    """
    whole = sum(weights.values())
    if whole <= 0 or min(weights.values()) < 0:
        raise ValueError("at least one weight must be positive and none negative")
    parts = {party: total * weights.get(party, 0) // whole for party in Party}
    remainders = sorted(Party, key=lambda party: -(total * weights.get(party, 0) % whole))
    for party in remainders[: total - sum(parts.values())]:
        parts[party] += 1
    return {party: part for party, part in parts.items() if part}


def shares_of(weights: Mapping[Party, int]) -> Shares:
    """Return the shares in proportion to `weights`."""
    return Shares(basis_points=divide(WHOLE, weights))
