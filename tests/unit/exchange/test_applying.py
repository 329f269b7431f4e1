"""Which apply mode fits which task, and what a plan makes of columns."""

import pytest

from datong.exchange import (
    DELETED,
    AddedColumn,
    ApplyMode,
    Column,
    ColumnMap,
    Task,
    TaskDraft,
    TaskState,
    TransferMode,
    check_apply,
    moved_columns,
    target_columns,
)
from datong.kernel import AgreementId, DepartmentCode, Invalid, NodeId, ResourceId, TaskId
from tests.unit.exchange.test_hub import NOW as START


def draft(**changes: object) -> TaskDraft:
    facts: dict[str, object] = {
        "agreement_id": AgreementId("agreement"),
        "resource_id": ResourceId("resource"),
        "resource_version": 1,
        "provider": DepartmentCode("police"),
        "consumer": DepartmentCode("education"),
        "producer_node": NodeId("node-a"),
        "consumer_node": NodeId("node-b"),
        "source": "main",
        "table": "people",
        "columns": (ColumnMap(column="id", item="编号"), ColumnMap(column="name", item="姓名", target="full_name")),
        "key_columns": ("id",),
    }
    return TaskDraft.model_validate(facts | changes)


@pytest.mark.parametrize(
    ("mode", "keys", "expected"),
    [
        (TransferMode.SNAPSHOT, ("id",), ApplyMode.REPLACE),
        (TransferMode.INCREMENT, ("id",), ApplyMode.UPSERT),
        (TransferMode.INCREMENT, (), ApplyMode.APPEND),
        (TransferMode.CAPTURE, ("id",), ApplyMode.MIRROR),
        (TransferMode.DIFF, (), ApplyMode.APPEND),
    ],
)
def test_without_a_choice_the_way_of_moving_decides(
    mode: TransferMode, keys: tuple[str, ...], expected: ApplyMode
) -> None:
    assert draft(mode=mode, key_columns=keys).apply_mode is expected


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"apply": "mirror", "key_columns": ()}, "exchange.apply_needs_keys"),
        ({"apply": "history", "key_columns": ()}, "exchange.apply_needs_keys"),
        ({"apply": "replace", "mode": "increment"}, "exchange.apply_mode"),
        ({"apply": "mirror", "mode": "increment"}, "exchange.apply_mode"),
        ({"apply": "upsert", "consumer_node": None}, "exchange.apply_library"),
        ({"added_columns": [{"name": "id"}]}, "exchange.target_columns"),
        ({"added_columns": [{"name": "Full_Name"}]}, "exchange.target_columns"),
        ({"added_columns": [{"name": "_datong_valid_to"}]}, "exchange.target_columns"),
        ({"added_columns": [{"name": "n", "type": "int64", "value": "three"}]}, "exchange.added_value"),
        ({"added_columns": [{"name": "n", "type": "binary", "value": "zz"}]}, "exchange.added_value"),
        ({"added_columns": [{"name": "n", "type": "nothing", "value": "1"}]}, "exchange.type_unknown"),
    ],
)
def test_what_does_not_fit_is_refused_in_both_languages(changes: dict[str, object], code: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_apply(draft(**changes))
    assert caught.value.code == code
    assert caught.value.what.zh
    assert caught.value.what.en
    assert caught.value.remedy is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"apply": "mirror"},
        {"apply": "mirror", "mode": "capture"},
        {"apply": "history", "mode": "increment"},
        {"apply": "upsert", "mode": "diff"},
        {"apply": "append", "mode": "capture", "key_columns": ()},
        {"added_columns": [{"name": "at", "now": True}, {"name": "n", "type": "decimal(9,2)", "value": "1.5"}]},
        {"consumer_node": None, "columns": [{"column": "id", "item": "编号"}]},
    ],
)
def test_what_fits_is_accepted(changes: dict[str, object]) -> None:
    check_apply(draft(**changes))


def test_a_plan_speaks_the_target_s_names() -> None:
    added = (AddedColumn(name="region", value="110000"),)
    facts = draft(apply="history", added_columns=added).model_dump()
    task = Task.model_validate(facts | {"id": TaskId("t"), "state": TaskState.ACTIVE, "created_at": START})
    batch = (
        Column(name=DELETED, type="boolean"),
        Column(name="id", type="int64"),
        Column(name="name", type="string"),
    )
    assert [column.name for column in moved_columns(task.target_plan, batch)] == ["id", "full_name"]
    assert [column.name for column in target_columns(task.target_plan, batch)] == ["id", "full_name", "region"]
    assert task.compared_table == "people_current"
