"""What two sketches tell: cardinalities, overlap, containment, each with its standard error; pure.

A value falls into a register with equal chance and proposes level x or more with chance 2^(-(x-1)/10). With a, b, c
values per register only in A, only in B, and in both (Poisson), the two registers of a bin are X = max of the levels of
a and c, Y = max of those of b and c. Their joint distribution is known in closed form, so a, b and c are estimated
together by maximum likelihood (as Ertl 2017 does for HyperLogLog, here on ten levels per factor of two). That uses
which of the two registers is higher as well as whether they are equal, and so beats counting equal registers (MinHash)
most where it matters here: when nearly all of one department's values are held by another, or one holder is far larger.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from datong.kernel import Value

LEVELS_PER_OCTAVE = 10
LEVEL_MAX = 255
ROUNDS_MAX = 200
GAIN_MIN = 1e-8
RATE_FLOOR = 1e-9
"""The smallest share of the larger set's rate that is told from none."""
STEP_MAX = 2.0

_ABOVE = (*(2.0 ** (-level / LEVELS_PER_OCTAVE) for level in range(LEVEL_MAX)), 0.0)
"""The chance that a value's level is above x."""
_BETWEEN = (0.0, *(_ABOVE[level - 1] - _ABOVE[level] for level in range(1, LEVEL_MAX + 1)))
"""The chance that a value's level is exactly x."""

Vector = tuple[float, float, float]


class Estimate(Value):
    """An estimated number or share, and its standard error."""

    value: float
    error: float


class OverlapEstimate(Value):
    """How two sets of values lie to each other, as their sketches tell."""

    left: Estimate
    right: Estimate
    both: Estimate
    """How many values both hold."""
    jaccard: Estimate
    """What both hold, as a share of what either holds."""
    left_held: Estimate
    """The share of the left set that the right one holds as well."""
    right_held: Estimate
    """The share of the right set that the left one holds as well."""
    bins: int

    @property
    def turned(self) -> "OverlapEstimate":
        """The same with left and right exchanged."""
        return self.model_copy(
            update={
                "left": self.right,
                "right": self.left,
                "left_held": self.right_held,
                "right_held": self.left_held,
            }
        )


def cardinality_of(levels: bytes) -> float:
    """Return the estimated number of distinct values behind a sketch."""
    return cardinality(levels).value


def cardinality(levels: bytes) -> Estimate:
    """Return the estimated number of distinct values behind a sketch, with its standard error."""
    counts = Counter(levels)
    if counts.get(0, 0) == len(levels):
        return Estimate(value=0.0, error=0.0)
    # The likelihood is concave in the rate: a bisection of its slope finds the one maximum.
    low, high = 0.0, 1.0
    while _slope(counts, high) > 0:
        low, high = high, high * 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _slope(counts, middle) > 0 else (low, middle)
    rate = (low + high) / 2
    information = sum(count * -_single(level, rate)[2] for level, count in counts.items() if level)
    bins = len(levels)
    return Estimate(value=rate * bins, error=bins / math.sqrt(information) if information > 0 else 0.0)


def _slope(counts: Mapping[int, int], rate: float) -> float:
    return sum(count * _single(level, rate)[1] for level, count in counts.items())


def _single(level: int, rate: float) -> Vector:
    """The logarithm of the chance that the highest of Poisson(`rate`) levels is `level`; its first two derivatives."""
    above, between = _ABOVE[level], _BETWEEN[level]
    if level == 0:
        return -rate * above, -above, 0.0
    if rate <= 0:
        return -math.inf, math.inf, -math.inf
    scaled = rate * between
    rest = -math.expm1(-scaled)
    ratio = math.exp(-scaled) / rest
    return math.log(rest) - rate * above, between * ratio - above, -between * between * ratio / rest


class _Sums:
    """A log-likelihood at (a, b, c) with its gradient and Hessian."""

    def __init__(self) -> None:
        self.value = 0.0
        self.gradient = [0.0, 0.0, 0.0]
        self.hessian = [[0.0] * 3 for _ in range(3)]

    def add(self, count: int, term: Vector, places: Sequence[int]) -> None:
        """Add `count` times a term (value, slope, curvature) that depends on the sum of the rates at `places`."""
        value, first, second = term
        self.value += count * value
        for row in places:
            self.gradient[row] += count * first
            for column in places:
                self.hessian[row][column] += count * second


