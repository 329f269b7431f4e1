"""The shape of a target: which tables a plan needs, whether existing ones can hold its rows, what is widened or added.

A table that was there before the task is the department's own: it is checked before the first row, and what does not
fit is named with its remedy. Once the task has applied a batch, a compatible change of the source widens its columns or
adds some.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from datong.adapters.sql_transaction import SqlTransaction, StoredColumn
from datong.exchange import (
    CURRENT,
    CURRENT_SUFFIX,
    VALID_FROM,
    VALID_TO,
    VERSION,
    ApplyMode,
    Column,
    TargetPlan,
    decimal_parameters,
    target_columns,
    widens,
)
from datong.kernel import Conflict, Text

STAGE_PREFIX = "_datong_stage_"
HISTORY_OF_ROWS = (
    Column(name=VALID_FROM, type="timestamp_utc"),
    Column(name=VALID_TO, type="timestamp_utc"),
    Column(name=CURRENT, type="boolean"),
    Column(name=VERSION, type="int64"),
)
_FRACTION = re.compile(r"\((\d)\)")
_FRACTION_DIGITS = 6


class Layout(NamedTuple):
    """A table that a plan needs: its columns, and those whose values together are unique."""

    table: str
    columns: tuple[Column, ...]
    unique: tuple[str, ...]


class Misfit(NamedTuple):
    """Why a table cannot hold a task's rows, and what the department can do."""

    column: str
    why: Text
    remedy: Text


def layouts(plan: TargetPlan, columns: tuple[Column, ...]) -> list[Layout]:
    """Return the tables that a plan needs for batches with `columns`: the target, then its stage if it has one."""
    own = target_columns(plan, columns)
    keys = plan.key_columns if plan.mode.needs_keys else ()
    if plan.mode is not ApplyMode.HISTORY:
        result = [Layout(plan.table, own, keys)]
    else:
        result = [Layout(plan.table, own + HISTORY_OF_ROWS, (*keys, VERSION))]
    if plan.mode.gathers_snapshots:
        result.append(Layout(STAGE_PREFIX + plan.table, own, keys))
    return result


def fit(transaction: SqlTransaction, plan: TargetPlan, columns: tuple[Column, ...], *, first: bool) -> None:
    """Make the target hold batches with `columns`, or refuse before a row moves; `first`: the task's first batch.

    Raises:
        Conflict: `adapters.target_misfit`.
    """
    view = plan.table + CURRENT_SUFFIX
    history = plan.mode is ApplyMode.HISTORY
    changed = False
    for layout in layouts(plan, columns):
        stored = {column.name: column for column in transaction.stored_columns(layout.table)}
        missing = [column for column in layout.columns if column.name not in stored]
        widened = [
            column
            for column in layout.columns
            if column.name in stored and not holds(transaction, stored[column.name], column)
        ]
        stage = layout.table != plan.table
        found = [] if stage else _standing(transaction, layout, stored)
        found += [
            type_misfit(stored[column.name], transaction.declared(column))
            for column in widened
            if (first and not stage) or not may_widen(transaction, stored[column.name], column)
        ]
        if first and not stage:
            found += [_missing(column.name, transaction.declared(column)) for column in missing]
        if found:
            raise misfit(layout.table, found)
        if (missing or widened) and history and not changed:
            transaction.drop_view(view)
        for column in missing:
            transaction.add_column(layout.table, column)
        for column in widened:
            transaction.widen(layout.table, column)
        changed = changed or bool(missing or widened)
    if history and (changed or not transaction.has_table(view)):
        transaction.create_view(view, plan.table, [column.name for column in target_columns(plan, columns)])


