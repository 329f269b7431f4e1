"""The platform's own tables in a target database: cursors, digests, and dead letters with what became of them.

Every engine makes them with types of its own; what is asked of them is said here once, for all engines.
"""

from typing import Any

import sqlalchemy as sa

CURSORS = "_datong_applied"
DEAD_LETTERS = "_datong_dead_letter"
OUTCOMES = "_datong_dead_letter_outcome"
LETTER_BATCHES = "_datong_dead_letter_batch"
DIGESTS = "_datong_digest"

OWN_TABLES = sa.MetaData()
_ID = sa.Unicode(100)
_COUNT = sa.BigInteger()
_LONG_TEXT = sa.UnicodeText()


def _key(name: str, kind: sa.types.TypeEngine[Any] = _ID) -> sa.Column[object]:
    return sa.Column(name, kind, primary_key=True, autoincrement=False)


def _filled(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[object]:
    return sa.Column(name, kind, nullable=False)


cursors = sa.Table(
    CURSORS,
    OWN_TABLES,
    _key("task_id"),
    _filled("sequence", _COUNT),
    _filled("batch_id", _ID),
    _filled("manifest_digest", _ID),
    _filled("rows_applied", _COUNT),
    _filled("rows_rejected", _COUNT),
    _filled("run", _COUNT),
    _filled("applied_at", _ID),
)
"""The newest batch of each task that the target holds."""

dead_letters = sa.Table(
    DEAD_LETTERS,
    OWN_TABLES,
    _filled("task_id", _ID),
    _filled("run", _COUNT),
    _filled("sequence", _COUNT),
    _key("batch_id"),
    _key("row_in_batch", _COUNT),
    _filled("reason", sa.Unicode(1000)),
    _filled("content", _LONG_TEXT),
    _filled("rejected_at", _ID),
)
"""The rows that the target could not hold."""

outcomes = sa.Table(
    OUTCOMES,
    OWN_TABLES,
    _key("batch_id"),
    _key("row_in_batch", _COUNT),
    _filled("task_id", _ID),
    _filled("outcome", sa.Unicode(20)),
    _filled("resolved_at", sa.Unicode(40)),
    _filled("resolved_by", sa.Unicode(200)),
    # Where the empty text is NULL, an empty note is one.
    sa.Column("note", sa.Unicode(1000)),
    _filled("changed", _LONG_TEXT),
)
"""What became of dead letters."""

letter_batches = sa.Table(LETTER_BATCHES, OWN_TABLES, _key("batch_id"), _filled("details", _LONG_TEXT))
"""How the batches of dead letters were applied."""

digests = sa.Table(
    DIGESTS,
    OWN_TABLES,
    sa.Column("table_name", sa.Unicode(200), primary_key=True),
    _filled("columns_digest", _ID),
    _filled("row_count", _COUNT),
    _filled("row_sum", _ID),
    _filled("changed", _COUNT),
    _filled("looked_at", _ID),
)
"""What a table's content digest is by now: of what was read at `looked_at`, and of the rows `changed` since."""
