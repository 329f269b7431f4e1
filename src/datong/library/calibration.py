"""Learning from people's decisions: what the levels of a linkage model should weigh, given pairs that people judged.

The judged pairs are those that the model doubted, so shares among them say nothing of all pairs, and `m` cannot be
counted from them. The probability that a pair is one *given its levels* can be learned from them all the same, since a
pair was chosen for judgement by its levels and not by its truth. So the model is a logistic regression whose offset is
the present weight: each level gets a correction in bits, drawn towards none by a normal prior (standard deviation
`PRIOR_BITS`), which a few decisions move little and many decisions move far. Pure.
"""

from collections.abc import Mapping, Sequence
from math import log, log2

import numpy as np

from datong.kernel import Value
from datong.library.definition import Linkage
from datong.library.review_values import ComparedLevel

PRIOR_BITS = 2.0
"""How far from the model's own word a level's weight is expected to be, before anybody has judged anything."""
FOLDS = 5
STEPS_MAX = 50
STEP_BITS_MIN = 1e-6
MISSING = "missing"
SHARE_MIN, SHARE_MAX, U_MIN = 0.0001, 0.999, 1e-6
DECIMALS = 7

Place = tuple[str, str]
"""A comparison and its level, as the review names them."""


class JudgedPair(Value):
    """A pair as the present model weighs it, and what a person said."""

    weight: float
    levels: tuple[ComparedLevel, ...]
    same: bool

    @property
    def places(self) -> tuple[Place, ...]:
        """The levels that say something of the pair."""
        return tuple((level.comparison, level.level) for level in self.levels if level.level != MISSING)


