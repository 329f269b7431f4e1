"""Where a request comes from, and which credentials it carries."""

import base64
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request

from datong.kernel import Refused, Unauthenticated
from datong.web.api.base64_bytes import Base64Bytes
from datong.web.api.oauth import TokenRequest, client_credentials
from datong.web.authentication import bearer_token, require_same_origin, session_token

BYTES: TypeAdapter[bytes] = TypeAdapter(Base64Bytes)


def request(method: str, **headers: str) -> Request:
    """Return a request to the hub with these headers."""
    pairs = [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()]
    return Request(
        {"type": "http", "method": method, "path": "/", "query_string": b"", "headers": [(b"host", b"hub.gov"), *pairs]}
    )


@pytest.mark.parametrize(
    "asked",
    [
        request("GET", origin="https://evil.example"),
        request("HEAD"),
        request("POST", origin="https://hub.gov"),
        request("POST", origin="http://hub.gov"),
        request("DELETE", sec_fetch_site="same-origin"),
        request("POST", sec_fetch_site="none"),
    ],
)
def test_the_platform_s_own_pages_may_change_things(asked: Request) -> None:
    """Reading is free, and so is what the browser says to come from the same origin."""
    require_same_origin(asked)


@pytest.mark.parametrize(
    "asked",
    [
        request("POST"),
        request("POST", origin="https://evil.example"),
        request("PUT", origin="null"),
        request("PATCH", origin="https://hub.gov.evil.example"),
        request("POST", origin="https://evil.example", sec_fetch_site="same-origin"),
        request("DELETE", sec_fetch_site="cross-site"),
        request("DELETE", sec_fetch_site="same-site"),
    ],
)
def test_other_sites_may_not(asked: Request) -> None:
    """A missing origin counts as another one: every browser sends one of the two headers."""
    with pytest.raises(Refused):
        require_same_origin(asked)


def test_tokens_come_from_the_header_before_the_cookie() -> None:
    """A program that sends both means the header."""
    both = request("GET", authorization="bearer abc", cookie="datong_session=xyz")
    assert (bearer_token(both), session_token(both)) == ("abc", "abc")
    assert session_token(request("GET", cookie="datong_session=xyz")) == "xyz"
    assert session_token(request("GET", authorization="Basic abc")) is None
    assert bearer_token(request("GET", authorization="Bearer  ")) is None


def test_client_credentials_come_by_form_or_by_header() -> None:
    """RFC 6749 §2.3.1; a secret may hold a colon, an id may not."""
    form = TokenRequest(grant_type="client_credentials", client_id="a", client_secret="b")
    assert client_credentials(form, "") == ("a", "b")
    empty = TokenRequest(grant_type="client_credentials")
    encoded = base64.b64encode(b"a:b:c").decode()
    assert client_credentials(empty, f"Basic {encoded}") == ("a", "b:c")


@given(st.text(max_size=60))
def test_no_header_breaks_the_reading_of_credentials(header: str) -> None:
    """Whatever is sent, the answer is a pair or 401."""
    with suppress(Unauthenticated):
        assert len(client_credentials(TokenRequest(grant_type="client_credentials"), header)) == 2


@given(st.binary(max_size=100))
def test_bytes_survive_json(data: bytes) -> None:
    """Base64 both ways."""
    assert BYTES.validate_json(BYTES.dump_json(data)) == data


@pytest.mark.parametrize("text", ['"?"', '"abc"', "1.5"])
def test_what_is_not_base64_is_invalid(text: str) -> None:
    """Never a raw decoding error."""
    with pytest.raises(ValidationError):
        BYTES.validate_json(text)
