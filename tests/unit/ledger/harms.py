"""What somebody could do to a log, its files, an export or a proof; each act returns the codes of what was found."""

import base64
import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import insert, select, text, update

from datong.kernel import Database, DatongError, FixedClock
from datong.ledger import (
    Ed25519Signer,
    Gossip,
    Ledger,
    LogKeys,
    MemoryTileStore,
    PeerNote,
    PinnedKeys,
    Witness,
    read_bundle,
    verify_bundle,
    verify_log,
)
from datong.ledger.gossip import SILENT_AFTER
from datong.ledger.merkle import leaf_hash_of
from datong.ledger.notes import Note, VerifierKey, log_key_of
from datong.ledger.tables import CHECKPOINTS, COSIGNATURES, ENTRIES
from tests.unit.ledger.logs import LOG_KEY, NOW, ORIGIN, WITNESS_KEY, SmallLog

OTHER_KEY = Ed25519Signer.from_private_bytes(b"\x03" * 32)
SALT = bytes(range(16))


class Scene:
    """A log that one may harm, one that its key could have signed instead, an export, and a proof."""

    def __init__(self, folder: Path, made: "Made") -> None:
        self.folder = folder
        shutil.copy(made.log.folder / "control.sqlite", folder)
        tiles = MemoryTileStore()
        tiles.files = dict(made.tiles.files)
        self.database = Database(f"sqlite:///{folder / 'control.sqlite'}")
        self.log = SmallLog(folder, tiles=tiles, database=self.database)
        self.files = tiles.files
        self.fork = made.fork
        self.made = made
        self.proof = json.loads(made.proof)
        self.clock = FixedClock(NOW + timedelta(days=2))

    def sql(self, *statements: str) -> None:
        with self.database.transaction() as connection:
            connection.execute(text("PRAGMA defer_foreign_keys = ON"))
            for statement in statements:
                connection.execute(text(statement))

    def after(self, *statements: str) -> set[str]:
        """What fsck says once statements were run."""
        self.sql(*statements)
        return self.fsck()

    def fsck(self) -> set[str]:
        return {fault.code for fault in self.log.ledger.fsck([]).faults}

    def export(self) -> Path:
        folder = self.folder / "export"
        shutil.copytree(self.made.export, folder)
        return folder

    def node(self, name: str = "node-1") -> tuple[Witness, Gossip]:
        folder = self.folder / name
        key = {"node-1": WITNESS_KEY, "node-2": OTHER_KEY}[name]
        witness = Witness(
            name=name,
            signer=key,
            state_path=folder / "witness.json",
            clock=self.clock,
            keys=PinnedKeys(LogKeys(origin=ORIGIN, newest=LOG_KEY.public_key)),
        )
        gossip = Gossip(
            name=name,
            folder=folder,
            clock=self.clock,
            keys=PinnedKeys(LogKeys(origin=ORIGIN, newest=LOG_KEY.public_key)),
        )
        return witness, gossip

    def witnessed(self, shown: Callable[[str], bytes]) -> set[str]:
        """What a witness says that saw the log, and is then shown something else."""
        witness, _ = self.node()
        witness.update(self.log.fetch)
        return said(lambda: witness.update(shown))

    def heard(self, *words: PeerNote, wait: timedelta = timedelta(0)) -> set[str]:
        """What a node says that follows the log and hears of node-2, now and after a while."""
        witness, gossip = self.node()
        own = Note.parse(witness.update(self.log.fetch) or b"")

        def listen() -> None:
            for word in words:
                gossip.hear(own, [word], self.log.fetch)
            self.clock.advance(wait)
            gossip.hear(own, words[-1:], self.log.fetch)

        codes = said(listen)
        return codes | {f"gossip.{trouble.kind}" for trouble in gossip.troubles()}

    def word(self, fetch: Callable[[str], bytes], key: Ed25519Signer = OTHER_KEY) -> PeerNote:
        witness = Witness(
            name="node-2",
            signer=OTHER_KEY,
            state_path=self.folder / f"word-{len(list(self.folder.iterdir()))}.json",
            clock=self.clock,
            keys=PinnedKeys(LogKeys(origin=ORIGIN, newest=LOG_KEY.public_key)),
        )
        note = witness.update(fetch)
        public = base64.b64encode(key.public_key).decode()
        return PeerNote(
            name="node-2", department="tax", public_key=public, note=None if note is None else note.decode()
        )


class Made(NamedTuple):
    """What all scenes begin with."""

    log: SmallLog
    tiles: MemoryTileStore
    fork: SmallLog
    export: Path
    proof: str


def said(act: Callable[[], object]) -> set[str]:
    try:
        act()
    except DatongError as error:
        return {error.code}
    return set()


# The database, found by fsck


