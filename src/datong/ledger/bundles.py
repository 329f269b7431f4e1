"""Proof bundles: one JSON file that proves one entry offline, and opens the commitments its holder may open."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import Field, ValidationError

from datong.kernel import JsonValue, Value
from datong.ledger.entries import SALT_BYTES_MIN, EntryContent, commitment, parse_leaf
from datong.ledger.faults import corrupt
from datong.ledger.log_keys import SUCCESSIONS_MAX, LogKeys
from datong.ledger.merkle import PROOF_HASHES_MAX, leaf_hash_of, verify_inclusion
from datong.ledger.notes import (
    SIGNATURES_MAX,
    Note,
    cosignature_by,
    decode_base64,
    encode_base64,
    log_key_of,
    open_checkpoint,
    witness_key_of,
)

BUNDLE_TYPE = "datong.ledger.proof/1"
BUNDLE_BYTES_MAX = 4_000_000
BRANCH_CHARS = 3
"""Characters that the commitments of one branch of a list share."""
LISTED_MAX = 50_000
"""Commitments of one branch: a list of 200 million has branches of that size."""


class CommitmentList(Value):
    """Where a commitment stands in a list whose digest is in the leaf: its branch whole, of the others the digests.

    A branch holds the commitments that begin with the same characters, in order. Its digest is the SHA-256 of them one
    after the other, that of the list the SHA-256 of the branches' digests, all in hexadecimal.
    """

    branch: tuple[str, ...] = Field(max_length=LISTED_MAX)
    others: dict[str, str] = Field(max_length=16**BRANCH_CHARS)

    def digest(self, listed: str) -> str | None:
        """Return the digest of the list; None if `listed` is not in its branch, or the branch is not one."""
        prefix = listed[:BRANCH_CHARS]
        if listed not in self.branch or prefix in self.others:
            return None
        if any(one[:BRANCH_CHARS] != prefix for one in self.branch) or list(self.branch) != sorted(set(self.branch)):
            return None
        branches = {**self.others, prefix: hashlib.sha256("".join(self.branch).encode()).hexdigest()}
        return hashlib.sha256("".join(branches[one] for one in sorted(branches)).encode()).hexdigest()


class Disclosure(Value):
    """The opening of a commitment: the salt in hexadecimal, and the value; `among` if the leaf has a list of many."""

    salt: str = Field(pattern=r"^(?:[0-9a-f]{2}){16,1024}$")
    value: str
    among: CommitmentList | None = None

    def fact(self) -> str | None:
        """Return what stands in the leaf if this opening is right; None: it is wrong in itself."""
        return self.commitment() if self.among is None else self.among.digest(self.commitment())

    def commitment(self) -> str:
        """Return the commitment to the value."""
        return commitment(bytes.fromhex(self.salt), self.value)


class WitnessKey(Value):
    """A witness's name and raw public key in base64."""

    name: str
    key: str


class ProofBundle(Value):
    """The form of a bundle. Byte strings are base64; the checkpoint is the signed note itself."""

    type: str = Field(pattern=f"^{BUNDLE_TYPE}$")
    leaf: str
    index: int = Field(ge=0, le=2**63 - 1, strict=True)
    proof: tuple[str, ...] = Field(max_length=PROOF_HASHES_MAX)
    checkpoint: str
    log_key: str
    witnesses: tuple[WitnessKey, ...] = Field(max_length=SIGNATURES_MAX)
    disclosures: dict[str, Disclosure]
    successions: tuple[str, ...] | None = Field(None, max_length=SUCCESSIONS_MAX)


class WitnessReport(Value):
    """A witness whose cosignature was verified, and when it signed."""

    name: str
    signed_at: datetime


class BundleReport(Value):
    """What a verified bundle proves. `key_given` tells whether the log's key came from the verifier, not the bundle."""

    origin: str
    size: int
    index: int
    entry: EntryContent
    disclosed: dict[str, str]
    witnesses: tuple[WitnessReport, ...]
    log_key: str
    key_given: bool


def make_bundle(
    *,
    leaf: bytes,
    index: int,
    proof: Sequence[bytes],
    note: Note,
    keys: LogKeys,
    witnesses: Mapping[str, bytes],
    disclosures: Mapping[str, JsonValue],
) -> dict[str, object]:
    """Return the bundle as JSON-like values; the newest of the log's `keys` signed the note."""
    return ProofBundle(
        type=BUNDLE_TYPE,
        leaf=encode_base64(leaf),
        index=index,
        proof=tuple(encode_base64(value) for value in proof),
        checkpoint=note.encode().decode(),
        log_key=encode_base64(keys.newest),
        successions=tuple(one.text() for one in keys.successions) or None,
        witnesses=tuple(WitnessKey(name=name, key=encode_base64(key)) for name, key in sorted(witnesses.items())),
        disclosures={name: _disclosure(name, opening) for name, opening in disclosures.items()},
    ).model_dump(mode="json", exclude_none=True)


def read_bundle(data: bytes) -> dict[str, object]:
    """Return the JSON object in a bundle file, not verified yet.

    Raises:
        Corrupt: it is none.
    """
    try:
        bundle = json.loads(data) if len(data) <= BUNDLE_BYTES_MAX else None
    except (ValueError, RecursionError) as error:
        raise _malformed("", "") from error
    if not isinstance(bundle, dict):
        raise _malformed("", "")
    return bundle