class _Bins:
    """How often each pair of registers occurs, split as the likelihood wants it."""

    def __init__(self, left: bytes, right: bytes) -> None:
        pairs = Counter(zip(left, right, strict=True))
        # (levels, the rates whose highest level they are): see `_log_likelihood`.
        self.singles: list[tuple[Counter[int], tuple[int, ...]]] = []
        right_higher, left_higher = (
            {pair: count for pair, count in pairs.items() if pair[0] < pair[1]},
            {pair: count for pair, count in pairs.items() if pair[0] > pair[1]},
        )
        for found, left_rates, right_rates in ((right_higher, (0, 2), (1,)), (left_higher, (0,), (1, 2))):
            lefts: Counter[int] = Counter()
            rights: Counter[int] = Counter()
            for (one, other), count in found.items():
                lefts[one] += count
                rights[other] += count
            self.singles += [(lefts, left_rates), (rights, right_rates)]
        self.equal: Counter[int] = Counter()
        for (one, other), count in pairs.items():
            if one == other:
                self.equal[one] += count

    def at(self, rates: Vector) -> _Sums:
        """The log-likelihood at `rates`.

        Where X < Y, nothing in both can exceed X: X is the highest of a and c, Y that of b alone; X > Y mirrored.
        """
        sums = _Sums()
        for levels, places in self.singles:
            rate = sum(rates[place] for place in places)
            for level, count in levels.items():
                sums.add(count, _single(level, rate), places)
        for level, count in self.equal.items():
            _add_equal(sums, count, level, rates)
        return sums


def _add_equal(sums: _Sums, count: int, level: int, rates: Vector) -> None:
    """Add X = Y = `level`: reached by something in both, or by both sides on their own with nothing above."""
    above, between = _ABOVE[level], _BETWEEN[level]
    sums.add(count, (-sum(rates) * above, -above, 0.0), (0, 1, 2))
    if level == 0:
        return
    not_a, not_b, not_c = (math.exp(-rate * between) for rate in rates)
    some_a, some_b, some_c = (-math.expm1(-rate * between) for rate in rates)
    chance = some_c + not_c * some_a * some_b
    first = [
        between * not_c * not_a * some_b,
        between * not_c * not_b * some_a,
        between * not_c * (1 - some_a * some_b),
    ]
    square = between * between
    second = [
        [-square * not_c * not_a * some_b, square * not_c * not_a * not_b, -square * not_c * not_a * some_b],
        [square * not_c * not_a * not_b, -square * not_c * not_b * some_a, -square * not_c * not_b * some_a],
        [-square * not_c * not_a * some_b, -square * not_c * not_b * some_a, -square * not_c * (1 - some_a * some_b)],
    ]
    sums.value += count * math.log(chance)
    for row in range(3):
        slope = first[row] / chance
        sums.gradient[row] += count * slope
        for column in range(3):
            sums.hessian[row][column] += count * (second[row][column] / chance - slope * first[column] / chance)


def overlap(left: bytes, right: bytes) -> OverlapEstimate:
    """Return how the sets behind two sketches of one key and domain lie to each other.

    Raises:
        ValueError: the sketches have different numbers of registers (`sketches.folded` makes them equal), or are empty.
    """
    if len(left) != len(right) or not any(left) or not any(right):
        raise ValueError("two sketches with equally many registers and something in them are needed")
    bins = len(left)
    total = cardinality_of(bytes(map(max, left, right))) / bins
    one, other = cardinality_of(left) / bins, cardinality_of(right) / bins
    least = RATE_FLOOR * total
    shared = min(max(one + other - total, total / bins), one, other)
    start = (max(one - shared, total / bins), max(other - shared, total / bins), shared)
    rates, sums = _climb(_Bins(left, right), start, least)
    return _told(rates, _covariance(rates, sums, least), bins)


def _climb(bins: _Bins, start: Vector, least: float) -> tuple[Vector, _Sums]:
    """Newton's method in the logarithms of the rates, damped until each step gains."""
    rates, sums, damping = start, bins.at(start), 1e-3
    for _ in range(ROUNDS_MAX):
        gradient = [rate * slope for rate, slope in zip(rates, sums.gradient, strict=True)]
        curvature = [
            [
                -rates[row] * rates[column] * sums.hessian[row][column] - (gradient[row] if row == column else 0.0)
                for column in range(3)
            ]
            for row in range(3)
        ]
        moved = False
        while damping < 1e12:
            step = _solved(curvature, gradient, damping)
            if step is not None:
                longest = max(1.0, *(abs(part) / STEP_MAX for part in step))
                tried = _moved(rates, [part / longest for part in step], least)
                reached = bins.at(tried)
                if reached.value > sums.value:
                    gain, moved = reached.value - sums.value, True
                    rates, sums, damping = tried, reached, max(damping / 10, 1e-9)
                    break
            damping *= 10
        if not moved or gain < GAIN_MIN:
            break
    return rates, sums


