"""What ships is complete and true to the norm packs; what does not fit is refused by its place."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.kernel import DepartmentCode, Invalid, NotFound
from datong.sharing.items.definitions import GROUPS, definition_of, read_definitions, shipped_definitions
from tests.unit.sharing.world import PACK

DEPARTMENT = DepartmentCode("12440600456000017N")
ONE = """
definitions:
- code: X-1
  group: education
  name: {{zh: 甲, en: A}}
  owner: {{zh: 教育, en: Education}}
  legal_basis: 《义务教育法》
  materials: [{material}]
"""
MATERIAL = "{name: {zh: 户口簿, en: Register}, elements: [person_name]}"


def test_what_ships_has_school_assistance_and_notarisations_of_elements_that_exist() -> None:
    found = shipped_definitions(PACK)
    by_group = {group: [one for one in found if one.group == group] for group in GROUPS}
    assert len(by_group["notarisation"]) >= 20
    assert [one.code for one in by_group["education"] + by_group["assistance"]] == ["RX-GB-01", "JZ-GB-01"]
    assert all(PACK.has_element(element) for one in found for element in one.elements)
    assert all(one.legal_basis.startswith("《") and one.elements for one in found)
    names = " ".join(one.name.zh for one in found)
    for kind in ["出生", "亲属关系", "婚姻状况", "犯罪记录", "学历", "学位", "继承", "委托", "遗嘱", "财产", "住所"]:
        assert kind in names, kind


def test_a_definition_becomes_an_item_whose_fields_are_its_elements() -> None:
    will = definition_of("GZ-GB-19", shipped_definitions(PACK))
    item = will.new_item(DEPARTMENT, annual_cases=12, pack=PACK)
    assert [field.element for field in item.fields if field.element] == list(will.elements)
    assert sum(field.sheets for field in item.fields) == sum(material.sheets for material in will.materials)
    assert [field.name.zh for field in item.fields if field.element is None] == ["遗嘱"]
    assert item.legal_basis == "《中华人民共和国公证法》第十一条第（三）项"


def test_an_unknown_code_is_not_found() -> None:
    with pytest.raises(NotFound):
        definition_of("nothing", shipped_definitions(PACK))


@pytest.mark.parametrize(
    ("material", "word"),
    [
        ("{name: {zh: 户口簿, en: R}, elements: [no_such_element]}", "no_such_element"),
        ("{name: {zh: 户口簿, en: R}, elements: [sex, sex]}", "twice"),
        ("{name: {zh: 户口簿, en: R}}", "either"),
        ("{name: {zh: 户口簿, en: R}, elements: [sex], brought: {zh: 甲, en: A}}", "either"),
        ("{name: {zh: 户口簿, en: R}, elements: 3}", "elements"),
        ("", "materials"),
    ],
)
def test_a_faulty_definition_says_what_is_wrong(material: str, word: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_definitions(ONE.format(material=material), pack=PACK, name="x.yaml")
    assert word in caught.value.what.en


def test_a_code_or_group_that_does_not_fit_is_refused() -> None:
    text = ONE.format(material=MATERIAL)
    assert read_definitions(text, pack=PACK)[0].elements == ("person_name",)
    twice = text + text.replace("definitions:\n", "").lstrip("\n")
    for faulty, word in (
        (twice, "twice"),
        (text.replace("education\n", "sports\n"), "sports"),
        ("a: 1", "definitions"),
    ):
        with pytest.raises(Invalid) as caught:
            read_definitions(faulty, pack=PACK)
        assert word in caught.value.what.en


@given(st.text(max_size=200) | st.text("[]{}:-, \n&*!|ab1", max_size=80).map(lambda text: "definitions: " + text))
def test_any_text_is_read_or_refused_in_our_own_words(text: str) -> None:
    with suppress(Invalid):
        read_definitions(text, pack=PACK)
