"""What an inventory (摸清家底) says of a source: its tables, what each column may mean, what to look at. No values."""

from datetime import datetime
from enum import StrEnum

from pydantic import AwareDatetime, Field

from datong.catalogue.drift import Change, ColumnShape, TableShape
from datong.catalogue.grouping import TableRole
from datong.catalogue.values import Item
from datong.kernel import DepartmentCode, NodeId, ResourceId, Text, Value
from datong.kernel.limits import ITEMS_PER_RESOURCE_MAX, NAME_CHARS_MAX, TEXT_CHARS_MAX

CONFIDENT = 80
"""A mapping below this percentage is to be checked by a person."""
TABLES_PER_REQUEST_MAX = 50
TABLE_NAME_CHARS_MAX = 400
TABLES_PER_INVENTORY_MAX = 20_000


class Fault(Value):
    """Why a source or a table could not be read: the platform's own words, never the database's."""

    code: str = Field(max_length=NAME_CHARS_MAX)
    what: Text


class FoundColumn(Value):
    """A column as the source declares it, and the item that it could be."""

    type: str = Field("", max_length=NAME_CHARS_MAX)
    item: Item

    @property
    def is_mapped(self) -> bool:
        """Whether a data element is proposed for it."""
        return self.item.element is not None

    @property
    def is_unsure(self) -> bool:
        """Whether the proposed element should be checked by a person."""
        return self.is_mapped and self.item.mapping_confidence < CONFIDENT


class FoundTable(Value):
    """A table of a source: what it is, how large, what its columns may mean, and why it was catalogued or not.

    `of` is the main table of a member. A table that could not be read has a `fault`, and columns by their names only.
    """

    table: str = Field(min_length=1, max_length=TABLE_NAME_CHARS_MAX)
    comment: str = Field("", max_length=TEXT_CHARS_MAX)
    role: TableRole
    of: str = Field("", max_length=TABLE_NAME_CHARS_MAX)
    reason: Text
    is_view: bool = False
    rows: int | None = None
    bytes: int | None = None
    changed_at: AwareDatetime | None = None
    columns: tuple[FoundColumn, ...] = Field((), max_length=ITEMS_PER_RESOURCE_MAX)
    key_columns: tuple[str, ...] = ()
    personal: bool = False
    attention: tuple[Text, ...] = ()
    fault: Fault | None = None

    @property
    def shape(self) -> TableShape:
        """The table's structure, for comparing."""
        columns = tuple(ColumnShape(name=column.item.column, type=column.type) for column in self.columns)
        return TableShape(columns=columns, rows=self.rows)

    @property
    def to_check(self) -> int:
        """How many columns a person should look at: unmapped or unsure, in tables that are catalogued."""
        if self.role is not TableRole.MAIN and not self.role.is_member:
            return 0
        return sum(not column.is_mapped or column.is_unsure for column in self.columns)


class ListedTable(Value):
    """A table of an inventory with the resource that is drafted or published from it."""

    found: FoundTable
    resource_id: ResourceId | None
    published: bool = False


class InventoryStart(Value):
    """The begin of an inventory of one source of a node."""

    source: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    engine: str = Field("", max_length=20)


class InventoryCounts(Value):
    """What an inventory adds up to. `to_catalogue` are the main tables; `mapped` and `unsure` count their columns."""

    tables: int = 0
    columns: int = 0
    rows: int = 0
    bytes: int = 0
    to_catalogue: int = 0
    members: int = 0
    codes: int = 0
    left_out: int = 0
    failed: int = 0
    catalogue_columns: int = 0
    mapped: int = 0
    unsure: int = 0
    drafted: int = 0


class Inventory(Value):
    """One inventory of one source. `answered` is false when the source could not be opened at all."""

    id: str
    department: DepartmentCode
    node_id: NodeId
    source: str
    engine: str
    started_at: datetime
    finished_at: datetime | None
    answered: bool
    counts: InventoryCounts
    fault: Fault | None = None
    published: int = 0

    @property
    def coverage(self) -> float | None:
        """目录编制率 of this source: published resources out of the tables to be catalogued; None without any."""
        return min(1.0, self.published / self.counts.to_catalogue) if self.counts.to_catalogue else None


class DriftState(StrEnum):
    """Whether a drift still has to be answered by a new version."""

    OPEN = "open"
    CLOSED = "closed"


class Drift(Value):
    """How a source departs from its published entry, since when, and by when the entry must be updated."""

    id: str
    resource_id: ResourceId
    department: DepartmentCode
    title: Text
    version: int
    changes: tuple[Change, ...]
    opened_at: datetime
    seen_at: datetime
    due_at: datetime
    closed_at: datetime | None = None
    revisable: bool = False
    """Whether a new version can be drafted from the structure found."""

    @property
    def state(self) -> DriftState:
        """Whether it is open."""
        return DriftState.OPEN if self.closed_at is None else DriftState.CLOSED


def counted(tables: tuple[FoundTable, ...], drafted: int) -> InventoryCounts:
    """Return what `tables` add up to; `drafted` is how many of them have a resource."""
    catalogued = [table for table in tables if table.role is TableRole.MAIN or table.role.is_member]
    columns = [column for table in catalogued for column in table.columns]
    roles = [table.role for table in tables]
    return InventoryCounts(
        tables=len(tables),
        columns=sum(len(table.columns) for table in tables),
        rows=sum(table.rows or 0 for table in tables),
        bytes=sum(table.bytes or 0 for table in tables),
        to_catalogue=roles.count(TableRole.MAIN),
        members=sum(role.is_member for role in roles),
        codes=roles.count(TableRole.CODES),
        left_out=roles.count(TableRole.LEFT_OUT),
        failed=sum(table.fault is not None for table in tables),
        catalogue_columns=len(columns),
        mapped=sum(column.is_mapped for column in columns),
        unsure=sum(column.is_unsure for column in columns),
        drafted=drafted,
    )
