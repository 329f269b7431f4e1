import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from datong.catalogue import Facet, Item, ResourceContent, SearchFilters, SearchHit, SearchPage
from datong.catalogue.search_text import fold, highlight
from datong.kernel import Text
from datong.norms import Grade, ShareType
from tests.unit.catalogue.conftest import CIVIL, POLICE, Office, content

UNCONDITIONAL = {"share_type": ShareType.UNCONDITIONAL}


def titles(hits: tuple[SearchHit, ...]) -> list[str]:
    return [hit.resource.content.title.zh for hit in hits]


def by_field(found: SearchPage) -> dict[str, Facet]:
    return {facet.field: facet for facet in found.facets}


@pytest.fixture
def filled(office: Office) -> Office:
    office.publish(content("常住人口基本信息", open=True))
    office.publish(content("人口", **UNCONDITIONAL))
    office.publish(content("流动人口登记信息"))
    office.publish(content("婚姻登记信息", theme="family"), department=CIVIL)
    office.publish(content("不动产登记信息", theme="property"), department=CIVIL)
    return office


def test_the_exact_title_comes_first_then_the_prefix(filled: Office) -> None:
    found = filled.catalogue.search("人口")
    assert titles(found.hits)[0] == "人口"
    assert found.total == 3
    assert titles(filled.catalogue.search("流动人口").hits)[0] == "流动人口登记信息"


FIRST_HITS = (
    ("婚姻 登记", "婚姻登记信息"),
    ("结婚", "婚姻登记信息"),
    ("房产", "不动产登记信息"),
    ("户口", "常住人口基本信息"),
    ("hunyin", "婚姻登记信息"),
    ("bdcdj", "不动产登记信息"),
    ("婚", "婚姻登记信息"),
    ("民政局 婚姻", "婚姻登记信息"),
    ("hun yin", "婚姻登记信息"),
    ("hunyi", "婚姻登记信息"),
    ("ＨＵＮＹＩＮ", "婚姻登记信息"),
    ("婚烟登记", "婚姻登记信息"),
    ("婚登记", "婚姻登记信息"),
    ("婚姻姻登记", "婚姻登记信息"),
    ("姻婚登记", "婚姻登记信息"),
    ("不動產登記", "不动产登记信息"),
    ("不动厂登记", "不动产登记信息"),
    ("查询婚姻登记信息的数据", "婚姻登记信息"),
)


def test_words_synonyms_pinyin_and_single_characters(filled: Office) -> None:
    assert [(query, titles(filled.catalogue.search(query).hits)[0]) for query, _ in FIRST_HITS] == list(FIRST_HITS)


def test_items_are_found_and_highlighted(filled: Office) -> None:
    found = filled.catalogue.search("行政区划代码", limit=2)
    assert (found.total, found.exact_total) == (5, 5)
    assert found.next_offset == 2
    assert "行政区划代码" in ["".join(f.text for f in item if f.match) for item in found.hits[0].items]


def test_facets_count_all_hits_and_filters_narrow(filled: Office) -> None:
    found = filled.catalogue.search("登记信息", limit=1)
    departments = by_field(found)["departments"]
    assert {value.value: value.count for value in departments.values} == {CIVIL: 2, POLICE: 1}
    narrow = by_field(filled.catalogue.search("不动产登记"))["departments"]
    assert narrow.values[0].count == 1
    assert departments.values[0].label.zh == "民政局"
    narrowed = filled.catalogue.search("登记信息", filters=SearchFilters(themes=("property",)))
    assert titles(narrowed.hits) == ["不动产登记信息"]
    everything = filled.catalogue.search("")
    assert everything.total == 5
    assert {value.value: value.count for value in by_field(everything)["grades"].values} == {"L3": 5}
    assert {value.value: value.count for value in by_field(everything)["open"].values} == {"1": 1, "0": 4}
    # A chosen facet still counts its other values: they are alternatives.
    chosen = filled.catalogue.search("", filters=SearchFilters(departments=(CIVIL,)))
    assert chosen.total == 2
    assert {value.value: value.count for value in by_field(chosen)["departments"].values} == {CIVIL: 2, POLICE: 3}
    assert sum(value.count for value in by_field(chosen)["themes"].values) == 2
    assert filled.catalogue.search("", filters=SearchFilters(grades=(Grade.L1,))).total == 0
    assert titles(filled.catalogue.search("", filters=SearchFilters(open=True)).hits) == ["常住人口基本信息"]
    unconditional = filled.catalogue.search("", filters=SearchFilters(share_types=(ShareType.UNCONDITIONAL,)))
    assert titles(unconditional.hits) == ["人口"]


