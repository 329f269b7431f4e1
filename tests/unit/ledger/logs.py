"""A small log for tests."""

from datetime import UTC, datetime
from pathlib import Path

from datong.kernel import Actor, ActorKind, Database, DepartmentCode, EntryId, FixedClock, JsonValue
from datong.ledger import (
    Ed25519Signer,
    EntryKind,
    Ledger,
    LogKeys,
    MemoryTileStore,
    PinnedKeys,
    TileStore,
    Witness,
)
from tests.new_control import new_control

ORIGIN = "city.example/log"
NODE = Actor(kind=ActorKind.NODE, id="node-1", department=DepartmentCode("11440600MB2D000019"))
NOW = datetime(2026, 3, 2, 1, 2, 3, 456789, tzinfo=UTC)
LOG_KEY = Ed25519Signer.from_private_bytes(b"\x01" * 32)
WITNESS_KEY = Ed25519Signer.from_private_bytes(b"\x02" * 32)


class SmallLog:
    """A ledger on a SQLite file, filled with entries on demand."""

    def __init__(self, folder: Path, *, tiles: TileStore | None = None, database: Database | None = None) -> None:
        self.folder = folder
        self.clock = FixedClock(NOW)
        self.tiles = tiles or MemoryTileStore()
        if database is None:
            folder.mkdir(parents=True, exist_ok=True)
            database = new_control(folder)
        self.database = database
        self.ledger = Ledger(database=self.database, clock=self.clock, signer=LOG_KEY, origin=ORIGIN, tiles=self.tiles)

    def append(self, count: int, *, prefix: str = "subject", **facts: JsonValue) -> list[EntryId]:
        with self.database.transaction() as connection:
            return [
                self.ledger.append(
                    connection, kind=EntryKind.BATCH, subject=f"{prefix}-{number}", actor=NODE, facts=facts
                )
                for number in range(count)
            ]

    def grow(self, count: int, *, prefix: str = "subject") -> list[EntryId]:
        ids = self.append(count, prefix=prefix)
        self.integrate()
        return ids

    def integrate(self) -> None:
        while self.ledger.integrate():
            pass

    def fetch(self, path: str) -> bytes:
        return self.ledger.checkpoint() if path == "checkpoint" else self.ledger.tile(path)

    def witness(self, name: str = "node-1", signer: Ed25519Signer = WITNESS_KEY) -> Witness:
        return Witness(
            name=name,
            signer=signer,
            state_path=self.folder / f"{name}.json",
            clock=self.clock,
            keys=PinnedKeys(LogKeys(origin=ORIGIN, newest=LOG_KEY.public_key)),
        )

    def cosign(self, name: str = "node-1", signer: Ed25519Signer = WITNESS_KEY) -> None:
        note = self.witness(name, signer).update(self.fetch)
        if note is not None:
            self.ledger.cosign(witness_name=name, witness_key=signer.public_key, note=note)
