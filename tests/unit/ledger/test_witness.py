from pathlib import Path

import pytest

from datong.kernel import Conflict, Corrupt, Misconfigured
from datong.ledger import Ed25519Signer
from datong.ledger.notes import Note, cosignature_by, witness_key_of
from tests.unit.ledger.logs import NOW, WITNESS_KEY, SmallLog


def test_a_witness_follows_the_log_and_cosigns(tmp_path: Path) -> None:
    log = SmallLog(tmp_path)
    witness = log.witness()
    for count in (0, 1, 2, 254, 300):
        log.grow(count)
        returned = witness.update(log.fetch)
        assert returned is not None
        log.ledger.cosign(witness_name="node-1", witness_key=WITNESS_KEY.public_key, note=returned)
        assert witness.update(log.fetch) is None
        assert log.ledger.checkpoint() == returned
    (state,) = log.ledger.witnesses()
    assert (state.name, state.size, state.signed_at) == ("node-1", 557, NOW.replace(microsecond=0))
    cosigned = cosignature_by(Note.parse(log.ledger.checkpoint()), witness_key_of("node-1", WITNESS_KEY.public_key))
    assert cosigned is not None
    assert cosigned.signed_at == NOW.replace(microsecond=0)


def test_a_lost_answer_is_given_again(tmp_path: Path) -> None:
    log = SmallLog(tmp_path)
    log.grow(3)
    first = log.witness().update(log.fetch)
    assert log.witness().update(log.fetch) == first


def test_a_fork_of_the_same_size_is_refused_and_kept_as_evidence(tmp_path: Path) -> None:
    log, fork = SmallLog(tmp_path), SmallLog(tmp_path / "fork")
    log.grow(5)
    fork.grow(5, prefix="other")
    witness = log.witness()
    witness.update(log.fetch)
    memory = (tmp_path / "node-1.json").read_bytes()
    with pytest.raises(Corrupt) as caught:
        witness.update(fork.fetch)
    assert caught.value.code == "ledger.fork"
    assert (tmp_path / "node-1.json").read_bytes() == memory
    evidence = (tmp_path / "node-1.fork").read_bytes()
    assert log.ledger.checkpoint() in evidence
    assert fork.ledger.checkpoint() in evidence
    log.grow(1)
    assert witness.update(log.fetch) is not None


def test_a_longer_fork_is_refused(tmp_path: Path) -> None:
    log, fork = SmallLog(tmp_path), SmallLog(tmp_path / "fork")
    log.grow(300)
    fork.grow(600, prefix="other")
    witness = log.witness()
    witness.update(log.fetch)
    with pytest.raises(Corrupt) as caught:
        witness.update(fork.fetch)
    assert caught.value.code == "ledger.inconsistent"


def test_a_rollback_is_refused(tmp_path: Path) -> None:
    log, earlier = SmallLog(tmp_path), SmallLog(tmp_path / "earlier")
    earlier.grow(5)
    log.grow(5)
    log.grow(1)
    witness = log.witness()
    witness.update(log.fetch)
    with pytest.raises(Corrupt) as caught:
        witness.update(earlier.fetch)
    assert caught.value.code == "ledger.rollback"


def test_a_first_checkpoint_must_fit_its_tiles(tmp_path: Path) -> None:
    log, other = SmallLog(tmp_path), SmallLog(tmp_path / "other")
    log.grow(5)
    other.grow(5, prefix="other")
    with pytest.raises(Corrupt) as caught:
        log.witness().update(lambda path: log.fetch(path) if path == "checkpoint" else other.fetch(path))
    assert caught.value.code == "ledger.tiles_wrong"


def test_an_unsigned_checkpoint_is_refused(tmp_path: Path) -> None:
    log = SmallLog(tmp_path)
    log.grow(1)
    forged = log.ledger.checkpoint().replace(b"\n1\n", b"\n2\n")
    with pytest.raises(Corrupt) as caught:
        log.witness().update(lambda _: forged)
    assert caught.value.code == "ledger.signature_wrong"


def test_a_damaged_memory_stops_the_witness(tmp_path: Path) -> None:
    log = SmallLog(tmp_path)
    log.grow(1)
    (tmp_path / "node-1.json").write_text("{")
    with pytest.raises(Misconfigured):
        log.witness().update(log.fetch)


@pytest.mark.parametrize("name", ["", "two words", "a+b", "a\nb"])
def test_a_witness_needs_a_usable_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(Misconfigured):
        SmallLog(tmp_path).witness(name)


def test_the_log_refuses_what_no_witness_signed(tmp_path: Path) -> None:
    log, fork = SmallLog(tmp_path), SmallLog(tmp_path / "fork")
    log.grow(5)
    fork.grow(5, prefix="other")
    other_key = Ed25519Signer.generate()
    note = log.witness().update(log.fetch)
    assert note is not None
    for name, key in (("node-1", other_key), ("node-2", WITNESS_KEY)):
        with pytest.raises(Corrupt) as caught:
            log.ledger.cosign(witness_name=name, witness_key=key.public_key, note=note)
        assert caught.value.code == "ledger.cosignature_missing"
    forked = fork.witness("node-2").update(fork.fetch)
    assert forked is not None
    with pytest.raises(Corrupt) as caught:
        log.ledger.cosign(witness_name="node-2", witness_key=WITNESS_KEY.public_key, note=forked)
    assert caught.value.code == "ledger.fork"
    fork.grow(2)
    unknown = fork.witness("node-3").update(fork.fetch)
    assert unknown is not None
    with pytest.raises(Conflict):
        log.ledger.cosign(witness_name="node-3", witness_key=WITNESS_KEY.public_key, note=unknown)
    assert log.ledger.witnesses() == []


def test_an_older_cosignature_does_not_replace_a_newer_one(tmp_path: Path) -> None:
    log = SmallLog(tmp_path)
    witness = log.witness()
    notes = []
    for _ in range(2):
        log.grow(3)
        notes.append(witness.update(log.fetch))
    for note in reversed(notes):
        assert note is not None
        log.ledger.cosign(witness_name="node-1", witness_key=WITNESS_KEY.public_key, note=note)
    assert [state.size for state in log.ledger.witnesses()] == [6]
