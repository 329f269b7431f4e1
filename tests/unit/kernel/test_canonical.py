import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.kernel import CommonMembers, canonical_json, sha256_hex

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(min_value=-(2**53), max_value=2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_canonical_form_is_json_with_the_same_meaning(value: Any) -> None:
    try:
        data = canonical_json(value)
    except UnicodeEncodeError:
        return  # a lone surrogate is not text
    assert json.loads(data) == value


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers()))
def test_key_order_of_the_input_does_not_matter(value: dict[str, int]) -> None:
    reversed_value = dict(reversed(list(value.items())))
    assert canonical_json(value) == canonical_json(reversed_value)


def test_keys_are_sorted_by_utf16_code_units_as_rfc_8785_says() -> None:
    value = {"€": 1, "\r": 2, "\ufb33": 3, "1": 4, "😀": 5, "\u0080": 6, "ö": 7}
    assert list(json.loads(canonical_json(value))) == ["\r", "1", "\u0080", "ö", "€", "😀", "\ufb33"]


@pytest.mark.parametrize("value", [1.5, {"a": [0.1]}, {1: 2}, {"a": b"bytes"}, {"a": {1, 2}}])
def test_what_json_cannot_say_alike_everywhere_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        canonical_json(value)


def test_digest_of_the_empty_string() -> None:
    assert sha256_hex(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@given(st.dictionaries(st.text(), VALUES), st.dictionaries(st.text(), st.text() | st.integers(), max_size=4), st.text())
def test_common_members_are_written_as_if_all_were_written_at_once(
    common: dict[str, Any], own: dict[str, str | int], other: str
) -> None:
    members = CommonMembers(common)
    for said in (own, dict.fromkeys(own, other)):
        try:
            whole = canonical_json({**common, **said})
        except UnicodeEncodeError:
            continue
        assert members.text_with(said).encode() == whole


def test_members_that_differ_are_texts_whole_numbers_or_null() -> None:
    assert CommonMembers({"b": 1}).text_with({"a": None, "c": 2}) == '{"a":null,"b":1,"c":2}'
    for value in (True, 1.5):
        with pytest.raises(TypeError):
            CommonMembers({}).text_with({"a": value})  # type: ignore[dict-item]
