"""The log's key is replaced: verifiers and witnesses that know the old key follow, and refuse what is forged."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.adapters.directory_store import DirectoryStore
from datong.kernel import PLATFORM_ACTOR, Conflict, Corrupt, Misconfigured
from datong.ledger import (
    LEDGER_AREAS,
    Ed25519Signer,
    Gossip,
    Ledger,
    LogKeyBook,
    LogKeys,
    Month,
    PeerNote,
    PinnedKeys,
    ShardedStore,
    Succession,
    Witness,
    read_bundle,
    standalone_verifier,
    verify_bundle,
    verify_log,
    verify_shard,
    verify_split,
)
from datong.ledger.notes import Checkpoint, Note, encode_base64, open_checkpoint, sign_checkpoint
from datong.ledger.splits import compare
from tests.unit.ledger.logs import LOG_KEY, ORIGIN, WITNESS_KEY, SmallLog

SECOND = Ed25519Signer.from_private_bytes(b"\x0a" * 32)
THIRD = Ed25519Signer.from_private_bytes(b"\x0b" * 32)
THIEF = Ed25519Signer.from_private_bytes(b"\x0c" * 32)


def book_of(log: SmallLog) -> LogKeyBook:
    return LogKeyBook(database=log.database, clock=log.clock, ledger=log.ledger)


def restarted(log: SmallLog, signer: Ed25519Signer) -> None:
    """Have the log sign with another key, as a process does that was started anew."""
    log.ledger = Ledger(database=log.database, clock=log.clock, signer=signer, origin=ORIGIN, tiles=log.tiles)


def fetch(log: SmallLog) -> Callable[[str], bytes]:
    return lambda name: log.ledger.keys().encode() if name == "keys" else log.fetch(name)


def witness_of(log: SmallLog, keys: PinnedKeys) -> Witness:
    """Return the witness `node-1`, which knows these keys of the log."""
    path = log.folder / "node-1.json"
    return Witness(name="node-1", signer=WITNESS_KEY, state_path=path, clock=log.clock, keys=keys)


def rotated(log: SmallLog) -> SmallLog:
    """Replace the first key by the second, and retire it; entries before, between and after."""
    log.grow(300)
    log.cosign()
    succession = Succession.make(ORIGIN, LOG_KEY.public_key, SECOND, voucher=LOG_KEY)
    assert book_of(log).replace(succession, PLATFORM_ACTOR, "rotation")
    assert not book_of(log).replace(succession, PLATFORM_ACTOR, "rotation")
    log.grow(2)
    restarted(log, SECOND)
    log.grow(3)
    return log


def judged(folder: Path, key: bytes) -> str:
    """Return what both verifiers say of an exported log: the code of the platform's, which the other must share."""
    alone = said(lambda: standalone_verifier.Export(folder, key).verify())
    ours = said(lambda: verify_log(folder, log_key=key))
    assert (alone == "right") == (ours == "right"), (alone, ours)
    return ours


def said(verify: Callable[[], object]) -> str:
    """Return the code of the error that a verification ends with, or its text; `right` if it ends well."""
    try:
        verify()
    except Corrupt as error:
        return error.code
    except SystemExit as end:
        return str(end.code)
    return "right"


