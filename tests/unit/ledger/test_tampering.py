"""Kinds of harm that somebody can do to the log itself, who finds each, and with which words.

Somebody is: whoever has the database's password, whoever can write the hub's files, whoever has the hub's key, whoever
hands on an exported log or a proof. docs/reliability.md lists every kind, beside the edits of rows (in
`tests/integration/console/test_tampering.py`); a test below holds the list against these.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from datong.ledger import MemoryTileStore, commitment
from tests.unit.ledger import harms
from tests.unit.ledger.harms import (
    OTHER_KEY,
    SALT,
    Made,
    Scene,
    edited,
    file_changed,
    flip,
    proved,
    releaf,
    replace,
    verified,
)
from tests.unit.ledger.logs import LOG_KEY, SmallLog

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder, tiles = tmp_path_factory.mktemp("made"), MemoryTileStore()
    log = SmallLog(folder / "log", tiles=tiles)
    log.grow(270)
    log.cosign()
    (entry_id,) = log.append(1, citizen=commitment(SALT, "110101199003070000"))
    log.grow(19)
    log.cosign("node-2", OTHER_KEY)
    opening = {"citizen": {"salt": SALT.hex(), "value": "110101199003070000"}}
    proof = json.dumps(log.ledger.proof_bundle(entry_id, disclosures=opening))
    log.ledger.export(folder / "export")
    log.database.close()
    fork = SmallLog(folder / "fork")
    fork.grow(290, prefix="other")
    return Made(log, tiles, fork, folder / "export", proof)


@pytest.fixture
def scene(made: Made, tmp_path: Path) -> Iterator[Scene]:
    one = Scene(tmp_path, made)
    yield one
    one.database.close()


class Harm(NamedTuple):
    """One kind of harm: what was done, who finds it, and the code of what they say."""

    kind: str
    finder: str
    code: str
    act: Callable[[Scene], set[str]]


HARMS = (
    Harm("rewrite an entry in the database, hash included", "fsck", "ledger.entry_edited", harms.rewritten_leaf),
    Harm("swap two entries", "fsck", "ledger.entry_edited", harms.swapped),
    Harm("slip an entry in between", "fsck", "ledger.entry_edited", harms.slipped_in),
    Harm(
        "drop an entry from the middle",
        "fsck",
        "ledger.entries_missing",
        lambda one: one.after(
            "DELETE FROM ledger_entry_department WHERE serial = 43", "DELETE FROM ledger_entry WHERE serial = 43"
        ),
    ),
    Harm(
        "drop the newest entries",
        "fsck",
        "ledger.entries_missing",
        lambda one: one.after(
            "DELETE FROM ledger_entry_department WHERE serial > 280", "DELETE FROM ledger_entry WHERE serial > 280"
        ),
    ),
    Harm(
        "call an entry another kind",
        "fsck",
        "ledger.entry_column",
        lambda one: edited(one, "kind", "'exchange.receipt'"),
    ),
    Harm("lay an entry to another subject", "fsck", "ledger.entry_column", lambda one: edited(one, "subject", "'x'")),
    Harm(
        "date an entry back in the database",
        "fsck",
        "ledger.entry_column",
        lambda one: edited(one, "at", "'2020-01-01 00:00:00'"),
    ),
    Harm("change the hash of an entry", "fsck", "ledger.entry_column", lambda one: edited(one, "leaf_hash", "'00'")),
    Harm(
        "hide an entry from a department that it names",
        "fsck",
        "ledger.entry_departments",
        lambda one: one.after("DELETE FROM ledger_entry_department WHERE serial = 8"),
    ),
    Harm(
        "with the hub's key, record an act as if it were weeks ago", "fsck", "ledger.entry_backdated", harms.backdated
    ),
    Harm("sign a checkpoint anew with another key", "fsck", "ledger.checkpoint_unsigned", harms.resigned),
    Harm("keep a checkpoint under another size", "fsck", "ledger.checkpoint_size", harms.resized),
    Harm(
        "with the hub's key, sign a root that the entries do not have", "fsck", "ledger.root_differs", harms.forged_root
    ),
    Harm("forge a witness's signature", "fsck", "ledger.cosignature_differs", harms.forged_cosignature),
    Harm(
        "change a byte of the log's bundle of entries",
        "fsck",
        "ledger.file_edited",
        lambda one: file_changed(one, "tile/entries/000", b'"subject-20"', b'"subject-2o"'),
    ),
    Harm("remove a file of the log", "fsck", "ledger.file_unreadable", harms.file_gone),
    Harm("go back to an older log", "witness", "ledger.rollback", harms.rolled_back),
    Harm(
        "rewrite the past, same size, signed anew", "witness", "ledger.fork", lambda one: one.witnessed(one.fork.fetch)
    ),
    Harm("rewrite the past and go on, signed anew", "witness", "ledger.inconsistent", harms.rewritten_and_longer),
    Harm(
        "show a new witness a checkpoint without its tree",
        "witness",
        "ledger.tiles_wrong",
        harms.first_with_other_tiles,
    ),
    Harm("edit the size in a signed checkpoint", "witness", "ledger.signature_wrong", harms.edited_checkpoint),
    Harm("show the checkpoint of another log", "witness", "ledger.checkpoint_of_other_log", harms.other_log),
    Harm("cosign in another witness's name", "hub", "ledger.cosignature_missing", harms.stranger_cosigns),
    Harm("have a fork cosigned", "hub", "ledger.fork", harms.fork_cosigned),
    Harm(
        "show two nodes two histories", "gossip", "ledger.split_view", lambda one: one.heard(one.word(one.fork.fetch))
    ),
    Harm("keep back what a witness says", "gossip", "gossip.silent", harms.silenced),
    Harm("show one node an old log", "gossip", "gossip.held_back", harms.frozen),
    Harm("make up a witness's word", "gossip", "ledger.peer_unsigned", harms.made_up),
    Harm(
        "speak for a witness under another key",
        "gossip",
        "gossip.other_key",
        lambda one: one.heard(one.word(one.log.fetch), one.word(one.log.fetch, LOG_KEY)),
    ),
    Harm(
        "change an entry of an exported log",
        "verify",
        "ledger.entry_changed",
        lambda one: verified(one, replace("tile/entries/000", b"subject-20", b"subject-99")),
    ),
    Harm(
        "change a hash of an exported log",
        "verify",
        "ledger.tile_changed",
        lambda one: verified(one, flip("tile/0/000")),
    ),
    Harm(
        "leave a file out of an export",
        "verify",
        "ledger.file_missing",
        lambda one: verified(one, lambda folder: (folder / "tile/0/000").unlink()),
    ),
    Harm(
        "put a file into an export",
        "verify",
        "ledger.file_unexpected",
        lambda one: verified(one, lambda folder: (folder / "tile/0/009").write_bytes(b"")),
    ),
    Harm(
        "export under the checkpoint of a fork",
        "verify",
        "ledger.root_differs",
        lambda one: verified(one, lambda folder: harms.forked_export(folder, one)),
    ),
    Harm(
        "export with a witness's word about a fork",
        "verify",
        "ledger.root_differs",
        lambda one: verified(one, lambda folder: harms.forked_past(folder, one)),
    ),
    Harm(
        "put another log's key into an export",
        "verify",
        "ledger.log_key_differs",
        lambda one: verified(one, harms.other_key),
    ),
    Harm("with the hub's key, date an act back", "verify", "ledger.entry_backdated", harms.dated_back_in_export),
    Harm(
        "date the act in a proof back",
        "verify",
        "ledger.inclusion_wrong",
        lambda one: releaf(one, b"2026-03-02", b"2025-03-02"),
    ),
    Harm(
        "change who acted in a proof", "verify", "ledger.inclusion_wrong", lambda one: releaf(one, b"node-1", b"node-2")
    ),
    Harm("hand out the proof of another entry", "verify", "ledger.inclusion_wrong", lambda one: proved(one, index=271)),
    Harm(
        "put another receipt under a proof",
        "verify",
        "ledger.inclusion_wrong",
        lambda one: releaf(one, b"subject-0", b"subject-1"),
    ),
    Harm(
        "swap the siblings in a proof",
        "verify",
        "ledger.inclusion_wrong",
        lambda one: proved(one, proof=one.proof["proof"][::-1]),
    ),
    Harm(
        "open a commitment to another person",
        "verify",
        "ledger.disclosure_wrong",
        lambda one: proved(one, disclosures={"citizen": {"salt": SALT.hex(), "value": "11010119900307109X"}}),
    ),
    Harm(
        "put a fork's checkpoint under a proof",
        "verify",
        "ledger.inclusion_wrong",
        lambda one: proved(one, checkpoint=one.fork.ledger.checkpoint().decode(), witnesses=[]),
    ),
    Harm(
        "name a witness in a proof that did not sign",
        "verify",
        "ledger.cosignature_missing",
        lambda one: proved(one, witnesses=[{"name": "node-9", "key": one.proof["log_key"]}]),
    ),
)


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.kind)
def test_each_kind_of_harm_is_found(scene: Scene, harm: Harm) -> None:
    assert harm.code in harm.act(scene), harm


def test_nothing_is_found_where_nothing_was_done(scene: Scene) -> None:
    assert scene.fsck() == set()
    assert scene.witnessed(scene.log.fetch) == set()
    assert verified(scene, lambda _: None) == set()
    assert proved(scene) == set()


def test_the_list_is_in_the_documentation() -> None:
    page = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    for harm in HARMS:
        assert f"| {harm.kind} | {harm.finder} | `{harm.code}` |" in page, harm.kind
