"""What two sketches tell: cardinalities, overlap, containment, each with its standard error; pure.

A value falls into a register with equal chance and proposes level x or more with chance 2^(-(x-1)/10). With a, b, c
values per register only in A, only in B, and in both (Poisson), the two registers of a bin are X = max of the levels of
a and c, Y = max of those of b and c. Their joint distribution is known in closed form, so a, b and c are estimated
together by maximum likelihood (as Ertl 2017 does for HyperLogLog, here on ten levels per factor of two). That uses
which of the two registers is higher as well as whether they are equal, and so beats counting equal registers (MinHash)
most where it matters here: when nearly all of one department's values are held by another, or one holder is far larger.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from datong.kernel import Value

LEVELS_PER_OCTAVE = 10
LEVEL_MAX = 255
ROUNDS_MAX = 200
GAIN_MIN = 1e-8
RATE_FLOOR = 1e-9
"""The smallest share of the larger set's rate that is told from none."""
STEP_MAX = 2.0

Numbers = npt.NDArray[np.float64]
_ABOVE: Numbers = np.append(2.0 ** (-np.arange(LEVEL_MAX) / LEVELS_PER_OCTAVE), 0.0)
"""The chance that a value's level is above x."""
_BETWEEN: Numbers = np.append(0.0, _ABOVE[:-1] - _ABOVE[1:])
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
    counts = _Counts.of(np.bincount(np.frombuffer(levels, np.uint8), minlength=LEVEL_MAX + 1))
    if not any(levels):
        return Estimate(value=0.0, error=0.0)
    # The likelihood is concave in the rate: a bisection of its slope finds the one maximum.
    low, high = 0.0, 1.0
    while counts.terms(high)[1] > 0:
        low, high = high, high * 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if counts.terms(middle)[1] > 0 else (low, middle)
    rate = (low + high) / 2
    information = -counts.terms(rate)[2]
    bins = len(levels)
    return Estimate(value=rate * bins, error=bins / math.sqrt(information) if information > 0 else 0.0)


class _Counts(NamedTuple):
    """How often each level above 0 is the highest, with its chances; and how many registers have none."""

    counts: Numbers
    above: Numbers
    between: Numbers
    empty: float

    @classmethod
    def of(cls, tally: npt.NDArray[np.int64]) -> "_Counts":
        """Keep the levels that occur."""
        found = np.flatnonzero(tally[1:]) + 1
        return cls(tally[found].astype(np.float64), _ABOVE[found], _BETWEEN[found], float(tally[0]))

    def terms(self, rate: float) -> Vector:
        """The logarithm of the chance that Poisson(`rate`) values reach these levels; its first two derivatives."""
        value, first, second = -rate * self.empty * float(_ABOVE[0]), -self.empty * float(_ABOVE[0]), 0.0
        if len(self.counts) == 0:
            return value, first, second
        if rate <= 0:
            return -math.inf, math.inf, -math.inf
        scaled = rate * self.between
        rest = -np.expm1(-scaled)
        ratio = np.exp(-scaled) / rest
        value += float(self.counts @ (np.log(rest) - rate * self.above))
        first += float(self.counts @ (self.between * ratio - self.above))
        second -= float(self.counts @ (self.between * self.between * ratio / rest))
        return value, first, second


class _Sums:
    """A log-likelihood at (a, b, c) with its gradient and Hessian."""

    def __init__(self) -> None:
        self.value = 0.0
        self.gradient: Numbers = np.zeros(3)
        self.hessian: Numbers = np.zeros((3, 3))

    def add(self, term: Vector, members: Numbers) -> None:
        """Add a term (value, slope, curvature) that depends on the sum of the rates that `members` marks with 1."""
        self.value += term[0]
        self.gradient += term[1] * members
        self.hessian += term[2] * np.outer(members, members)