def edited(one: Scene, column: str, value: str, where: int = 7) -> set[str]:
    one.sql(f"UPDATE ledger_entry SET {column} = {value} WHERE serial = {where + 1}")
    return one.fsck()


def rewritten_leaf(one: Scene) -> set[str]:
    with one.database.transaction() as connection:
        leaf = connection.execute(select(ENTRIES.c.leaf).where(ENTRIES.c.serial == 10)).scalar_one()
        changed = leaf.replace(b"node-1", b"node-2")
        new = {"leaf": changed, "leaf_hash": leaf_hash_of(changed).hex()}
        connection.execute(update(ENTRIES).where(ENTRIES.c.serial == 10).values(new))
    return one.fsck()


SWAPPED = (
    "INSERT INTO ledger_run SELECT 7, 8, length - 7 FROM ledger_run WHERE position = 0",
    "UPDATE ledger_run SET length = 5 WHERE position = 0",
    "INSERT INTO ledger_run VALUES (5, 7, 1), (6, 6, 1)",
)
"""What gives two entries each other's place."""


def swapped(one: Scene) -> set[str]:
    one.sql(*SWAPPED)
    return one.fsck()


def slipped_in(one: Scene) -> set[str]:
    (entry_id,) = one.log.append(1, prefix="slipped")
    one.sql(
        "INSERT INTO ledger_run SELECT 101, 101, length - 100 FROM ledger_run WHERE position = 0",
        "UPDATE ledger_run SET length = 100 WHERE position = 0",
        f"INSERT INTO ledger_run SELECT 100, serial, 1 FROM ledger_entry WHERE id = '{entry_id}'",
    )
    return one.fsck()


def backdated(one: Scene) -> set[str]:
    one.log.clock.advance(timedelta(days=-40))
    one.log.grow(1, prefix="backdated")
    return one.fsck()


def resigned(one: Scene) -> set[str]:
    """A checkpoint signed by another key, put in the place of the newest."""
    with one.database.transaction() as connection:
        size = connection.execute(select(CHECKPOINTS.c.size).order_by(CHECKPOINTS.c.size.desc()).limit(1)).scalar_one()
        note = Note.parse(
            connection.execute(select(CHECKPOINTS.c.note).where(CHECKPOINTS.c.size == size)).scalar_one().encode()
        )
        line = note.signatures[0].model_copy(update={"signature": OTHER_KEY.sign(note.text.encode())})
        forged = Note(text=note.text, signatures=(line,)).encode().decode()
        connection.execute(update(CHECKPOINTS).where(CHECKPOINTS.c.size == size).values(note=forged))
    return one.fsck()


def resized(one: Scene) -> set[str]:
    with one.database.transaction() as connection:
        first = connection.execute(select(CHECKPOINTS).order_by(CHECKPOINTS.c.size).limit(1)).one()
        connection.execute(insert(CHECKPOINTS).values(size=100, note=first.note, published_at=first.published_at))
    return one.fsck()


def forged_root(one: Scene) -> set[str]:
    """The hub's own key signs a root that its entries do not have."""
    with one.database.transaction() as connection:
        other = one.fork.ledger.checkpoint().decode()
        connection.execute(update(CHECKPOINTS).where(CHECKPOINTS.c.size == 290).values(note=other))
    return one.fsck()


def forged_cosignature(one: Scene) -> set[str]:
    with one.database.transaction() as connection:
        line = connection.execute(select(COSIGNATURES.c.line).limit(1)).scalar_one()
        forged = line[:-12] + ("A" if line[-12] != "A" else "B") + line[-11:]
        connection.execute(update(COSIGNATURES).values(line=forged))
    return one.fsck()


def file_changed(one: Scene, name: str, old: bytes, new: bytes) -> set[str]:
    assert old in one.files[name]
    one.files[name] = one.files[name].replace(old, new, 1)
    return one.fsck()


def file_gone(one: Scene) -> set[str]:
    del one.files["tile/entries/000"]
    return one.fsck()


# The hub against its witnesses


def frozen(one: Scene) -> set[str]:
    """node-1 is shown an old log while node-2 is shown the whole."""
    witness, gossip = one.node()
    early = SmallLog(one.folder / "early")
    early.grow(3)
    witness.update(early.fetch)
    early.grow(5)
    word, own = one.word(early.fetch), witness.remembered()
    assert own is not None
    gossip.hear(own, [word], early.fetch)
    one.clock.advance(SILENT_AFTER + timedelta(seconds=1))
    gossip.hear(own, [word], early.fetch)
    return {f"gossip.{trouble.kind}" for trouble in gossip.troubles()}


