"""Ranges of a table's rows, by which two ends compare themselves without showing a value.

A row's place is the MD5 of a salt and its key's canonical text, in hexadecimal. A range is all rows whose place begins
with a prefix. So ranges are about equally large, every engine agrees on them whatever its collation, and a prefix says
nothing about a key. A table without a key has whole rows for keys.
"""

from collections.abc import Callable
from itertools import count

from pydantic import Field

from datong.exchange.questions import HEX_32, PLACE_DIGITS, ROWS_LISTED_MAX, Question
from datong.exchange.reconciliation_values import ReconcileEnd
from datong.exchange.table_values import Column, Cursor
from datong.exchange.values import Task
from datong.kernel import Value
from datong.kernel.limits import NAME_CHARS_MAX


class Containing(Value):
    """Rows in whose text column at least one of some texts occurs; a source may return others, too."""

    column: str
    texts: tuple[str, ...] = Field(min_length=1)


class LookupQuery(Value):
    """The rows of a table with one value in one column, at most `rows_max`, within `timeout_seconds`.

    Of these only rows that meet every one of `containing` are wanted, so that others do not take up their places.
    """

    table: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    columns: tuple[Column, ...] = Field(min_length=1)
    key_column: str
    key_value: str
    rows_max: int = Field(ge=1)
    timeout_seconds: float = Field(gt=0)
    containing: tuple[Containing, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts that are sought, in the order of `containing`: what a statement binds after the key's value."""
        return tuple(text for one in self.containing for text in one.texts)

    def containing_sql(self, test: Callable[[str, int], str]) -> str:
        """Return ` AND …` for `containing`; `test` says of a column and the place of a text (from 0) that it occurs."""
        places = count()
        groups = [" OR ".join(test(one.column, next(places)) for _ in one.texts) for one in self.containing]
        return "".join(f" AND ({group})" for group in groups)

    @property
    def key(self) -> Column:
        """The column that is compared."""
        return next(column for column in self.columns if column.name == self.key_column)


class RangeQuery(Value):
    """Which rows an end shall digest, and how finely; all `prefixes` have the same length, and "" means every row.

    Rows after `as_of`, in the order of `cursor_column` and then of the keys, are counted as newer and left out of
    the sums. With `ties_are_old` rows that share the cursor column's value with `as_of` are not newer, whatever
    their keys: that is the consumer's view, whose engine may order keys otherwise.
    """

    table: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    columns: tuple[Column, ...] = Field(min_length=1)
    key_columns: tuple[str, ...] = ()
    salt: str = Field(pattern=HEX_32)
    prefixes: tuple[str, ...] = Field(("",), min_length=1, max_length=ROWS_LISTED_MAX)
    digits: int = Field(0, ge=0, le=PLACE_DIGITS)
    cursor_column: str | None = None
    as_of: Cursor | None = None
    ties_are_old: bool = False

    @property
    def keys(self) -> tuple[Column, ...]:
        """The columns whose values place a row."""
        if not self.key_columns:
            return self.columns
        by_name = {column.name: column for column in self.columns}
        return tuple(by_name[name] for name in self.key_columns)

    @property
    def bounds(self) -> tuple[tuple[Column, str], ...]:
        """The columns and texts after which a row is newer; empty when no row is."""
        if self.as_of is None or self.cursor_column is None:
            return ()
        order = (self.cursor_column, *(name for name in self.key_columns if name != self.cursor_column))
        by_name = {column.name: column for column in self.columns}
        pairs = tuple((by_name[name], text) for name, text in zip(order, self.as_of.values, strict=True))
        return pairs[:1] if self.ties_are_old else pairs

    @property
    def prefix_digits(self) -> int:
        """How many digits the prefixes have."""
        return len(self.prefixes[0])


def range_query(
    task: Task, columns: tuple[Column, ...], question: Question, salt: str, as_of: Cursor | None, end: ReconcileEnd
) -> RangeQuery:
    """Return what one end of a task digests for a question, in the names of the source."""
    return RangeQuery(
        table=task.table,
        columns=columns,
        key_columns=task.key_columns,
        salt=salt,
        prefixes=question.prefixes,
        digits=question.digits,
        cursor_column=task.cursor_column if as_of is not None else None,
        as_of=as_of,
        ties_are_old=end is ReconcileEnd.CONSUMER,
    )
