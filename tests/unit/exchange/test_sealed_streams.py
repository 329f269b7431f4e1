"""Sealed payloads: what goes in comes out, for recipients only, and whatever is changed does not open."""

import io
from collections.abc import Mapping

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from datong.catalogue import RecipientKey, recipient_key_message
from datong.exchange import ContentDigest, ContentKey, SealedReader, SealedWriter, Sealing, sealed_bytes
from datong.exchange.sealed_streams import MAGIC, TAG_BYTES
from datong.exchange.sealing import CHUNK_BYTES_MIN, sealing_context
from datong.kernel import Corrupt, DepartmentCode, NodeId, Refused
from datong.ledger import Ed25519Signer, key_id_of
from tests.unit.exchange.moments import NOW

CHUNK = CHUNK_BYTES_MIN
CONTEXT = sealing_context("test", {"batch": "one"})
SIGNER = Ed25519Signer.generate()
PRIVATE = X25519PrivateKey.generate()


def recipient(private: X25519PrivateKey, signer: Ed25519Signer = SIGNER) -> RecipientKey:
    public = private.public_key().public_bytes_raw()
    return RecipientKey(
        key_id=key_id_of(public),
        department=DepartmentCode("education"),
        node_id=NodeId("node-education"),
        public_key=public,
        signature=signer.sign(recipient_key_message("education", "node-education", public)),
        signing_key=signer.public_key,
        registered_at=NOW,
    )


def held(*privates: X25519PrivateKey) -> Mapping[str, X25519PrivateKey]:
    return {key_id_of(one.public_key().public_bytes_raw()): one for one in privates}