def silenced(one: Scene) -> set[str]:
    word = PeerNote(
        name="node-2", department="tax", public_key=base64.b64encode(OTHER_KEY.public_key).decode(), note=None
    )
    return one.heard(word, wait=SILENT_AFTER + timedelta(seconds=1))


def made_up(one: Scene) -> set[str]:
    word = one.word(one.log.fetch)
    unsigned = Note.parse((word.note or "").encode())
    log_only = Note(text=unsigned.text, signatures=unsigned.signatures[:1]).encode().decode()
    return one.heard(word.model_copy(update={"note": log_only}))


def rolled_back(one: Scene) -> set[str]:
    early = SmallLog(one.folder / "early")
    early.grow(3)
    return one.witnessed(early.fetch)


def rewritten_and_longer(one: Scene) -> set[str]:
    longer = SmallLog(one.folder / "longer")
    longer.grow(300, prefix="other")
    return one.witnessed(longer.fetch)


def first_with_other_tiles(one: Scene) -> set[str]:
    witness, _ = one.node()
    return said(lambda: witness.update(lambda path: (one.log if path == "checkpoint" else one.fork).fetch(path)))


def edited_checkpoint(one: Scene) -> set[str]:
    forged = one.log.ledger.checkpoint().replace(b"\n290\n", b"\n291\n")
    return one.witnessed(lambda _: forged)


def other_log(one: Scene) -> set[str]:
    other = Ledger(
        database=one.database, clock=one.clock, signer=LOG_KEY, origin="other.example/log", tiles=MemoryTileStore()
    )
    forged = one.log.ledger.checkpoint().replace(ORIGIN.encode(), other.origin.encode())
    return one.witnessed(lambda _: forged)


def stranger_cosigns(one: Scene) -> set[str]:
    note = one.node()[0].update(one.log.fetch) or b""
    return said(lambda: one.log.ledger.cosign(witness_name="node-1", witness_key=OTHER_KEY.public_key, note=note))


def fork_cosigned(one: Scene) -> set[str]:
    note = one.node()[0].update(one.fork.fetch) or b""
    return said(lambda: one.log.ledger.cosign(witness_name="node-1", witness_key=WITNESS_KEY.public_key, note=note))


# What is handed on, found by verify


def verified(one: Scene, change: Callable[[Path], object]) -> set[str]:
    folder = one.export()
    change(folder)
    return said(lambda: verify_log(folder, log_key=LOG_KEY.public_key))


def replace(name: str, old: bytes, new: bytes) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        content = (folder / name).read_bytes()
        assert old in content
        (folder / name).write_bytes(content.replace(old, new, 1))

    return change


def flip(name: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[40] ^= 1
        (folder / name).write_bytes(bytes(content))

    return change


def forked_export(folder: Path, one: Scene) -> None:
    """Files of the honest log under a checkpoint that the same key signed for another history."""
    note = Note.parse(one.fork.ledger.checkpoint())
    own = Note.parse((folder / "checkpoint").read_bytes())
    assert own.text != note.text
    (folder / "checkpoint").write_bytes(note.encode())
    keys = json.loads((folder / "keys.json").read_bytes())
    keys["witnesses"] = [key for key in keys["witnesses"] if key.startswith("node-1")]
    (folder / "keys.json").write_text(json.dumps(keys, separators=(",", ":"), sort_keys=True))


def forked_past(folder: Path, one: Scene) -> None:
    """A witness's earlier checkpoint is of another history."""
    short = SmallLog(one.folder / "short")
    short.grow(270, prefix="other")
    short.cosign()
    (folder / "cosigned/270").write_bytes(short.ledger.checkpoint())


def other_key(folder: Path) -> None:
    keys = json.loads((folder / "keys.json").read_bytes())
    keys["log"] = log_key_of(VerifierKey.parse(keys["log"]).name, OTHER_KEY.public_key).text()
    (folder / "keys.json").write_text(json.dumps(keys, separators=(",", ":"), sort_keys=True))


def proved(one: Scene, **changes: object) -> set[str]:
    document = {**one.proof, **changes}
    return said(lambda: verify_bundle(read_bundle(json.dumps(document).encode()), log_key=LOG_KEY.public_key))


def releaf(one: Scene, old: bytes, new: bytes) -> set[str]:
    leaf = base64.b64decode(one.proof["leaf"])
    assert old in leaf
    return proved(one, leaf=base64.b64encode(leaf.replace(old, new, 1)).decode())


def dated_back_in_export(one: Scene) -> set[str]:
    """Not an error of the files: the hub's own key signed it. The report names the entry."""
    one.log.clock.advance(timedelta(days=-40))
    one.log.grow(1, prefix="backdated")
    one.log.ledger.export(one.folder / "second")
    return {"ledger.entry_backdated"} if verify_log(one.folder / "second").backdated == (290,) else set()
