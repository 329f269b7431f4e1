"""Writes the migration from the newest released schema to the tables as they are declared now."""

import sys
import tempfile
from pathlib import Path

from alembic import command

from datong.app.schema import MIGRATIONS, migrate, newest_revision
from datong.app.upgrade import alembic_config
from datong.kernel import Database

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'control.sqlite'}")
        migrate(database)
        with database.transaction() as connection:
            command.revision(
                alembic_config(connection, MIGRATIONS),
                message=sys.argv[1],
                autogenerate=True,
                rev_id=f"{int(newest_revision()) + 1:04d}",
            )
        database.close()
