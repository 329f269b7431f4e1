"""Writes the migration from the newest released schema to the tables as they are declared now."""

import sys
import tempfile
from pathlib import Path

from alembic import command

from datong.app.schema import alembic_config, migrate
from datong.kernel import Database

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'control.sqlite'}")
        migrate(database)
        with database.transaction() as connection:
            command.revision(alembic_config(connection), message=sys.argv[1], autogenerate=True)
        database.close()
