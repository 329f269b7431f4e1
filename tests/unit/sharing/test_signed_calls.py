"""The national platform's call style: four headers, an HMAC, a secret of limited time."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datong.kernel import Invalid, Refused, ResourceId, Unauthenticated
from datong.sharing.principals import Principal
from datong.sharing.signed_calls import SIGNED_HEADERS, SignedCalls, SignedHeaders, once_of, signature, verify_signature
from tests.unit.sharing.samples import EDUCATION, NOW, RESOURCE, application, person
from tests.unit.sharing.world import World


def calls_of(world: World) -> SignedCalls:
    return SignedCalls(clock=world.clock, machines=world.identity, secret=b"of the hub")


def said(rid: str, secret: str, *, milliseconds: int | None = None, sid: str = RESOURCE) -> SignedHeaders:
    time = str(int(NOW.timestamp() * 1000) if milliseconds is None else milliseconds)
    return SignedHeaders(rid, sid, time, signature(secret, f"{sid}{rid}{time}"))


def test_an_application_signs_with_its_secret_until_it_expires(world: World) -> None:
    calls = calls_of(world)
    made = world.identity.create_application(name="入学", department=EDUCATION, actor=person(EDUCATION))
    token = world.identity.token_for_application(made.application.client_id, made.client_secret)
    caller = world.identity.read_token(token.access_token)
    issued = calls.secret_of(caller)
    assert issued.rid == caller.actor.id
    call = said(issued.rid, issued.secret)
    calls_of(world).verify(call, RESOURCE)  # Any process of the hub knows it.
    assert calls.known(call) is None
    assert calls.principal_of(call) == caller
    assert calls.known(call) == caller
    late = issued.expires_at - timedelta(seconds=1)
    world.clock.advance(late - world.clock.now())
    calls.verify(said(issued.rid, issued.secret, milliseconds=int(late.timestamp() * 1000)), RESOURCE)
    world.clock.advance(issued.expires_at - world.clock.now())
    expired = said(issued.rid, issued.secret, milliseconds=int(issued.expires_at.timestamp() * 1000))
    with pytest.raises(Unauthenticated, match="signature_refused"):
        calls.verify(expired, RESOURCE)


def test_what_is_not_signed_so_is_refused(world: World) -> None:
    calls = calls_of(world)
    issued = calls.secret_of(application(EDUCATION))
    right = said(issued.rid, issued.secret)
    calls.verify(right, RESOURCE)
    skewed = int((NOW.timestamp() + 301) * 1000)
    for wrong in (
        right._replace(requester="another"),
        right._replace(time=str(int(right.time) + 1)),
        right._replace(signature=signature("guess", "x")),
        right._replace(signature=""),
        said(issued.rid, issued.secret, milliseconds=skewed),
        said(issued.rid, issued.secret, sid="another"),
        right._replace(time="9" * 40),
        right._replace(time="٣"),
    ):
        with pytest.raises(Unauthenticated, match="signature_refused"):
            calls.verify(wrong, RESOURCE)
    with pytest.raises(Unauthenticated):
        calls.verify(right, ResourceId("another"))
    with pytest.raises(Unauthenticated):
        calls.principal_of(right._replace(requester="nobody"))
    with pytest.raises(Refused):
        calls.secret_of(Principal(actor=person(EDUCATION)))


def test_a_signature_is_good_for_one_body() -> None:
    right = said("app", "secret")
    assert once_of(right, "digest", None) == once_of(right, "digest", None)
    assert once_of(right, "other", None).key == once_of(right, "digest", None).key
    with pytest.raises(Invalid, match="idempotency_key_twice"):
        once_of(right, "digest", "key")


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(SIGNED_HEADERS), st.text(max_size=300)))
def test_any_headers_are_a_signed_call_or_none_or_our_error(headers: dict[str, str]) -> None:
    try:
        found = SignedHeaders.of(headers)
        if found is not None:
            verify_signature(found, RESOURCE, NOW, lambda _rid, _period: "secret")
    except Unauthenticated:
        return
    assert found is None
    assert not headers
