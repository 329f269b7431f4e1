"""What changed between a table as it was catalogued and as it is found again; pure.

《政务数据共享条例》 Art. 17: a department updates its catalogue within ten working days of a change. A change here is
one that makes the published entry wrong, or that it does not tell: columns gone, new or of another type, the table
gone, its source or itself not readable, most of its rows lost.
"""

from collections.abc import Sequence
from enum import StrEnum

from datong.kernel import Text, Value, canonical_json, sha256_hex

COLLAPSE_RATIO = 0.5
COLLAPSE_ROWS_MIN = 100
"""Fewer rows than this come and go without meaning anything."""


class ColumnShape(Value):
    """A column as the source declares it."""

    name: str
    type: str = ""


class TableShape(Value):
    """A table's structure and size at one moment; `rows` None: the source did not say."""

    columns: tuple[ColumnShape, ...]
    rows: int | None = None

    @property
    def fingerprint(self) -> str:
        """A digest of names and types; order does not count, for entries go by names."""
        return sha256_hex(canonical_json(sorted([column.name, column.type] for column in self.columns)))


class ChangeKind(StrEnum):
    """One way in which a source departs from its catalogue entry."""

    COLUMN_ADDED = "column_added"
    COLUMN_REMOVED = "column_removed"
    TYPE_CHANGED = "type_changed"
    TABLE_GONE = "table_gone"
    UNREADABLE = "unreadable"
    ROWS_COLLAPSED = "rows_collapsed"

    @property
    def label(self) -> Text:
        """The change's name."""
        return _KINDS[self]

    @property
    def is_dead_binding(self) -> bool:
        """Whether nothing can be had from the source any more."""
        return self in {ChangeKind.TABLE_GONE, ChangeKind.UNREADABLE}


class Change(Value):
    """One change; `column` for changes of a column, `before` and `after` its types, or the table's rows."""

    kind: ChangeKind
    column: str = ""
    before: str = ""
    after: str = ""


_KINDS = {
    ChangeKind.COLUMN_ADDED: Text(zh="新增列", en="Column added"),
    ChangeKind.COLUMN_REMOVED: Text(zh="列已删除", en="Column removed"),
    ChangeKind.TYPE_CHANGED: Text(zh="列类型变化", en="Type changed"),
    ChangeKind.TABLE_GONE: Text(zh="表已不存在", en="Table gone"),
    ChangeKind.UNREADABLE: Text(zh="连续无法读取", en="Not readable, repeatedly"),
    ChangeKind.ROWS_COLLAPSED: Text(zh="行数骤减", en="Rows lost"),
}


def compare(catalogued: TableShape, found: TableShape | None) -> tuple[Change, ...]:
    """Return the changes that lead from the structure catalogued to the one found; None: the table is gone.

    Columns of a type unknown on either side are not compared by type.
    """
    if found is None:
        return (Change(kind=ChangeKind.TABLE_GONE),)
    before = {column.name: column.type for column in catalogued.columns}
    after = {column.name: column.type for column in found.columns}
    changes = [
        Change(kind=ChangeKind.COLUMN_REMOVED, column=name, before=kind)
        for name, kind in before.items()
        if name not in after
    ]
    changes += [
        Change(kind=ChangeKind.TYPE_CHANGED, column=name, before=before[name], after=kind)
        for name, kind in after.items()
        if name in before and before[name] != kind and before[name] and kind
    ]
    changes += [
        Change(kind=ChangeKind.COLUMN_ADDED, column=name, after=kind)
        for name, kind in after.items()
        if name not in before
    ]
    if _collapsed(catalogued.rows, found.rows):
        changes.append(
            Change(kind=ChangeKind.ROWS_COLLAPSED, before=str(catalogued.rows), after=str(found.rows)),
        )
    return tuple(changes)


def applied(catalogued: TableShape, changes: Sequence[Change]) -> TableShape | None:
    """Return the structure that `changes` lead to; None when the table is gone."""
    columns = {column.name: column.type for column in catalogued.columns}
    rows = catalogued.rows
    for change in changes:
        match change.kind:
            case ChangeKind.TABLE_GONE:
                return None
            case ChangeKind.COLUMN_REMOVED:
                del columns[change.column]
            case ChangeKind.TYPE_CHANGED | ChangeKind.COLUMN_ADDED:
                columns[change.column] = change.after
            case ChangeKind.ROWS_COLLAPSED:
                rows = int(change.after)
            case ChangeKind.UNREADABLE:
                pass
    return TableShape(columns=tuple(ColumnShape(name=name, type=kind) for name, kind in columns.items()), rows=rows)


def changes_digest(changes: Sequence[Change]) -> str:
    """Return a digest of changes in any order: the same changes are the same drift.

    How many rows are left is not part of it: a table that goes on shrinking is one drift.
    """
    facts = sorted(
        [c.kind.value, c.column, "" if c.kind is ChangeKind.ROWS_COLLAPSED else c.before + ">" + c.after]
        for c in changes
    )
    return sha256_hex(canonical_json(facts))


def _collapsed(before: int | None, after: int | None) -> bool:
    return before is not None and after is not None and before >= COLLAPSE_ROWS_MIN and after < before * COLLAPSE_RATIO
