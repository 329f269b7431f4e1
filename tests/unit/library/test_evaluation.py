"""Pairwise scores against hand-counted examples."""

from datong.library import evaluate_links


def test_a_perfect_linkage_scores_one() -> None:
    truth = {"a": 1, "b": 1, "c": 2}
    score = evaluate_links({"a": "x", "b": "x", "c": "y"}, truth)
    assert (score.precision, score.recall, score.f1, score.false_merges) == (1.0, 1.0, 1.0, 0)


def test_mistakes_are_counted_by_pairs() -> None:
    truth = {"a": 1, "b": 1, "c": 2, "d": 2}
    score = evaluate_links({"a": "x", "b": "x", "c": "x"}, truth)
    assert (score.true_pairs, score.linked_pairs, score.correct_pairs) == (2, 3, 1)
    assert score.precision == 1 / 3
    assert score.recall == 1 / 2
    assert score.false_merges == 1


def test_records_that_nobody_linked_stand_alone() -> None:
    score = evaluate_links({}, {"a": 1, "b": 2})
    assert (score.linked_pairs, score.f1) == (0, 1.0)
