"""Errors of other hubs: whatever they answer becomes an error in words, or is known to say nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.kernel import (
    Conflict,
    Corrupt,
    DatongError,
    Invalid,
    NotFound,
    Refused,
    TooLarge,
    Unavailable,
    answered_error,
)

SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=20)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))
NAMES = st.sampled_from(["code", "detail", "detail_zh", "detail_en", "remedy", "remedy_zh", "remedy_en", "context"])


def test_an_error_arrives_as_it_was_raised() -> None:
    problem = {
        "code": "exchange.chain_gap",
        "detail_zh": "缺批次。",
        "detail_en": "A batch is missing.",
        "remedy_zh": "请重发。",
        "remedy_en": "Send it.",
        "context": {"expected": 3},
    }
    error = answered_error(409, problem)
    assert isinstance(error, Conflict)
    assert (error.code, error.what.zh, error.remedy.en) == ("exchange.chain_gap", "缺批次。", "Send it.")
    assert error.context == {"expected": 3}


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (422, "exchange.payload_digest", Corrupt),
        (413, "exchange.payload_too_large", TooLarge),
        (404, "exchange.payload_disposed", NotFound),
        (422, "exchange.task_columns", Invalid),
        (429, "web.too_many", Unavailable),
        (503, "web.busy", Unavailable),
        (418, "web.teapot", Refused),
    ],
)
def test_the_status_says_the_class(status: int, code: str, kind: type[DatongError]) -> None:
    assert type(answered_error(status, {"code": code}, corrupt_codes=("exchange.payload",))) is kind


@given(status=st.integers(300, 599), answer=JSON | st.dictionaries(NAMES, JSON))
def test_whatever_is_answered_is_an_error_in_words_or_nothing(status: int, answer: object) -> None:
    error = answered_error(status, answer, corrupt_codes=("exchange.payload",))
    said = isinstance(answer, dict) and isinstance(answer.get("code"), str)
    assert isinstance(error, DatongError) is said
