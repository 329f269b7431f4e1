"""Whatever a provider, a browser or an operator's file says: a value, or an error of ours, and nothing else."""

import contextlib
import json
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt

from datong.kernel import Corrupt, Misconfigured, Unauthenticated
from datong.sharing.oidc.documents import (
    SigningKey,
    read_claims,
    read_keys,
    read_metadata,
    read_tokens,
)
from datong.sharing.oidc.identity_tokens import KeyUnknown, verified_claims
from datong.sharing.oidc.providers import is_secure_address, load_providers, parse_providers
from datong.sharing.oidc.sign_in import CameBack
from tests.unit.sharing.oidc.provider import ADDRESS, KEY, declared
from tests.unit.sharing.samples import NOW

PROVIDER = declared()
KEYS = (SigningKey(KEY, KEY.kid, None),)
GOOD = {"iss": ADDRESS, "aud": "datong", "sub": "s", "nonce": "n", "iat": NOW.timestamp(), "exp": NOW.timestamp() + 9}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
NAMES = st.sampled_from(["iss", "aud", "sub", "nonce", "iat", "exp", "azp", "nbf"])


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_answer_of_a_provider_breaks_its_reader(body: bytes) -> None:
    for read in (read_metadata, read_keys, read_tokens):
        with contextlib.suppress(Corrupt):
            read(body, PROVIDER)
    with contextlib.suppress(Corrupt):
        read_claims(body, PROVIDER, "s")


MEMBERS = st.sampled_from(["kty", "n", "e", "crv", "x", "y", "use", "alg", "kid"])
PARTS = st.sampled_from(["RSA", "EC", "P-256", "sig", "AQAB", "AA", "", "_", "%"]) | JSON


@given(st.lists(st.dictionaries(MEMBERS, PARTS) | JSON, max_size=3))
def test_keys_are_read_or_left_out(keys: list[object]) -> None:
    read_keys(json.dumps({"keys": keys}).encode(), PROVIDER)


@given(st.text() | st.text("abc.-_=", max_size=60) | st.tuples(st.text("eyJ9."), st.just(".e30.AA")).map("".join))
def test_no_text_is_an_identity_token(token: str) -> None:
    with pytest.raises((Unauthenticated, KeyUnknown)):
        verified_claims(token, PROVIDER, KEYS, nonce="n", now=NOW)


@given(st.dictionaries(NAMES, JSON, max_size=3))
def test_signed_claims_are_as_they_must_be_or_refused(changes: dict[str, object]) -> None:
    token = jwt.encode({"alg": "RS256", "kid": KEY.kid}, GOOD | changes, KEY, algorithms=["RS256"])
    try:
        claims = verified_claims(token, PROVIDER, KEYS, nonce="n", now=NOW)
    except Unauthenticated:
        return
    assert (claims["iss"], claims["nonce"]) == (ADDRESS, "n")
    assert "datong" in claims["aud"]


@given(st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "jwk", "b64", "zip"]), JSON, max_size=3))
def test_no_header_breaks_the_reader(header: dict[str, object]) -> None:
    first = jwt.encode({"alg": "RS256", "kid": KEY.kid}, GOOD, KEY, algorithms=["RS256"])
    made = json.dumps({"alg": "RS256"} | header).encode()
    token = ".".join([urlsafe_b64encode(made).rstrip(b"=").decode(), *first.split(".")[1:]])
    with pytest.raises((Unauthenticated, KeyUnknown)):
        verified_claims(token, PROVIDER, KEYS, nonce="n", now=NOW)


@given(st.lists(st.tuples(st.sampled_from(["state", "code", "error", "iss", "other"]), st.text()), max_size=6))
def test_what_a_browser_brings_is_read_or_refused(parameters: list[tuple[str, str]]) -> None:
    try:
        CameBack.read(parameters)
    except Unauthenticated:
        assert len(parameters) > 1 or any(len(value) > 200 for _, value in parameters)


@given(st.text() | JSON.map(json.dumps))
def test_a_file_declares_providers_or_is_refused(text: str) -> None:
    with contextlib.suppress(Misconfigured):
        parse_providers(text)


DECLARED = """
providers:
  - id: city
    name: {zh: 市认证, en: City}
    issuer: https://id.example
    client_id: datong
"""


def test_a_file_of_secrets_is_its_owners_alone(tmp_path: Path) -> None:
    assert load_providers(None) == ()
    secret, path = tmp_path / "city.secret", tmp_path / "providers.yaml"
    secret.write_text("s3cret\n")
    path.write_text(f"{DECLARED}    client_secret_file: {secret}\n")
    secret.chmod(0o600)
    path.chmod(0o640)
    with pytest.raises(Misconfigured) as refused:
        load_providers(path)
    assert refused.value.code == "sharing.providers_exposed"
    path.chmod(0o600)
    [one] = load_providers(path)
    assert one.client_secret.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(one) + one.model_dump_json()
    secret.chmod(0o644)
    with pytest.raises(Misconfigured):
        load_providers(path)
    secret.unlink()
    with pytest.raises(Misconfigured):
        load_providers(path)


@pytest.mark.parametrize(
    "line",
    [
        "issuer: http://id.example",
        "issuer: https://user:secret@id.example",
        "issuer: https://id.example/?a=1",
        "algorithms: [HS256]",
        "algorithms: [none]",
        "algorithms: []",
        "scopes: [profile]",
        "unknown: create",
        "id: City",
        "colour: red",
        "client_secret: [a]",
    ],
)
def test_a_declaration_that_would_let_others_in_is_refused(line: str) -> None:
    name = line.partition(":")[0]
    kept = [one for one in DECLARED.splitlines() if not one.strip().removeprefix("- ").startswith(f"{name}:")]
    mark = "  - " if name == "id" else "    "
    with pytest.raises(Misconfigured) as refused:
        parse_providers("\n".join([*kept[:2], mark + line, *kept[2:]] if name == "id" else [*kept, mark + line]))
    assert "secret" not in str(refused.value) or name == "client_secret"


@pytest.mark.parametrize(
    ("address", "secure"),
    [
        ("https://id.example", True),
        ("http://127.0.0.1:3000", True),
        ("http://[::1]:3000/x", True),
        ("http://localhost", True),
        ("http://localhost.example", False),
        ("http://10.0.0.1", False),
        ("ftp://id.example", False),
        ("https://", False),
        ("https://a@id.example", False),
        ("https://id.example:port", False),
        ("https://id.example\\@evil.example", False),
        ("", False),
    ],
)
def test_addresses_are_https_or_on_this_machine(address: str, *, secure: bool) -> None:
    assert is_secure_address(address) is secure
