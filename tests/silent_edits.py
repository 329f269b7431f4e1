"""Edits of a control database behind the platform's back, which `fsck` must name: what their tests share."""

import shutil
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from datong.kernel import Clock, Database
from datong.ledger import Area, FsckReport, Ledger, MemoryTileStore, Signer, TileStore

DIFFERS, BARE, GONE = "ledger.state_differs", "ledger.state_without_evidence", "ledger.state_missing"
PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"


class Edit(NamedTuple):
    """One edit: what it is for, the statement, and where it must be found."""

    aim: str
    statement: str
    code: str
    area: str


def laid_to_rest(database: Path, path: Path) -> Path:
    """Copy a database in use to `path`, as it lies on disk at this moment; return `path`."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("VACUUM INTO ?", (str(path),))
    return path


def edited(resting: Path, folder: Path, edit: Edit) -> Path:
    """Return a copy in `folder` on which the edit was made, which changed something."""
    path = Path(shutil.copy(resting, folder / "control.sqlite"))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute(edit.statement).rowcount > 0
        connection.commit()
    return path


def fsck_at(
    path: Path, areas: Sequence[Area], *, clock: Clock, signer: Signer, origin: str, tiles: TileStore | None = None
) -> FsckReport:
    """Return what `fsck` says of the database at `path`."""
    with closing(Database(f"sqlite:///{path}")) as database:
        ledger = Ledger(database=database, clock=clock, signer=signer, origin=origin, tiles=tiles or MemoryTileStore())
        return ledger.fsck(areas)


def undocumented_edits(edits: Iterable[Edit]) -> list[str]:
    """Return the aims of the edits that docs/reliability.md does not list with what finds them."""
    page = PAGE.read_text(encoding="utf-8")
    return [edit.aim for edit in edits if f"| {edit.aim} | fsck | `{edit.code}` |" not in page]
