"""Ed25519 signatures (RFC 8032): who signs, and how a signature is checked."""

import hashlib
from typing import Protocol, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from datong.kernel import Misconfigured, Text
from datong.ledger.faults import corrupt

KEY_BYTES = 32
SIGNATURE_BYTES = 64


def key_id_of(public_key: bytes) -> str:
    """Return the platform's name of a key: the first 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(public_key).hexdigest()[:16]


class Signer(Protocol):
    """Whoever holds a private Ed25519 key: a file, a memory, a hardware module."""

    @property
    def key_id(self) -> str:
        """The key's name, as `key_id_of` makes it."""
        ...

    @property
    def public_key(self) -> bytes:
        """The raw public key, 32 bytes."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature of `message`."""
        ...


class Ed25519Signer:
    """A signer whose private key is in memory."""

    def __init__(self, private_key: Ed25519PrivateKey) -> None:
        self._private_key = private_key
        self._public_key = private_key.public_key().public_bytes_raw()

    @classmethod
    def generate(cls) -> Self:
        """Return a signer with a fresh random key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_private_bytes(cls, private_bytes: bytes) -> Self:
        """Return the signer of a raw 32-byte private key (the RFC 8032 seed).

        Raises:
            Misconfigured: it has another length.
        """
        if len(private_bytes) != KEY_BYTES:
            raise Misconfigured(
                "ledger.private_key_malformed",
                what=Text(
                    zh=f"Ed25519 私钥应为 {KEY_BYTES} 字节，实际为 {len(private_bytes)} 字节。",
                    en=f"An Ed25519 private key has {KEY_BYTES} bytes; this one has {len(private_bytes)}.",
                ),
                remedy=Text(zh="请恢复原来的私钥。", en="Restore the original private key."),
            )
        return cls(Ed25519PrivateKey.from_private_bytes(private_bytes))

    @property
    def private_bytes(self) -> bytes:
        """The raw private key: a secret."""
        return self._private_key.private_bytes_raw()

    @property
    def public_key(self) -> bytes:
        """The raw public key, 32 bytes."""
        return self._public_key

    @property
    def key_id(self) -> str:
        """The key's name, as `key_id_of` makes it."""
        return key_id_of(self._public_key)

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature of `message`."""
        return self._private_key.sign(message)


def verify_signature(public_key: bytes, message: bytes, signature: bytes) -> None:
    """Check an Ed25519 signature.

    Raises:
        Corrupt: the key or the signature is malformed, or the signature is not that of `message` by this key.
    """
    if len(public_key) != KEY_BYTES:
        raise corrupt(
            "public_key_malformed",
            zh=f"Ed25519 公钥应为 {KEY_BYTES} 字节，实际为 {len(public_key)} 字节。",
            en=f"An Ed25519 public key has {KEY_BYTES} bytes; this one has {len(public_key)}.",
        )
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise corrupt(
            "signature_wrong",
            zh=f"签名不是密钥 {key_id_of(public_key)} 对这份内容所作的签名。",
            en=f"The signature was not made over this content by key {key_id_of(public_key)}.",
            key_id=key_id_of(public_key),
        ) from error
