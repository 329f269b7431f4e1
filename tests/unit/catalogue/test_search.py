import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datong.catalogue import Item, ResourceContent, SearchFilters, SearchHit
from datong.catalogue.search_text import fts5_expression, highlight, parse_query, tokens, tsquery_expression
from datong.kernel import Text
from datong.norms import ShareType
from tests.unit.catalogue.conftest import CIVIL, POLICE, Office, content

UNCONDITIONAL = {"share_type": ShareType.UNCONDITIONAL}


def titles(hits: tuple[SearchHit, ...]) -> list[str]:
    return [hit.resource.content.title.zh for hit in hits]


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
    assert titles(filled.catalogue.search("流动人口").hits) == ["流动人口登记信息"]


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("婚姻 登记", "婚姻登记信息"),
        ("结婚", "婚姻登记信息"),
        ("房产", "不动产登记信息"),
        ("户口", "常住人口基本信息"),
        ("hunyin", "婚姻登记信息"),
        ("bdcdj", "不动产登记信息"),
        ("婚", "婚姻登记信息"),
        ("民政局 婚姻", "婚姻登记信息"),
        ("ＨＵＮＹＩＮ", "婚姻登记信息"),
    ],
)
def test_words_synonyms_pinyin_and_single_characters(filled: Office, query: str, title: str) -> None:
    assert titles(filled.catalogue.search(query).hits)[0] == title


def test_items_are_found_and_highlighted(filled: Office) -> None:
    found = filled.catalogue.search("行政区划代码", limit=2)
    assert found.total == 5
    assert found.next_offset == 2
    assert "行政区划代码" in ["".join(f.text for f in item if f.match) for item in found.hits[0].items]


def test_facets_count_all_hits_and_filters_narrow(filled: Office) -> None:
    found = filled.catalogue.search("登记信息", limit=1)
    departments = next(facet for facet in found.facets if facet.field == "departments")
    assert {value.value: value.count for value in departments.values} == {CIVIL: 2, POLICE: 1}
    assert departments.values[0].label.zh == "民政局"
    narrowed = filled.catalogue.search("登记信息", filters=SearchFilters(themes=("property",)))
    assert titles(narrowed.hits) == ["不动产登记信息"]
    everything = filled.catalogue.search("")
    assert everything.total == 5
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
    assert [sum(value.count for value in facet.values) for facet in found.facets] == [1] * 5
    assert [item.column for item in found.hits[0].resource.content.items] == ["xzqh"]
    assert found.hits[0].resource.content.binding is None
    # The closed item 姓名 of the open resource, and the titles of closed resources, are not findable either.
    assert filled.catalogue.search("姓名", open_only=True).total == 0
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
    demand = filled.catalogue.unmet_demand()
    assert [(entry.query, entry.times, entry.departments) for entry in demand] == [("宠物登记", 3, 2)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(max_size=60), st.text(alphabet="户口AND OR NOT\"'*():&|!<->\\人ａ\x00", max_size=30)))
def test_any_text_is_a_query(filled: Office, query: str) -> None:
    found = filled.catalogue.search(query, limit=1)
    assert found.total >= len(found.hits)


@given(st.text(max_size=100), st.text(max_size=20))
def test_highlights_keep_the_original_text(text: str, query: str) -> None:
    assert "".join(fragment.text for fragment in highlight(text, parse_query(query).words)) == text


@given(st.text(max_size=100))
def test_a_text_finds_itself(text: str) -> None:
    indexed = tokens(text)
    terms = [term for group in parse_query(text).groups for terms in group for term in terms]
    assert all(any(t == term.token or (term.prefix and t.startswith(term.token)) for t in indexed) for term in terms)


def test_expressions_of_both_engines() -> None:
    query = parse_query("户口 ab", [("户口", "户籍")])
    assert fts5_expression(query) == '(("户口") OR ("户籍")) AND (("ab"*))'
    assert tsquery_expression(query) == "(('户口') | ('户籍')) & (('ab':*))"
    assert fts5_expression(query.relaxed()) == '(("户口") OR ("户籍") OR ("ab"*))'


def test_a_suspicious_title_is_data_not_syntax(office: Office) -> None:
    strange = '\' OR 1=1; DROP TABLE "人口" :*&|\\'
    made: ResourceContent = content(strange).model_copy(
        update={"items": (Item(name=Text(zh=strange, en=""), column="x", share_condition="x"),)}
    )
    office.publish(made)
    assert office.catalogue.search(strange).total == 1
