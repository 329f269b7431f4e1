"""Running the migrations with Alembic; imported only when the control database is behind."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def alembic_config(connection: Connection, migrations: Path) -> Config:
    """Return Alembic's configuration for one open connection and the folder `migrations`."""
    config = Config()
    config.set_main_option("script_location", str(migrations))
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection, migrations: Path, revision: str = "head") -> None:
    """Run every migration in `migrations` up to `revision` that the database does not have, inside the open
    transaction."""
    command.upgrade(alembic_config(connection, migrations), revision)
