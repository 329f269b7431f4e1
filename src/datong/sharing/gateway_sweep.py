"""What the gateway keeps for a while, and forgets."""

from datetime import datetime

from datong.kernel import Database
from datong.sharing.once import forget_answers
from datong.sharing.quota_counts import forget_windows


def forget_gateway_state(database: Database, now: datetime) -> bool:
    """Remove answers kept for repeated calls, and counts of windows, whose time is over; return False: that is all."""
    with database.transaction() as connection:
        forget_answers(connection, now)
        forget_windows(connection, now)
    return False
