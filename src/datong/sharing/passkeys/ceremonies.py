"""The two ceremonies of Web Authentication Level 3: a key is made (§7.1), a key proves that its owner is there (§7.2).

What a browser is asked, and the values of both; `verifying` checks what it answers.
"""

import base64
import json
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from datong.kernel import JsonValue, Text, Unauthenticated, Value

CREDENTIAL_CHARS_MAX = 20_000
"""A key with its attestation takes some hundred characters; none of ours comes with certificates."""
CEREMONY_MILLISECONDS = 300_000
CREDENTIAL_ID_CHARS_MAX = 1400
PUBLIC_KEY_CHARS_MAX = 2000
ALGORITHMS = (-7, -257, -8)
"""ECDSA with P-256, RSA PKCS #1 with SHA-256, EdDSA: what authenticators have (COSE, RFC 9053)."""
TRANSPORTS = frozenset({"usb", "nfc", "ble", "smart-card", "hybrid", "internal"})


class Party(Value):
    """Who asks: the hub, by the name of its host and its address, both of which the browser vouches for."""

    host: str
    origin: str


class NewKey(Value):
    """A key that an authenticator has just made; bytes are in base64url."""

    credential_id: str = Field(max_length=CREDENTIAL_ID_CHARS_MAX)
    public_key: str = Field(max_length=PUBLIC_KEY_CHARS_MAX)
    sign_count: int
    transports: tuple[str, ...]
    verifies: bool


class KnownKey(Value):
    """What the hub keeps of a key for a ceremony."""

    credential_id: str
    public_key: str
    sign_count: int
    transports: tuple[str, ...]


def registration_options(
    party: Party, challenge: str, *, person: str, username: str, name: str, known: Sequence[KnownKey], verify: bool
) -> dict[str, JsonValue]:
    """Return what a browser is asked for to make a key that can be found again without a username."""
    return {
        "rp": {"id": party.host, "name": "打通 Datong"},
        "user": {"id": encoded(person.encode()), "name": username, "displayName": name},
        "challenge": challenge,
        "pubKeyCredParams": [{"type": "public-key", "alg": algorithm} for algorithm in ALGORITHMS],
        "timeout": CEREMONY_MILLISECONDS,
        "excludeCredentials": [_descriptor(one) for one in known],
        "authenticatorSelection": {
            "residentKey": "preferred",
            "userVerification": "required" if verify else "preferred",
        },
        "attestation": "none",
    }


def assertion_options(party: Party, challenge: str, *, known: Sequence[KnownKey], verify: bool) -> dict[str, JsonValue]:
    """Return what a browser is asked for to prove that the owner of one of `known`, or of any key, is there."""
    return {
        "rpId": party.host,
        "challenge": challenge,
        "timeout": CEREMONY_MILLISECONDS,
        "allowCredentials": [_descriptor(one) for one in known],
        "userVerification": "required" if verify else "preferred",
    }


def named_credential(said: str) -> str:
    """Return the id of the key by which a browser answers.

    Raises:
        Unauthenticated: it names none.
    """
    stated = read_credential(said).get("id")
    if not isinstance(stated, str) or not 0 < len(stated) <= CREDENTIAL_ID_CHARS_MAX:
        raise passkey_refused("id")
    return stated


def passkey_refused(part: str) -> Unauthenticated:
    """Return the one answer to what proves nothing; `part` names what was wrong, never its value."""
    return Unauthenticated(
        "sharing.passkey_invalid",
        what=Text(zh=f"通行密钥未通过核验（{part}）。", en=f"The passkey does not prove who you are ({part})."),
        remedy=Text(zh="请重新开始，或用其他方式登录。", en="Begin again, or sign in another way."),
        context={"part": part},
    )


def encoded(data: bytes) -> str:
    """Return bytes in base64url without padding, as browsers write them."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """Return the bytes of a text in base64url.

    Raises:
        ValueError: it is none.
    """
    return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _descriptor(key: KnownKey) -> dict[str, JsonValue]:
    return {"type": "public-key", "id": key.credential_id, "transports": list(key.transports)}


def read_credential(said: str) -> dict[str, Any]:
    """Return a browser's answer as a JSON object with a response in it."""
    if len(said) > CREDENTIAL_CHARS_MAX:
        raise passkey_refused("size")
    try:
        found = json.loads(said)
    except (ValueError, RecursionError) as error:
        raise passkey_refused("form") from error
    if not isinstance(found, dict) or not isinstance(found.get("response"), dict):
        raise passkey_refused("form")
    return found
