"""What a source declares of its tables, what is read of them, and how far."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from datong.exchange.apply_modes import DELETED
from datong.kernel import Text, Value
from datong.kernel.limits import ITEMS_PER_RESOURCE_MAX, NAME_CHARS_MAX, READ_ROWS_MAX

RESERVED_PREFIX = "_datong_"
"""How the platform's own columns and tables begin; no column of a source may."""


class Column(Value):
    """A column of a source table or a batch; `type` is a name of `datong.exchange.types`, such as `decimal(18,2)`."""

    name: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    type: str
    nullable: bool = True
    source_type: str = ""
    comment: str = ""


DELETED_COLUMN = Column(name=DELETED, type="boolean", nullable=False)
"""The first column of a batch of changes: true when the row with these keys was deleted (its other values are NULL)."""


def data_columns(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """Return those columns of a manifest that hold data: what enters a table and is counted and digested there."""
    return tuple(column for column in columns if not column.name.startswith(RESERVED_PREFIX))


class ForeignKey(Value):
    """A declared reference from `columns` to `other_columns` of `other_table`."""

    columns: tuple[str, ...]
    other_table: str
    other_columns: tuple[str, ...]


class TableKind(StrEnum):
    """What a source calls a table."""

    TABLE = "table"
    VIEW = "view"
    FILE = "file"


class RefusedColumn(Value):
    """A column of a source whose values have no lossless counterpart in the exchange, and why."""

    name: str
    source_type: str
    reason: Text


class TableSchema(Value):
    """A table as a source declares it; `rows` is an estimate, None when the source has none.

    `bytes` is what it takes on the source's disk, indexes included; `changed_at` when its rows last changed, as far as
    the engine knows. `refused` names the columns that cannot be shared, `problems` what keeps the table, or a part of
    it (a damaged file), from being read.
    """

    table: str
    columns: tuple[Column, ...]
    key_columns: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    comment: str = ""
    rows: int | None = None
    kind: TableKind = TableKind.TABLE
    bytes: int | None = None
    changed_at: datetime | None = None
    refused: tuple[RefusedColumn, ...] = ()
    problems: tuple[Text, ...] = ()

    def column(self, name: str) -> Column | None:
        """The column called `name`, if there is one."""
        return next((column for column in self.columns if column.name == name), None)


class Cursor(Value):
    """How far a reader has come: the canonical texts of the cursor column (if any) and the key columns, in order."""

    values: tuple[str, ...]


class ReadQuery(Value):
    """What a connector shall read: rows after `after`, in the order of `cursor_column` and `key_columns`."""

    table: str
    columns: tuple[str, ...] = Field(min_length=1, max_length=ITEMS_PER_RESOURCE_MAX)
    key_columns: tuple[str, ...] = ()
    cursor_column: str | None = None
    after: Cursor | None = None
    batch_rows: int = Field(READ_ROWS_MAX, ge=1)

    @property
    def order(self) -> tuple[str, ...]:
        """The columns that order the rows and make up a `Cursor`."""
        first = () if self.cursor_column is None else (self.cursor_column,)
        return first + tuple(name for name in self.key_columns if name != self.cursor_column)


class ContentDigest(Value):
    """Row count and an order-independent sum over canonical values (32 hex digits); equal rows give equal digests."""

    rows: int
    sum: str


TableDigest = ContentDigest
"""The content digest of a whole table, or of the columns of it that a task moves."""
