"""The index over any sequence of publishing, revising and hiding: equal to one built from scratch, and tight."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datong.catalogue import ResourceAction, SearchIndex, SearchOrder, SearchRequest
from datong.catalogue.search import evaluate
from datong.catalogue.search_feed import EVERYTHING, record_changes
from datong.catalogue.search_grouping import grouped
from datong.catalogue.search_index import IndexState
from datong.catalogue.search_query import Vocabulary
from datong.catalogue.search_view import IndexView
from datong.catalogue.tables import search_change
from datong.catalogue.vocabulary import pack_families
from datong.kernel import Database, ResourceId, Text, new_id
from datong.norms import load_pack
from tests.unit.catalogue.conftest import AUTHORITY_ACTOR, CIVIL, POLICE, POLICE_ACTOR, Office, content

WORDS = ["婚姻登记", "户籍人口", "不动产登记", "养老机构", "机动车", "出租车", "医保定点药店", "Hospital beds"]
QUERIES = [*WORDS, "登记信息", "人口 户口", "hunyin", "bdcdj", "婚烟登记", "车", "hospitl", "信息", "没有的东西", ""]


@dataclass
class Step:
    """One thing that happens to the catalogue."""

    kind: str
    word: str
    number: int
    is_open: bool


STEPS = st.lists(
    st.builds(
        Step,
        kind=st.sampled_from(["publish", "publish", "publish", "revise", "suspend", "resume", "retire"]),
        word=st.sampled_from(WORDS),
        number=st.integers(0, 5),
        is_open=st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


@cache
def vocabulary() -> Vocabulary:
    return Vocabulary(pack_families(load_pack()))


def answers(view: IndexView, words: Vocabulary) -> list[object]:
    """Return everything that anybody can learn from a view: hits, scores, counts, facets, corrections, subjects."""
    found: list[object] = [view.size]
    for text in QUERIES:
        outcome = evaluate(view, words, SearchRequest(text=text))
        for order in SearchOrder:
            ranked = view.ordered(outcome.selection, order, outcome.query, 50)
            found.append([(view.resource_id(each), each.score) for each in ranked])
        found.append((outcome.selection.total, outcome.exact_total, outcome.corrected, outcome.did_you_mean))
        found.append(outcome.selection.facets)
        found.append(view.subjects(text, 50) if text else None)
        groups, more = grouped(
            view, outcome.selection, SearchOrder.RELEVANCE, outcome.query, offset=0, limit=5, hits_at_once=4
        )
        found.append([([view.resource_id(each) for each in group.members], group.total) for group in groups])
        found.append(more)
    return found


def play(office: Office, steps: list[Step]) -> None:
    """Let the steps happen, those that are possible."""
    made: list[ResourceId] = []
    for step in steps:
        title = f"{step.word}{step.number}"
        wanted = content(title, table=new_id(), open=step.is_open)
        wanted = wanted.model_copy(update={"title": Text(zh=title, en=step.word if step.word.isascii() else "")})
        if step.kind == "publish" or not made:
            made.append(office.publish(wanted, department=POLICE).id)
            continue
        resource_id = made[step.number % len(made)]
        resource = office.catalogue.get(resource_id)
        possible = {row.action for row in office.catalogue.possible(resource)}
        if step.kind == "revise" and ResourceAction.REVISE in possible:
            revised = office.catalogue.act(resource_id, ResourceAction.REVISE, POLICE_ACTOR)
            office.catalogue.edit(resource_id, wanted, POLICE_ACTOR, revised.version)
            publish_again(office, resource_id)
            continue
        action = ResourceAction(step.kind)
        if action in possible:
            office.catalogue.act(resource_id, action, POLICE_ACTOR, "理由")


def publish_again(office: Office, resource_id: ResourceId) -> None:
    """Take a revision all the way."""
    for action, actor in (
        (ResourceAction.SIGN_OFF, POLICE_ACTOR),
        (ResourceAction.SUBMIT, POLICE_ACTOR),
        (ResourceAction.APPROVE, AUTHORITY_ACTOR),
        (ResourceAction.PUBLISH, AUTHORITY_ACTOR),
    ):
        office.catalogue.act(resource_id, action, actor)


def state_of(index: SearchIndex, database: Database) -> IndexState:
    with database.snapshot() as connection:
        return index.current(connection)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS, st.booleans())
def test_an_index_that_grew_equals_one_built_from_scratch(
    control_database: Database, tmp_path: Path, office: Office, steps: list[Step], in_files: bool
) -> None:
    grown = SearchIndex(tmp_path / "grown" if in_files else None)
    words = vocabulary()
    for half in (steps[: len(steps) // 2], steps[len(steps) // 2 :]):
        play(office, half)
        before = state_of(grown, control_database)
    fresh = state_of(SearchIndex(), control_database)
    for grown_view, fresh_view in zip(before.views, fresh.views, strict=True):
        assert answers(grown_view, words) == answers(fresh_view, words)
    opened = set(office.catalogue.find(open_only=True, limit=200).rows)
    assert before.public.size == len(opened)


def test_relaxed_results_hold_the_exact_ones_and_pages_neither_overlap_nor_skip(office: Office) -> None:
    for number, word in enumerate(WORDS * 3):
        office.publish(content(f"{word}信息{number}", table=f"t{number}"))
    words = vocabulary()
    view = state_of(SearchIndex(), office.database).internal
    for text in QUERIES:
        outcome = evaluate(view, words, SearchRequest(text=text))
        exact = view.matching(outcome.query, {})
        some = view.resembling(outcome.query, {}, exact)
        if outcome.query.units:
            assert {int(doc) for docs in exact.docs for doc in docs} <= {int(doc) for docs in some.docs for doc in docs}
        whole = [hit.resource.id for hit in office.catalogue.search(text, limit=200).hits]
        pages: list[str] = []
        for offset in range(0, len(whole) + 3, 3):
            pages.extend(hit.resource.id for hit in office.catalogue.search(text, offset=offset, limit=3).hits)
        assert pages == whole
        assert len(set(whole)) == len(whole) == outcome.selection.total


def test_the_folder_is_found_again_caught_up_and_built_anew_for_another_database(
    office: Office, tmp_path: Path
) -> None:
    folder = tmp_path / "search"
    office.publish(content("婚姻登记信息"))
    assert state_of(SearchIndex(folder), office.database).filed == 1
    office.publish(content("户籍人口信息", table="b"))
    again = state_of(SearchIndex(folder), office.database)
    assert (again.filed, again.sequence, again.internal.size) == (1, 2, 2)
    with office.database.transaction() as connection:
        connection.execute(search_change.update().values(token="restored"))
    assert state_of(SearchIndex(folder), office.database).filed == 2
    with office.database.transaction() as connection:
        record_changes(connection, [EVERYTHING])
    assert state_of(SearchIndex(folder), office.database).filed == 3


@pytest.mark.parametrize("damage", ["manifest.json", "docs", "segment.json", "everything"])
def test_a_damaged_folder_is_built_anew(office: Office, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "search"
    office.publish(content("婚姻登记信息"))
    state_of(SearchIndex(folder), office.database)
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file() and damage in (path.name, "everything"):
            path.write_bytes(b"\x00broken")
    state = state_of(SearchIndex(folder), office.database)
    assert state.internal.size == 1


def test_many_changes_are_written_and_merged(office: Office, tmp_path: Path) -> None:
    index = SearchIndex(tmp_path / "search", small_docs_max=3, filed_segments_max=1)
    ids = []
    for number in range(12):
        ids.append(office.publish(content(f"婚姻登记信息{number}", table=f"t{number}")).id)
        state_of(index, office.database)
    office.catalogue.act(ids[0], ResourceAction.SUSPEND, POLICE_ACTOR, "核对")
    with office.database.snapshot() as connection:
        assert index.keep_up(connection)
    with office.database.snapshot() as connection:
        while index.keep_up(connection):
            pass
        state = index.current(connection)
    assert state.internal.size == 11
    assert len(state.internal.segments) == 1
    words = vocabulary()
    fresh = state_of(SearchIndex(), office.database)
    assert answers(state.internal, words) == answers(fresh.internal, words)


def test_hidden_resources_appear_nowhere(office: Office) -> None:
    shown = office.publish(content("婚姻登记信息"), department=CIVIL)
    hidden = office.publish(content("秘密渔船登记信息", table="b", open=True))
    discovery = office.catalogue.discovery
    assert [each.text for each in discovery.suggest("秘密")] == ["秘密渔船登记信息"]
    assert discovery.suggest("秘密", open_only=True)[0].count == 1
    office.catalogue.act(hidden.id, ResourceAction.SUSPEND, POLICE_ACTOR, "核对")
    for public in (False, True):
        assert discovery.suggest("秘密", open_only=public) == ()
        assert discovery.suggest("mimi", open_only=public) == ()
        assert discovery.suggest("mmyc", open_only=public) == ()
        for text in ("秘密渔船登记", "秘密鱼船登记", "渔船", "mimiyuchuan", "渔", ""):
            page = discovery.search(SearchRequest(text=text, open_only=public, grouped=True))
            assert {hit.resource.id for hit in page.hits} <= ({shown.id} if not public else set())
            assert "渔" not in page.corrected + page.did_you_mean
            assert all(value.count <= 1 for facet in page.facets for value in facet.values)
