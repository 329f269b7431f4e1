"""A process that runs one library build over a hub's folder; the fault tests kill it."""

import sys
from datetime import UTC, datetime
from pathlib import Path

from datong.kernel import BuildId, Database, FixedClock
from datong.ledger import Ed25519Signer, Ledger, MemoryTileStore
from datong.library import FixedLanding, Library
from datong.norms import load_pack


def open_library(folder: Path, landing: FixedLanding) -> tuple[Library, Ledger, Database]:
    """Open the library that lives in `folder`, with its ledger and control database."""
    database = Database(f"sqlite:///{folder / 'control.sqlite'}")
    clock = FixedClock(datetime(2026, 1, 5, 1, 0, tzinfo=UTC))
    ledger = Ledger(
        database=database,
        clock=clock,
        signer=Ed25519Signer.generate(),
        origin="test.local/log",
        tiles=MemoryTileStore(),
    )
    library = Library(
        database=database, clock=clock, ledger=ledger, pack=load_pack(None), lake=folder / "lake", landing=landing
    )
    return library, ledger, database


if __name__ == "__main__":
    open_library(Path(sys.argv[1]), FixedLanding())[0].run_build(BuildId(sys.argv[2]))
