"""Attempts to sign in: sealed, of one way, for ten minutes."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.kernel import Unauthenticated
from datong.sharing.sign_in_attempts import ATTEMPT_LIFE, Attempt, attempt_secret, opened_attempt
from tests.unit.sharing.samples import NOW

SECRET = attempt_secret(b"of one hub")
ATTEMPT = Attempt.begin("oidc/city", NOW, person="p", next_page="/catalogue")
COOKIE = ATTEMPT.sealed(SECRET)


@given(st.none() | st.text() | st.tuples(st.text("AZaz09-_"), st.text("AZaz09-_=")).map(".".join))
def test_no_cookie_is_an_attempt_but_a_sealed_one(cookie: str | None) -> None:
    with pytest.raises(Unauthenticated):
        opened_attempt(cookie, SECRET, NOW, way="oidc/city")


@given(st.integers(0, len(COOKIE) - 1), st.sampled_from("AbZ09-_.=é"))
def test_a_changed_attempt_is_none(place: int, letter: str) -> None:
    changed = COOKIE[:place] + letter + COOKIE[place + 1 :]
    if changed != COOKIE:
        with pytest.raises(Unauthenticated):
            opened_attempt(changed, SECRET, NOW, way="oidc/city")


def test_an_attempt_is_of_one_way_one_hub_and_ten_minutes() -> None:
    assert opened_attempt(COOKIE, SECRET, NOW + ATTEMPT_LIFE, way="oidc/city") == ATTEMPT
    for secret, now, way in (
        (attempt_secret(b"of another"), NOW, "oidc/city"),
        (SECRET, NOW + ATTEMPT_LIFE + timedelta(seconds=1), "oidc/city"),
        (SECRET, NOW - timedelta(seconds=10), "oidc/city"),
        (SECRET, NOW, "oidc/other"),
    ):
        with pytest.raises(Unauthenticated):
            opened_attempt(COOKIE, secret, now, way=way)
    purposes = {ATTEMPT.derived(SECRET, purpose) for purpose in ("state", "nonce", "verifier")}
    assert len(purposes) == 3
    assert {len(one) for one in purposes} == {43}
    assert Attempt.begin("w", NOW, next_page="/" * 2000).next_page == ""
