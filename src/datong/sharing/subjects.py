"""Whose record was used: how citizens are found again without their IDs standing in an index or in the log."""

import hashlib
import hmac
from collections.abc import Iterable
from typing import NamedTuple

from datong.kernel import random_bytes
from datong.ledger import Signer, commitment
from datong.norms import to_18

CITIZEN_ELEMENT = "citizen_id"
SALT_BYTES = 32
_INDEX_LABEL = b"datong sharing subject index v1"
_RELEASE_LABEL = b"datong sharing release subject v1\n"
_HASH_BLOCK_BYTES = 64


class SubjectMark(NamedTuple):
    """What is kept of one citizen in one access: the keyed index, and the salt that opens the log's commitment."""

    subject_index: str
    salt: bytes
    commitment: str


def subject_index_key(signer: Signer) -> bytes:
    """Return the key of the subject index, derived from the hub's own key.

    Ed25519 signatures are deterministic (RFC 8032) and this one is never published, so it serves as a secret.
    """
    return hashlib.sha256(signer.sign(_INDEX_LABEL)).digest()


def canonical_subject(citizen_id: str) -> str:
    """Return a citizen ID in its 18-character form; a malformed one as it stands, trimmed and in capitals."""
    text = citizen_id.strip().upper()
    try:
        return to_18(text) if len(text) == 15 and text.isascii() and text.isdigit() else text
    except ValueError:
        return text


def subject_index(index_key: bytes, citizen_id: str) -> str:
    """Return the keyed index (HMAC-SHA256, hexadecimal) of a citizen ID."""
    return hmac.digest(index_key, canonical_subject(citizen_id).encode(), "sha256").hex()


def keyed_index(index_key: bytes, element: str, value: str) -> str:
    """Return the keyed index of any identifier, separated from others by its element."""
    if element == CITIZEN_ELEMENT:
        return subject_index(index_key, value)
    return hmac.digest(index_key, f"{element}\n{value.strip()}".encode(), "sha256").hex()


def release_salt(index_key: bytes, release_id: str, citizen_id: str) -> bytes:
    """Return the salt of the commitment to a citizen in a release of a whole table (HMAC-SHA256).

    A release concerns everybody in its table: instead of keeping a salt for each, the hub makes it again when it needs
    it. One citizen's salt tells nothing of another's.
    """
    said = _release_prefix(release_id) + canonical_subject(citizen_id).encode()
    return hmac.new(index_key, said, hashlib.sha256).digest()


def release_commitment(index_key: bytes, release_id: str, citizen_id: str) -> str:
    """Return the commitment to a citizen in a release."""
    return commitment(release_salt(index_key, release_id, citizen_id), canonical_subject(citizen_id))


def release_key_blocks(index_key: bytes, release_id: str) -> tuple[bytes, bytes]:
    """Return what the inner and the outer hash of `release_salt` begin with (RFC 2104), for an engine without HMAC."""
    key = hashlib.sha256(index_key).digest() if len(index_key) > _HASH_BLOCK_BYTES else index_key
    block = key.ljust(_HASH_BLOCK_BYTES, b"\0")
    inner, outer = (bytes(byte ^ pad for byte in block) for pad in (0x36, 0x5C))
    return inner + _release_prefix(release_id), outer


def _release_prefix(release_id: str) -> bytes:
    return _RELEASE_LABEL + release_id.encode() + b"\n"


def marks(index_key: bytes, citizen_ids: Iterable[str]) -> tuple[SubjectMark, ...]:
    """Return one mark per citizen, in the order of their random commitments, so that the order tells nothing."""
    found = []
    for citizen_id in {canonical_subject(value) for value in citizen_ids if value.strip()}:
        salt = random_bytes(SALT_BYTES)
        found.append(SubjectMark(subject_index(index_key, citizen_id), salt, commitment(salt, citizen_id)))
    return tuple(sorted(found, key=lambda mark: mark.commitment))
