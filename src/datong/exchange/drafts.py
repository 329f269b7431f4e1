"""What a draft of a task must say of its columns and its consumer; refusals say what is missing."""

from datong.exchange.table_values import RESERVED_PREFIX
from datong.exchange.values import TaskDraft, TransferMode
from datong.kernel import Invalid, Refused, Text


def check_sealed_consumer(draft: TaskDraft) -> None:
    """Check that whoever receives a sealed task's payloads has a key to open them.

    Raises:
        Refused: `exchange.sealed_library`.
    """
    if draft.sealed and draft.consumer_node is None:
        raise Refused(
            "exchange.sealed_library",
            what=Text(
                zh="统一资源库不能接收端到端加密的任务：平台没有打开数据的密钥，也就不能清洗、关联和服务。",
                en="The library cannot receive a sealed task: the hub has no key to open it, so that it could neither "
                "cleanse nor link nor serve the rows.",
            ),
            remedy=Text(
                zh="请指定消费部门的前置机，或不加密。", en="Name a node of the consuming department, or do not seal."
            ),
            field="/sealed",
        )


def check_columns(draft: TaskDraft) -> None:
    """Check that keys and cursor are moved, once each, that an increment has a cursor and changes have keys.

    Raises:
        Invalid: `exchange.task_columns`, `exchange.task_keys`, `exchange.column_reserved`.
    """
    names = [pair.column for pair in draft.columns]
    if draft.mode.carries_deletes and not draft.key_columns:
        raise Invalid(
            "exchange.task_keys",
            what=Text(
                zh=f"“{draft.mode.label.zh}”方式必须有主键列：变更与删除按主键应用。",
                en=f"A task of the mode “{draft.mode.label.en}” needs key columns: changes and deletes go by key.",
            ),
            remedy=Text(zh="请指定主键列。", en="Name the key columns."),
            field="/key_columns",
        )
    reserved = [name for name in names if name.startswith(RESERVED_PREFIX)]
    if reserved:
        raise Invalid(
            "exchange.column_reserved",
            what=Text(
                zh=f"列 {'、'.join(reserved)} 以平台保留的前缀 {RESERVED_PREFIX} 开头。",
                en=f"The columns {', '.join(reserved)} begin with {RESERVED_PREFIX}, the platform's own prefix.",
            ),
            remedy=Text(
                zh="请在数据源中改名，或用视图另取列名。", en="Rename them, or give them other names in a view."
            ),
            field="/columns",
        )
    needed = draft.key_columns + (() if draft.cursor_column is None else (draft.cursor_column,))
    missing = [name for name in needed if name not in names]
    without_cursor = draft.mode is TransferMode.INCREMENT and draft.cursor_column is None
    if missing or without_cursor or len(set(names)) != len(names):
        raise Invalid(
            "exchange.task_columns",
            what=Text(
                zh="任务的列不完整：主键列与游标列必须在交换列之中且不重复，增量方式必须有游标列。",
                en="The columns do not fit: keys and cursor must be among the moved columns, without repetition, "
                "and an increment needs a cursor column.",
            ),
            remedy=Text(zh="请补充这些列。", en="Add the columns."),
            field="/columns",
            context={"missing": missing},
        )
