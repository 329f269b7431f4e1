"""Whatever SQLAlchemy has a dialect for (Oracle, SQL Server, 达梦, Kingbase …) as a target."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import pyarrow as pa
import sqlalchemy as sa

from datong.adapters.sql_letters import open_letters
from datong.adapters.sql_own_tables import cursors
from datong.adapters.sql_shape import fit, layouts
from datong.adapters.sql_target import SqlTarget, apply_batch, last_applied
from datong.adapters.sqlalchemy_database import SqlalchemyDatabase
from datong.adapters.sqlalchemy_transaction import SqlalchemyTransaction
from datong.exchange import Applied, AppliedCursor, Column, Manifest, TargetPlan
from datong.kernel import Invalid, TaskId, Text


class SqlalchemyTarget(SqlalchemyDatabase, SqlTarget):
    """One database behind an SQLAlchemy dialect, as Target."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        if self._dialect == "sqlite":
            # Its numbers and moments are what the driver makes of them; the connector of its own keeps them exactly.
            raise Invalid(
                "adapters.target_dialect",
                what=Text(
                    zh="SQLite 不能通过 SQLAlchemy 作为目标：小数和时间会失真。",
                    en="SQLite over SQLAlchemy is no target: it would change decimals and moments.",
                ),
                remedy=Text(zh="请使用 sqlite:///path。", en="Use sqlite:///path."),
                field="/url",
            )
        self._prepared: set[tuple[TargetPlan, tuple[Column, ...]]] = set()

    def prepare(self, plan: TargetPlan, columns: tuple[Column, ...]) -> None:
        """Create what is missing; here and not in `apply`, because many engines commit at every definition."""
        if (plan, columns) in self._prepared:
            return
        with self._changing() as transaction:
            transaction.create(layouts(plan, columns))
        self._prepared.add((plan, columns))

    def last_applied(self, task_id: TaskId) -> AppliedCursor | None:
        """Return the task's newest applied batch."""
        with self._changing() as transaction:
            return last_applied(transaction, task_id)

    def rejected(self, task_id: TaskId) -> int:
        """Return how many dead letters the task has."""
        with self._changing() as transaction:
            return open_letters(transaction, task_id)

    def apply(
        self, manifest: Manifest, reader: pa.RecordBatchReader, *, plan: TargetPlan, applied_at: datetime
    ) -> Applied:
        """Apply one batch and move the cursor in one transaction."""
        own = cursors.c.task_id == manifest.task_id
        with self._open() as connection:
            transaction = SqlalchemyTransaction(connection)
            with connection.begin():
                fit(transaction, plan, manifest.columns, first=last_applied(transaction, manifest.task_id) is None)
            with connection.begin():
                # Locks the task's row on every engine, so that two consumers cannot apply at once; before the first
                # batch there is none, and the second of two finds its cursor's key taken.
                transaction.run(sa.update(cursors).where(own).values(sequence=cursors.c.sequence))
                return apply_batch(transaction, manifest, reader, plan=plan, applied_at=applied_at)

    @contextmanager
    def _changing(self) -> Iterator[SqlalchemyTransaction]:
        with self._open() as connection, connection.begin():
            yield SqlalchemyTransaction(connection)
