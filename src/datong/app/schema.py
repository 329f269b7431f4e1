"""The control database's schema: the packages' tables, and the forward-only migrations that lead to them."""

from importlib import import_module
from pathlib import Path

from sqlalchemy import Connection, inspect, text

import datong.app.tables
import datong.catalogue.inventory_tables
import datong.catalogue.source_tables
import datong.catalogue.tables
import datong.exchange.tables
import datong.federation.tables
import datong.governance.coordination.tables
import datong.governance.notifications.tables
import datong.governance.satisfaction.tables
import datong.governance.staff.tables
import datong.governance.tables
import datong.ledger.tables
import datong.library.tables
import datong.sharing.sign_in_tables
import datong.sharing.tables
import datong.sharing.tours.tables
import datong.sharing.views.tables
import datong.sharing.wishes.tables
from datong.kernel import Database

MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATION_LOCK = 0x44415431
"""PostgreSQL advisory lock that lets one hub process migrate while others wait ("DAT1")."""

OWNERS = (
    datong.ledger.tables,
    datong.catalogue.tables,
    datong.catalogue.source_tables,
    datong.federation.tables,
    datong.catalogue.inventory_tables,
    datong.exchange.tables,
    datong.library.tables,
    datong.sharing.tables,
    datong.sharing.sign_in_tables,
    datong.sharing.tours.tables,
    datong.sharing.views.tables,
    datong.sharing.wishes.tables,
    datong.governance.tables,
    datong.governance.notifications.tables,
    datong.governance.coordination.tables,
    datong.governance.staff.tables,
    datong.governance.satisfaction.tables,
    datong.app.tables,
)
"""The modules whose import declares every table on `kernel.METADATA`."""


def migrate(database: Database) -> None:
    """Bring the control database to the newest schema; do nothing if it is there already, or further.

    Tables only grow from one version to the next (docs/adr/0287): a process of the version before, started while others
    are of the new one, works on what they made. Alembic is loaded only when there is something to do.
    """
    with database.transaction() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
        if (revision_of(connection) or "") < newest_revision():
            import_module("datong.app.upgrade").upgrade(connection, MIGRATIONS)


def newest_revision() -> str:
    """Return the newest revision, which is the number that the last migration's file name begins with."""
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def revision_of(connection: Connection) -> str | None:
    """Return the revision of a database's schema; None where there is none yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
