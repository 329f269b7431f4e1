"""Make what `tests/released/VERSION` holds: the data of a small hub of this version, which every later one must open.

    python tools/make_released_hub.py

It plays the demo with a hundred people, so that nearly every table has rows, and packs what is the hub's: the control
database on SQLite (PostgreSQL is filled with the same rows, in tables that this version's migrations make), the log's files, the key. `told.json` says what a later
version has to find: the log's key and size, the rows of each table; and the commit, whose code is the old one when a
later version is tried beside it (`tests/fault/test_rolling_upgrade.py`). Run it once, when a version is released; what is
there already is never made anew.
"""

import json
import lzma
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path

from sqlalchemy import text

from datong import __version__
from datong.adapters.file_keys import load_signer
from datong.app.schema import newest_revision
from datong.kernel import Database

ROOT = Path(__file__).parents[1]
PEOPLE = 100


def main() -> None:
    """Make the folder of this version, once."""
    target = ROOT / "tests" / "released" / __version__
    if target.exists():
        sys.exit(f"{target} is there: what a version's data are is settled when it is released")
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch) / "demo"
        command = [sys.executable, "-m", "datong.app.main", "demo", "--once", "--people", str(PEOPLE), "--home", str(home)]
        subprocess.run(command, check=True, cwd=scratch)
        pack(home / "hub", target)


def pack(hub: Path, target: Path) -> None:
    """Write the data of the hub of a folder, which does not run."""
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "hub"
        (folder / "keys").mkdir(parents=True, mode=0o700)
        with closing(sqlite3.connect(hub / "control.sqlite")) as connection:
            connection.execute("VACUUM INTO ?", (str(folder / "control.sqlite"),))
            tables = rows_of(connection)
        shutil.copytree(hub / "log", folder / "log")
        shutil.copy(hub / "keys" / "hub.key", folder / "keys" / "hub.key")
        with lzma.open(target / "hub.tar.xz", "wb", preset=9) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
            for path in sorted(folder.rglob("*")):
                tar.add(path, arcname=path.relative_to(folder).as_posix(), recursive=False, filter=anonymous)
    with closing(Database(f"sqlite:///{hub / 'control.sqlite'}")) as database, database.snapshot() as connection:
        origin = str(connection.scalar(text("SELECT note FROM ledger_checkpoint LIMIT 1"))).split("\n", 1)[0]
        size = connection.scalar(text("SELECT published_size FROM ledger_state"))
    commit = subprocess.run(["git", "rev-parse", "HEAD"], check=True, cwd=ROOT, capture_output=True, text=True).stdout
    told = {
        "commit": commit.strip(),
        "version": __version__,
        "revision": newest_revision(),
        "log_origin": origin,
        "log_key": load_signer(hub / "keys" / "hub.key").public_key.hex(),
        "log_size": size,
        "rows": tables,
    }
    (target / "told.json").write_text(json.dumps(told, indent=1, sort_keys=True) + "\n")


def rows_of(connection: sqlite3.Connection) -> dict[str, int]:
    """Return how many rows each table has."""
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    return {name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}


def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Forget who packed it, and when."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    main()