class JudgedScore(Value):
    """How a rule fares on the judged pairs: pairs that it joins and people call the same, and so on."""

    right: int
    wrong: int
    missed: int
    apart: int

    @property
    def precision(self) -> float:
        """The share of joined pairs that people call the same; 1 where none is joined."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0

    @property
    def recall(self) -> float:
        """The share of pairs that people call the same that are joined; 1 where there are none."""
        return self.right / (self.right + self.missed) if self.right + self.missed else 1.0


class LevelShift(Value):
    """What the decisions say of one level: how many judged pairs are at it, and its weight before and after."""

    comparison: str
    level: str
    judged: int
    same: int
    before_bits: float
    after_bits: float


class Calibration(Value):
    """New weights of all levels, and how the threshold fares before and after; `after` is cross-validated."""

    linkage: Linkage
    shifts: tuple[LevelShift, ...]
    before: JudgedScore
    after: JudgedScore


def calibrate(linkage: Linkage, pairs: Sequence[JudgedPair]) -> Calibration:
    """Return `linkage` with weights that take the judged `pairs` into account; the threshold stays.

    `after` tells of each pair what weights say that were learned without it (in `FOLDS` parts): nobody is praised for
    knowing an answer by heart.
    """
    corrections = _corrections(pairs)
    learned = [
        (pair.same, pair.weight + sum(without.get(place, 0.0) for place in pair.places))
        for fold in range(min(FOLDS, len(pairs)))
        for without in [_corrections([pair for number, pair in enumerate(pairs) if number % FOLDS != fold])]
        for number, pair in enumerate(pairs)
        if number % FOLDS == fold
    ]
    corrected, shifts = _corrected(linkage, corrections, pairs)
    return Calibration(
        linkage=corrected,
        shifts=shifts,
        before=_score([(pair.same, pair.weight) for pair in pairs], linkage.accept_bits),
        after=_score(learned, linkage.accept_bits),
    )


def level_name(linkage: Linkage, comparison: str, number: int) -> str:
    """Return the name that the review gives to a level."""
    levels = next(one.levels for one in linkage.comparisons if one.name == comparison)
    return "else" if number == len(levels) - 1 else f"{levels[number].kind} {number}"


def under_model(pair: JudgedPair, then: Linkage, now: Linkage) -> JudgedPair | None:
    """Return `pair`, which `then` weighed, as `now` weighs it; None where the models have not the same levels."""
    old, new = _bits(then), _bits(now)
    if old.keys() != new.keys() or not all(place in old for place in pair.places):
        return None
    change = {place: new[place] - old[place] for place in pair.places}
    prior = _prior(now) - _prior(then)
    levels = tuple(
        level.model_copy(update={"bits": level.bits + change.get((level.comparison, level.level), 0.0)})
        for level in pair.levels
    )
    return pair.model_copy(update={"weight": pair.weight + prior + sum(change.values()), "levels": levels})


def _corrections(pairs: Sequence[JudgedPair]) -> Mapping[Place, float]:
    """Return the correction of each level in bits: the most probable ones (Newton's method)."""
    places = sorted({place for pair in pairs for place in pair.places})
    if not places:
        return {}
    index = {place: number for number, place in enumerate(places)}
    held = np.zeros((len(pairs), len(places)))
    for row, pair in enumerate(pairs):
        held[row, [index[place] for place in pair.places]] = 1.0
    offset = np.array([pair.weight for pair in pairs]) * log(2)
    same = np.array([1.0 if pair.same else 0.0 for pair in pairs])
    precision = 1 / (PRIOR_BITS * log(2)) ** 2
    found = np.zeros(len(places))
    for _ in range(STEPS_MAX):
        probability = 1 / (1 + np.exp(-np.clip(offset + held @ found, -500, 500)))
        gradient = held.T @ (same - probability) - precision * found
        curvature = (held * (probability * (1 - probability))[:, None]).T @ held + precision * np.eye(len(places))
        # The prior bounds how far one step may lead: without it, Newton's method can overshoot where all is certain.
        step = np.clip(np.linalg.solve(curvature, gradient), -2 * log(2), 2 * log(2))
        found = found + step
        if np.abs(step).max() < STEP_BITS_MIN:
            break
    return {place: round(float(found[number]) / log(2), 6) for place, number in index.items()}


def _corrected(
    linkage: Linkage, corrections: Mapping[Place, float], pairs: Sequence[JudgedPair]
) -> tuple[Linkage, tuple[LevelShift, ...]]:
    comparisons, shifts = [], []
    for comparison in linkage.comparisons:
        levels = []
        for number, level in enumerate(comparison.levels):
            place = (comparison.name, level_name(linkage, comparison.name, number))
            m, u = _shares(level.m, level.u, corrections.get(place, 0.0), fixed_u=level.frequency is not None)
            levels.append(level.model_copy(update={"m": m, "u": u}))
            at = [pair.same for pair in pairs if place in pair.places]
            if at:
                before, after = log2(level.m / level.u), log2(m / u)
                shifts.append(
                    LevelShift(
                        comparison=place[0],
                        level=place[1],
                        judged=len(at),
                        same=sum(at),
                        before_bits=round(before, 3),
                        after_bits=round(after, 3),
                    )
                )
        comparisons.append(comparison.model_copy(update={"levels": tuple(levels)}))
    return linkage.model_copy(update={"comparisons": tuple(comparisons)}), tuple(shifts)


def _shares(m: float, u: float, bits: float, *, fixed_u: bool) -> tuple[float, float]:
    """Return `m` and `u` whose ratio is `bits` higher: `m` moves as far as a share can, `u` by the rest.

    A level that weighs by the frequency of its value has no use for `u`, so only `m` moves there.
    """
    wanted = m * 2**bits
    moved = min(SHARE_MAX, max(SHARE_MIN, wanted))
    rest = moved / wanted
    kept = u if fixed_u else min(SHARE_MAX, max(U_MIN, u * rest))
    return round(moved, DECIMALS), round(kept, DECIMALS)


def _score(judged: Sequence[tuple[bool, float]], accept_bits: float) -> JudgedScore:
    joined = [same for same, weight in judged if weight >= accept_bits]
    others = [same for same, weight in judged if weight < accept_bits]
    return JudgedScore(
        right=sum(joined), wrong=len(joined) - sum(joined), missed=sum(others), apart=len(others) - sum(others)
    )


def _bits(linkage: Linkage) -> Mapping[Place, float]:
    return {
        (comparison.name, level_name(linkage, comparison.name, number)): log2(level.m)
        if level.frequency
        else log2(level.m / level.u)
        for comparison in linkage.comparisons
        for number, level in enumerate(comparison.levels)
    }


def _prior(linkage: Linkage) -> float:
    return log2(linkage.match_share / (1 - linkage.match_share))
