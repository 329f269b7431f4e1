"""An authenticator in software, which may answer wrongly in every way that there is (WebAuthn Level 3 §6)."""

import json
import secrets
from collections.abc import Mapping
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256, Hash

from datong.sharing.passkeys.ceremonies import encoded

PRESENT, VERIFIED, WITH_KEY = 0x01, 0x04, 0x40


class Authenticator:
    """One key. `flags` says whether somebody was there and seen; `count` grows by `step` with each signature."""

    def __init__(self, origin: str, *, flags: int = PRESENT | VERIFIED, step: int = 1) -> None:
        self.origin, self.flags, self.step = origin, flags, step
        self.key = generate_private_key(SECP256R1())
        self.credential_id = secrets.token_bytes(32)
        self.count = 0
        self.client: dict[str, Any] = {}
        self.host = ""
        self.format, self.statement = "none", dict[str, Any]()

    def make(self, options: Mapping[str, Any], **response: object) -> str:
        """Return what a browser answers when this key is made."""
        client = self._client("webauthn.create", options["challenge"])
        numbers = self.key.public_key().public_numbers()
        stated = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        attested = bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id + cbor2.dumps(stated)
        data = self._data(options["rp"]["id"], WITH_KEY) + attested
        made = cbor2.dumps({"fmt": self.format, "attStmt": self.statement, "authData": data})
        return self._said({"clientDataJSON": encoded(client), "attestationObject": encoded(made), **response})

    def prove(self, options: Mapping[str, Any], **response: object) -> str:
        """Return what a browser answers when this key signs."""
        self.count += self.step
        client, data = self._client("webauthn.get", options["challenge"]), self._data(options["rpId"], 0)
        signature = self.key.sign(data + _digest(client), ECDSA(SHA256()))
        stated = {"clientDataJSON": client, "authenticatorData": data, "signature": signature}
        return self._said({name: encoded(value) for name, value in stated.items()} | response)

    def _client(self, kind: str, challenge: str) -> bytes:
        stated = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(stated | self.client).encode()

    def _data(self, host: str, besides: int) -> bytes:
        flags = self.flags | besides
        return _digest((self.host or host).encode()) + bytes([flags]) + self.count.to_bytes(4, "big")

    def _said(self, response: Mapping[str, object]) -> str:
        name = encoded(self.credential_id)
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response})


def _digest(data: bytes) -> bytes:
    digest = Hash(SHA256())
    digest.update(data)
    return digest.finalize()
