"""What accepting pairs from some weight on would cost: precision and recall as the linkage model itself estimates them.

The weight of a pair is the logarithm of its odds, so each pair is a match with probability 2^w / (1 + 2^w). Summed over
the pairs from a threshold on, that gives the expected share of true ones among them (precision), and of all true pairs
that were compared how many they are (recall). No labels are needed; the estimate is as good as the model, and says
nothing of pairs that were never compared. Pure.
"""

from collections.abc import Sequence

from datong.kernel import Value

BIN_BITS = 0.5


class WeightBin(Value):
    """How many compared pairs have a weight from `low` to below `low + BIN_BITS`."""

    low: float
    pairs: int


class OperatingPoint(Value):
    """What would follow if pairs joined from `threshold` bits on; shares between 0 and 1."""

    threshold: float
    pairs: int
    precision: float
    recall: float


def probability(weight: float) -> float:
    """Return the probability that a pair of `weight` bits is one entity."""
    return 1 / (1 + 2**-weight) if weight > 0 else 2**weight / (1 + 2**weight)


def operating_points(bins: Sequence[WeightBin]) -> tuple[OperatingPoint, ...]:
    """Return one point per bin, from the lowest threshold to the highest; empty bins between them included."""
    ordered = _filled(bins)
    expected = [one.pairs * probability(one.low + BIN_BITS / 2) for one in ordered]
    every = sum(expected)
    points = []
    for place, one in enumerate(ordered):
        pairs, true = sum(later.pairs for later in ordered[place:]), sum(expected[place:])
        points.append(
            OperatingPoint(
                threshold=one.low,
                pairs=pairs,
                precision=min(1.0, true / pairs) if pairs else 1.0,
                recall=min(1.0, true / every) if every else 1.0,
            )
        )
    return tuple(points)


def _filled(bins: Sequence[WeightBin]) -> list[WeightBin]:
    """Return the bins by weight, with those between them that hold no pair."""
    known = {round(one.low / BIN_BITS): one.pairs for one in bins}
    places = range(min(known), max(known) + 1) if known else ()
    return [WeightBin(low=place * BIN_BITS, pairs=known.get(place, 0)) for place in places]
