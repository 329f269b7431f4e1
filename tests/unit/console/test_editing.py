from datong.catalogue import FieldComment, Item, assess
from datong.kernel import Text
from datong.norms import Grade, load_pack
from datong.web.console.editing import (
    comments_by_input,
    content_from,
    gaps_with_inputs,
    item_numbers,
    name_of_pointer,
    set_all,
    typed_from,
)
from tests.unit.catalogue.conftest import content

PACK = load_pack()


def test_a_form_that_nobody_touched_is_the_same_content() -> None:
    given = content(keywords=("甲", "乙"))
    assert content_from(typed_from(given, PACK), given, PACK) == (given, {})


def test_items_are_added_removed_moved_and_set_together() -> None:
    given = content()
    typed = typed_from(given, PACK)
    typed |= {"items.0.place": ["2"], "items.1.place": ["1"]}
    typed |= {"items.2.name.zh": ["证件号"], "items.2.element": ["身份证号"], "items.2.share_type": ["1"]}
    typed |= {"items.2.data_type": ["C"], "items.2.grade": ["L4"]}
    made, wrong = content_from(set_all(typed, {"grade": "L3", "share_type": ""}), given, PACK)
    assert wrong == {}
    assert made is not None
    assert [item.column for item in made.items] == ["xzqh", "xm", "证件号"]
    assert {item.grade for item in made.items} == {Grade.L3}
    assert made.items[2].element == "citizen_id"
    less, _ = content_from(typed | {"items.0.remove": ["yes"]}, given, PACK)
    assert less is not None
    assert [item.column for item in less.items] == ["xzqh", "证件号"]


def test_what_cannot_be_read_is_told_at_its_input() -> None:
    given = content()
    typed = typed_from(given, PACK) | {"temporal_start": ["昨天"], "items.1.length": ["很长"]}
    made, wrong = content_from(typed, given, PACK)
    assert made is None
    assert set(wrong) == {"temporal_start", "items.1.length"}
    assert item_numbers(typed) == [0, 1]


def test_a_new_mapping_has_a_person_behind_it() -> None:
    given = content(
        items=(Item(name=Text(zh="姓名", en=""), column="xm", element="person_name", mapping_confidence=60),)
    )
    typed = typed_from(given, PACK)
    same, _ = content_from(typed, given, PACK)
    assert same is not None
    assert same.items[0].mapping_confidence == 60
    changed, _ = content_from(typed | {"items.0.element": ["citizen_id"]}, given, PACK)
    assert changed is not None
    assert changed.items[0].mapping_confidence == 100


def test_a_pointer_names_its_input() -> None:
    assert name_of_pointer("/title") == "title.zh"
    assert name_of_pointer("/items/3/name") == "items.3.name.zh"
    assert name_of_pointer("/items/3/grade") == "items.3.grade"


def test_comments_find_their_inputs_also_after_an_item_moved() -> None:
    given = content()
    moved = given.model_copy(update={"items": given.items[::-1]})
    last = given.items[-1].column
    comments = (
        FieldComment(field="/summary", text="写明范围"),
        FieldComment(field="/items/1", text="应脱敏", column=last),
        FieldComment(field="/items/1/name", text="改名", column=last),
        FieldComment(field="/items/0", text="已删除的项", column="gone"),
        FieldComment(field="/binding", text="没有输入框"),
        FieldComment(field="/contact", text="补电话"),
    )
    assert comments_by_input(comments, typed_from(moved, PACK)) == {
        "summary.zh": ["写明范围"],
        "items.0": ["应脱敏"],
        "items.0.name.zh": ["改名"],
        "contact.unit": ["补电话"],
    }


def test_what_would_raise_the_quality_stands_at_its_input() -> None:
    bare = content(keywords=(), spatial="", contact=None, distributions=(), binding=None)
    missing = assess(bare, PACK).missing
    gaps = gaps_with_inputs(missing, PACK)
    assert [gap for _, gap in gaps] == list(missing)
    places = {gap.indicator: place for place, gap in gaps}
    assert (places["keywords"], places["spatial"], places["contact"]) == ("keywords", "spatial", "contact.phone")
    assert places["access"] == ""