def test_who_knows_the_old_key_verifies_the_log_across_the_change(tmp_path: Path) -> None:
    log = rotated(SmallLog(tmp_path / "log"))
    log.ledger.export(tmp_path / "one")
    for key in (LOG_KEY, SECOND):
        assert judged(tmp_path / "one", key.public_key) == "right"
    assert judged(tmp_path / "one", THIEF.public_key) == "ledger.log_key_differs"
    report = verify_log(tmp_path / "one", log_key=LOG_KEY.public_key)
    assert (report.log_key, report.earlier_keys) == (
        encode_base64(SECOND.public_key), (encode_base64(LOG_KEY.public_key),)
    )  # fmt: skip
    assert report.entries["ledger.key"] == 1

    # Proofs made before and after, the log's month, and fsck.
    bundle = json.dumps(log.ledger.proof_bundle(log.grow(1)[0])).encode()
    for key in (LOG_KEY, SECOND):
        assert verify_bundle(read_bundle(bundle), log_key=key.public_key).key_given
        standalone_verifier.verify_proof(json.loads(bundle), key.public_key)
    with pytest.raises(Corrupt):
        verify_bundle(read_bundle(bundle), log_key=THIEF.public_key)
    with pytest.raises(SystemExit):
        standalone_verifier.verify_proof(json.loads(bundle), THIEF.public_key)
    assert not log.ledger.fsck(LEDGER_AREAS).faults

    # Once retired, the old key publishes nothing, and what it signs is no export of this log any more.
    assert book_of(log).signed_newest() == SECOND.public_key
    assert book_of(log).retire(LOG_KEY.public_key, PLATFORM_ACTOR, "rotation")
    assert not book_of(log).retire(LOG_KEY.public_key, PLATFORM_ACTOR, "rotation")
    assert book_of(log).in_use() == (SECOND.public_key,)
    log.integrate()
    old = Ledger(database=log.database, clock=log.clock, signer=LOG_KEY, origin=ORIGIN, tiles=log.tiles)
    log.append(1)
    with pytest.raises(Misconfigured):
        old.integrate()
    log.integrate()
    old.export(tmp_path / "old")
    assert judged(tmp_path / "old", LOG_KEY.public_key) == "ledger.log_key_retired"
    with pytest.raises(Misconfigured):
        book_of(log).require_usable(LOG_KEY.public_key)
    with pytest.raises(Conflict):
        book_of(log).require_usable(THIEF.public_key)
    assert not log.ledger.fsck(LEDGER_AREAS).faults
    foreign = Ledger(database=log.database, clock=log.clock, signer=THIEF, origin=ORIGIN, tiles=log.tiles)
    with pytest.raises(Corrupt):
        open_checkpoint(Note.parse(foreign.checkpoint()), public_key=THIEF.public_key)


def test_a_forged_change_is_refused(tmp_path: Path) -> None:
    log = rotated(SmallLog(tmp_path / "log"))
    log.ledger.export(tmp_path / "one")
    kept = (tmp_path / "one" / "keys.json").read_bytes()
    (line,) = json.loads(kept)["successions"]
    old, new, by_old, by_new = line.split(" ")

    def with_(successions: list[str]) -> str:
        said = json.loads(kept) | {"successions": successions}
        if not successions:
            del said["successions"]
        (tmp_path / "one" / "keys.json").write_bytes(
            json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
        )
        return judged(tmp_path / "one", LOG_KEY.public_key)

    stolen = Succession.make(ORIGIN, LOG_KEY.public_key, THIEF, voucher=THIEF).text().split(" ")
    emergency = Succession.make(ORIGIN, LOG_KEY.public_key, SECOND, voucher=None).text()
    other_log = Succession.make("other/log", LOG_KEY.public_key, SECOND, voucher=LOG_KEY).text()
    assert with_([line]) == "right"
    assert with_([]) == "ledger.log_key_differs"
    assert with_([f"{old} {new} {stolen[2]} {by_new}"]) == "ledger.signature_wrong"
    assert with_([f"{old} {new} {by_old} {stolen[3]}"]) == "ledger.signature_wrong"
    assert with_([other_log]) == "ledger.signature_wrong"
    assert with_([line, line]) == "ledger.log_keys_malformed"
    assert with_([emergency]) == "ledger.log_key_emergency"
    # Signed by both, and never put on record: the log knows another way from the one key to the other.
    first = Succession.make(ORIGIN, LOG_KEY.public_key, THIRD, voucher=LOG_KEY)
    then = Succession.make(ORIGIN, THIRD.public_key, SECOND, voucher=THIRD)
    assert with_([first.text(), then.text()]) == "ledger.log_keys_unrecorded"
    # A thief's key at the end of the chain signs a log of its own.
    forged = Succession.make(ORIGIN, SECOND.public_key, THIEF, voucher=THIEF)
    with pytest.raises(Corrupt):
        LogKeys.of(ORIGIN, THIEF.public_key, [line, forged.text()])


