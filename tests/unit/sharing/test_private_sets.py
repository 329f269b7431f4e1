"""The protocol's arithmetic against plain sets, and what it refuses."""

import contextlib
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datong.kernel import Corrupt
from datong.sharing.private_sets import (
    INDEX_BYTES,
    POINT_BYTES,
    blinded,
    common_places,
    group,
    new_order,
    new_secret,
    ordered,
    packed_order,
    raised,
    read_order,
    split,
    values_digest,
)

VALUES = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), unique=True, min_size=1, max_size=20)


@given(VALUES, VALUES)
@settings(max_examples=30)
def test_both_sides_count_what_plain_sets_have_in_common(mine: list[str], theirs: list[str]) -> None:
    ours, others = new_secret(), new_secret()
    mine_order, theirs_order = new_order(len(mine)), new_order(len(theirs))
    mine_doubled = raised(blinded(mine, ours, "m"), others)
    theirs_doubled = raised(blinded(theirs, others, "m"), ours)
    places = common_places(ordered(mine_doubled, mine_order), theirs_doubled)
    assert len(places) == len(set(mine) & set(theirs))
    assert len(common_places(ordered(theirs_doubled, theirs_order), mine_doubled)) == len(places)
    order = read_order(packed_order(mine_order), len(mine))
    assert {mine[order[place]] for place in places} == set(mine) & set(theirs)


def test_a_value_has_another_point_in_each_matching_and_under_each_secret() -> None:
    secret = new_secret()
    points = {blinded(["110101199003070011"], key, context) for key in (secret, new_secret()) for context in "ab"}
    assert len(points) == 4
    assert blinded(["x"], secret, "a") == blinded(["x"], secret, "a")


def test_hashing_agrees_with_the_vector_of_rfc_9496() -> None:
    """RFC 9496, A.3: the element that SHA-512 of this label is mapped to."""
    digest = hashlib.sha512(b"Ristretto is traditionally a short shot of espresso coffee").digest()
    wanted = "3066f82a1a747d45120d1740f14358531a8f04bbffe6a819f86dfe50f44a0a46"
    assert group().crypto_core_ristretto255_from_hash(digest).hex() == wanted


@given(st.binary(max_size=4 * POINT_BYTES))
@settings(max_examples=100)
def test_bytes_that_are_no_points_are_refused_in_our_words(data: bytes) -> None:
    with contextlib.suppress(Corrupt):
        assert len(raised(data, new_secret())) == len(data)


@pytest.mark.parametrize(
    "points",
    [bytes(POINT_BYTES), b"\xff" * POINT_BYTES, b"\x01" + bytes(31), bytes(31), (b"\xe2" + bytes(31)) * 2],
    ids=["identity", "not canonical", "negative", "short", "twice"],
)
def test_malformed_points_are_refused(points: bytes) -> None:
    with pytest.raises(Corrupt, match=r"sharing\.matching_malformed"):
        raised(points, new_secret())


@given(st.binary(max_size=8 * INDEX_BYTES), st.integers(0, 8))
def test_only_an_order_is_read_as_one(data: bytes, size: int) -> None:
    try:
        assert sorted(read_order(data, size)) == list(range(size))
    except Corrupt:
        assert data != packed_order(range(size))


def test_points_that_stand_twice_are_refused_everywhere() -> None:
    twice = blinded(["x"], new_secret(), "c") * 2
    for use in (split, lambda points: common_places(points, b""), lambda points: ordered(points, [0, 1])):
        with pytest.raises(Corrupt):
            use(twice)


def test_the_digest_of_a_set_tells_values_apart_that_run_together() -> None:
    assert values_digest(["ab", "c"]) != values_digest(["a", "bc"])
