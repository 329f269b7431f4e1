"""What is known of a table's digest without reading the table: the last look, and what batches changed since."""

from datetime import datetime, timedelta

from datong.exchange.table_values import ContentDigest
from datong.kernel import Value

LOOK_EVERY = timedelta(days=1)
LOOK_ROWS_MIN = 50_000
"""A table that has fewer rows is not read more often than after so many changed ones."""
_MODULUS = 1 << 64


class KnownDigest(Value):
    """A table's digest as it must be by now; `changed` rows were touched since the table was read, at `looked_at`."""

    digest: ContentDigest
    changed: int
    looked_at: datetime

    def due(self, now: datetime) -> bool:
        """Whether the whole table is to be read again: so seldom that it costs no more than the changes themselves."""
        return self.changed >= max(self.digest.rows, LOOK_ROWS_MIN) or now - self.looked_at >= LOOK_EVERY


def digest_after(known: KnownDigest, before: ContentDigest, after: ContentDigest) -> KnownDigest:
    """Return what is known once rows that were `before` are `after`."""
    halves = [
        (int(known.digest.sum[half], 16) - int(before.sum[half], 16) + int(after.sum[half], 16)) % _MODULUS
        for half in (slice(0, 16), slice(16, 32))
    ]
    rows = max(known.digest.rows - before.rows + after.rows, 0)
    return KnownDigest(
        digest=ContentDigest(rows=rows, sum=f"{halves[0]:016x}{halves[1]:016x}"),
        changed=known.changed + max(before.rows, after.rows),
        looked_at=known.looked_at,
    )