class _Bins:
    """How often each pair of registers occurs, split as the likelihood wants it."""

    def __init__(self, left: bytes, right: bytes) -> None:
        size = LEVEL_MAX + 1
        pairs = np.frombuffer(left, np.uint8).astype(np.int64) * size + np.frombuffer(right, np.uint8)
        table = np.bincount(pairs, minlength=size * size).reshape(size, size)
        # (levels, the rates whose highest level they are): see `at`.
        self._singles: list[tuple[_Counts, Numbers]] = []
        for found, left_rates, right_rates in (
            (np.triu(table, 1), (1.0, 0.0, 1.0), (0.0, 1.0, 0.0)),
            (np.tril(table, -1), (1.0, 0.0, 0.0), (0.0, 1.0, 1.0)),
        ):
            self._singles.append((_Counts.of(found.sum(axis=1)), np.array(left_rates)))
            self._singles.append((_Counts.of(found.sum(axis=0)), np.array(right_rates)))
        self._equal = _Counts.of(np.diagonal(table).copy())

    def at(self, rates: Vector) -> _Sums:
        """The log-likelihood at `rates`.

        Where X < Y, nothing in both can exceed X: X is the highest of a and c, Y that of b alone; X > Y mirrored.
        """
        sums = _Sums()
        for levels, members in self._singles:
            sums.add(levels.terms(float(members @ np.array(rates))), members)
        _add_equal(sums, self._equal, rates)
        return sums


def _add_equal(sums: _Sums, equal: _Counts, rates: Vector) -> None:
    """Add X = Y: reached by something in both, or by both sides on their own with nothing above."""
    above = equal.empty * float(_ABOVE[0]) + float(equal.counts @ equal.above)
    sums.add((-sum(rates) * above, -above, 0.0), np.ones(3))
    if len(equal.counts) == 0:
        return
    between = equal.between
    not_a, not_b, not_c = (np.exp(-rate * between) for rate in rates)
    some_a, some_b = (-np.expm1(-rate * between) for rate in rates[:2])
    some_c = -np.expm1(-rates[2] * between)
    chance = some_c + not_c * some_a * some_b
    first = np.stack(
        [
            between * not_c * not_a * some_b,
            between * not_c * not_b * some_a,
            between * not_c * (1 - some_a * some_b),
        ]
    )
    square = between * between
    a, b, c, ab = (
        -square * not_c * not_a * some_b,
        -square * not_c * not_b * some_a,
        -square * not_c * (1 - some_a * some_b),
        square * not_c * not_a * not_b,
    )
    second = np.stack([[a, ab, a], [ab, b, b], [a, b, c]])
    slopes = first / chance
    sums.value += float(equal.counts @ np.log(chance))
    sums.gradient += slopes @ equal.counts
    sums.hessian += (second / chance - slopes[:, None] * slopes[None, :]) @ equal.counts


def overlap(left: bytes, right: bytes) -> OverlapEstimate:
    """Return how the sets behind two sketches of one key and domain lie to each other.

    Raises:
        ValueError: the sketches have different numbers of registers (`sketches.folded` makes them equal), or are empty.
    """
    if len(left) != len(right) or not any(left) or not any(right):
        raise ValueError("two sketches with equally many registers and something in them are needed")
    bins = len(left)
    either = np.maximum(np.frombuffer(left, np.uint8), np.frombuffer(right, np.uint8)).tobytes()
    total = cardinality_of(either) / bins
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
        gradient = [rate * float(slope) for rate, slope in zip(rates, sums.gradient, strict=True)]
        curvature = [
            [
                -rates[row] * rates[column] * float(sums.hessian[row, column])
                - (gradient[row] if row == column else 0.0)
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
    """The inverse of the observed information; a rate at its floor has the spread of an exponential of that slope.

    A rate that the likelihood hardly tells (its logarithm spreads by more than 1) has itself as its spread, and the
    others are told without it: a nearly singular matrix would give all of them errors of any size.
    """
    inside = [place for place in range(3) if rates[place] > least * 2 or sums.gradient[place] >= 0]
    covariance = [[0.0] * 3 for _ in range(3)]
    for place in set(range(3)) - set(inside):
        covariance[place][place] = 1 / float(sums.gradient[place]) ** 2
    while inside:
        information = [
            [-float(sums.hessian[row, column]) * rates[row] * rates[column] for column in inside] for row in inside
        ]
        size = len(inside)
        spreads = [_cholesky_solve(information, [float(k == i) for k in range(size)]) for i in range(size)]
        known = [spread for spread in spreads if spread is not None]
        if len(known) == size and all(spread[i] <= 1 for i, spread in enumerate(known)):
            for i, row in enumerate(inside):
                for j, column in enumerate(inside):
                    covariance[row][column] = known[i][j] * rates[row] * rates[column]
            break
        flattest = inside[min(range(len(inside)), key=lambda i: information[i][i])]
        covariance[flattest][flattest] = rates[flattest] ** 2
        inside.remove(flattest)
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