def test_pages_neither_overlap_nor_skip(filled: Office) -> None:
    seen = []
    for offset in range(0, 6, 2):
        seen.extend(titles(filled.catalogue.search("信息", offset=offset, limit=2).hits))
    assert len(seen) == len(set(seen)) == filled.catalogue.search("信息").total


def test_the_public_learns_nothing_of_what_is_not_open(filled: Office) -> None:
    found = filled.catalogue.search("", open_only=True)
    assert titles(found.hits) == ["常住人口基本信息"]
    assert found.total == 1
    assert [sum(value.count for value in facet.values) for facet in found.facets] == [1] * 7
    assert [item.column for item in found.hits[0].resource.content.items] == ["xzqh"]
    assert found.hits[0].resource.content.binding is None
    # The closed item 姓名 of the open resource, and the titles of closed resources, are not findable either.
    assert filled.catalogue.search("姓名", open_only=True).exact_total == 0
    assert filled.catalogue.search("婚姻", open_only=True).total == 0
    assert filled.catalogue.search("姓名").total == 5


def test_a_query_without_result_is_relaxed_and_recorded(filled: Office) -> None:
    found = filled.catalogue.search("宠物登记", department=POLICE)
    assert found.relaxed
    assert "婚姻登记信息" in titles(found.hits)
    filled.catalogue.search("宠物登记", department=CIVIL)
    filled.catalogue.search("宠物登记", department=CIVIL)
    filled.catalogue.search("宠物芯片", open_only=True, department=POLICE)
    filled.catalogue.search("110101199003070011", department=POLICE)
    demand = filled.catalogue.discovery.demands().rows
    assert [(entry.query, entry.times, entry.departments) for entry in demand] == [("宠物登记", 3, 2)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(max_size=60), st.text(alphabet="户口AND OR NOT\"'*():&|!<->\\人ａ\x00", max_size=30)))
@example(query="0口A")
def test_any_text_is_a_query(filled: Office, query: str) -> None:
    found = filled.catalogue.search(query, limit=1)
    assert found.total >= len(found.hits)


@given(st.text(max_size=100), st.text(max_size=20))
def test_highlights_keep_the_original_text(text: str, query: str) -> None:
    assert "".join(fragment.text for fragment in highlight(text, (fold(query),))) == text


def test_a_suspicious_title_is_data_not_syntax(office: Office) -> None:
    strange = '\' OR 1=1; DROP TABLE "人口" :*&|\\'
    made: ResourceContent = content(strange).model_copy(
        update={"items": (Item(name=Text(zh=strange, en=""), column="x", share_condition="x"),)}
    )
    office.publish(made)
    assert office.catalogue.search(strange).total == 1


def test_a_synonym_that_the_query_says_itself_does_not_stand_for_another_of_its_words(office: Office) -> None:
    office.publish(content("低收入家庭救助信息", summary=Text(zh="家庭、认定状态和救助金额", en="")))
    office.publish(content("社会保险参保信息", keywords=("社保", "工资收入")))
    found = office.catalogue.search("工资收入")
    assert titles(found.hits) == ["社会保险参保信息"]
