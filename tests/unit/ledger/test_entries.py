import hashlib
from datetime import timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.kernel import Actor, ActorKind, Corrupt, DatongError, Invalid, JsonValue, TooLarge
from datong.ledger.entries import EntryKind, commitment, departments_concerned, leaf_bytes, parse_leaf
from tests.unit.ledger.logs import NODE, NOW

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


def test_the_bytes_of_a_leaf() -> None:
    at = NOW.astimezone(timezone(timedelta(hours=8)))
    leaf = leaf_bytes(kind=EntryKind.REQUEST, at=at, subject="申请-1", actor=NODE, facts={"b": 1, "a": None})
    assert leaf.decode() == (
        '{"actor":{"department":"11440600MB2D000019","id":"node-1","kind":"node"},"at":"2026-03-02T01:02:03.456789Z",'
        '"facts":{"a":null,"b":1},"kind":"sharing.request","subject":"申请-1","v":1}'
    )


@given(st.sampled_from(EntryKind), st.text(), st.dictionaries(st.text(max_size=8), JSON, max_size=5))
def test_a_leaf_is_read_back(kind: EntryKind, subject: str, facts: dict[str, JsonValue]) -> None:
    actor = Actor(kind=ActorKind.PERSON, id="p", name="李雷")
    try:
        leaf = leaf_bytes(kind=kind, at=NOW, subject=subject, actor=actor, facts=facts)
    except Invalid:
        return
    content = parse_leaf(leaf)
    assert (content.kind, content.subject, content.at, content.facts) == (kind, subject, NOW, facts)
    assert (content.actor.id, content.actor.name) == ("p", "")
    assert "李雷".encode() not in leaf or "李雷" in subject + str(facts)


def test_a_text_that_is_no_utf8_is_invalid() -> None:
    with pytest.raises(Invalid):
        leaf_bytes(kind=EntryKind.REQUEST, at=NOW, subject="x", actor=NODE, facts={"reason": "\ud800"})


def test_an_entry_has_a_limit() -> None:
    with pytest.raises(TooLarge) as caught:
        leaf_bytes(kind=EntryKind.REQUEST, at=NOW, subject="x", actor=NODE, facts={"reason": "数" * 22_000})
    assert caught.value.context["bytes_max"] == 65_535


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode(errors="replace")))
def test_any_bytes_are_an_entry_or_corrupt(data: bytes) -> None:
    with pytest.raises(DatongError):
        parse_leaf(data)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"v":1', '"v":2'),
        ('"v":1', '"v":1,"w":1'),
        ('"v":1', '"v": 1'),
        ('"v":1', '"v":1.0'),
        ("sharing.request", "sharing.unknown"),
        ("456789Z", "456Z"),
        ("2026-03-02", "2026-3-02"),
        ('"facts":{}', '"facts":[]'),
        ('"facts":{}', '"facts":{"a":1.5}'),
        ('"facts":{}', '"facts":{"b":1,"a":1}'),
        ('"id":"node-1"', '"id":1'),
        ('"kind":"node"', '"kind":"robot"'),
    ],
)
def test_what_is_not_exactly_an_entry_is_corrupt(old: str, new: str) -> None:
    leaf = leaf_bytes(kind=EntryKind.REQUEST, at=NOW, subject="x", actor=NODE, facts={}).decode()
    assert old in leaf
    with pytest.raises(Corrupt):
        parse_leaf(leaf.replace(old, new, 1).encode())


def test_deep_nesting_is_corrupt() -> None:
    with pytest.raises(Corrupt):
        parse_leaf(b'{"facts":' + b"[" * 30_000)


def test_a_commitment_is_salted_and_framed() -> None:
    salt = bytes(range(16))
    assert commitment(salt, "值") == hashlib.sha256(b"\0\x10" + salt + "值".encode()).hexdigest()
    assert commitment(salt + b"a", "b") != commitment(salt, "ab")
    with pytest.raises(ValueError, match="salt"):
        commitment(b"short", "x")


def test_departments_that_an_entry_names() -> None:
    named = departments_concerned(NODE, {"provider": "P", "consumer": None, "departments": ["Q", 3], "other": "R"})
    assert named == {NODE.department, "P", "Q"}
