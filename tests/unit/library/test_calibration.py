"""Learning from decisions: what was planted is learned, little moves little, and no answer is known by heart."""

import random
from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.library.calibration import JudgedPair, calibrate, level_name, under_model
from datong.library.definition import Comparison, Level, Linkage
from datong.library.review_values import ComparedLevel

MODEL = Linkage(
    match_share=0.001,
    accept_bits=0.0,
    margin_bits=3.0,
    members_max=10,
    blocking=(("phone",),),
    comparisons=(
        Comparison(
            name="name",
            needs=("pinyin",),
            levels=(
                Level(kind="exact", columns=("pinyin",), frequency="pinyin", m=0.9, u=0.01),
                Level(kind="else", m=0.1, u=0.9),
            ),
        ),
        Comparison(
            name="household",
            needs=("household",),
            levels=(Level(kind="exact", columns=("household",), m=0.5, u=0.05), Level(kind="else", m=0.5, u=0.9)),
        ),
    ),
)


def _pair(random_: random.Random, planted: float) -> JudgedPair:
    """Return a doubtful pair; truth goes by the weight with `planted` more bits where the household is the same."""
    household = random_.random() < 0.5
    others = random_.uniform(-4, 4)
    bits = log2(0.5 / 0.05) if household else log2(0.5 / 0.9)
    true = others + bits + (planted if household else 0)
    return JudgedPair(
        weight=others + bits,
        levels=(
            ComparedLevel(comparison="household", level="exact 0" if household else "else", bits=bits),
            ComparedLevel(comparison="name", level="missing", bits=0),
        ),
        same=random_.random() < 1 / (1 + 2**-true),
    )


@pytest.mark.parametrize("planted", [-3.0, 0.0, 3.0])
def test_many_decisions_find_what_was_planted(planted: float) -> None:
    random_ = random.Random(7)
    found = calibrate(MODEL, [_pair(random_, planted) for _ in range(1500)])
    shift = next(one for one in found.shifts if (one.comparison, one.level) == ("household", "exact 0"))
    assert shift.after_bits - shift.before_bits == pytest.approx(planted, abs=0.5)
    errors_before, errors_after = (score.wrong + score.missed for score in (found.before, found.after))
    assert errors_after <= errors_before + 5
    if planted:
        assert errors_after < 0.9 * errors_before
    assert found.linkage.accept_bits == MODEL.accept_bits


def test_a_few_decisions_move_little_and_none_moves_nothing() -> None:
    random_ = random.Random(1)
    assert calibrate(MODEL, []).linkage == MODEL
    one = calibrate(MODEL, [_pair(random_, 0).model_copy(update={"same": True, "weight": -1.0})])
    assert all(0 <= shift.after_bits - shift.before_bits < 2 for shift in one.shifts)
    untouched = one.linkage.comparisons[0]
    assert untouched == MODEL.comparisons[0], "nobody judged a pair by its name"


@given(
    st.lists(st.tuples(st.floats(-60, 60), st.sampled_from(["exact 0", "else", "missing"]), st.booleans()), max_size=40)
)
def test_whatever_was_decided_the_model_stays_a_model(judged: list[tuple[float, str, bool]]) -> None:
    pairs = [
        JudgedPair(weight=weight, levels=(ComparedLevel(comparison="name", level=level, bits=0),), same=same)
        for weight, level, same in judged
    ]
    found = calibrate(MODEL, pairs)
    assert Linkage.model_validate(found.linkage.model_dump()) == found.linkage
    for score in (found.before, found.after):
        assert score.right + score.wrong + score.missed + score.apart == len(pairs)
        assert 0 <= score.precision <= 1
        assert 0 <= score.recall <= 1


def test_a_decision_made_under_other_weights_counts_as_the_present_ones_weigh_it() -> None:
    random_ = random.Random(3)
    learned = calibrate(MODEL, [_pair(random_, 3.0) for _ in range(300)]).linkage
    pair = _pair(random_, 0).model_copy(
        update={"levels": (ComparedLevel(comparison="household", level="exact 0", bits=log2(10)),), "weight": 1.0}
    )
    moved = under_model(pair, MODEL, learned)
    assert moved is not None
    level = learned.comparisons[1].levels[0]
    assert moved.weight - pair.weight == pytest.approx(log2(level.m / level.u) - log2(10), abs=1e-6)
    back = under_model(moved, learned, MODEL)
    assert back is not None
    assert back.weight == pytest.approx(pair.weight)
    fewer = MODEL.model_copy(update={"comparisons": MODEL.comparisons[:1]})
    assert under_model(pair, MODEL, fewer) is None
    assert level_name(MODEL, "name", 1) == "else"
