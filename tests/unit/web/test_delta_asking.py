"""What clients of Delta Sharing send is read, or refused as the protocol has it; never a raw exception."""

import json
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from datong.kernel import Invalid
from datong.sharing import ChangesAsk, QueryAsk
from datong.web.delta_sharing.asking import read_changes, read_query
from datong.web.delta_sharing.documents import Capabilities, page, read_capabilities

FIELDS = ("predicateHints", "jsonPredicateHints", "limitHint", "version", "timestamp", "startingVersion")
VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.lists(st.text(), max_size=2)
)


REFUSED = "web.delta_request_invalid"


def encoded(body: Mapping[str, object]) -> bytes:
    return json.dumps(body).encode()


def outcome(act: Callable[[], object]) -> object:
    """Return what an act gives, or the code of its refusal."""
    try:
        return act()
    except Invalid as error:
        return error.code


@examples(max_examples=60)
@given(st.binary(max_size=30) | st.dictionaries(st.sampled_from(FIELDS), VALUES).map(encoded))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    found = outcome(lambda: read_query(body))
    assert isinstance(found, QueryAsk) or found == REFUSED


@examples(max_examples=40)
@given(st.dictionaries(st.sampled_from(["startingVersion", "startingTimestamp"]), st.text(max_size=20)))
def test_any_parameters_are_read_or_refused(parameters: dict[str, str]) -> None:
    found = outcome(lambda: read_changes(parameters))
    assert isinstance(found, ChangesAsk) or found == REFUSED


@examples(max_examples=40)
@given(st.none() | st.text(max_size=8), st.none() | st.text(max_size=12))
def test_any_page_is_told_or_refused(most: str | None, token: str | None) -> None:
    found = outcome(lambda: page([{"name": "a"}, {"name": "b"}], most=most, token=token))
    assert isinstance(found, dict) or found == REFUSED


def test_pages_follow_each_other_to_the_end() -> None:
    items = [{"name": name, "schema": "s"} for name in "cab"]
    seen: list[object] = []
    token: str | None = None
    for _ in range(4):
        answer = page(items, most="1", token=token)
        assert isinstance(answer["items"], list)
        seen += [dict(item)["name"] for item in answer["items"] if isinstance(item, dict)]
        following = answer.get("nextPageToken")
        if not isinstance(following, str):
            break
        token = following
    assert seen == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", ("parquet", False)),
        ("responseformat=delta,parquet;readerfeatures=deletionvectors", ("parquet", False)),
        ("ResponseFormat=Delta; includeEndStreamAction=true", ("delta", True)),
        ("responseformat=", ("parquet", False)),
        (";;=", ("parquet", False)),
    ],
)
def test_parquet_wherever_a_client_reads_it(header: str, expected: tuple[str, bool]) -> None:
    assert read_capabilities(header) == Capabilities(*expected)
