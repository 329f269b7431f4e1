"""Settled reports of wrong cells (校核) after their retention: values and statements go, that there was one stays."""

from datetime import timedelta

from sqlalchemy import func, select, update

from datong.kernel import PLATFORM_ACTOR, Clock, Database, JsonValue
from datong.ledger import EntryKind, Ledger
from datong.library.tables import CORRECTION_ACTS, CORRECTIONS

DISPOSED_AT_ONCE_MAX = 200
NOTHING_LEFT = {
    "values": {"entity_id": None, "row_key": None, "disputed": None, "believed": None, "seen": None},
    "salts": {},
}
"""What stays of a report's personal part: without the salts the commitments in its entries open to nobody."""


class CorrectionDisposal:
    """Disposes of what settled reports hold once `keep` has passed since their end."""

    def __init__(self, *, database: Database, clock: Clock, ledger: Ledger, keep: timedelta) -> None:
        self._database, self._clock, self._ledger, self._keep = database, clock, ledger, keep

    def sweep(self) -> bool:
        """Dispose of the reports that are due; return whether there may be more. Each is one transaction."""
        with self._database.snapshot() as connection:
            rows = connection.execute(
                select(CORRECTIONS.c.id)
                .where(CORRECTIONS.c.disposed_at.is_(None), CORRECTIONS.c.ended_at <= self._clock.now() - self._keep)
                .order_by(CORRECTIONS.c.ended_at, CORRECTIONS.c.id)
                .limit(DISPOSED_AT_ONCE_MAX)
            ).all()
        for row in rows:
            self._dispose(row.id)
        return len(rows) == DISPOSED_AT_ONCE_MAX

    def _dispose(self, correction_id: str) -> None:
        mine, acts = CORRECTIONS.c.id == correction_id, CORRECTION_ACTS.c.correction_id == correction_id
        with self._database.transaction() as connection:
            row = connection.execute(select(CORRECTIONS).where(mine).with_for_update()).mappings().one()
            if row["disposed_at"] is not None:
                return
            facts: dict[str, JsonValue] = {
                "action": "dispose_report",
                "correction": correction_id,
                "library": row["library"],
                "provider": row["provider"],
                "consumer": row["consumer"],
                "ended_at": row["ended_at"].isoformat(),
                "days": self._keep.days,
                "acts": connection.execute(select(func.count()).select_from(CORRECTION_ACTS).where(acts)).scalar_one(),
            }
            self._ledger.append(
                connection, kind=EntryKind.RETENTION, subject=correction_id, actor=PLATFORM_ACTOR, facts=facts
            )
            connection.execute(update(CORRECTION_ACTS).where(acts).values(statement=""))
            connection.execute(
                update(CORRECTIONS).where(mine).values(personal=NOTHING_LEFT, disposed_at=self._clock.now())
            )
