from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.catalogue import (
    Binding,
    ChangeImpact,
    DifferenceKind,
    Distribution,
    Item,
    ResourceContent,
    content_differences,
)
from datong.kernel import NodeId, Text
from datong.norms import DataType, Grade, NormPack, ShareMode, ShareType, UpdateCycle, load_pack
from tests.unit.catalogue.conftest import content

BREAKING, COMPATIBLE, EDITORIAL = ChangeImpact.BREAKING, ChangeImpact.COMPATIBLE, ChangeImpact.EDITORIAL
PACK = load_pack()
NAME = Text(zh="文件", en="File")


def told(before: ResourceContent, after: ResourceContent) -> list[tuple[str, DifferenceKind, ChangeImpact]]:
    """What the difference says, without words."""
    return [(change.field, change.kind, change.impact) for change in content_differences(before, after, PACK).changes]


def with_item(**changes: object) -> ResourceContent:
    """The sample with its first item changed."""
    items = content().items
    return content(items=(items[0].model_copy(update=changes), *items[1:]))


def items_named(columns: list[str]) -> ResourceContent:
    return content(items=tuple(Item(name=Text(zh=column, en=""), column=column) for column in columns))


@pytest.mark.parametrize(
    ("field", "value", "impact"),
    [
        ("data_type", DataType.DATE, BREAKING),
        ("grade", Grade.L4, BREAKING),
        ("grade", Grade.L1, COMPATIBLE),
        ("length", 10, BREAKING),
        ("share_type", ShareType.UNCONDITIONAL, COMPATIBLE),
        ("share_type", ShareType.NONE, BREAKING),
        ("share_condition", "另行批准", BREAKING),
        ("element", "citizen_id", BREAKING),
        ("key", True, BREAKING),
        ("open", True, COMPATIBLE),
        ("share_modes", (ShareMode.BULK,), COMPATIBLE),
    ],
)
def test_a_changed_item_is_judged_by_what_it_takes_away(field: str, value: object, impact: ChangeImpact) -> None:
    assert told(content(), with_item(**{field: value})) == [(f"/items/0/{field}", DifferenceKind.CHANGED, impact)]


@pytest.mark.parametrize(
    ("changes", "field", "impact"),
    [
        ({"summary": Text(zh="新", en="new")}, "/summary", EDITORIAL),
        ({"share_type": ShareType.UNCONDITIONAL}, "/share_type", COMPATIBLE),
        ({"share_modes": (ShareMode.BULK,)}, "/share_modes", BREAKING),
        ({"use_condition": "只读"}, "/use_condition", BREAKING),
        ({"update_cycle": UpdateCycle.DAILY}, "/update_cycle", COMPATIBLE),
        ({"licence": "cc0-1.0"}, "/licence", COMPATIBLE),
        (
            {"binding": Binding(node_id=NodeId("m"), source="x", table="y", key_columns=("id",))},
            "/binding",
            COMPATIBLE,
        ),
        ({"binding": Binding(node_id=NodeId("n"), source="db", table="常住人口基本信息")}, "/binding", BREAKING),
        ({"distributions": (Distribution(id="a", title=NAME),)}, "/distributions/0", COMPATIBLE),
    ],
)
def test_a_changed_field_is_judged_by_what_it_takes_away(
    changes: dict[str, Any], field: str, impact: ChangeImpact
) -> None:
    ((told_field, _, told_impact),) = told(content(), content(**changes))
    assert (told_field, told_impact) == (field, impact)


def test_items_are_matched_by_column_and_told_in_both_languages() -> None:
    renamed = Item(name=Text(zh="姓名（全称）", en="Full name"), column="xm", **_rest(content().items[0]))
    added = Item(name=Text(zh="民族", en="Ethnic group"), column="mz")
    changes = content_differences(content(), content(items=(added, renamed)), PACK).changes
    assert [(change.kind, change.impact) for change in changes] == [
        (DifferenceKind.REMOVED, BREAKING),
        (DifferenceKind.ADDED, COMPATIBLE),
        (DifferenceKind.RENAMED, EDITORIAL),
    ]
    assert changes[0].words == Text(zh="删除信息项“行政区划代码”（xzqh）", en='item "Division" (xzqh) removed')
    assert changes[2].words == Text(zh="信息项“姓名”改名为“姓名（全称）”", en='item "Name" is now "Full name"')


def _rest(item: Item) -> dict[str, object]:
    return {name: getattr(item, name) for name in type(item).model_fields if name not in ("name", "column")}


def test_values_are_named_as_the_norms_name_them() -> None:
    (change,) = content_differences(content(), with_item(grade=Grade.L4), PACK).changes
    assert change.name.zh == "姓名 · 数据分级"
    assert change.before == Grade.L3.label
    assert change.after == Grade.L4.label
    (themed,) = content_differences(content(), content(theme=PACK.themes[-1].key), PACK).changes
    assert themed.after == PACK.themes[-1].name


def test_signature_and_origin_are_no_difference() -> None:
    assert content_differences(content(), content(sign_off=None, origin=None), PACK).changes == ()


columns = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=8)


@given(columns, columns)
def test_a_difference_accounts_for_every_item(before: list[str], after: list[str]) -> None:
    found = content_differences(items_named(before), items_named(after), PACK).changes
    by_kind = {kind: {change.name.zh for change in found if change.kind is kind} for kind in DifferenceKind}
    assert by_kind[DifferenceKind.REMOVED] == set(before) - set(after)
    assert by_kind[DifferenceKind.ADDED] == set(after) - set(before)
    moved = by_kind[DifferenceKind.MOVED]
    still_old = [column for column in before if column in after and column not in moved]
    still_new = [column for column in after if column in before and column not in moved]
    assert still_old == still_new


@given(columns)
def test_nothing_differs_from_itself(names: list[str]) -> None:
    assert content_differences(items_named(names), items_named(names), PACK).changes == ()


@given(columns, columns)
def test_what_one_way_adds_the_other_removes(before: list[str], after: list[str]) -> None:
    def named(left: list[str], right: list[str], kind: DifferenceKind) -> set[str]:
        changes = content_differences(items_named(left), items_named(right), PACK).changes
        return {change.name.zh for change in changes if change.kind is kind}

    assert named(before, after, DifferenceKind.ADDED) == named(after, before, DifferenceKind.REMOVED)


def test_a_moved_item_is_one_item(pack: NormPack) -> None:
    changes = content_differences(items_named(list("abcdef")), items_named(list("fabcde")), pack).changes
    assert [(change.kind, change.name.zh) for change in changes] == [(DifferenceKind.MOVED, "f")]