def test_a_witness_follows_what_its_key_vouches_for_and_nothing_else(tmp_path: Path) -> None:
    log = SmallLog(tmp_path / "log")
    learned: list[LogKeys] = []
    pinned = PinnedKeys(LogKeys(origin=ORIGIN, newest=LOG_KEY.public_key), keep=learned.append)
    witness = witness_of(log, pinned)
    rotated(log)
    note = witness.update(fetch(log))
    assert note is not None
    log.ledger.cosign(witness_name="node-1", witness_key=WITNESS_KEY.public_key, note=note)
    assert [keys.newest for keys in learned] == [SECOND.public_key]
    assert book_of(log).cosigned_under() == {"node-1": SECOND.public_key}

    # A thief of the second key forks the log; a witness that followed compares across keys.
    own = witness.remembered()
    assert own is not None
    point = Checkpoint.parse(own.text)
    fork = sign_checkpoint(point.model_copy(update={"root": b"\x07" * 32}), LOG_KEY)
    split = compare(own, fork, keys=pinned.known, fetch=fetch(log))
    assert split is not None
    for key in (LOG_KEY, SECOND):
        assert verify_split(json.loads(split.encode()), log_key=key.public_key).size == point.size
        standalone_verifier.verify_split(json.loads(split.encode()), key.public_key)
    with pytest.raises(Corrupt):
        verify_split(json.loads(split.encode()), log_key=THIEF.public_key)
    gossip = Gossip(name="node-1", folder=tmp_path, clock=log.clock, keys=pinned)
    peer = PeerNote(name="node-2", department="d", public_key=encode_base64(WITNESS_KEY.public_key), note=None)
    assert gossip.hear(own, [peer], fetch(log)) == ()

    # In an emergency nobody follows by itself.
    alone = Succession.make(ORIGIN, SECOND.public_key, THIRD, voucher=None)
    assert book_of(log).replace(alone, PLATFORM_ACTOR, "stolen")
    log.integrate()
    book_of(log).retire(SECOND.public_key, PLATFORM_ACTOR, "stolen", log.clock.now())
    restarted(log, THIRD)
    log.grow(1)
    with pytest.raises(Corrupt) as caught:
        witness.update(fetch(log))
    assert caught.value.code == "ledger.log_key_emergency"
    log.ledger.export(tmp_path / "three")
    assert judged(tmp_path / "three", SECOND.public_key) == "ledger.log_key_emergency"
    assert judged(tmp_path / "three", LOG_KEY.public_key) == "ledger.log_key_emergency"
    assert judged(tmp_path / "three", THIRD.public_key) == "right"
    # Whoever asked for the new key goes on from what it witnessed, not from nothing.
    witness = witness_of(log, PinnedKeys(LogKeys(origin=ORIGIN, newest=THIRD.public_key)))
    assert witness.update(fetch(log)) is not None


def test_a_month_archived_under_the_old_key_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    log = SmallLog(tmp_path / "log", tiles=ShardedStore(DirectoryStore(tmp_path / "tiles"), folder))
    log.grow(600)
    log.clock.advance(timedelta(days=40))
    shard = log.ledger.archive(Month.parse("2026-03"), folder)
    succession = Succession.make(ORIGIN, LOG_KEY.public_key, SECOND, voucher=LOG_KEY)
    book_of(log).replace(succession, PLATFORM_ACTOR, "rotation")
    log.integrate()
    restarted(log, SECOND)
    assert verify_shard(shard.path, log_key=LOG_KEY.public_key).end == shard.end
    assert log.ledger.restore(Month.parse("2026-03"), folder) == shard


@given(st.one_of(st.binary(max_size=400), st.text(max_size=400).map(str.encode)))
def test_no_document_of_keys_leaks_an_error_of_its_own(data: bytes) -> None:
    assert said(lambda: LogKeys.parse(data)).startswith("ledger.")
    assert said(lambda: Succession.parse(data.decode(errors="replace"))) == "ledger.log_keys_malformed"
