"""A target table's content digest, kept up to date with each batch instead of being read anew after it.

The digest is a sum over rows (`exchange.digest`), so what a batch changes is known from the rows that it touches, read
in its transaction before and after: the new sum stands in the database with the cursor. Now and then the whole table is
read all the same (`due`), which also sees what others have done to it.
"""

from collections.abc import Iterable
from datetime import datetime

import pyarrow as pa
import sqlalchemy as sa

from datong.adapters.sql_own_tables import digests
from datong.adapters.sql_transaction import SqlTransaction
from datong.exchange import (
    CURRENT_SUFFIX,
    ApplyMode,
    Column,
    ContentDigest,
    KnownDigest,
    TargetPlan,
    content_digest,
    digest_after,
    moved_columns,
    schema_fingerprint,
)
from datong.kernel import DatongError


def known_digest(transaction: SqlTransaction, table: str, columns: tuple[Column, ...]) -> KnownDigest | None:
    """Return what is known of a table's digest on `columns`, if anything is."""
    own = digests.c
    query = sa.select(own.row_count, own.row_sum, own.changed, own.looked_at).where(
        own.table_name == table, own.columns_digest == schema_fingerprint(columns)
    )
    found = transaction.run(query)
    if not found:
        return None
    rows, total, changed, at = found[0]
    return KnownDigest(
        digest=ContentDigest(rows=int(str(rows)), sum=str(total)),
        changed=int(str(changed)),
        looked_at=datetime.fromisoformat(str(at)),
    )


def remember_digest(transaction: SqlTransaction, table: str, columns: tuple[Column, ...], known: KnownDigest) -> None:
    """Keep what is known of a table's digest."""
    forget_digest(transaction, table)
    transaction.run(
        sa.insert(digests).values(
            table_name=table,
            columns_digest=schema_fingerprint(columns),
            row_count=known.digest.rows,
            row_sum=known.digest.sum,
            changed=known.changed,
            looked_at=known.looked_at.isoformat(),
        )
    )


def forget_digest(transaction: SqlTransaction, table: str) -> None:
    """Forget a table's digest: it has changed in a way that nobody has followed."""
    transaction.run(sa.delete(digests).where(digests.c.table_name == table))


class RunningDigest:
    """What one batch does to its table's digest."""

    def __init__(
        self, transaction: SqlTransaction, plan: TargetPlan, columns: tuple[Column, ...], at: datetime
    ) -> None:
        self._transaction = transaction
        self._table = plan.table + CURRENT_SUFFIX if plan.mode is ApplyMode.HISTORY else plan.table
        self._columns = moved_columns(plan, columns)
        by_name = {column.name: column for column in self._columns}
        self._keys = [by_name[key] for key in plan.key_columns if key in by_name]
        known = known_digest(transaction, self._table, self._columns)
        # Whoever is to read the whole table soon need not follow it until then.
        self._known = None if known is None or known.due(at) else known
        self._before: ContentDigest | None = None

    def before(self) -> None:
        """Take what the table says of the loaded keys, before it is changed."""
        self._before = self._images()

    def after(self) -> None:
        """Take what it says of them then."""
        after = None if self._before is None else self._images()
        if self._known is not None and self._before is not None and after is not None:
            self._known = digest_after(self._known, self._before, after)

    def added(self, rows: pa.Table) -> None:
        """Take rows that were added, under the target's names."""
        if self._known is not None:
            names = [column.name for column in self._columns]
            added = content_digest(rows.select(names).to_batches(), self._columns)
            self._known = digest_after(self._known, ContentDigest(rows=0, sum="0" * 32), added)

    def keep(self) -> None:
        """Keep the digest, in the transaction of the rows; one that nobody could follow is forgotten."""
        if self._known is None:
            forget_digest(self._transaction, self._table)
        else:
            remember_digest(self._transaction, self._table, self._columns, self._known)

    def lose(self) -> None:
        """The table is replaced as a whole."""
        self._known = None

    def _images(self) -> ContentDigest | None:
        if self._known is None:
            return None
        found: Iterable[pa.RecordBatch] = self._transaction.images(self._table, self._columns, self._keys)
        try:
            return content_digest(found, self._columns)
        except DatongError:
            # A row of the department's own that has no canonical text: the next look says so.
            self._known = None
            return None
