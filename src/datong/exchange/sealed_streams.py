"""Sealed payloads: encrypted while they are written, opened while they are read, a chunk in memory at a time.

A sealed file is `MAGIC`, then chunks. Each is AES-256-GCM over exactly `chunk_bytes` of content (the last one over what
is left), under a nonce of its number (11 bytes, big-endian) and a byte that says whether it is the last: the STREAM
construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015). So a chunk that is changed, left out, moved, repeated or cut
off does not open, nor does any under another batch's facts, which are its associated data.
"""

import hashlib
import hmac
import io
import secrets
from collections.abc import Iterable, Mapping
from typing import BinaryIO, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from typing_extensions import Buffer

from datong.catalogue import RecipientKey, check_recipient_key
from datong.exchange.sealing import CHUNK_BYTES_DEFAULT, Sealing, WrappedKey
from datong.exchange.table_values import ContentDigest
from datong.kernel import Corrupt, Refused, Text

MAGIC = b"datong sealed 1\n"
TAG_BYTES = 16
SECRET_BYTES = 32
NONCE_NUMBER_BYTES = 11
COMMITMENT_CHARS = 32
"""As many as a content digest has, whose place a commitment takes in a sealed manifest."""
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_WRAP = b"datong sealed key 1"
_PAYLOAD = b"datong sealed payload 1"
_COMMITMENT = b"datong sealed commitment 1"
_PLACES = b"datong sealed places 1"
_NOTE = b"datong sealed note 1"
NOTE_NONCE_BYTES = 12


class ContentKey:
    """The secret of one payload, bound to the facts in `context`; `chunk_bytes` of content go into a chunk."""

    def __init__(self, secret: bytes, context: bytes, *, chunk_bytes: int = CHUNK_BYTES_DEFAULT) -> None:
        self._secret = secret
        self.chunk_bytes = chunk_bytes
        self.context_digest = hashlib.sha256(context).digest()
        self.payload_key = _derived(secret, _PAYLOAD)

    @classmethod
    def generate(cls, context: bytes, *, chunk_bytes: int = CHUNK_BYTES_DEFAULT) -> Self:
        """Return a fresh random one."""
        return cls(secrets.token_bytes(SECRET_BYTES), context, chunk_bytes=chunk_bytes)

    @classmethod
    def unwrap(cls, sealing: Sealing, context: bytes, private_keys: Mapping[str, X25519PrivateKey]) -> Self:
        """Return the content key of a payload, opened with whichever of `private_keys` it was wrapped for.

        Raises:
            Refused: `exchange.sealed_to_others`. Corrupt: `exchange.sealed_key_wrong`.
        """
        wrapped = next((key for key in sealing.keys if key.key_id in private_keys), None)
        if wrapped is None:
            raise Refused(
                "exchange.sealed_to_others",
                what=Text(
                    zh="数据加密给了别的密钥，本节点打不开。",
                    en="The payload is sealed to other keys than this node holds.",
                ),
                remedy=Text(
                    zh="请核对本节点的收件密钥是否已登记，并请提供方重新运行任务。",
                    en="Check that this node's recipient key is registered, and have the provider run the task again.",
                ),
                context={"sealed_to": list(sealing.key_ids)},
            )
        try:
            info = _wrap_info(wrapped.key_id, hashlib.sha256(context).digest())
            secret = _SUITE.decrypt(wrapped.wrapped, private_keys[wrapped.key_id], info)
        except (InvalidTag, ValueError) as error:
            raise _corrupt(
                "key_wrong",
                Text(
                    zh="数据的密钥打不开：它属于别的批次，或被改动过。",
                    en="The payload's key does not open: it belongs to another batch, or was changed.",
                ),
            ) from error
        if len(secret) != SECRET_BYTES:
            raise _corrupt("key_wrong", Text(zh="数据的密钥长度不对。", en="The payload's key has a wrong length."))
        return cls(secret, context, chunk_bytes=sealing.chunk_bytes)

    def wrap(self, key_id: str, public_key: bytes) -> WrappedKey:
        """Return this key sealed to one recipient's raw X25519 key."""
        info = _wrap_info(key_id, self.context_digest)
        sealed = _SUITE.encrypt(self._secret, X25519PublicKey.from_public_bytes(public_key), info)
        return WrappedKey(key_id=key_id, wrapped=sealed)

    def sealing(self, recipients: Iterable[RecipientKey]) -> Sealing:
        """Return what the manifest says: this key wrapped for each recipient.

        Raises:
            Corrupt: `catalogue.recipient_key_forged`; the hub cannot slip in a key that no node vouches for.
        """
        wrapped = []
        for recipient in recipients:
            check_recipient_key(recipient)
            wrapped.append(self.wrap(recipient.key_id, recipient.public_key))
        return Sealing(chunk_bytes=self.chunk_bytes, keys=tuple(wrapped))

    @property
    def places_salt(self) -> str:
        """Return the salt by which both ends of a reconciliation place rows, hexadecimal."""
        return _derived(self._secret, _PLACES).hex()[:COMMITMENT_CHARS]

    def seal_note(self, plain: bytes) -> bytes:
        """Return a short text that only holders of this key can read."""
        nonce = secrets.token_bytes(NOTE_NONCE_BYTES)
        return nonce + AESGCM(_derived(self._secret, _NOTE)).encrypt(nonce, plain, self.context_digest)

    def open_note(self, sealed: bytes) -> bytes:
        """Return what `seal_note` was given.

        Raises:
            Corrupt: `exchange.sealed_key_wrong`.
        """
        try:
            key = AESGCM(_derived(self._secret, _NOTE))
            return key.decrypt(sealed[:NOTE_NONCE_BYTES], sealed[NOTE_NONCE_BYTES:], self.context_digest)
        except (InvalidTag, ValueError) as error:
            text = Text(zh="附言打不开：它属于别处，或被改动过。", en="The note does not open: it belongs elsewhere.")
            raise _corrupt("key_wrong", text) from error

    def commitment(self, content: ContentDigest) -> str:
        """Return what stands in a sealed manifest in place of the content digest.

        A digest of few rows could be found by trying: only who has the key can compare this one.
        """
        message = f"{content.rows}:{content.sum}".encode()
        digest = hmac.new(_derived(self._secret, _COMMITMENT), message, hashlib.sha256).hexdigest()
        return digest[:COMMITMENT_CHARS]


