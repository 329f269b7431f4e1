"""What became of a source table since a task's parties agreed on it: pure comparison of two shapes.

A compatible change goes on and is recorded; a breaking one stops the task before a row moves.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from pydantic import AwareDatetime, Field

from datong.exchange.decimals import decimal_parameters
from datong.exchange.signed import Signed, utc_text
from datong.exchange.table_values import Column
from datong.exchange.values import ColumnMap, Task
from datong.kernel import AgreementId, DepartmentCode, EntryId, TaskId, Text, Value, canonical_json, sha256_hex
from datong.kernel.limits import ITEMS_PER_RESOURCE_MAX

COLUMNS_PER_TABLE_MAX = 5_000


class SourceShape(Value):
    """A source table as the node found it: every column, moved or not, and the declared key."""

    columns: tuple[Column, ...] = Field(max_length=COLUMNS_PER_TABLE_MAX)
    key_columns: tuple[str, ...] = ()

    def column(self, name: str) -> Column | None:
        """The column called `name`, if there is one."""
        return next((column for column in self.columns if column.name == name), None)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything that a comparison looks at."""
        return sha256_hex(canonical_json(self.model_dump(mode="json")))


class SchemaFindingKind(StrEnum):
    """One way in which a source table differs from what was agreed."""

    TABLE_GONE = "table_gone"
    COLUMN_GONE = "column_gone"
    NARROWED = "narrowed"
    RETYPED = "retyped"
    KEY_CHANGED = "key_changed"
    WIDENED = "widened"
    SOURCE_TYPE = "source_type"
    COLUMN_ADDED = "column_added"
    UNUSED_COLUMN_GONE = "unused_column_gone"
    UNUSED_COLUMN_RETYPED = "unused_column_retyped"
    UNUSED_KEY_CHANGED = "unused_key_changed"
    NULLABLE = "nullable"
    NOT_NULL = "not_null"
    COMMENT = "comment"

    @property
    def breaking(self) -> bool:
        """Whether the task must stop until somebody decides."""
        return self in _BREAKING

    @property
    def label(self) -> Text:
        """What it is called."""
        return _KINDS[self]


_BREAKING = {
    SchemaFindingKind.TABLE_GONE,
    SchemaFindingKind.COLUMN_GONE,
    SchemaFindingKind.NARROWED,
    SchemaFindingKind.RETYPED,
    SchemaFindingKind.KEY_CHANGED,
}
_KINDS = {
    SchemaFindingKind.TABLE_GONE: Text(zh="表不存在", en="Table gone"),
    SchemaFindingKind.COLUMN_GONE: Text(zh="交换列不存在", en="Moved column gone"),
    SchemaFindingKind.NARROWED: Text(zh="类型变窄", en="Type narrowed"),
    SchemaFindingKind.RETYPED: Text(zh="类型不兼容", en="Incompatible type"),
    SchemaFindingKind.KEY_CHANGED: Text(zh="主键变化", en="Key changed"),
    SchemaFindingKind.WIDENED: Text(zh="类型变宽", en="Type widened"),
    SchemaFindingKind.SOURCE_TYPE: Text(zh="源端类型写法变化", en="Declared otherwise, same type"),
    SchemaFindingKind.COLUMN_ADDED: Text(zh="新增列（不交换）", en="New column, not moved"),
    SchemaFindingKind.UNUSED_COLUMN_GONE: Text(zh="未交换的列不存在", en="Column gone that is not moved"),
    SchemaFindingKind.UNUSED_COLUMN_RETYPED: Text(zh="未交换的列类型变化", en="Type of a column that is not moved"),
    SchemaFindingKind.UNUSED_KEY_CHANGED: Text(zh="未使用的主键变化", en="Key changed that the task does not use"),
    SchemaFindingKind.NULLABLE: Text(zh="允许为空", en="May be NULL now"),
    SchemaFindingKind.NOT_NULL: Text(zh="不再允许为空", en="May not be NULL any more"),
    SchemaFindingKind.COMMENT: Text(zh="注释变化", en="Comment changed"),
}


