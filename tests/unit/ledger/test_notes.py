import base64
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from datong.kernel import Corrupt, DatongError
from datong.ledger.notes import (
    Checkpoint,
    Note,
    SignatureType,
    VerifierKey,
    cosign_text,
    cosignature_by,
    log_key_of,
    open_checkpoint,
    sign_checkpoint,
    witness_key_of,
)
from tests.unit.ledger.logs import LOG_KEY, ORIGIN, WITNESS_KEY

CHECKPOINT = Checkpoint(origin=ORIGIN, size=20852163, root=bytes(range(32)))
NOTE = sign_checkpoint(CHECKPOINT, LOG_KEY)
COSIGNED = Note(
    text=NOTE.text,
    signatures=(
        *NOTE.signatures,
        cosign_text(NOTE.text, name="node-1", signer=WITNESS_KEY, at=datetime(2026, 3, 2, tzinfo=UTC)),
    ),
)
# The example of c2sp.org/tlog-cosignature.
C2SP_EXAMPLE = """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa \
Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 \
jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
""".encode()


def test_the_c2sp_example_is_read_and_written_back() -> None:
    note = Note.parse(C2SP_EXAMPLE)
    checkpoint = Checkpoint.parse(note.text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert [len(signature.signature) for signature in note.signatures] == [64, 72]
    assert note.encode() == C2SP_EXAMPLE
    assert checkpoint.body() == note.text


def test_the_go_sumdb_key_is_read() -> None:
    # The public key of sum.golang.org, an Ed25519 note key that others computed the hash of.
    text = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
    key = VerifierKey.parse(text)
    assert (key.name, key.key_id.hex(), key.text()) == ("sum.golang.org", "033de0ae", text)


def test_a_checkpoint_opens_with_its_key_only() -> None:
    assert open_checkpoint(Note.parse(NOTE.encode()), public_key=LOG_KEY.public_key, origin=ORIGIN) == CHECKPOINT
    for key, origin in ((WITNESS_KEY.public_key, ORIGIN), (LOG_KEY.public_key, "another.example")):
        with pytest.raises(Corrupt):
            open_checkpoint(NOTE, public_key=key, origin=origin)


def test_signatures_are_over_the_bytes_that_c2sp_says() -> None:
    message = NOTE.text.encode()
    assert NOTE.signatures[0].signature == LOG_KEY.sign(message)
    seconds = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp())
    expected = WITNESS_KEY.sign(f"cosignature/v1\ntime {seconds}\n".encode() + message)
    assert COSIGNED.signatures[1].signature == seconds.to_bytes(8, "big") + expected


def test_a_cosignature_is_verified() -> None:
    key = witness_key_of("node-1", WITNESS_KEY.public_key)
    cosignature = cosignature_by(Note.parse(COSIGNED.encode()), key)
    assert cosignature is not None
    assert cosignature.signed_at == datetime(2026, 3, 2, tzinfo=UTC)
    assert cosignature_by(NOTE, key) is None
    assert key.type is SignatureType.COSIGNATURE
    later = COSIGNED.signatures[1]
    changed = later.model_copy(update={"signature": b"\0" * 7 + b"\1" + later.signature[8:]})
    with pytest.raises(Corrupt):
        cosignature_by(Note(text=NOTE.text, signatures=(changed,)), key)
    for signature in (later.signature[:-1], b"\xff" * 72):
        malformed = later.model_copy(update={"signature": signature})
        with pytest.raises(Corrupt) as caught:
            cosignature_by(Note(text=NOTE.text, signatures=(malformed,)), key)
        assert caught.value.code == "ledger.cosignature_malformed"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        "o\n00\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        "o\n-1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        "o\n٣\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        "o\n99999999999999999999\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        "o\n9999999999999999999\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        "o\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=\n",
        "o\n0\n\n",
        "o\n0\nAA==\n",
        "o\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "o\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\nextension\n",
    ],
)
def test_malformed_checkpoints(text: str) -> None:
    with pytest.raises(Corrupt):
        Checkpoint.parse(text)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text\n",
        b"text\n\n",
        b"text\n\n\n",
        b"text\n\nno signature\n",
        "text\n\n— name AAAAAAAA".encode(),
        "text\n\n— name AAAA\n".encode(),
        "text\n\n— name AAAAAA==\n".encode(),
        "text\n\n— name not-base64\n".encode(),
        "text\n\n— na+me AAAAAAAA\n".encode(),
        "text\n\n— na\u00a0me AAAAAAAA\n".encode(),
        "te\rxt\n\n— name AAAAAAAA\n".encode(),
        "text\n\n— name  AAAAAAAA\n".encode(),
        b"\xff\n\n",
        b"x" * 1_000_001,
        ("text\n\n" + "— name AAAAAAAA\n" * 257).encode(),
    ],
)
def test_malformed_notes(data: bytes) -> None:
    with pytest.raises(Corrupt):
        Note.parse(data)


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode(errors="replace")))
@example("\n\n— a AAAAAAAA\n".encode())
def test_any_bytes_parse_or_are_corrupt(data: bytes) -> None:
    try:
        note = Note.parse(data)
    except DatongError:
        return
    assert note.encode() == data
    with pytest.raises(DatongError):
        open_checkpoint(note, public_key=LOG_KEY.public_key)


@given(st.integers(0, len(COSIGNED.encode()) - 1), st.binary(max_size=3), st.integers(0, 3))
def test_a_changed_note_never_opens_as_another_checkpoint(place: int, inserted: bytes, removed: int) -> None:
    whole = COSIGNED.encode()
    changed = whole[:place] + inserted + whole[place + removed :]
    try:
        note = Note.parse(changed)
        checkpoint = open_checkpoint(note, public_key=LOG_KEY.public_key)
        cosignature_by(note, witness_key_of("node-1", WITNESS_KEY.public_key))
    except DatongError:
        return
    assert checkpoint == CHECKPOINT


@given(st.text(max_size=120))
@example("a+b+c")
@example("a+00000000+" + base64.b64encode(b"\x01" + b"\0" * 32).decode())
@example("a+00000000+" + base64.b64encode(b"\x09" + b"\0" * 32).decode())
def test_any_text_is_a_verifier_key_or_corrupt(text: str) -> None:
    with pytest.raises(Corrupt):
        VerifierKey.parse(text)


def test_verifier_keys_round_trip() -> None:
    for key in (log_key_of(ORIGIN, LOG_KEY.public_key), witness_key_of("节点-1", WITNESS_KEY.public_key)):
        assert VerifierKey.parse(key.text()) == key
