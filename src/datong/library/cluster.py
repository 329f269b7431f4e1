"""Clustering that resists chaining: pure rules over scored pairs, and over what people decided.

Transitive closure joins strangers through one wrong pair. Here pairs join in the order of their weight, and only if
(1) the pair is the best that one of its two records has, or a sure one, (2) the joined entity would not hold two
different identifiers, (3) it would not exceed the cap. A record whose best two partners bear different identifiers and
weigh about the same joins nobody: it waits for a person.

A person's decision comes before all this: `same` pairs join first, whatever their identifiers; `different` pairs never
meet. Of decisions that contradict each other, to be apart prevails.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple


class Pair(NamedTuple):
    """Two nodes (`a` < `b`), how much they match in bits, and the records that matched."""

    a: int
    b: int
    weight: float
    record_a: int
    record_b: int


class Decided(NamedTuple):
    """Two nodes (`a` < `b`) that a person called the same or different, and the records that were decided on."""

    a: int
    b: int
    same: bool
    record_a: int
    record_b: int


class Joined(NamedTuple):
    """Why a node is in its cluster: the accepted pair; without a weight if a person decided."""

    weight: float | None
    record: int
    partner: int


class Unjoined(StrEnum):
    """Why a pair that weighs enough, or nearly, was not followed."""

    NEAR = "near"
    AMBIGUOUS = "ambiguous"
    IDENTIFIERS = "identifiers"
    DECIDED = "decided"
    CAP = "cap"


class Clustering(NamedTuple):
    """The outcome: each node's cluster (its least node), the accepted pairs by node, and what was not joined.

    `open_pairs` are the pairs worth a person's look, each with the reason why it was not followed; pairs that a person
    decided on are not among them, nor are those whose nodes met in another way.
    """

    cluster_of: dict[int, int]
    joined: dict[int, Joined]
    ambiguous: frozenset[int]
    open_pairs: tuple[tuple[Pair, Unjoined], ...]
    contradicted: int

    @property
    def vetoed_pairs(self) -> int:
        """How many pairs weighed enough, but would have mixed identifiers, broken a decision or the cap."""
        return sum(1 for _, why in self.open_pairs if why in (Unjoined.IDENTIFIERS, Unjoined.DECIDED, Unjoined.CAP))


class _Forest:
    def __init__(self, sizes: Mapping[int, int], identifiers: Mapping[int, str], members_max: int) -> None:
        self.parent = {node: node for node in sizes}
        self.size = dict(sizes)
        self.identifiers = {node: frozenset({identifiers[node]} if node in identifiers else ()) for node in sizes}
        self.apart: dict[int, set[int]] = {}
        self.members_max = members_max

    def root(self, node: int) -> int:
        while self.parent[node] != node:
            self.parent[node] = self.parent[self.parent[node]]
            node = self.parent[node]
        return node

    def keep_apart(self, left: int, right: int) -> None:
        self.apart.setdefault(left, set()).add(right)
        self.apart.setdefault(right, set()).add(left)

    def must_part(self, left: int, right: int) -> bool:
        return any(self.root(other) == right for other in self.apart.get(left, ()))

    def obstacle(self, left: int, right: int) -> Unjoined | None:
        if self.must_part(left, right):
            return Unjoined.DECIDED
        one, other = self.identifiers[left], self.identifiers[right]
        if one and other and one != other:
            return Unjoined.IDENTIFIERS
        return Unjoined.CAP if self.size[left] + self.size[right] > self.members_max else None

    def join(self, left: int, right: int) -> None:
        low, high = min(left, right), max(left, right)
        self.parent[high] = low
        self.size[low] += self.size[high]
        self.identifiers[low] |= self.identifiers[high]
        if high in self.apart:
            self.apart.setdefault(low, set()).update(self.apart.pop(high))


def cluster(
    *,
    sizes: Mapping[int, int],
    identifiers: Mapping[int, str],
    pairs: Sequence[Pair],
    accept_bits: float,
    margin_bits: float,
    members_max: int,
    decided: Sequence[Decided] = (),
    sure_bits: float | None = None,
) -> Clustering:
    """Join nodes by `pairs`; `sizes` gives each node's number of records, `identifiers` those that bear a trusted one.

    A pair of `sure_bits` or more joins two groups although neither of its records has it as the best (None: no pair
    does). Pairs below `accept_bits` never join; they are reported as near. The result depends on the sets of pairs and
    decisions only, never on their order.
    """
    forest = _Forest(sizes, identifiers, members_max)
    joined: dict[int, Joined] = {}
    contradicted = _keep_decisions(forest, decided, joined)
    known = {(known.a, known.b) for known in decided}
    ordered = sorted(pairs, key=lambda pair: (-pair.weight, pair.a, pair.b))
    fresh = [pair for pair in ordered if (pair.a, pair.b) not in known]
    ambiguous = _ambiguous(fresh, identifiers, accept_bits, margin_bits) - joined.keys()
    refused: list[tuple[Pair, Unjoined]] = []
    best: dict[int, float] = {}
    for pair in fresh:
        if pair.weight < accept_bits:
            refused.append((pair, Unjoined.NEAR))
            continue
        if pair.a in ambiguous or pair.b in ambiguous:
            refused.append((pair, Unjoined.AMBIGUOUS))
            continue
        best.setdefault(pair.a, pair.weight)
        best.setdefault(pair.b, pair.weight)
        left, right = forest.root(pair.a), forest.root(pair.b)
        if left == right:
            continue
        if pair.weight < min(best[pair.a], best[pair.b]) and not (sure_bits is not None and pair.weight >= sure_bits):
            continue
        obstacle = forest.obstacle(left, right)
        if obstacle is not None:
            refused.append((pair, obstacle))
            continue
        forest.join(left, right)
        joined.setdefault(pair.a, Joined(pair.weight, pair.record_a, pair.record_b))
        joined.setdefault(pair.b, Joined(pair.weight, pair.record_b, pair.record_a))
    cluster_of = {node: forest.root(node) for node in sizes}
    apart = tuple((pair, why) for pair, why in refused if cluster_of[pair.a] != cluster_of[pair.b])
    return Clustering(cluster_of, joined, ambiguous, apart, contradicted)


def _keep_decisions(forest: _Forest, decided: Iterable[Decided], joined: dict[int, Joined]) -> int:
    """Set nodes apart and join them as people decided; return how many decisions others contradict."""
    ordered = sorted(set(decided))
    for known in ordered:
        if not known.same and known.a != known.b:
            forest.keep_apart(known.a, known.b)
    contradicted = sum(1 for known in ordered if not known.same and known.a == known.b)
    for known in ordered:
        if not known.same or known.a == known.b:
            continue
        left, right = forest.root(known.a), forest.root(known.b)
        if left == right:
            continue
        if forest.must_part(left, right):
            contradicted += 1
            continue
        forest.join(left, right)
        joined.setdefault(known.a, Joined(None, known.record_a, known.record_b))
        joined.setdefault(known.b, Joined(None, known.record_b, known.record_a))
    return contradicted


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
