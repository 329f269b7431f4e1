"""How the log keeps up, in three cheap looks: what is published, since when, and since when entries wait."""

from datetime import datetime

from sqlalchemy import func, select

from datong.kernel import Database, Value
from datong.ledger.sequencer import published_size
from datong.ledger.tables import CHECKPOINTS, ENTRIES, STATE


class LogPulse(Value):
    """`size` entries are published, the newest checkpoint at `published_at`; others wait since `waiting_since`."""

    size: int
    published_at: datetime | None
    waiting_since: datetime | None


def read_pulse(database: Database) -> LogPulse:
    """Return how the log keeps up now."""
    with database.snapshot() as connection:
        size = published_size(connection)
        published_at = connection.scalar(
            select(CHECKPOINTS.c.published_at).order_by(CHECKPOINTS.c.size.desc()).limit(1)
        )
        next_serial = connection.scalar(select(func.max(STATE.c.next_serial))) or 0
        waiting_since = connection.scalar(
            select(ENTRIES.c.at).where(ENTRIES.c.serial >= next_serial).order_by(ENTRIES.c.serial).limit(1)
        )
    return LogPulse(size=size, published_at=published_at, waiting_since=waiting_since)
