"""How a machine proves to a hub who it is: a `private_key_jwt` (RFC 7523), signed through the Signer protocol."""

import base64
from datetime import datetime

from datong.kernel import canonical_json, new_id
from datong.ledger import Signer

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ENDPOINT_PATH = "/api/v1/oauth/token"
ASSERTION_SECONDS = 120


def token_request(signer: Signer, *, node_id: str, hub_url: str, now: datetime) -> dict[str, str]:
    """Return the form that a node sends to the token endpoint of the hub at `hub_url`."""
    return {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": client_assertion(signer, node_id=node_id, hub_url=hub_url, now=now),
    }


def client_assertion(signer: Signer, *, node_id: str, hub_url: str, now: datetime) -> str:
    """Return the signed assertion that the holder of the key is the node `node_id`, for one hub and two minutes."""
    issued_at = int(now.timestamp())
    header = {"alg": "EdDSA", "kid": signer.key_id, "typ": "JWT"}
    claims = {
        "iss": node_id,
        "sub": node_id,
        "aud": hub_url.rstrip("/") + ENDPOINT_PATH,
        "iat": issued_at,
        "exp": issued_at + ASSERTION_SECONDS,
        "jti": new_id(),
    }
    signed = f"{_base64url(canonical_json(header))}.{_base64url(canonical_json(claims))}"
    return f"{signed}.{_base64url(signer.sign(signed.encode()))}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
