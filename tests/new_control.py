"""New control databases on SQLite: copies of one that a test process makes when it first needs one.

Making the tables took longer than most tests that want them. `tests/unit/app/test_schema.py` makes them in earnest.
"""

import shutil
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path

from datong.app.schema import migrate
from datong.kernel import Database


def new_control(folder: Path) -> Database:
    """Return a control database with the newest schema and no rows: `control.sqlite` in `folder`, which exists."""
    file = folder / "control.sqlite"
    file.write_bytes(template())
    return Database(f"sqlite:///{file}")


@cache
def template() -> bytes:
    """Return the file of a control database with the newest schema and no rows, made once in a process."""
    folder = Path(tempfile.mkdtemp(prefix="datong-control-"))
    try:
        file = folder / "control.sqlite"
        with closing(Database(f"sqlite:///{file}")) as database:
            migrate(database)
            with database.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        return file.read_bytes()
    finally:
        shutil.rmtree(folder)
