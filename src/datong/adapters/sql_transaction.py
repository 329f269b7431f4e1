"""What the common part of SQL targets asks of one engine's transaction."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

import pyarrow as pa

from datong.adapters.conversion import far_times
from datong.exchange import Column

INCOMING = "_datong_in"
NUMBER = "_datong_n"


class StoredColumn(NamedTuple):
    """A column as a database has it: the exchange's type, its own; `required`: no NULL, and no default either."""

    name: str
    type: str
    declared: str
    required: bool


class SqlTransaction(ABC):
    """One transaction on one connection of a SQL database."""

    LONG_TEXT = "text"
    """The type of texts of any length."""
    TABLE_OPTIONS = ""
    """What stands behind the definition of a table of the platform's own."""

    FRACTION_DIGITS_DEFAULT = 6
    """How many digits of a second a time keeps whose declaration does not say."""

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
    def has_table(self, table: str) -> bool:
        """Whether there is a table of that name."""

    @abstractmethod
    def execute(self, statement: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Run a statement (its places are `?`) and return its rows."""

    @abstractmethod
    def load(self, table: pa.Table, columns: tuple[Column, ...]) -> None:
        """Put `table` (the columns, then `_datong_n`) into a new temporary table `_datong_in`."""

    @abstractmethod
    def insert(
        self, target: str, columns: tuple[Column, ...], keys: tuple[str, ...], first: int, end: int
    ) -> str | None:
        """Insert, or upsert when there are keys, the rows of `_datong_in` with first ≤ number < end.

        Returns None, or the database's reason when it refused a value; then nothing of the range was inserted.
        """

    @abstractmethod
    def attempt(self, statement: str) -> str | None:
        """Run a statement; return None, or the database's reason when it refused a value and did nothing."""

    @abstractmethod
    def upsert_clause(self, columns: Sequence[str], keys: Sequence[str]) -> str:
        """Return what makes an INSERT … SELECT … WHERE update the rows whose keys are there already."""

    @abstractmethod
    def value(self, column: Column, alias: str) -> str:
        """Return a value of `_datong_in` (called `alias`) as the target stores it."""

    @abstractmethod
    def differ(self, left: str, right: str, column: Column) -> str:
        """Return the condition that two values of `column`'s type are not the same; NULL is the same as NULL."""

    @abstractmethod
    def moment(self, at: datetime) -> str:
        """Return an instant as a literal of the type that the target gives instants."""

    @abstractmethod
    def delete_matched(self, target: str, keys: Sequence[Column], condition: str) -> None:
        """Delete the rows of `target` whose keys are those of rows of `_datong_in` (called `i`) with `condition`."""

    @abstractmethod
    def update_matched(self, target: str, source: str, keys: Sequence[str], changes: str, condition: str) -> None:
        """Change the rows of `target` (called `t`) that have the keys of a row of `source` (called `i`)."""

    def append(self, target: str, table: pa.Table, columns: tuple[Column, ...]) -> bool:
        """Put the rows of `table` straight into `target`, if this database can and `target` has the columns' types.

        Returns False when nothing was done: the rows then go by `_datong_in`, which finds the ones that are refused.
        """
        return False

    def clear(self, stage: str) -> None:
        """Empty the stage, which nobody else reads."""
        self.execute(f"DELETE FROM {self.quote(stage)}")

    def replace(self, target: str, stage: str, names: str) -> str | None:
        """Let the rows of `stage` take the place of those of `target`; return the reason when it refuses them."""
        self.execute(f"DELETE FROM {self.quote(target)}")
        return self.attempt(f"INSERT INTO {self.quote(target)} ({names}) SELECT {names} FROM {self.quote(stage)}")

    @abstractmethod
    def quote(self, name: str) -> str:
        """Return `name` as an identifier."""

    def names(self, names: Sequence[str]) -> str:
        """Return names as a list of identifiers."""
        return ", ".join(self.quote(name) for name in names)

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
