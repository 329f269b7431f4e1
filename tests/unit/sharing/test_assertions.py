import base64
import json
from urllib.parse import urlsplit

from datong.ledger import Ed25519Signer, verify_signature
from datong.sharing.assertions import ASSERTION_SECONDS, token_request
from tests.unit.sharing.samples import NOW


def test_the_assertion_is_signed_by_the_node_s_key_for_one_hub_and_once() -> None:
    signer = Ed25519Signer.generate()
    forms = [token_request(signer, node_id="n1", hub_url="http://hub/", now=NOW) for _ in range(2)]
    assert {form["grant_type"] for form in forms} == {"client_credentials"}
    seen = set()
    for form in forms:
        header, claims, signature = form["client_assertion"].split(".")
        decoded = [json.loads(base64.urlsafe_b64decode(part + "==")) for part in (header, claims)]
        assert decoded[0] == {"alg": "EdDSA", "kid": signer.key_id, "typ": "JWT"}
        assert (decoded[1]["iss"], decoded[1]["sub"]) == ("n1", "n1")
        assert urlsplit(decoded[1]["aud"])[:3] == ("http", "hub", "/api/v1/oauth/token")
        assert decoded[1]["exp"] - decoded[1]["iat"] == ASSERTION_SECONDS
        verify_signature(signer.public_key, f"{header}.{claims}".encode(), base64.urlsafe_b64decode(signature + "=="))
        seen.add(decoded[1]["jti"])
    assert len(seen) == 2