class SealedWriter(io.RawIOBase):
    """A file to write content into; what arrives in `file` is sealed. `close` writes the last chunk, and is needed."""

    def __init__(self, file: BinaryIO, key: ContentKey) -> None:
        super().__init__()
        self._file = file
        self._cipher = AESGCM(key.payload_key)
        self._associated = key.context_digest
        self._chunk_bytes = key.chunk_bytes
        self._buffer = bytearray()
        self._number = 0
        self._position = 0
        file.write(MAGIC)

    def writable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Return how many bytes of content were written."""
        return self._position

    def write(self, data: Buffer, /) -> int:
        """Take content; seal every chunk that is full and not the last."""
        view = memoryview(data).cast("B")
        size, start = view.nbytes, 0
        while start < size:
            if len(self._buffer) == self._chunk_bytes:
                self._seal(last=False)
            end = start + self._chunk_bytes - len(self._buffer)
            self._buffer += view[start:end]
            start = min(end, size)
        self._position += size
        return size

    def close(self) -> None:
        """Seal what is left as the last chunk; `file` stays open."""
        if not self.closed:
            self._seal(last=True)
        super().close()

    def _seal(self, *, last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._number, last=last), bytes(self._buffer), self._associated))
        self._buffer.clear()
        self._number += 1


class SealedReader(io.RawIOBase):
    """The content of a sealed file, opened chunk by chunk. Reading to the end proves that nothing was cut off.

    Raises (from `read`): `Corrupt` with `exchange.sealed_not_a_payload`, `exchange.sealed_tampered` or
    `exchange.sealed_truncated`.
    """

    def __init__(self, file: BinaryIO, key: ContentKey) -> None:
        super().__init__()
        self._file = file
        self._cipher = AESGCM(key.payload_key)
        self._associated = key.context_digest
        self._sealed_bytes = key.chunk_bytes + TAG_BYTES
        self._number = 0
        self._content = memoryview(b"")
        self._position = 0
        if file.read(len(MAGIC)) != MAGIC:
            raise _corrupt("not_a_payload", Text(zh="数据不是加密的批次。", en="This is no sealed payload."))
        self._ahead = file.read(self._sealed_bytes)
        self._ended = False

    def readable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Return how many bytes of content were read."""
        return self._position

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill `buffer` with content; 0 at the end."""
        target = memoryview(buffer).cast("B")
        while not self._content and not self._ended:
            self._open_next()
        count = min(len(target), len(self._content))
        target[:count] = self._content[:count]
        self._content = self._content[count:]
        self._position += count
        return count

    def _open_next(self) -> None:
        sealed, self._ahead = self._ahead, self._file.read(self._sealed_bytes)
        last = not self._ahead
        try:
            content = self._opened(sealed, last=last)
        except InvalidTag as error:
            if last and (not sealed or self._opens(sealed, last=False)):
                raise _corrupt(
                    "truncated", Text(zh="加密数据不完整，尾部缺失。", en="The sealed payload is cut off.")
                ) from error
            raise _tampered(self._number) from error
        if last and not content and self._number:
            # The writer never ends in an empty chunk behind others: one content has one form.
            raise _tampered(self._number)
        self._content = memoryview(content)
        self._number += 1
        self._ended = last

    def _opened(self, sealed: bytes, *, last: bool) -> bytes:
        return self._cipher.decrypt(_nonce(self._number, last=last), sealed, self._associated)

    def _opens(self, sealed: bytes, *, last: bool) -> bool:
        try:
            self._opened(sealed, last=last)
        except InvalidTag:
            return False
        return True


def sealed_bytes(content_bytes: int, chunk_bytes: int) -> int:
    """Return the size of the sealed file of so much content."""
    chunks = max(1, -(-content_bytes // chunk_bytes))
    return len(MAGIC) + content_bytes + chunks * TAG_BYTES


def _derived(secret: bytes, label: bytes) -> bytes:
    return HKDFExpand(algorithm=SHA256(), length=SECRET_BYTES, info=label).derive(secret)


def _wrap_info(key_id: str, context_digest: bytes) -> bytes:
    return _WRAP + b"\x1f" + key_id.encode() + b"\x1f" + context_digest


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(NONCE_NUMBER_BYTES, "big") + (b"\x01" if last else b"\x00")


def _tampered(number: int) -> Corrupt:
    return _corrupt(
        "tampered",
        Text(
            zh=f"加密数据的第 {number + 1} 块被改动、移位或属于别的批次。",
            en=f"Chunk {number + 1} of the sealed payload was changed, moved, or belongs to another batch.",
        ),
    )


def _corrupt(code: str, what: Text) -> Corrupt:
    return Corrupt(
        f"exchange.sealed_{code}",
        what=what,
        remedy=Text(
            zh="数据未被使用；请重新获取，仍不符时请核查存证。",
            en="Nothing of it was used; fetch it again, and look at the evidence if it stays so.",
        ),
    )