def seal(content: bytes, key: ContentKey, *, pieces: int = 1) -> bytes:
    file = io.BytesIO()
    step = max(1, len(content) // pieces)
    with SealedWriter(file, key) as writer:
        for start in range(0, len(content), step):
            writer.write(content[start : start + step])
    return file.getvalue()


def unseal(sealed: bytes, key: ContentKey) -> bytes:
    return io.BufferedReader(SealedReader(io.BytesIO(sealed), key)).read()


@given(st.binary(max_size=4 * CHUNK + 3), st.integers(1, 9), st.integers(0, 3))
def test_what_goes_in_comes_out(content: bytes, pieces: int, whole_chunks: int) -> None:
    content += bytes(whole_chunks * CHUNK - len(content) % CHUNK) if whole_chunks else b""
    key = ContentKey.generate(CONTEXT, chunk_bytes=CHUNK)
    sealed = seal(content, key, pieces=pieces)
    assert len(sealed) == sealed_bytes(len(content), CHUNK)
    sealing = Sealing.model_validate_json(key.sealing([recipient(PRIVATE)]).model_dump_json())
    assert unseal(sealed, ContentKey.unwrap(sealing, CONTEXT, held(PRIVATE))) == content


@given(st.data())
def test_any_change_of_a_sealed_file_is_found_and_said(data: st.DataObject) -> None:
    key = ContentKey.generate(CONTEXT, chunk_bytes=CHUNK)
    sealed = seal(bytes(range(256)) * 14, key)
    kind = data.draw(st.sampled_from(["flip", "cut", "append", "swap", "double", "drop"]))
    chunks = [sealed[start : start + CHUNK + TAG_BYTES] for start in range(len(MAGIC), len(sealed), CHUNK + TAG_BYTES)]
    number = data.draw(st.integers(0, len(chunks) - 2))
    if kind == "flip":
        place = data.draw(st.integers(0, len(sealed) - 1))
        changed = sealed[:place] + bytes([sealed[place] ^ data.draw(st.integers(1, 255))]) + sealed[place + 1 :]
    elif kind == "cut":
        changed = sealed[: data.draw(st.integers(0, len(sealed) - 1))]
    elif kind == "append":
        changed = sealed + data.draw(st.binary(min_size=1, max_size=2 * CHUNK))
    else:
        moved = {
            "swap": [*chunks[:number], chunks[number + 1], chunks[number], *chunks[number + 2 :]],
            "double": [*chunks[: number + 1], *chunks[number:]],
            "drop": [*chunks[:number], *chunks[number + 1 :]],
        }[kind]
        changed = MAGIC + b"".join(moved)
    with pytest.raises(Corrupt, match=r"exchange\.sealed_(tampered|truncated|not_a_payload)"):
        unseal(changed, key)


@given(st.binary(max_size=3 * CHUNK))
def test_no_bytes_at_all_leak_an_error_of_their_own(garbage: bytes) -> None:
    key = ContentKey.generate(CONTEXT, chunk_bytes=CHUNK)
    for file in (garbage, MAGIC + garbage):
        with pytest.raises(Corrupt, match=r"exchange\.sealed_"):
            unseal(file, key)


def test_a_file_that_ends_at_a_chunk_is_told_as_cut_off() -> None:
    key = ContentKey.generate(CONTEXT, chunk_bytes=CHUNK)
    sealed = seal(bytes(3 * CHUNK), key)
    for chunks in range(3):
        with pytest.raises(Corrupt, match=r"sealed_truncated"):
            unseal(sealed[: len(MAGIC) + chunks * (CHUNK + TAG_BYTES)], key)


def test_only_recipients_open_it_each_with_any_of_its_keys() -> None:
    old, new, other = (X25519PrivateKey.generate() for _ in range(3))
    key = ContentKey.generate(CONTEXT, chunk_bytes=CHUNK)
    sealing = key.sealing([recipient(old), recipient(new)])
    sealed = seal(b"value", key)
    for holder in (held(old), held(new), held(other, new)):
        assert unseal(sealed, ContentKey.unwrap(sealing, CONTEXT, holder)) == b"value"
    with pytest.raises(Refused, match="sealed_to_others"):
        ContentKey.unwrap(sealing, CONTEXT, held(other))


def test_a_key_does_not_open_under_another_batchs_facts() -> None:
    elsewhere = sealing_context("test", {"batch": "two"})
    key = ContentKey.generate(CONTEXT)
    with pytest.raises(Corrupt, match="sealed_key_wrong"):
        ContentKey.unwrap(key.sealing([recipient(PRIVATE)]), elsewhere, held(PRIVATE))
    same_secret = ContentKey(key._secret, elsewhere)
    with pytest.raises(Corrupt, match="sealed_tampered"):
        unseal(seal(b"value", key), same_secret)


@given(st.integers(0, 79), st.integers(1, 255))
def test_a_changed_wrapped_key_does_not_open(place: int, change: int) -> None:
    sealing = ContentKey.generate(CONTEXT).sealing([recipient(PRIVATE)])
    raw = bytearray(sealing.keys[0].wrapped)
    raw[place] ^= change
    wrapped = sealing.keys[0].model_copy(update={"wrapped": bytes(raw)})
    with pytest.raises(Corrupt, match="sealed_key_wrong"):
        ContentKey.unwrap(sealing.model_copy(update={"keys": (wrapped,)}), CONTEXT, held(PRIVATE))


def test_nothing_is_sealed_to_a_key_that_no_node_vouches_for() -> None:
    true = recipient(PRIVATE)
    forged = true.model_copy(
        update={"public_key": X25519PrivateKey.generate().public_key().public_bytes_raw(), "key_id": true.key_id}
    )
    for wrong in (forged, recipient(PRIVATE, Ed25519Signer.generate()).model_copy(update={"signing_key": b"x" * 32})):
        with pytest.raises(Corrupt, match="recipient_key_forged"):
            ContentKey.generate(CONTEXT).sealing([wrong])


def test_a_commitment_tells_equal_content_to_who_has_the_key_only() -> None:
    content = ContentDigest(rows=1, sum="0" * 32)
    key = ContentKey.generate(CONTEXT)
    again = ContentKey.unwrap(key.sealing([recipient(PRIVATE)]), CONTEXT, held(PRIVATE))
    assert key.commitment(content) == again.commitment(content)
    assert key.commitment(content) != key.commitment(content.model_copy(update={"rows": 2}))
    assert key.commitment(content) != ContentKey.generate(CONTEXT).commitment(content)
    assert len(key.commitment(content)) == len(content.sum)