class SchemaFinding(Value):
    """One difference. Of a moved column that is gone, `after` names new columns of its type: perhaps it was renamed."""

    kind: SchemaFindingKind
    column: str = ""
    before: str = ""
    after: str = ""

    @property
    def breaking(self) -> bool:
        """Whether it stops the task."""
        return self.kind.breaking


class SchemaReport(Value):
    """What a node found at the start of a run; `shape` None when the table is gone."""

    task_id: TaskId
    department: DepartmentCode
    shape: SourceShape | None
    at: AwareDatetime

    def signing_bytes(self) -> bytes:
        """Return the canonical bytes that are signed."""
        facts = self.model_dump(mode="json") | {"at": utc_text(self.at), "v": 1, "type": "schema-report"}
        return canonical_json(facts)


class SignedSchemaReport(Signed):
    """A report with the signature (base64) of the key `key_id` of the producing department."""

    report: SchemaReport


class SchemaVerdict(Value):
    """The hub's answer: the run goes on, or begins anew under the new types, or the task has stopped."""

    goes_on: bool
    begins_anew: bool = False
    findings: tuple[SchemaFinding, ...] = ()


class SchemaState(StrEnum):
    """What became of a shape."""

    AGREED = "agreed"
    BLOCKED = "blocked"
    ACCEPTED = "accepted"

    @property
    def label(self) -> Text:
        """The state's name."""
        return _STATES[self]


_STATES = {
    SchemaState.AGREED: Text(zh="兼容，继续交换", en="Compatible, goes on"),
    SchemaState.BLOCKED: Text(zh="不兼容，已停止", en="Breaking, stopped"),
    SchemaState.ACCEPTED: Text(zh="已接受", en="Accepted"),
}


class SchemaRecord(Value):
    """A shape of a task's source table with what was different, kept as evidence.

    `decided_at` and `decision` say when and how a breaking one was accepted.
    """

    id: str
    task_id: TaskId
    state: SchemaState
    shape: SourceShape | None
    findings: tuple[SchemaFinding, ...]
    reported_at: datetime
    entry_id: EntryId
    decided_at: datetime | None = None
    decision: "SchemaDecision | None" = None


class SchemaDecision(Value):
    """How a task goes on after a breaking change. What is None stays as it is.

    Leaving a column out of `columns` drops it from the task, on record; giving one another `column` and its old name
    as `target` follows a renaming without a change at the consumer's.
    """

    resource_version: int | None = Field(None, ge=1)
    agreement_id: AgreementId | None = None
    columns: tuple[ColumnMap, ...] | None = Field(None, min_length=1, max_length=ITEMS_PER_RESOURCE_MAX)
    key_columns: tuple[str, ...] | None = None
    cursor_column: str | None = None


SchemaRecord.model_rebuild()


def compare(task: Task, agreed: SourceShape | None, found: SourceShape | None) -> tuple[SchemaFinding, ...]:
    """Return how `found` differs from `agreed`, breaking differences first; with nothing agreed, what is missing."""
    if found is None:
        return (SchemaFinding(kind=SchemaFindingKind.TABLE_GONE, before=task.table),)
    moved = {pair.column for pair in task.columns}
    findings = []
    known = () if agreed is None else agreed.columns
    fresh = tuple(column for column in found.columns if agreed is None or agreed.column(column.name) is None)
    for column in known:
        findings += _column_findings(column, found.column(column.name), column.name in moved, fresh)
    for name in sorted(moved - {column.name for column in known}):
        if found.column(name) is None:
            findings.append(SchemaFinding(kind=SchemaFindingKind.COLUMN_GONE, column=name))
    if agreed is not None:
        findings += [
            SchemaFinding(kind=SchemaFindingKind.COLUMN_ADDED, column=column.name, after=_written(column))
            for column in fresh
            if column.name not in moved
        ]
        if found.key_columns != agreed.key_columns:
            relied_on = bool(task.key_columns) and set(task.key_columns) == set(agreed.key_columns)
            findings.append(
                SchemaFinding(
                    kind=SchemaFindingKind.KEY_CHANGED if relied_on else SchemaFindingKind.UNUSED_KEY_CHANGED,
                    before=", ".join(agreed.key_columns),
                    after=", ".join(found.key_columns),
                )
            )
    return tuple(sorted(findings, key=lambda finding: not finding.breaking))


