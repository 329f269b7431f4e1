"""Clustering that resists chaining: pure rules over scored pairs.

Transitive closure joins strangers through one wrong pair. Here pairs join in the order of their weight, and only if
(1) the pair is the best that one of its two records has, (2) the joined entity would not hold two different
identifiers, (3) it would not exceed the cap. A record whose best two partners bear different identifiers and weigh
about the same joins nobody: it waits for a person.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Pair(NamedTuple):
    """Two nodes (`a` < `b`), how much they match in bits, and the records that matched."""

    a: int
    b: int
    weight: float
    record_a: int
    record_b: int


class Joined(NamedTuple):
    """Why a node is in its cluster: the accepted pair."""

    weight: float
    record: int
    partner: int


class Clustering(NamedTuple):
    """The outcome: each node's cluster (its least node), the accepted pairs by node, and what was not joined."""

    cluster_of: dict[int, int]
    joined: dict[int, Joined]
    ambiguous: frozenset[int]
    vetoed_pairs: int


class _Forest:
    def __init__(self, sizes: Mapping[int, int], identifiers: Mapping[int, str]) -> None:
        self.parent = {node: node for node in sizes}
        self.size = dict(sizes)
        self.identifier: dict[int, str | None] = {node: identifiers.get(node) for node in sizes}

    def root(self, node: int) -> int:
        while self.parent[node] != node:
            self.parent[node] = self.parent[self.parent[node]]
            node = self.parent[node]
        return node

    def may_join(self, left: int, right: int, members_max: int) -> bool:
        one, other = self.identifier[left], self.identifier[right]
        if one is not None and other is not None and one != other:
            return False
        return self.size[left] + self.size[right] <= members_max

    def join(self, left: int, right: int) -> None:
        low, high = min(left, right), max(left, right)
        self.parent[high] = low
        self.size[low] += self.size[high]
        self.identifier[low] = self.identifier[low] or self.identifier[high]


def cluster(
    *,
    sizes: Mapping[int, int],
    identifiers: Mapping[int, str],
    pairs: Sequence[Pair],
    accept_bits: float,
    margin_bits: float,
    members_max: int,
) -> Clustering:
    """Join nodes by `pairs`; `sizes` gives each node's number of records, `identifiers` those that bear a trusted one.

    The result depends on the set of pairs only, never on their order.
    """
    ordered = sorted(pairs, key=lambda pair: (-pair.weight, pair.a, pair.b))
    ambiguous = _ambiguous(ordered, identifiers, accept_bits, margin_bits)
    usable = [
        pair for pair in ordered if pair.weight >= accept_bits and pair.a not in ambiguous and pair.b not in ambiguous
    ]
    best: dict[int, float] = {}
    for pair in usable:
        best.setdefault(pair.a, pair.weight)
        best.setdefault(pair.b, pair.weight)
    forest = _Forest(sizes, identifiers)
    joined: dict[int, Joined] = {}
    vetoed = 0
    for pair in usable:
        left, right = forest.root(pair.a), forest.root(pair.b)
        if left == right:
            continue
        if pair.weight < best[pair.a] and pair.weight < best[pair.b]:
            continue
        if not forest.may_join(left, right, members_max):
            vetoed += 1
            continue
        forest.join(left, right)
        joined.setdefault(pair.a, Joined(pair.weight, pair.record_a, pair.record_b))
        joined.setdefault(pair.b, Joined(pair.weight, pair.record_b, pair.record_a))
    return Clustering({node: forest.root(node) for node in sizes}, joined, ambiguous, vetoed)


def _ambiguous(
    ordered: Sequence[Pair], identifiers: Mapping[int, str], accept_bits: float, margin_bits: float
) -> frozenset[int]:
    """Return the nodes without identifier whose best two partners with different identifiers weigh about the same."""
    partners: dict[int, list[float]] = {}
    for pair in ordered:
        for node, other in ((pair.a, pair.b), (pair.b, pair.a)):
            if node not in identifiers and other in identifiers:
                partners.setdefault(node, []).append(pair.weight)
    return frozenset(
        node
        for node, weights in partners.items()
        if len(weights) > 1 and weights[0] >= accept_bits and weights[0] - weights[1] < margin_bits
    )
