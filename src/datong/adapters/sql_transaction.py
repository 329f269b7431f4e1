"""What the common part of SQL targets asks of one engine's transaction."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import pyarrow as pa
import sqlalchemy as sa

from datong.adapters.conversion import far_times
from datong.exchange import Column, Manifest, TargetPlan

INCOMING = "_datong_in"
NUMBER = "_datong_n"

Statement = sa.Select[*tuple[Any, ...]] | sa.Insert | sa.Update | sa.Delete


class StoredColumn(NamedTuple):
    """A column as a database has it: the exchange's type, its own; `required`: no NULL, and no default either."""

    name: str
    type: str
    declared: str
    required: bool


class Tally(Protocol):
    """Keeps a table's digest up to date while loaded rows change it."""

    def before(self) -> None:
        """Take what the table says of the loaded keys, before it is changed."""
        ...

    def after(self) -> None:
        """Take what it says of them then."""
        ...


class HistoryWork(Protocol):
    """The statements that bring the rows of a batch, or of a whole snapshot, into a history table."""

    def enter(self, numbered: pa.Table, tally: Tally) -> str | None:
        """Enter changes in their order; return None, or the reason for which the table took none of them."""
        ...

    def enter_staged(self) -> str | None:
        """Enter the rows of the stage that differ from the open versions; return None, or the reason of a refusal."""
        ...

    def close_missing(self) -> None:
        """Close the open versions of keys that the stage lacks."""
        ...

    def refused(self, numbered: pa.Table) -> dict[int, str]:
        """Return the rows whose own values the table refuses, with the reasons; the table is as before."""
        ...


class SqlTransaction(ABC):
    """One transaction on one connection of a SQL database."""

    FRACTION_DIGITS_DEFAULT = 6
    """How many digits of a second a time keeps whose declaration does not say."""

    # The shape of tables

    @abstractmethod
    def stored_columns(self, table: str) -> list[StoredColumn]:
        """Return the columns of a table."""

    @abstractmethod
    def has_unique(self, table: str, columns: Sequence[str]) -> bool:
        """Whether a unique index covers exactly these columns."""

    @abstractmethod
    def declared(self, column: Column) -> str:
        """Return the type that a column gets here."""

    def stored_type(self, name: str) -> str:
        """Return the exchange's type of a column that was made for the exchange's type `name`."""
        return name

    def keeps(self, stored: StoredColumn, needed: str) -> bool:
        """Whether a column of another type keeps values of the type `needed` all the same."""
        return False

    @abstractmethod
    def widen(self, table: str, column: Column) -> None:
        """Give a column the type of `column`, which holds every value that it has."""

    @abstractmethod
    def add_column(self, table: str, column: Column) -> None:
        """Add a column to a table."""

    @abstractmethod
    def has_table(self, table: str) -> bool:
        """Whether there is a table, or a view, of that name."""

    @abstractmethod
    def drop_view(self, name: str) -> None:
        """Drop a view, if there is one of that name."""

    @abstractmethod
    def create_view(self, name: str, table: str, names: Sequence[str]) -> None:
        """Make the view of a history's open versions, with the columns called `names`."""

    @abstractmethod
    def ensure_letters(self) -> None:
        """Create the tables beside the dead letters that are missing."""

    # Rows

    @abstractmethod
    def run(self, statement: Statement) -> list[tuple[object, ...]]:
        """Run a statement about the platform's own tables, or one that any engine understands; return its rows."""

    @abstractmethod
    def load(self, table: pa.Table, columns: tuple[Column, ...], into: str) -> None:
        """Put `table` (the columns, then `_datong_n`) where `insert` and `delete_marked` take rows for `into` from."""

    @abstractmethod
    def images(self, table: str, columns: tuple[Column, ...], keys: Sequence[Column]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a table or view whose keys are those of loaded rows, as they are now."""

    @abstractmethod
    def unload(self) -> None:
        """Let go of what was loaded."""

    @abstractmethod
    def insert(
        self, target: str, columns: tuple[Column, ...], keys: tuple[str, ...], first: int, end: int
    ) -> str | None:
        """Insert, or upsert when there are keys, the loaded rows with first ≤ number < end.

        Returns None, or the database's reason when it refused a value; then nothing of the range was inserted.
        """

    @abstractmethod
    def delete_marked(self, target: str, keys: Sequence[Column]) -> None:
        """Delete the rows of `target` whose keys are those of loaded rows marked as deleted, and unload those."""

    def append(self, target: str, table: pa.Table, columns: tuple[Column, ...]) -> bool:
        """Put the rows of `table` straight into `target`, if this database can and `target` has the columns' types.

        Returns False when nothing was done: the rows then are loaded first, which finds the ones that are refused.
        """
        return False

    @abstractmethod
    def clear(self, stage: str) -> None:
        """Empty the stage, which nobody else reads."""

    @abstractmethod
    def replace(self, target: str, stage: str, names: Sequence[str]) -> str | None:
        """Let the rows of `stage` take the place of those of `target`; return the reason when it refuses them."""

    @abstractmethod
    def mirror(self, target: str, stage: str, names: Sequence[str], keys: Sequence[str]) -> str | None:
        """Make `target` hold the keys of `stage` with its values; return the reason when it refuses them."""

    @abstractmethod
    def history(self, plan: TargetPlan, manifest: Manifest, stage: str | None) -> HistoryWork:
        """Return the way of what is loaded (`stage` is None), or of the rows of a stage, into a history table."""

    def faults(self, batch: pa.RecordBatch) -> dict[int, str]:
        """Return the rows that this database could not even load, each with the reason."""
        return far_times(batch)


def refused_rows(insert: Callable[[int, int], str | None], rows: int) -> dict[int, str]:
    """Call `insert` on ranges of row numbers, halving what it refuses; return the rows refused alone, with reasons."""
    letters: dict[int, str] = {}
    ranges = [(0, rows)]
    while ranges:
        first, end = ranges.pop()
        reason = insert(first, end)
        if reason is not None and end - first == 1:
            letters[first] = reason
        elif reason is not None:
            middle = (first + end) // 2
            ranges += [(middle, end), (first, middle)]
    return letters