def _moved(rates: Vector, step: Sequence[float], least: float) -> Vector:
    a, b, c = (max(rate * math.exp(part), least) for rate, part in zip(rates, step, strict=True))
    return a, b, c


def _solved(matrix: Sequence[Sequence[float]], right: Sequence[float], damping: float) -> list[float] | None:
    """Solve (M + damping · |diagonal|) x = right by Cholesky; None when M is not positive definite."""
    damped = [
        [matrix[row][column] + (damping * (abs(matrix[row][row]) + 1) if row == column else 0) for column in range(3)]
        for row in range(3)
    ]
    return _cholesky_solve(damped, right)


def _cholesky_solve(matrix: Sequence[Sequence[float]], right: Sequence[float]) -> list[float] | None:
    size = len(right)
    lower = [[0.0] * size for _ in range(size)]
    for row in range(size):
        for column in range(row + 1):
            rest = matrix[row][column] - sum(lower[row][k] * lower[column][k] for k in range(column))
            if row == column:
                if rest <= 0 or not math.isfinite(rest):
                    return None
                lower[row][row] = math.sqrt(rest)
            else:
                lower[row][column] = rest / lower[column][column]
    forward: list[float] = []
    for row in range(size):
        forward.append((right[row] - sum(lower[row][k] * forward[k] for k in range(row))) / lower[row][row])
    solution = [0.0] * size
    for row in reversed(range(size)):
        later = sum(lower[k][row] * solution[k] for k in range(row + 1, size))
        solution[row] = (forward[row] - later) / lower[row][row]
    return solution


def _covariance(rates: Vector, sums: _Sums, least: float) -> list[list[float]]:
    """The inverse of the observed information; a rate at its floor has the spread of an exponential of that slope."""
    inside = [place for place in range(3) if rates[place] > least * 2 or sums.gradient[place] >= 0]
    covariance = [[0.0] * 3 for _ in range(3)]
    for place in set(range(3)) - set(inside):
        covariance[place][place] = 1 / sums.gradient[place] ** 2
    scale = [rates[place] for place in inside]
    information = [
        [-sums.hessian[row][column] * scale[i] * scale[j] for j, column in enumerate(inside)]
        for i, row in enumerate(inside)
    ]
    for i, row in enumerate(inside):
        unit = [1.0 if k == i else 0.0 for k in range(len(inside))]
        solved = _cholesky_solve(information, unit)
        for j, column in enumerate(inside):
            # Where the likelihood is too flat for an inverse, the rate itself is the honest spread.
            spread = solved[j] if solved is not None else (1.0 if i == j else 0.0)
            covariance[row][column] = spread * scale[i] * scale[j]
    return covariance


def _told(rates: Vector, covariance: Sequence[Sequence[float]], bins: int) -> OverlapEstimate:
    a, b, c = rates

    def error(slopes: Vector) -> float:
        variance = sum(
            slopes[row] * covariance[row][column] * slopes[column] for row in range(3) for column in range(3)
        )
        return math.sqrt(max(variance, 0.0))

    def number(value: float, slopes: Vector) -> Estimate:
        return Estimate(value=value * bins, error=error(slopes) * bins)

    def share(part: float, whole: float, members: Vector) -> Estimate:
        """c / whole, where `members` says which rates the whole consists of."""
        slopes: list[float] = [-part / whole**2 * member for member in members]
        slopes[2] += 1 / whole
        return Estimate(value=part / whole, error=error((slopes[0], slopes[1], slopes[2])))

    return OverlapEstimate(
        left=number(a + c, (1, 0, 1)),
        right=number(b + c, (0, 1, 1)),
        both=number(c, (0, 0, 1)),
        jaccard=share(c, a + b + c, (1, 1, 1)),
        left_held=share(c, a + c, (1, 0, 1)),
        right_held=share(c, b + c, (0, 1, 1)),
        bins=bins,
    )
