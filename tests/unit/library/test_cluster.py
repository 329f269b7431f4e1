"""Clustering: different identifiers never meet, chains break, and the order of the pairs does not matter."""

from hypothesis import given
from hypothesis import strategies as st

from datong.library.cluster import Clustering, Decided, Pair, Unjoined, cluster


def run(
    pairs: list[Pair],
    identifiers: dict[int, str] | None = None,
    nodes: int = 6,
    members_max: int = 10,
    decided: tuple[Decided, ...] = (),
    sure_bits: float | None = None,
) -> Clustering:
    return cluster(
        sizes=dict.fromkeys(range(nodes), 1),
        identifiers=identifiers or {},
        pairs=pairs,
        accept_bits=8,
        margin_bits=3,
        members_max=members_max,
        decided=decided,
        sure_bits=sure_bits,
    )


def pair(a: int, b: int, weight: float) -> Pair:
    return Pair(a, b, weight, a, b)


def test_a_good_pair_joins_and_says_why() -> None:
    found = run([pair(0, 1, 12.0), pair(2, 3, 7.9)])
    assert found.cluster_of[0] == found.cluster_of[1] == 0
    assert found.cluster_of[2] != found.cluster_of[3]
    assert found.joined[1].weight == 12.0
    assert found.joined[1].partner == 0


def test_two_identifiers_never_share_an_entity_even_through_a_third_record() -> None:
    found = run([pair(0, 1, 20.0), pair(1, 2, 12.0)], {0: "A", 2: "B"})
    assert found.cluster_of[1] == found.cluster_of[0]
    assert found.cluster_of[2] != found.cluster_of[0]


def test_an_undecided_record_joins_nobody() -> None:
    found = run([pair(0, 1, 12.0), pair(1, 2, 11.0)], {0: "A", 2: "B"})
    assert found.ambiguous == {1}
    assert len({found.cluster_of[node] for node in (0, 1, 2)}) == 3


def test_a_pair_that_is_nobodys_best_does_not_chain_two_groups() -> None:
    found = run([pair(0, 1, 20.0), pair(2, 3, 20.0), pair(1, 2, 9.0)])
    assert found.cluster_of[1] != found.cluster_of[2]


def test_a_sure_pair_joins_two_groups_where_the_definition_says_so() -> None:
    pairs = [pair(0, 1, 20.0), pair(2, 3, 20.0), pair(1, 2, 12.0)]
    assert run(pairs).cluster_of[1] != run(pairs).cluster_of[2]
    sure = run(pairs, sure_bits=12.0)
    assert sure.cluster_of[0] == sure.cluster_of[3]
    doubtful = run(pairs, sure_bits=12.5)
    assert doubtful.cluster_of[1] != doubtful.cluster_of[2]


def test_the_cap_stops_growth() -> None:
    found = run([pair(0, node, 20.0) for node in range(1, 6)], members_max=3)
    assert max(list(found.cluster_of.values()).count(root) for root in set(found.cluster_of.values())) == 3
    assert found.vetoed_pairs == 3


def decision(a: int, b: int, *, same: bool) -> Decided:
    return Decided(a, b, same, a, b)


def test_a_person_may_join_two_identifiers_and_nobody_else_does() -> None:
    alone = run([pair(0, 1, 40.0)], {0: "A", 1: "B"})
    assert alone.cluster_of[0] != alone.cluster_of[1]
    assert alone.open_pairs == ((pair(0, 1, 40.0), Unjoined.IDENTIFIERS),)
    found = run([pair(0, 2, 40.0)], {0: "A", 1: "B", 2: "C"}, decided=(decision(0, 1, same=True),))
    assert found.cluster_of[0] == found.cluster_of[1] != found.cluster_of[2]
    assert found.joined[1].weight is None


def test_what_a_person_told_apart_never_meets_through_a_third() -> None:
    found = run([pair(0, 1, 20.0), pair(1, 2, 20.0), pair(0, 2, 30.0)], decided=(decision(0, 2, same=False),))
    assert found.cluster_of[0] != found.cluster_of[2]
    assert [why for _, why in found.open_pairs] == [Unjoined.DECIDED]


def test_a_decision_settles_an_ambiguous_record() -> None:
    pairs = [pair(0, 1, 12.0), pair(1, 2, 11.0)]
    found = run(pairs, {0: "A", 2: "B"}, decided=(decision(1, 2, same=True),))
    assert found.cluster_of[1] == found.cluster_of[2] != found.cluster_of[0]
    told_apart = run(pairs, {0: "A", 2: "B"}, decided=(decision(1, 2, same=False),))
    assert told_apart.cluster_of[0] == told_apart.cluster_of[1]
    assert told_apart.open_pairs == ()


def test_decisions_that_contradict_each_other_keep_apart() -> None:
    found = run([], decided=(decision(0, 1, same=True), decision(1, 2, same=True), decision(0, 2, same=False)))
    assert found.cluster_of[0] != found.cluster_of[2]
    assert found.contradicted == 1


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(5, 30)), max_size=40),
    st.dictionaries(st.integers(0, 9), st.sampled_from("ABC")),
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=5),
)
def test_order_does_not_matter_and_identifiers_never_mix(
    raw: list[tuple[int, int, int]], identifiers: dict[int, str], apart: list[tuple[int, int]]
) -> None:
    best: dict[tuple[int, int], int] = {}
    for a, b, weight in raw:
        if a != b:
            key = (min(a, b), max(a, b))
            best[key] = max(weight, best.get(key, 0))
    pairs = [pair(a, b, float(weight)) for (a, b), weight in best.items()]
    decided = tuple(decision(min(a, b), max(a, b), same=False) for a, b in apart if a != b)
    first = run(pairs, identifiers, nodes=10, decided=decided)
    second = run(pairs[::-1], identifiers, nodes=10, decided=decided[::-1])
    assert first == second
    assert all(first.cluster_of[known.a] != first.cluster_of[known.b] for known in decided)
    for root in set(first.cluster_of.values()):
        assert (
            len({identifiers[node] for node, own in first.cluster_of.items() if own == root and node in identifiers})
            <= 1
        )
