"""Which rows a run moves when it does not simply go on."""

from datong.exchange.table_values import Cursor
from datong.kernel import Value


class RunSpan(Value):
    """What a replay or a backfill moves: rows after `after` (None: from the first) up to `until` (None: to the last).

    `return_to` is where the task goes on afterwards.
    """

    after: Cursor | None = None
    until: Cursor | None = None
    return_to: Cursor | None = None
