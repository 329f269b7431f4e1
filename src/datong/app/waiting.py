"""Waiting for the control database at the start: machines start their services in any order.

A server that is starting up, or not listening yet, is waited for; one that refuses the account or has no such database
is not, because it will not change its mind.
"""

import logging
import time

from sqlalchemy.exc import OperationalError

from datong.kernel import Database, Misconfigured, Text, Unavailable

WAIT_SECONDS_MAX = 60.0
PAUSE_SECONDS_MIN, PAUSE_SECONDS_MAX = 0.2, 2.0
_REFUSED = "FATAL"
_NOT_YET = ("starting up", "shutting down", "recovery", "not yet accepting", "too many", "remaining connection slots")
"""libpq tells no SQLSTATE before there is a connection, so PostgreSQL's words must do; of words that are not English
nothing is concluded, and the server is waited for."""
LOGGER = logging.getLogger(__name__)


def wait_for_database(database: Database, *, seconds: float = WAIT_SECONDS_MAX) -> None:
    """Return as soon as the control database answers.

    Raises:
        Unavailable: `app.database_silent`: it did not within `seconds`.
        Misconfigured: `app.database_refused`: it answers, and lets nobody in.
    """
    until, pause = time.monotonic() + seconds, PAUSE_SECONDS_MIN
    while True:
        try:
            with database.snapshot():
                return
        except OperationalError as error:
            # The text of the error may hold the address, so it is not passed on.
            said = str(error.orig)
            if _REFUSED in said and not any(words in said for words in _NOT_YET):
                raise _refused() from None
            if time.monotonic() + pause > until:
                raise _silent(seconds) from None
        if pause == PAUSE_SECONDS_MIN:
            LOGGER.warning("the control database does not answer yet; waiting up to %.0f s", seconds)
        time.sleep(pause)
        pause = min(2 * pause, PAUSE_SECONDS_MAX)


def _silent(seconds: float) -> Unavailable:
    return Unavailable(
        "app.database_silent",
        what=Text(
            zh=f"控制数据库在 {seconds:.0f} 秒内没有应答。",
            en=f"The control database did not answer within {seconds:.0f} seconds.",
        ),
        remedy=Text(
            zh="请启动数据库，或核对 DATONG_DATABASE_URL。", en="Start the database, or correct DATONG_DATABASE_URL."
        ),
        field="DATONG_DATABASE_URL",
    )


def _refused() -> Misconfigured:
    return Misconfigured(
        "app.database_refused",
        what=Text(zh="控制数据库拒绝了这个账号或库名。", en="The control database refuses this account or name."),
        remedy=Text(
            zh="请核对 DATONG_DATABASE_URL 中的账号、口令和库名。",
            en="Check account, password and database in DATONG_DATABASE_URL.",
        ),
        field="DATONG_DATABASE_URL",
    )
