"""Signed notes, checkpoints and cosignatures (C2SP signed-note, tlog-checkpoint, tlog-cosignature). Pure.

A note is text and signature lines; a checkpoint is a note whose text gives a log's origin, size and root; a
cosignature is a witness's timestamped signature line under a checkpoint.
"""

import base64
import binascii
import hashlib
import re
from datetime import UTC, datetime
from enum import IntEnum
from typing import Self

from datong.kernel import Value
from datong.ledger.faults import corrupt
from datong.ledger.merkle import HASH_BYTES
from datong.ledger.signing import KEY_BYTES, SIGNATURE_BYTES, Signer, verify_signature

NOTE_BYTES_MAX = 1_000_000
SIGNATURES_MAX = 256
SIZE_MAX = 2**63 - 1
_KEY_ID_BYTES = 4
_TIME_BYTES = 8
_TIME_MAX = 253402300799
"""9999-12-31T23:59:59Z, the last second that a datetime can say."""
_SIGNATURE_LINE = re.compile("— ([^ ]+) ([A-Za-z0-9+/=]+)")
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f]")
_SIZE = re.compile("0|[1-9][0-9]{0,18}")


class SignatureType(IntEnum):
    """The signature types of C2SP signed-note that the platform uses."""

    ED25519 = 1
    COSIGNATURE = 4


def decode_base64(text: str) -> bytes | None:
    """Return the bytes of canonical standard base64, None if it is anything else."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data).decode() == text else None


def encode_base64(data: bytes) -> str:
    """Return standard base64."""
    return base64.b64encode(data).decode()


class VerifierKey(Value):
    """A name and a public key that signatures under notes are checked with."""

    name: str
    public_key: bytes
    type: SignatureType

    @property
    def key_id(self) -> bytes:
        """The four bytes that name the key in a signature line."""
        hashed = self.name.encode() + b"\n" + bytes([self.type]) + self.public_key
        return hashlib.sha256(hashed).digest()[:_KEY_ID_BYTES]

    def text(self) -> str:
        """Return the key in the `name+hash+key` form that other C2SP tools read."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(bytes([self.type]) + self.public_key)}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the key of a `name+hash+key` text.

        Raises:
            Corrupt: it is not one, or its hash is not that of the key.
        """
        name, _, rest = text.partition("+")
        digest, _, encoded = rest.partition("+")
        data = decode_base64(encoded)
        if is_key_name(name) and data is not None and len(data) == 1 + KEY_BYTES and data[0] in set(SignatureType):
            key = cls(name=name, public_key=data[1:], type=SignatureType(data[0]))
            if key.key_id.hex() == digest:
                return key
        raise corrupt(
            "verifier_key_malformed",
            zh="这不是有效的验证密钥（名称+摘要+密钥）。",
            en="This is not a valid verifier key (name+hash+key).",
        )


def is_key_name(name: str) -> bool:
    """Whether a key may have this name: not empty, no spaces, no plus, no control characters, valid UTF-8."""
    return (
        bool(name)
        and "+" not in name
        and not any(character.isspace() for character in name)
        and all(character.isprintable() for character in name)
    )


class NoteSignature(Value):
    """One signature line: a key's name and id, and the signature itself (for a cosignature with its time in front)."""

    name: str
    key_id: bytes
    signature: bytes

    def line(self) -> str:
        """Return the line, with its newline."""
        return f"— {self.name} {encode_base64(self.key_id + self.signature)}\n"


class Note(Value):
    """A text and the signatures under it; nothing has been verified yet."""

    text: str
    signatures: tuple[NoteSignature, ...]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a signed note.

        Raises:
            Corrupt: the bytes are not one.
        """
        if len(data) > NOTE_BYTES_MAX:
            raise _malformed_note("超过长度上限", f"is longer than {NOTE_BYTES_MAX} bytes")
        try:
            whole = data.decode()
        except UnicodeDecodeError as error:
            raise _malformed_note("不是 UTF-8", "is not UTF-8") from error
        if _CONTROL.search(whole):
            raise _malformed_note("含有控制字符", "holds control characters")
        head, separator, tail = whole.rpartition("\n\n")
        if not separator or not tail.endswith("\n"):
            raise _malformed_note("没有签名行", "has no signature lines")
        lines = tail[:-1].split("\n")
        if len(lines) > SIGNATURES_MAX:
            raise _malformed_note("签名行过多", "has too many signature lines")
        return cls(text=head + "\n", signatures=tuple(_parse_signature(line) for line in lines))

    def encode(self) -> bytes:
        """Return the note's bytes."""
        return (self.text + "\n" + "".join(signature.line() for signature in self.signatures)).encode()

    def signature_by(self, key: VerifierKey) -> NoteSignature | None:
        """Return this key's signature, verified; None if the key did not sign.

        Raises:
            Corrupt: a line names the key, but its signature is wrong.
        """
        found: NoteSignature | None = None
        for signature in self.signatures:
            if signature.name == key.name and signature.key_id == key.key_id:
                _verify(self.text, signature, key)
                found = signature
        return found


