"""Whatever a browser answers in a ceremony: a value, or an error of ours, and nothing else."""

import contextlib
import json
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.kernel import Unauthenticated
from datong.sharing.passkeys.ceremonies import (
    KnownKey,
    Party,
    assertion_options,
    encoded,
    named_credential,
    registration_options,
)
from datong.sharing.passkeys.verifying import made_key, proven_count
from tests.unit.sharing.passkeys.authenticator import Authenticator

PARTY = Party(host="hub.example", origin="https://hub.example")
CHALLENGE = "A" * 43
DEVICE = Authenticator(PARTY.origin)
MAKE = registration_options(PARTY, CHALLENGE, person="p", username="u", name="n", known=(), verify=True)
MADE = DEVICE.make(MAKE)
NEW = made_key(MADE, PARTY, CHALLENGE, verify=True)
KEY = KnownKey(credential_id=NEW.credential_id, public_key=NEW.public_key, sign_count=0, transports=())
PROVEN = DEVICE.prove(assertion_options(PARTY, CHALLENGE, known=(KEY,), verify=True))
PLACES = st.sampled_from(
    ["id", "rawId", "type", "clientDataJSON", "attestationObject", "authenticatorData", "signature"]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.text() | st.binary(max_size=80)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=6
)
STATED = (
    st.none() | st.integers() | st.text()
    | st.binary().map(encoded)
    | VALUES.map(lambda value: encoded(cbor2.dumps(value)))
    | st.dictionaries(st.sampled_from(["fmt", "attStmt", "authData"]), VALUES).map(
        lambda value: encoded(cbor2.dumps(value))
    )
    | st.dictionaries(st.sampled_from(["type", "challenge", "origin", "tokenBinding"]), st.none() | st.text()).map(
        lambda value: encoded(json.dumps(value).encode())
    )
)  # fmt: skip


def changed(said: str, place: str, value: object) -> str:
    stated: dict[str, Any] = json.loads(said)
    (stated if place in stated else stated["response"])[place] = value
    return json.dumps(stated)


@given(PLACES, STATED)
def test_no_changed_answer_breaks_its_reader(place: str, value: object) -> None:
    with contextlib.suppress(Unauthenticated):
        made_key(changed(MADE, place, value), PARTY, CHALLENGE, verify=True)
    with contextlib.suppress(Unauthenticated):
        proven_count(changed(PROVEN, place, value), KEY, PARTY, CHALLENGE, verify=True)


@given(st.sampled_from(["attestationObject", "authenticatorData", "signature", "clientDataJSON"]), st.data())
def test_no_flipped_bit_proves_anything(place: str, data: st.DataObject) -> None:
    said = MADE if place == "attestationObject" else PROVEN
    text: str = json.loads(said)["response"][place]
    at = data.draw(st.integers(0, len(text) - 2))
    letter = data.draw(st.sampled_from("AZaz09-_").filter(lambda one: one != text[at]))
    harmed = changed(said, place, text[:at] + letter + text[at + 1 :])
    if said is PROVEN:
        with pytest.raises(Unauthenticated):
            proven_count(harmed, KEY, PARTY, CHALLENGE, verify=True)
    else:
        with contextlib.suppress(Unauthenticated):
            made_key(harmed, PARTY, CHALLENGE, verify=True)


@given(
    st.text()
    | VALUES.filter(lambda value: not isinstance(value, bytes)).map(lambda value: json.dumps(value, default=str))
)
def test_no_text_is_an_answer(said: str) -> None:
    for read in (
        lambda: made_key(said, PARTY, CHALLENGE, verify=False),
        lambda: proven_count(said, KEY, PARTY, CHALLENGE, verify=False),
        lambda: named_credential(said),
    ):
        with contextlib.suppress(Unauthenticated):
            read()