def decision_of(task: Task, renamed: Mapping[str, str]) -> SchemaDecision:
    """Return the decision by which moved columns are called otherwise at the source now; empty: left out, on record.

    A column that is called otherwise keeps its name in the target.
    """
    kept = [pair for pair in task.columns if renamed.get(pair.column, pair.column)]
    columns = tuple(
        pair.model_copy(update={"column": renamed[pair.column], "target": pair.target or pair.column})
        if pair.column in renamed
        else pair
        for pair in kept
    )
    return SchemaDecision(
        columns=columns or None,
        key_columns=tuple(renamed.get(name) or name for name in task.key_columns),
        cursor_column=renamed.get(task.cursor_column or "") or task.cursor_column,
    )


def widens(before: str, after: str) -> bool:
    """Whether every value of the type `before` is one of the type `after`, of the same kind."""
    if (before, after) == ("float32", "float64"):
        return True
    wide = decimal_parameters(after)
    if wide is None:
        return False
    narrow = {"int64": (19, 0), "uint64": (20, 0)}.get(before) or decimal_parameters(before)
    return narrow is not None and wide[1] >= narrow[1] and wide[0] - wide[1] >= narrow[0] - narrow[1]


def moved_shape(task: Task, shape: SourceShape) -> tuple[tuple[str, str], ...]:
    """Return names and types of the moved columns, in the task's order; what is missing is left out."""
    found = (shape.column(pair.column) for pair in task.columns)
    return tuple((column.name, column.type) for column in found if column is not None)


def _column_findings(
    before: Column, after: Column | None, moved: bool, fresh: tuple[Column, ...]
) -> list[SchemaFinding]:
    if after is None:
        kind = SchemaFindingKind.COLUMN_GONE if moved else SchemaFindingKind.UNUSED_COLUMN_GONE
        alike = ", ".join(column.name for column in fresh if column.type == before.type) if moved else ""
        return [SchemaFinding(kind=kind, column=before.name, before=_written(before), after=alike)]
    result = []
    if before.type != after.type:
        result.append(
            SchemaFinding(
                kind=_type_finding(before.type, after.type) if moved else SchemaFindingKind.UNUSED_COLUMN_RETYPED,
                column=before.name,
                before=_written(before),
                after=_written(after),
            )
        )
    elif before.source_type != after.source_type:
        result.append(
            SchemaFinding(
                kind=SchemaFindingKind.SOURCE_TYPE,
                column=before.name,
                before=before.source_type,
                after=after.source_type,
            )
        )
    if before.nullable != after.nullable:
        kind = SchemaFindingKind.NULLABLE if after.nullable else SchemaFindingKind.NOT_NULL
        result.append(SchemaFinding(kind=kind, column=before.name))
    if before.comment != after.comment:
        result.append(
            SchemaFinding(
                kind=SchemaFindingKind.COMMENT, column=before.name, before=before.comment, after=after.comment
            )
        )
    return result


def _type_finding(before: str, after: str) -> SchemaFindingKind:
    if widens(before, after):
        return SchemaFindingKind.WIDENED
    return SchemaFindingKind.NARROWED if widens(after, before) else SchemaFindingKind.RETYPED


def _written(column: Column) -> str:
    return column.source_type or column.type
