"""A quorum of witnesses: who follows, who is missing and since when, and how many departments that makes."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, insert

from datong.kernel import Unavailable
from datong.ledger import Ed25519Signer, ExpectedWitness, QuorumWatch
from datong.ledger.sequencer import CHECKPOINTS_KEPT
from datong.ledger.tables import CHECKPOINTS
from tests.unit.ledger.logs import NOW, WITNESS_KEY, SmallLog

MINUTE = timedelta(minutes=1)
OTHER_KEY = Ed25519Signer.from_private_bytes(b"\x03" * 32)
NODES = (
    ExpectedWitness(name="node-1", department="tax", since=NOW),
    ExpectedWitness(name="node-2", department="police", since=NOW),
    ExpectedWitness(name="node-2b", department="police", since=NOW),
)


def watch(
    log: SmallLog, *, nodes: tuple[ExpectedWitness, ...] = NODES, required: int = 0, names: str = ""
) -> QuorumWatch:
    return QuorumWatch(
        database=log.database,
        clock=log.clock,
        expected=lambda: nodes,
        names=names.split(),
        required=required,
        patience=MINUTE,
    )


def test_a_log_without_witnesses_needs_none_unless_the_policy_says_so(tmp_path: Path) -> None:
    log = SmallLog(tmp_path)
    log.grow(3)
    assert watch(log, nodes=()).state().holds
    assert not watch(log, nodes=(), required=1).state().holds


def test_witnesses_are_missing_once_they_are_behind_for_too_long(tmp_path: Path) -> None:
    log = SmallLog(tmp_path)
    log.grow(3)
    log.clock.advance(MINUTE)
    assert watch(log).state().holds
    log.cosign()
    log.cosign("node-2", OTHER_KEY)
    log.clock.advance(MINUTE)
    state = watch(log).state()
    # One node of a department is enough for it; a majority of two departments is both.
    assert (state.holds, state.required, state.reached) == (True, 2, 2)
    assert [(one.name, one.behind_since) for one in state.missing] == [("node-2b", NOW)]
    log.clock.advance(MINUTE)
    log.grow(1)
    passed = log.clock.now()
    log.clock.advance(2 * MINUTE)
    log.cosign()
    state = watch(log).state()
    assert (state.holds, state.reached) == (False, 1)
    assert [(one.name, one.size, one.behind_since) for one in state.missing] == [
        ("node-2", 3, passed),
        ("node-2b", None, NOW),
    ]
    with pytest.raises(Unavailable) as caught:
        state.require()
    assert caught.value.code == "ledger.no_quorum"
    assert f"node-2 (since {passed.isoformat(timespec='seconds')})" in caught.value.what.en
    assert caught.value.context["reached"] == 1
    assert watch(log, required=1).state().holds
    log.cosign("node-2", OTHER_KEY)
    watch(log).state().require()


def test_only_the_named_witnesses_count_and_one_that_nobody_is_counts_as_missing(tmp_path: Path) -> None:
    log = SmallLog(tmp_path)
    log.grow(3)
    log.cosign()
    log.clock.advance(2 * MINUTE)
    assert watch(log, names="node-1", required=1).state().holds
    state = watch(log, names="node-1 gone", required=2).state()
    assert not state.holds
    assert [one.name for one in state.missing] == ["gone"]


def test_since_when_is_known_after_the_checkpoint_is_forgotten(tmp_path: Path) -> None:
    log = SmallLog(tmp_path)
    log.grow(1)
    log.cosign("node-1", WITNESS_KEY)
    log.clock.advance(MINUTE)
    passed = log.clock.now()
    log.grow(1)
    later = [
        {"size": 3 + number, "note": "", "published_at": passed + 2 * MINUTE} for number in range(CHECKPOINTS_KEPT)
    ]
    with log.database.transaction() as connection:
        connection.execute(delete(CHECKPOINTS).where(CHECKPOINTS.c.size == 2))
        connection.execute(insert(CHECKPOINTS), later)
    log.clock.advance(3 * MINUTE)
    (state,) = watch(log, names="node-1").state().witnesses
    assert (state.missing, state.behind_since) == (True, passed)