class Checkpoint(Value):
    """What a log says of itself: its origin, how many entries it has, and the root over them."""

    origin: str
    size: int
    root: bytes

    def body(self) -> str:
        """Return the text that is signed."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of a checkpoint without extension lines, which the platform does not use.

        Raises:
            Corrupt: it is not one.
        """
        lines = text.split("\n")
        if len(lines) == 4 and lines[0] and lines[3] == "" and _SIZE.fullmatch(lines[1]):
            root = decode_base64(lines[2])
            if root is not None and len(root) == HASH_BYTES and int(lines[1]) <= SIZE_MAX:
                return cls(origin=lines[0], size=int(lines[1]), root=root)
        raise corrupt(
            "checkpoint_malformed",
            zh="检查点的正文应为三行：来源、大小、根摘要。",
            en="A checkpoint's text has three lines: origin, size, root hash.",
        )


class Cosignature(Value):
    """A witness's word that a checkpoint is consistent with all it has seen, and when."""

    witness: str
    signed_at: datetime
    signature: NoteSignature


def log_key_of(origin: str, public_key: bytes) -> VerifierKey:
    """Return the key with which a log signs: named as its origin."""
    return VerifierKey(name=origin, public_key=public_key, type=SignatureType.ED25519)


def witness_key_of(name: str, public_key: bytes) -> VerifierKey:
    """Return the key with which a witness cosigns."""
    return VerifierKey(name=name, public_key=public_key, type=SignatureType.COSIGNATURE)


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> Note:
    """Return the checkpoint signed by its log."""
    text = checkpoint.body()
    key = log_key_of(checkpoint.origin, signer.public_key)
    signature = NoteSignature(name=key.name, key_id=key.key_id, signature=signer.sign(text.encode()))
    return Note(text=text, signatures=(signature,))


def open_checkpoint(note: Note, *, public_key: bytes, origin: str | None = None) -> Checkpoint:
    """Return the checkpoint in a note, after checking that the log signed it.

    Raises:
        Corrupt: it is malformed, of another log than `origin`, or not signed by this key.
    """
    checkpoint = Checkpoint.parse(note.text)
    if origin is not None and checkpoint.origin != origin:
        raise corrupt(
            "checkpoint_of_other_log",
            zh=f"检查点属于日志 {checkpoint.origin[:200]}，而不是 {origin}。",
            en=f"The checkpoint is of the log {checkpoint.origin[:200]}, not of {origin}.",
        )
    if note.signature_by(log_key_of(checkpoint.origin, public_key)) is None:
        raise corrupt(
            "checkpoint_unsigned",
            zh="检查点上没有该日志密钥的签名。",
            en="The checkpoint bears no signature of this log's key.",
            size=checkpoint.size,
        )
    return checkpoint


def cosign_text(text: str, *, name: str, signer: Signer, at: datetime) -> NoteSignature:
    """Return a witness's `cosignature/v1` under a checkpoint's text; the time is kept in whole seconds."""
    seconds = int(at.timestamp())
    key = witness_key_of(name, signer.public_key)
    signature = signer.sign(_cosigned_message(text, seconds))
    return NoteSignature(name=name, key_id=key.key_id, signature=seconds.to_bytes(_TIME_BYTES, "big") + signature)


def cosignature_by(note: Note, key: VerifierKey) -> Cosignature | None:
    """Return this witness's cosignature under a checkpoint, verified; None if there is none.

    Raises:
        Corrupt: there is one and it is wrong.
    """
    signature = note.signature_by(key)
    if signature is None:
        return None
    seconds = int.from_bytes(signature.signature[:_TIME_BYTES], "big")
    return Cosignature(witness=key.name, signed_at=datetime.fromtimestamp(seconds, UTC), signature=signature)


def _verify(text: str, signature: NoteSignature, key: VerifierKey) -> None:
    if key.type is SignatureType.ED25519:
        verify_signature(key.public_key, text.encode(), signature.signature)
        return
    seconds = int.from_bytes(signature.signature[:_TIME_BYTES], "big")
    if len(signature.signature) != _TIME_BYTES + SIGNATURE_BYTES or seconds > _TIME_MAX:
        raise corrupt(
            "cosignature_malformed",
            zh=f"见证方 {key.name} 的签名长度或时间不对。",
            en=f"The cosignature of {key.name} has a wrong length or time.",
            witness=key.name,
        )
    verify_signature(key.public_key, _cosigned_message(text, seconds), signature.signature[_TIME_BYTES:])


def _cosigned_message(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def _parse_signature(line: str) -> NoteSignature:
    match = _SIGNATURE_LINE.fullmatch(line)
    data = decode_base64(match[2]) if match else None
    if match is None or data is None or len(data) <= _KEY_ID_BYTES or not is_key_name(match[1]):
        raise _malformed_note("签名行的格式不对", "has a malformed signature line")
    return NoteSignature(name=match[1], key_id=data[:_KEY_ID_BYTES], signature=data[_KEY_ID_BYTES:])


def _malformed_note(zh: str, en: str) -> Exception:
    return corrupt("note_malformed", zh=f"签名文书{zh}。", en=f"The signed note {en}.")