def holds(transaction: SqlTransaction, stored: StoredColumn, column: Column) -> bool:
    """Whether a column keeps every value of `column`'s type as it is, or refuses it; none is changed silently."""
    needed = transaction.stored_type(column.type)
    if transaction.keeps(stored, needed):
        return True
    if needed in {"timestamp", "timestamp_utc", "time"} and stored.type == needed:
        fraction = _FRACTION.search(stored.declared)
        digits = transaction.FRACTION_DIGITS_DEFAULT if fraction is None else int(fraction[1])
        return digits >= _FRACTION_DIGITS
    return needed == stored.type or widens(needed, stored.type) or _scale_fits(needed, stored.type)


def may_widen(transaction: SqlTransaction, stored: StoredColumn, column: Column) -> bool:
    """Whether the column's type may be changed to the needed one without a change of any value that it has."""
    return widens(stored.type, transaction.stored_type(column.type))


def misfit(table: str, found: Sequence[Misfit]) -> Conflict:
    """Return the error of a table that cannot hold a task's rows."""
    zh = "；".join(f"列 {one.column}：{one.why.zh}" for one in found)
    en = "; ".join(f"column {one.column}: {one.why.en}" for one in found)
    return Conflict(
        "adapters.target_misfit",
        what=Text(
            zh=f"目标表 {table} 不能接收该任务的数据：{zh}。",
            en=f"The table {table} cannot take the task's rows: {en}.",
        ),
        remedy=Text(
            zh="；".join(dict.fromkeys(one.remedy.zh for one in found)) + "。",
            en="; ".join(dict.fromkeys(one.remedy.en for one in found)) + ".",
        ),
        context={"table": table, "columns": [one.column for one in found]},
    )


def _scale_fits(needed: str, stored: str) -> bool:
    """Whether digits after the point are kept; too many before it are refused by the database, row by row."""
    narrow = {"int64": (19, 0), "uint64": (20, 0)}.get(stored) or decimal_parameters(stored)
    wide = {"int64": (19, 0), "uint64": (20, 0)}.get(needed) or decimal_parameters(needed)
    return narrow is not None and wide is not None and narrow[1] >= wide[1]


def _standing(transaction: SqlTransaction, layout: Layout, stored: dict[str, StoredColumn]) -> list[Misfit]:
    """Return what is wrong with a table whatever its columns' types: columns nobody feeds, a key that is none."""
    fed = {column.name for column in layout.columns}
    found = [
        Misfit(
            column.name,
            Text(
                zh="不允许为空，没有默认值，也没有数据来源",
                en="it may not be NULL, has no default, and nothing feeds it",
            ),
            Text(
                zh=f"为列 {column.name} 设默认值，或在任务的 added_columns 中给出",
                en=f"give the column {column.name} a default, or name it in the task's added_columns",
            ),
        )
        for column in stored.values()
        if column.required and column.name not in fed
    ]
    if layout.unique and not transaction.has_unique(layout.table, layout.unique):
        names = ", ".join(layout.unique)
        found.append(
            Misfit(
                names,
                Text(
                    zh="没有唯一约束，无法按主键更新",
                    en="there is no unique constraint, so rows cannot be found by key",
                ),
                Text(
                    zh=f"为（{names}）建立唯一约束，或改用追加",
                    en=f"add a unique constraint over ({names}), or append",
                ),
            )
        )
    return found


def _missing(name: str, declared: str) -> Misfit:
    return Misfit(
        name,
        Text(zh="不存在", en="there is none"),
        Text(
            zh=f"添加列 {name} {declared}，或在任务的 columns 中用 target 指定列名",
            en=f"add the column {name} {declared}, or name another as its target in the task's columns",
        ),
    )


def type_misfit(stored: StoredColumn, declared: str) -> Misfit:
    """Return that a column's type would change values."""
    return Misfit(
        stored.name,
        Text(
            zh=f"类型 {stored.declared} 会改变数据，需要 {declared}",
            en=f"its type {stored.declared} would change values, {declared} is needed",
        ),
        Text(
            zh=f"将列 {stored.name} 改为 {declared}，或在任务的 columns 中用 target 指定另一列",
            en=f"make the column {stored.name} {declared}, or name another as its target in the task's columns",
        ),
    )