def verify_bundle(bundle: Mapping[str, object], *, log_key: bytes | None = None) -> BundleReport:
    """Check a proof bundle offline: signature, inclusion, cosignatures, disclosures.

    Without `log_key` the key in the bundle is believed; the report says which it was.

    Raises:
        Corrupt: something in it is wrong; the text says what and where.
    """
    # 1. The bundle has its form.
    try:
        parsed = ProofBundle.model_validate(bundle)
    except (ValidationError, RecursionError) as error:
        place = ".".join(map(str, error.errors()[0]["loc"])) if isinstance(error, ValidationError) else ""
        raise _malformed(f"：{place[:200]}", f": {place[:200]}") from error
    key = _bytes(parsed.log_key, "log_key")
    # 2. The log signed the checkpoint, with a key that is trusted or that such a one vouches for.
    note = Note.parse(parsed.checkpoint.encode(errors="surrogatepass"))
    checkpoint = open_checkpoint(note, public_key=key)
    keys = LogKeys.of(checkpoint.origin, key, parsed.successions or ())
    if log_key is not None:
        keys.since(log_key)
    # 3. The leaf is in the tree of that checkpoint.
    leaf = _bytes(parsed.leaf, "leaf")
    verify_inclusion(
        leaf_hash=leaf_hash_of(leaf),
        index=parsed.index,
        size=checkpoint.size,
        proof=[_bytes(value, f"proof.{place}") for place, value in enumerate(parsed.proof)],
        root=checkpoint.root,
    )
    # 4. The leaf is an entry, and each disclosure opens a commitment in it.
    entry = parse_leaf(leaf)
    for name, disclosure in parsed.disclosures.items():
        _check_disclosure(entry, name, disclosure)
    # 5. The witnesses' signatures.
    witnesses = check_witnesses(
        note, log_key=key, keys={witness.name: _bytes(witness.key, "witnesses") for witness in parsed.witnesses}
    )
    return BundleReport(
        origin=checkpoint.origin,
        size=checkpoint.size,
        index=parsed.index,
        entry=entry,
        disclosed={name: disclosure.value for name, disclosure in parsed.disclosures.items()},
        witnesses=witnesses,
        log_key=parsed.log_key,
        key_given=log_key is not None,
    )


def check_witnesses(note: Note, *, log_key: bytes, keys: Mapping[str, bytes]) -> tuple[WitnessReport, ...]:
    """Check that the note bears exactly the log's signature and one cosignature of each of `keys`.

    The formats would have unknown signatures ignored; a file that brings its own keys must account for all.

    Raises:
        Corrupt: a signature is missing, wrong, or of nobody who is named.
    """
    expected = {(signature.name, signature.key_id) for signature in note.signatures}
    origin = note.text.split("\n", 1)[0]
    accounted = {(origin, log_key_of(origin, log_key).key_id)}
    reports: list[WitnessReport] = []
    for name, public_key in sorted(keys.items()):
        key = witness_key_of(name, public_key)
        cosignature = cosignature_by(note, key)
        if cosignature is None:
            raise corrupt(
                "cosignature_missing",
                zh=f"检查点上没有见证方 {name[:200]} 的签名。",
                en=f"The checkpoint bears no cosignature of the witness {name[:200]}.",
                witness=name[:200],
            )
        accounted.add((name, key.key_id))
        reports.append(WitnessReport(name=name, signed_at=cosignature.signed_at))
    if expected != accounted or len(note.signatures) != len(accounted):
        raise corrupt(
            "signature_unknown",
            zh="检查点上有无法归于任何已知密钥的签名，或有重复的签名。",
            en="The checkpoint bears a signature that belongs to no known key, or one twice.",
        )
    return tuple(reports)


def _check_disclosure(entry: EntryContent, name: str, disclosure: Disclosure) -> None:
    fact = disclosure.fact()
    if fact is None or entry.facts.get(name) != fact:
        raise corrupt(
            "disclosure_wrong",
            zh=f"所披露的“{name[:200]}”与条目中的承诺值不符。",
            en=f"The disclosed “{name[:200]}” does not open the commitment in the entry.",
            field=name[:200],
        )


def _disclosure(name: str, opening: JsonValue) -> Disclosure:
    try:
        return Disclosure.model_validate(opening)
    except ValidationError as error:
        raise corrupt(
            "disclosure_malformed",
            zh=f"“{name}”的披露应含十六进制的盐（至少 {SALT_BYTES_MIN} 字节）和值。",
            en=f"The disclosure of “{name}” needs a hexadecimal salt (at least {SALT_BYTES_MIN} bytes) and a value.",
            field=name,
        ) from error


def _bytes(text: str, field: str) -> bytes:
    data = decode_base64(text)
    if data is None:
        raise _malformed(f"：{field}", f": {field}")
    return data


def _malformed(zh: str, en: str) -> Exception:
    return corrupt("bundle_malformed", zh=f"证明包的格式不对{zh}。", en=f"The proof bundle is malformed{en}.")
