"""What operators and the use of resources change in the search: words, demand, order, suggestions, groups."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datong.catalogue import (
    DemandState,
    SearchOrder,
    SearchRequest,
    UseKind,
    WordKind,
    split_syllables,
)
from datong.catalogue.search_query import Vocabulary, parse_query
from datong.catalogue.search_text import core_title, fold
from datong.catalogue.use import USE_LEVEL_MAX, use_level
from datong.kernel import Conflict, Invalid, NotFound
from datong.ledger import EntryKind
from tests.unit.catalogue.conftest import AUTHORITY, AUTHORITY_ACTOR, CIVIL, POLICE, Office, content


def found(office: Office, text: str, **options: object) -> list[str]:
    request = SearchRequest.model_validate({"text": text, **options})
    return [hit.resource.content.title.zh for hit in office.catalogue.discovery.search(request).hits]


def test_synonyms_work_at_once_and_until_they_are_removed(office: Office) -> None:
    office.publish(content("网格员走访台账"))
    discovery = office.catalogue.discovery
    assert found(office, "社区小哥") == []
    made = discovery.add_words(WordKind.SYNONYMS, ("网格员", "社区小哥", " 网格员 "), AUTHORITY_ACTOR)
    assert made.words == ("网格员", "社区小哥")
    assert found(office, "社区小哥") == ["网格员走访台账"]
    with pytest.raises(Conflict, match="vocabulary_known"):
        discovery.add_words(WordKind.SYNONYMS, ("社区小哥", "网格员"), AUTHORITY_ACTOR)
    assert [entry.id for entry in discovery.vocabulary()] == [made.id]
    discovery.remove_words(made.id, AUTHORITY_ACTOR)
    assert found(office, "社区小哥") == []
    with pytest.raises(NotFound, match="vocabulary_entry_not_found"):
        discovery.remove_words(made.id, AUTHORITY_ACTOR)
    entries = office.ledger.entries(limit=50).rows
    facts = [entry.facts for entry in entries if entry.kind is EntryKind.VOCABULARY]
    assert sorted(fact["action"] for fact in facts) == ["add", "remove"]


@pytest.mark.parametrize("words", [(), ("一个",), ("？", "！"), ("长" * 25, "短"), tuple(f"词{n}" for n in range(30))])
def test_words_that_cannot_be_added_are_refused(office: Office, words: tuple[str, ...]) -> None:
    with pytest.raises(Invalid, match="vocabulary_invalid"):
        office.catalogue.discovery.add_words(WordKind.SYNONYMS, words, AUTHORITY_ACTOR)


def test_spellings_of_one_need_are_one_demand(office: Office) -> None:
    office.publish(content("社会保险参保信息"))
    discovery = office.catalogue.discovery
    for text, department in (("宠物社保", POLICE), ("宠物 社会保险", CIVIL), ("查询宠物社会保险的数据", CIVIL)):
        office.catalogue.search(text, department=department)
    [need] = discovery.demands().rows
    assert (need.departments, need.times, need.state, need.likely) == (2, 3, DemandState.NEW, (POLICE,))
    assert len(need.spellings) == 3
    discovery.handle_demand(need.key, DemandState.ASKED, AUTHORITY_ACTOR, department=POLICE, note="请编目")
    [handled] = discovery.demands(state=DemandState.ASKED).rows
    assert (handled.department, handled.note) == (POLICE, "请编目")
    assert discovery.demands(state=DemandState.NEW).rows == ()
    office.publish(content("宠物社会保险信息", table="b"))
    assert discovery.demands().rows[0].hits == 1
    with pytest.raises(NotFound, match="demand_not_found"):
        discovery.handle_demand("没人问过", DemandState.MET, AUTHORITY_ACTOR)
    kinds = [entry.kind for entry in office.ledger.entries(limit=50).rows]
    assert kinds.count(EntryKind.DEMAND) == 1


def test_use_by_other_departments_lifts_a_resource_a_little(office: Office) -> None:
    office.publish(content("婚姻登记档案甲"))
    used = office.publish(content("婚姻登记档案乙", table="b"))
    discovery = office.catalogue.discovery
    for _ in range(50):
        discovery.record_use(used.id, UseKind.AGREEMENT, POLICE, POLICE)
        discovery.record_use(used.id, UseKind.AGREEMENT, None, POLICE)
    before = found(office, "", order=SearchOrder.MOST_USED)
    discovery.record_use(used.id, UseKind.AGREEMENT, CIVIL, POLICE)
    discovery.record_use(used.id, UseKind.REQUEST, AUTHORITY, POLICE)
    assert found(office, "", order=SearchOrder.MOST_USED)[0] == "婚姻登记档案乙"
    assert sorted(before) == sorted(found(office, ""))
    assert found(office, "婚姻登记档案")[0] == "婚姻登记档案乙"
    assert found(office, "婚姻登记档案甲")[0] == "婚姻登记档案甲"


def test_near_duplicates_are_one_hit_when_grouped(office: Office) -> None:
    for place in ("宣汉县", "大竹县", "四川省达州市通川区"):
        office.publish(content(f"{place}不动产登记信息(2021年)", table=place))
    office.publish(content("不动产抵押信息", table="x"))
    page = office.catalogue.discovery.search(SearchRequest(text="不动产登记", grouped=True))
    assert page.hits[0].similar_total == 2
    assert len(page.hits[0].similar) == 2
    assert len(found(office, "不动产登记信息")) >= 3


def test_suggestions_while_typing(office: Office) -> None:
    for number, title in enumerate(("不动产登记信息", "宣汉县不动产登记信息", "不动产抵押信息", "婚姻登记信息")):
        office.publish(content(title, table=str(number)))
    discovery = office.catalogue.discovery
    for typed in ("不动产", "budong", "bdc"):
        suggested = discovery.suggest(typed)
        assert [(each.text, each.count) for each in suggested][:2] == [("不动产登记信息", 2), ("不动产抵押信息", 1)]
    assert discovery.suggest("登记")[0].count >= 1
    assert discovery.suggest("") == discovery.suggest("？！") == ()


@pytest.mark.parametrize(
    ("title", "core"),
    [
        ("宣汉县不动产登记信息（2021年）", "不动产登记信息"),
        ("四川省眉山市东坡区公共服务事项基本目录", "公共服务事项基本目录"),
        ("各种价格指数_2022", "各种价格指数"),
        ("行政区划信息", "行政区划信息"),
        ("2021年", "2021年"),
        ("市县", "市县"),
    ],
)
def test_cores_of_titles(title: str, core: str) -> None:
    assert core_title(title) == core


@given(st.text(max_size=80))
def test_any_title_has_a_core_and_any_text_a_query(text: str) -> None:
    assert core_title(text) or not text.strip()
    words = Vocabulary([("户口", "户籍"), ("social insurance", "社会保险")], ["一网通办"])
    query = parse_query(text, words)
    assert fold(query.asked) == query.asked
    assert all(unit.alternatives for unit in query.units)


def test_a_query_knows_words_of_several_latin_parts_and_says_them_otherwise() -> None:
    words = Vocabulary([("social insurance", "社会保险")])
    query = parse_query("Social  Insurance 2024", words)
    assert [unit.text for unit in query.units] == ["social insurance", "2024"]
    assert [way.text for way in query.units[0].alternatives] == ["social insurance", "社会保险"]
    assert [unit.text for unit in parse_query("antisocial insurance", words).units] == ["antisocial", "insurance"]


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz", max_size=70))
def test_syllables_put_together_are_the_word(word: str) -> None:
    assert all("".join(syllables) == word for syllables in split_syllables(word))


@given(st.dictionaries(st.sampled_from([kind.value for kind in UseKind]), st.integers(0, 10_000)))
def test_levels_of_use_are_bounded_and_rise(counts: dict[str, int]) -> None:
    level = use_level(counts)
    assert 0 <= level <= USE_LEVEL_MAX
    assert use_level({**counts, UseKind.AGREEMENT.value: counts.get(UseKind.AGREEMENT.value, 0) + 5}) >= level
