"""What a source that keeps a log of changes can do; adapters implement it, the node's capture uses it."""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple, Protocol

from datong.exchange.table_values import Column, ReadQuery
from datong.kernel import Conflict

if TYPE_CHECKING:
    import pyarrow as pa


class ChangesLost(Conflict):
    """The log does not tell every change after the wanted position; only a snapshot can go on."""


class Beginning(NamedTuple):
    """A consistent copy of a table, and the position in the log that it stands for: changes after it are not in it."""

    position: str
    rows: "pa.RecordBatchReader"


class ChangePiece(NamedTuple):
    """Changes in their order (`DELETED_COLUMN` first), and the position after them."""

    rows: "pa.RecordBatch"
    position: str


class Following(NamedTuple):
    """Which changes are wanted: of a table's columns, named by keys, after a position.

    `confirmed` is how far the log may have been given up already: `after`, or a later position up to which the node
    knows that nothing concerned the table.
    """

    table: str
    columns: tuple[Column, ...]
    key_columns: tuple[str, ...]
    after: str
    confirmed: str


class ChangeStream(Protocol):
    """The changes of one table from a position on, in the order of their commits."""

    @property
    def seen(self) -> str:
        """How far the log was read."""
        ...

    @property
    def resting(self) -> str | None:
        """A later position that may be confirmed since nothing up to it concerns the table, if there is one."""
        ...

    def next(self, rows_max: int, wait_seconds: float) -> ChangePiece | None:
        """Return the next changes, or None when none came within `wait_seconds`.

        Raises:
            ChangesLost: a snapshot must take over. Unavailable: the source does not answer.
        """
        ...

    def confirm(self, position: str) -> None:
        """Let the source forget its log up to `position`."""
        ...

    def close(self) -> None:
        """End the stream; what was not confirmed comes again."""
        ...


class ChangeSource(Protocol):
    """A source that keeps a log of changes. `name` names the place in the log that it keeps for one task."""

    def begin(self, name: str, query: ReadQuery, columns: tuple[Column, ...]) -> AbstractContextManager[Beginning]:
        """Begin (again): note the place in the log, and yield the table as of it.

        Raises:
            Misconfigured, Conflict: the log does not tell every change, or may not be read; the remedy says what to do.
        """
        ...

    def follow(self, name: str, following: Following) -> ChangeStream:
        """Return the changes after a position.

        Raises:
            ChangesLost: a snapshot must take over. Unavailable: the source does not answer.
        """
        ...

    def kept_bytes(self, name: str) -> int:
        """Return how much of its log the source keeps for the task."""
        ...

    def forget(self, name: str) -> None:
        """Give up the place in the log; what is gone already is fine."""
        ...
