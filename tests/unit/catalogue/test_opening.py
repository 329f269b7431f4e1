"""What the public may see, field by field."""

import pytest

from datong.catalogue import Contact, Distribution, Item, ResourceContent, format_name, opening, public_part
from datong.catalogue.opening import edition_changes, open_terms
from datong.kernel import Text, new_id
from tests.unit.catalogue.conftest import content

NAME = Text(zh="数据文件", en="File")


@pytest.mark.parametrize(
    ("value", "public", "private"),
    [
        (ResourceContent, opening.PUBLIC_CONTENT, opening.PRIVATE_CONTENT),
        (Item, opening.PUBLIC_ITEM, opening.PRIVATE_ITEM),
        (Contact, opening.PUBLIC_CONTACT, opening.PRIVATE_CONTACT),
    ],
)
def test_somebody_has_decided_about_every_field(
    value: type[ResourceContent | Item | Contact], public: frozenset[str], private: frozenset[str]
) -> None:
    assert public | private == set(value.model_fields)
    assert not public & private


def test_the_public_part_names_nobody_and_nothing_inside() -> None:
    given = content(
        open=True,
        source_system="人口系统",
        related_codes=("101001/00007",),
        contact=Contact(unit="数据科", person="王丽", phone="1", email="a@b.cn"),
        distributions=(Distribution(id="a", title=NAME), Distribution(id="b", title=NAME, open=True)),
    )
    public = public_part(given)
    assert [item.column for item in public.items] == ["xzqh"]
    assert [entry.id for entry in public.distributions] == ["b"]
    assert public.contact == Contact(unit="数据科", phone="1", email="a@b.cn")
    inside = {name: getattr(public, name) for name in opening.PRIVATE_CONTENT}
    fresh = ResourceContent(title=NAME)
    assert inside == {name: getattr(fresh, name) for name in opening.PRIVATE_CONTENT}
    assert ResourceContent.model_validate_json(public.model_dump_json()) == public
    assert "姓名" not in public.model_dump_json()


def test_a_change_is_told_but_an_item_taken_back_is_not_named() -> None:
    before, after = content(keywords=("甲",)), content(keywords=("乙",), items=content().items[1:])
    changes = [text.zh for text in edition_changes(before, after, after)]
    assert changes == ["关键词", "信息项减少"]
    added = [text.zh for text in edition_changes(after, before, before)]
    assert added == ["关键词", "新增信息项“姓名”"]
    assert [text.zh for text in edition_changes(after, before, after)] == ["关键词"]


@pytest.mark.parametrize(
    ("media_type", "name"),
    [("text/csv", "CSV"), ("text/csv; charset=utf-8", "CSV"), ("application/vnd.x", "VND.X"), ("", "HTML")],
)
def test_a_format_has_a_short_name(media_type: str, name: str) -> None:
    assert format_name(Distribution(id="a", title=NAME, media_type=media_type)) == name


def test_terms_are_those_of_the_public_part() -> None:
    part = public_part(content(keywords=(" 户籍 ", ""), distributions=(Distribution(id="b", title=NAME, open=True),)))
    terms = open_terms(new_id(), part)
    assert {value for field, value in terms if field == "keyword"} == {"户籍"}
    assert len([value for field, value in terms if field == "distribution"]) == 2
