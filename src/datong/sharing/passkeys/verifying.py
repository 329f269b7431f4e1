"""What a browser answers in a ceremony, checked by the library `webauthn`, which is told here what must hold.

Whatever it makes of foreign input becomes one answer of ours. Loaded when the first passkey is used: it takes longer
than a short command.
"""

import json
import struct
from collections.abc import Mapping
from typing import Any

from webauthn import verify_authentication_response, verify_registration_response
from webauthn.helpers import parse_attestation_object
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException

from datong.sharing.passkeys.ceremonies import (
    ALGORITHMS,
    CREDENTIAL_ID_CHARS_MAX,
    PUBLIC_KEY_CHARS_MAX,
    TRANSPORTS,
    KnownKey,
    NewKey,
    Party,
    decoded,
    encoded,
    passkey_refused,
    read_credential,
)

FORMATS = frozenset({"none", "packed"})
"""Which device it is, is not asked; some say it all the same, signed by the new key itself (packed)."""
UNREADABLE = (
    WebAuthnException, ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError,
    struct.error,
)  # fmt: skip
"""What the library makes of foreign input that is not as it must be."""


def made_key(said: str, party: Party, challenge: str, *, verify: bool) -> NewKey:
    """Return the key that a browser says was made in answer to `challenge`.

    Raises:
        Unauthenticated: it was not, not here, without its owner, or (with `verify`) without seeing who that is.
    """
    credential = read_credential(said)
    try:
        attestation = parse_attestation_object(decoded(str(credential["response"]["attestationObject"])))
        if attestation.fmt not in FORMATS:
            raise passkey_refused("attestation")
        found = verify_registration_response(
            credential=credential,
            expected_challenge=decoded(challenge),
            expected_rp_id=party.host,
            expected_origin=party.origin,
            require_user_verification=verify,
            supported_pub_key_algs=[COSEAlgorithmIdentifier(one) for one in ALGORITHMS],
        )
    except UNREADABLE as error:
        raise passkey_refused("registration") from error
    _require_top_window(credential)
    stated = credential["response"].get("transports")
    hints = stated if isinstance(stated, list) else []
    credential_id, public_key = encoded(found.credential_id), encoded(found.credential_public_key)
    if len(credential_id) > CREDENTIAL_ID_CHARS_MAX or len(public_key) > PUBLIC_KEY_CHARS_MAX:
        raise passkey_refused("size")
    return NewKey(
        credential_id=credential_id,
        public_key=public_key,
        sign_count=found.sign_count,
        transports=tuple(sorted({one for one in hints if isinstance(one, str) and one in TRANSPORTS})),
        verifies=found.user_verified,
    )


def proven_count(said: str, key: KnownKey, party: Party, challenge: str, *, verify: bool) -> int:
    """Return the counter with which `key` signed `challenge`.

    Raises:
        Unauthenticated: it did not, not here, its owner was not there (or, with `verify`, not seen), or the counter
            went back: there are two of the key.
    """
    credential = read_credential(said)
    try:
        found = verify_authentication_response(
            credential=credential,
            expected_challenge=decoded(challenge),
            expected_rp_id=party.host,
            expected_origin=party.origin,
            credential_public_key=decoded(key.public_key),
            credential_current_sign_count=key.sign_count,
            require_user_verification=verify,
        )
    except UNREADABLE as error:
        raise passkey_refused("assertion") from error
    if encoded(found.credential_id) != key.credential_id:
        raise passkey_refused("id")
    _require_top_window(credential)
    return found.new_sign_count


def _require_top_window(credential: Mapping[str, Any]) -> None:
    """Refuse an answer that was given inside another site's page (Level 3 §7.1 step 10, §7.2 step 13)."""
    try:
        client = json.loads(decoded(str(credential["response"]["clientDataJSON"])))
    except (ValueError, KeyError, RecursionError) as error:
        raise passkey_refused("form") from error
    if not isinstance(client, dict) or client.get("crossOrigin") not in (None, False) or "topOrigin" in client:
        raise passkey_refused("origin")
