"""Which form a client prefers, and whether it has the answer already."""

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from datong.web.open.answers import preferred, public_answer

OFFERED = ("text/turtle", "application/ld+json", "text/html")


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", "text/turtle"),
        ("*/*", "text/turtle"),
        ("text/*", "text/turtle"),
        ("text/html", "text/html"),
        ("text/html;q=0.2, application/ld+json;q=0.9", "application/ld+json"),
        ("application/*;q=0.4, text/html;q=0.3", "application/ld+json"),
        ("text/turtle;q=0, */*;q=0.1", "application/ld+json"),
        ("image/png", None),
        ("nonsense", "text/turtle"),
    ],
)
def test_preference(accept: str, chosen: str | None) -> None:
    assert preferred(accept, OFFERED) == chosen


@given(st.text(max_size=80))
def test_any_header_gets_an_answer(accept: str) -> None:
    assert preferred(accept, OFFERED) in (*OFFERED, None)


def asked(**headers: str) -> Request:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": pairs, "query_string": b""})


def test_the_tag_is_of_the_bytes() -> None:
    first = public_answer(asked(), b"a", media_type="text/turtle")
    tag = first.headers["etag"]
    assert public_answer(asked(if_none_match=tag), b"a", media_type="text/turtle").status_code == 304
    assert public_answer(asked(if_none_match="*"), b"a", media_type="text/turtle").status_code == 304
    assert public_answer(asked(if_none_match=tag), b"b", media_type="text/turtle").status_code == 200
    assert (
        public_answer(asked(if_modified_since="Wed, 21 Oct 2099 07:28:00 GMT"), b"a", media_type="x").status_code == 200
    )
