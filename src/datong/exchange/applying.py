"""The rules of applying: which mode fits which task, which columns a target table has, what is added to its rows."""

from datetime import datetime

import pyarrow as pa

from datong.exchange.apply_modes import DELETED, HISTORY_COLUMNS, AddedColumn, ApplyMode, TargetPlan
from datong.exchange.table_values import Column
from datong.exchange.types import arrow_type
from datong.exchange.values import TaskDraft, TransferMode
from datong.kernel import Invalid, Text


def check_apply(draft: TaskDraft) -> None:
    """Check that a task's apply mode, its columns in the target and its way of moving rows fit each other.

    Raises:
        Invalid: `exchange.apply_needs_keys`, `exchange.apply_mode`, `exchange.apply_library`,
            `exchange.target_columns`, `exchange.added_value`.
    """
    mode, moves = draft.apply_mode, draft.mode
    if mode.needs_keys and not draft.key_columns:
        raise Invalid(
            "exchange.apply_needs_keys",
            what=Text(
                zh=f"应用方式“{mode.label.zh}”按主键找到目标行，而任务没有主键列。",
                en=f"The apply mode {mode.value} finds rows again by their keys, and the task has no key columns.",
            ),
            remedy=Text(zh="请指定主键列，或改用整表替换或追加。", en="Name the key columns, or replace or append."),
            field="/key_columns",
        )
    if mode is ApplyMode.REPLACE and moves is not TransferMode.SNAPSHOT:
        raise _unfit(
            draft,
            Text(zh="替换整表需要全量", en="only a snapshot can replace a whole table"),
            Text(zh="请改用全量方式，或按主键更新。", en="Move snapshots, or upsert by keys."),
        )
    if mode is ApplyMode.MIRROR and moves is TransferMode.INCREMENT:
        raise _unfit(
            draft,
            Text(zh="按游标的增量看不到源端的删除", en="an increment by a cursor does not see what the source deletes"),
            Text(zh="请改用全量、比对增量或变更捕获。", en="Move snapshots, differences or captured changes."),
        )
    if draft.consumer_node is None and (draft.apply is not None or draft.added_columns or _renamed(draft)):
        raise Invalid(
            "exchange.apply_library",
            what=Text(
                zh="交付给资源库的任务由资源库决定如何入库，不能指定应用方式或目标列。",
                en="The library decides itself how rows enter it; such a task has no apply mode and no target columns.",
            ),
            remedy=Text(zh="请去掉这些设置，或指定接收节点。", en="Leave them out, or name a consumer node."),
            field="/apply",
        )
    _check_names(draft)
    for number, column in enumerate(draft.added_columns):
        _check_added(column, number)


def moved_columns(plan: TargetPlan, columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """Return the columns of a batch as the target calls them: those that must equal the source's."""
    return tuple(
        column.model_copy(update={"name": plan.name(column.name)}) for column in columns if column.name != DELETED
    )


def target_columns(plan: TargetPlan, columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """Return the columns of the target that a batch with `columns` feeds, without those that keep a history."""
    return moved_columns(plan, columns) + tuple(Column(name=column.name, type=_type(column)) for column in plan.added)


def added_values(table: pa.Table, plan: TargetPlan, at: datetime) -> pa.Table:
    """Return `table` with the constants and moments that the plan adds to every row."""
    for column in plan.added:
        value = _scalar(column, at)
        values = pa.array([value.as_py()], value.type).take(pa.array([0] * table.num_rows, pa.int64()))
        table = table.append_column(column.name, values)
    return table


def _type(column: AddedColumn) -> str:
    return "timestamp_utc" if column.now else column.type


def _scalar(column: AddedColumn, at: datetime) -> "pa.Scalar[pa.DataType]":
    kind = arrow_type(_type(column))
    if column.now:
        return pa.scalar(at, kind)
    if column.type == "binary" and column.value is not None:
        return pa.scalar(bytes.fromhex(column.value), kind)
    return pa.scalar(column.value, pa.string()).cast(kind)


def _renamed(draft: TaskDraft) -> bool:
    return any(pair.target for pair in draft.columns)


def _check_names(draft: TaskDraft) -> None:
    """Check that no two values want one column of the target, and none a column of the platform's own."""
    names = [pair.target or pair.column for pair in draft.columns] + [column.name for column in draft.added_columns]
    folded = [name.casefold() for name in names]
    doubled = sorted({name for name in names if folded.count(name.casefold()) > 1})
    own = sorted(set(names) & {DELETED, *HISTORY_COLUMNS})
    if doubled or own:
        raise Invalid(
            "exchange.target_columns",
            what=Text(
                zh=f"目标列名重复或为平台保留：{'、'.join(doubled + own)}。",
                en=f"Names of target columns are taken twice or reserved: {', '.join(doubled + own)}.",
            ),
            remedy=Text(zh="请为每列指定不同的目标列名。", en="Give every column a target name of its own."),
            field="/columns",
            context={"columns": doubled + own},
        )


def _check_added(column: AddedColumn, number: int) -> None:
    try:
        _scalar(column, datetime.fromisoformat("2000-01-01T00:00:00+00:00"))
    except (pa.ArrowException, ValueError) as error:
        raise Invalid(
            "exchange.added_value",
            what=Text(
                zh=f"补充列 {column.name} 的值不是 {column.type} 类型的值。",
                en=f"The value of the added column {column.name} is none of the type {column.type}.",
            ),
            remedy=Text(zh="请修正该值或其类型。", en="Correct the value or its type."),
            field=f"/added_columns/{number}/value",
        ) from error


def _unfit(draft: TaskDraft, why: Text, remedy: Text) -> Invalid:
    mode, moves = draft.apply_mode, draft.mode
    return Invalid(
        "exchange.apply_mode",
        what=Text(
            zh=f"应用方式“{mode.label.zh}”与交换方式“{moves.label.zh}”不能一起使用：{why.zh}。",
            en=f"The apply mode {mode.value} does not go with the mode {moves.value}: {why.en}.",
        ),
        remedy=remedy,
        field="/apply",
    )
