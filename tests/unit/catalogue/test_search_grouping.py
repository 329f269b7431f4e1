"""Near-duplicates as one hit: pages of groups against grouping all hits one by one."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from datong.catalogue.search_grouping import MEMBERS_MAX, ROUNDS_MAX, grouped
from datong.catalogue.search_query import Vocabulary, parse_query
from datong.catalogue.search_segment import SearchDocument, build_segment
from datong.catalogue.search_text import core_title
from datong.catalogue.search_view import WINDOW, IndexView, SearchOrder

SUBJECTS = ["不动产登记信息", "不动产抵押登记", "婚姻登记信息", "登记机关名录", "登记"]
PLACES = ["", "宣汉县", "大竹县", "通川区", "达州市万源市"]
TITLES = st.tuples(st.sampled_from(PLACES), st.sampled_from(SUBJECTS), st.sampled_from(["", "2021年", "_2022"]))
WORDS = Vocabulary([])


def view_of(parts: list[list[tuple[str, bool]]]) -> IndexView:
    """Return an index of one segment a part; a resource is its title, and whether it lives."""
    segments, masks = [], []
    for place, part in enumerate(parts):
        documents = [
            SearchDocument(f"{place:02d}-{number:04d}", title, (title, "", ""), ("", "1", "", "3", "", "L1", "1"), 0, 0)
            for number, (title, _) in enumerate(part)
        ]
        segments.append(build_segment(documents))
        alive = np.array([lives for _, lives in part], np.bool_)
        masks.append(None if alive.all() else alive)
    return IndexView(segments, masks)


@settings(deadline=None)
@given(
    st.lists(st.lists(st.tuples(TITLES, st.booleans()), max_size=30), min_size=1, max_size=3),
    st.sampled_from(["登记", "不动产", "2021", "没有", ""]),
    st.sampled_from(SearchOrder),
    st.integers(1, 7),
    st.integers(1, 60),
)
def test_pages_of_groups_are_what_grouping_everything_gives(
    parts: list[list[tuple[tuple[str, str, str], bool]]],
    text: str,
    order: SearchOrder,
    limit: int,
    hits_at_once: int,
) -> None:
    view = view_of([[("".join(title), lives) for title, lives in part] for part in parts])
    query = parse_query(text, WORDS)
    selection = view.matching(query, {}) if query.units else view.all({})
    every = view.ordered(selection, order, query, selection.total)
    expected: dict[bytes, list[str]] = {}
    for each in every:
        expected.setdefault(view.core(each), []).append(view.resource_id(each))
    # Titles are looked at within a window: what is beyond it stands in another order.
    assert selection.total <= WINDOW
    found: list[tuple[str, int]] = []
    more, offset = True, 0
    while more:
        groups, more = grouped(view, selection, order, query, offset=offset, limit=limit, hits_at_once=hits_at_once)
        assert all(len(group.members) <= MEMBERS_MAX + 1 for group in groups)
        assert more or len(groups) <= limit
        found += [(view.resource_id(group.members[0]), group.total) for group in groups]
        offset += limit
    if hits_at_once >= selection.total or hits_at_once * ROUNDS_MAX >= selection.total:
        assert found == [(members[0], len(members)) for members in expected.values()]


def test_members_come_in_order_and_their_number_is_of_all_hits() -> None:
    titles = [(f"{place}县不动产登记信息", True) for place in "甲乙丙丁戊己庚辛壬癸子丑寅卯"]
    view = view_of([titles, [("不动产抵押登记", True), ("不动产登记信息", False)]])
    query = parse_query("不动产登记", WORDS)
    selection = view.matching(query, {})
    groups, more = grouped(view, selection, SearchOrder.RELEVANCE, query, offset=0, limit=10)
    best = max(groups, key=lambda group: group.total)
    assert not more
    assert (best.total, len(best.members)) == (14, MEMBERS_MAX + 1)
    assert [each.score for each in best.members] == sorted((each.score for each in best.members), reverse=True)
    assert core_title("甲县不动产登记信息").encode() == view.core(best.members[0])
