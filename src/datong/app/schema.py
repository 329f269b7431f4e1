"""The control database's schema: the packages' tables, and the forward-only migrations that lead to them."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

import datong.catalogue.tables
import datong.exchange.tables
import datong.governance.tables
import datong.ledger.tables
import datong.library.tables
import datong.sharing.tables
from datong.kernel import Database

MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATION_LOCK = 0x44415431
"""PostgreSQL advisory lock that lets one hub process migrate while others wait ("DAT1")."""

OWNERS = (
    datong.ledger.tables,
    datong.catalogue.tables,
    datong.exchange.tables,
    datong.library.tables,
    datong.sharing.tables,
    datong.governance.tables,
)
"""The modules whose import declares every table on `kernel.METADATA`."""


def alembic_config(connection: Connection) -> Config:
    """Return Alembic's configuration for one open connection."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def migrate(database: Database) -> None:
    """Bring the control database to the newest schema; do nothing if it is there already."""
    with database.transaction() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
        command.upgrade(alembic_config(connection), "head")
