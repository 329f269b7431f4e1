"""The control database's schema: the packages' tables, and the forward-only migrations that lead to them."""

import logging
import time
from importlib import import_module
from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import OperationalError

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
from datong.kernel import Database, Text, Unavailable

MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATION_LOCK = 0x44415431
"""PostgreSQL advisory lock that lets one hub process migrate while others wait ("DAT1")."""
LOCK_MILLISECONDS_MAX = 1_000
"""For so long a migration waits for a table, and with it every call that wants the table after it."""
MIGRATION_SECONDS_MAX = 300.0
PAUSE_SECONDS = 1.0
LOCK_NOT_AVAILABLE = "55P03"
"""PostgreSQL's SQLSTATE of a lock that was not had in time (PostgreSQL 15, Appendix A)."""
LOGGER = logging.getLogger(__name__)

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


def migrate(
    database: Database, *, seconds: float = MIGRATION_SECONDS_MAX, pause_seconds: float = PAUSE_SECONDS
) -> None:
    """Bring the control database to the newest schema; do nothing if it is there already, or further.

    Tables only grow from one version to the next (docs/adr/0287): a process of the version before, started while others
    are of the new one, works on what they made. A table that is in use is not waited for for long: behind a waiting
    migration everybody else waits, too. It lets go, and tries again. Alembic is loaded only when there is something to
    do.

    Raises:
        Unavailable: `app.migration_waits`: others held a table for all of `seconds`.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            _migrate(database)
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
            if time.monotonic() + pause_seconds > until:
                raise _waits(seconds) from error
            LOGGER.warning("a table that is to change is in use; the migration lets go and tries again")
            time.sleep(pause_seconds)
        else:
            return


def _migrate(database: Database) -> None:
    with database.transaction() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
        if (revision_of(connection) or "") >= newest_revision():
            return
        if not database.is_sqlite:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_MILLISECONDS_MAX}")
        import_module("datong.app.upgrade").upgrade(connection, MIGRATIONS)


def _waits(seconds: float) -> Unavailable:
    return Unavailable(
        "app.migration_waits",
        what=Text(
            zh=f"有事务占用需要变更的数据表，{seconds:.0f} 秒内未能升级。",
            en=f"A transaction held a table that is to change for {seconds:.0f} seconds; nothing was changed.",
        ),
        remedy=Text(
            zh="请等备份或长事务结束（pg_stat_activity 可查），再启动。",
            en="Wait until the backup or the long transaction has ended (pg_stat_activity shows it), then start again.",
        ),
    )


def newest_revision() -> str:
    """Return the newest revision, which is the number that the last migration's file name begins with."""
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def revision_of(connection: Connection) -> str | None:
    """Return the revision of a database's schema; None where there is none yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
