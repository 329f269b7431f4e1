"""Search over what everybody sees: parse, match, put in order, count, highlight.

The steps, each with its own module: the query becomes units of words and synonyms (`search_query`); pinyin and slips
find other readings (`search_corrections`); the index finds and ranks (`search_view`); resources come from the database.
"""

from typing import NamedTuple

from sqlalchemy import Connection, select

from datong.catalogue.records import published_from, select_published
from datong.catalogue.search_corrections import corrections, spoken
from datong.catalogue.search_grouping import Group, grouped
from datong.catalogue.search_index import SearchIndex
from datong.catalogue.search_query import SearchQuery, Vocabulary, parse_query
from datong.catalogue.search_text import highlight
from datong.catalogue.search_values import Facet, FacetValue, SearchFilters, SearchHit, SearchPage, SimilarResource
from datong.catalogue.search_view import IndexView, SearchOrder, Selection, Wanted
from datong.catalogue.tables import department as departments
from datong.catalogue.tables import listing
from datong.catalogue.values import Resource
from datong.kernel import Database, DepartmentCode, ResourceId, Text, Value
from datong.norms import Grade, NormPack, ResourceFormat, ShareType, UpdateCycle

HIGHLIGHTED_ITEMS_MAX = 8
FACET_VALUES_MAX = 30
ENOUGH_HITS = 10
"""Fewer exact hits than this are followed by those that match in part."""
FEW_HITS = 3
"""With fewer hits than this, a spelling that finds many more is offered."""
SNAPSHOTS_MAX = 3
FACET_LABELS = {
    "departments": Text(zh="提供部门", en="Department"),
    "share_types": Text(zh="共享类型", en="Share type"),
    "themes": Text(zh="主题", en="Theme"),
    "formats": Text(zh="格式", en="Format"),
    "update_cycles": Text(zh="更新周期", en="Update cycle"),
    "grades": Text(zh="数据分级", en="Grade"),
    "open": Text(zh="向社会开放", en="Open to the public"),
}


class SearchRequest(Value):
    """What somebody asks of the search; `grouped` shows near-duplicates as one hit."""

    text: str = ""
    filters: SearchFilters = SearchFilters()
    order: SearchOrder = SearchOrder.RELEVANCE
    open_only: bool = False
    grouped: bool = False
    offset: int = 0
    limit: int = 20


class Outcome(NamedTuple):
    """What a query found in a view, and how it had to be read for that."""

    query: SearchQuery
    selection: Selection
    exact_total: int
    relaxed: bool
    corrected: str
    did_you_mean: str


def run_search(
    database: Database, index: SearchIndex, pack: NormPack, vocabulary: Vocabulary, request: SearchRequest
) -> SearchPage:
    """Return one page of hits."""
    for attempt in range(SNAPSHOTS_MAX):
        with database.snapshot() as connection:
            state = index.current(connection)
            view = state.public if request.open_only else state.internal
            outcome = evaluate(view, vocabulary, request)
            shown, more = _groups(view, outcome, request)
            ids = [view.resource_id(each) for group in shown for each in group.members[1:]]
            titles = _titles(connection, ids) if ids else {}
            heads = [view.resource_id(group.members[0]) for group in shown]
            resources = _resources(connection, heads, request.open_only)
            names = _department_names(connection, outcome.selection)
        # Another thread may have moved the index on since this snapshot began: look again with a newer one.
        if len(resources) == len(shown) or attempt == SNAPSHOTS_MAX - 1:
            break
    hits = tuple(
        _hit(view, resources[head], group, titles, outcome.query)
        for head, group in zip(heads, shown, strict=True)
        if head in resources
    )
    end = request.offset + len(shown)
    return SearchPage(
        hits=hits,
        total=outcome.selection.total,
        next_offset=end if shown and more else None,
        facets=_facets(outcome.selection, pack, names),
        relaxed=outcome.relaxed and outcome.selection.total > 0,
        exact_total=outcome.exact_total,
        corrected=outcome.corrected,
        did_you_mean=outcome.did_you_mean,
    )


def evaluate(view: IndexView, vocabulary: Vocabulary, request: SearchRequest) -> Outcome:
    """Return what a request selects: what matches all of it, or a corrected spelling, or what matches much of it."""
    wanted = _wanted(request.filters)
    query = parse_query(request.text, vocabulary)
    if not query.units:
        selection = view.all(wanted)
        return Outcome(query, selection, selection.total, False, "", "")
    query = spoken(view, query)
    exact = view.matching(query, wanted)
    corrected = offered = ""
    # Filters may be why nothing is left: a spelling is wrong only if it finds little without them.
    found = exact.total if not wanted or exact.total >= FEW_HITS else view.matching(query, {}).total
    if found < FEW_HITS:
        better = _better(view, query, vocabulary, found)
        if better is not None and found == 0:
            query, corrected = better, better.text
            exact = view.matching(query, wanted)
        elif better is not None:
            offered = better.text
    if exact.total >= ENOUGH_HITS:
        return Outcome(query, exact, exact.total, False, corrected, offered)
    resembling = view.resembling(query, wanted, exact)
    if resembling.total <= exact.total:
        return Outcome(query, exact, exact.total, False, corrected, offered)
    return Outcome(query, resembling, exact.total, True, corrected, offered)


def _better(view: IndexView, query: SearchQuery, vocabulary: Vocabulary, found: int) -> SearchQuery | None:
    """Return the likeliest other spelling that finds much more than `found`."""
    for other in corrections(view, query, vocabulary):
        if view.matching(other, {}).total > 10 * found:
            return other
    return None


def _groups(view: IndexView, outcome: Outcome, request: SearchRequest) -> tuple[list[Group], bool]:
    """Return the hits of the page, each with its near-duplicates behind it, and whether more follow."""
    if request.grouped:
        return grouped(
            view,
            outcome.selection,
            request.order,
            outcome.query,
            offset=request.offset,
            limit=request.limit,
        )
    end = request.offset + request.limit
    best = view.ordered(outcome.selection, request.order, outcome.query, end + 1)
    return [Group((each,), 1) for each in best[request.offset : end]], len(best) > end


def _wanted(filters: SearchFilters) -> Wanted:
    wanted = {
        name: frozenset(str(value) for value in values)
        for name, values in filters
        if name != "open" and isinstance(values, tuple) and values
    }
    if filters.open is not None:
        wanted["open"] = frozenset({"1" if filters.open else "0"})
    return wanted


def _resources(connection: Connection, keys: list[str], open_only: bool) -> dict[str, Resource]:
    rows = connection.execute(select_published().where(listing.c.resource_id.in_(keys))).mappings()
    found = (published_from(dict(row), open_only=open_only) for row in rows)
    return {entry.id: entry for entry in found}


def _titles(connection: Connection, keys: list[str]) -> dict[str, SimilarResource]:
    statement = select(listing.c.resource_id, listing.c.title, listing.c.department)
    rows = connection.execute(statement.where(listing.c.resource_id.in_(keys)))
    return {
        key: SimilarResource(id=ResourceId(key), title=title, department=DepartmentCode(code))
        for key, title, code in rows
    }


def _department_names(connection: Connection, selection: Selection) -> dict[str, Text]:
    """Return the names of the departments that the facet shows."""
    codes = [value for value, _ in _most_frequent(selection.facets["departments"])]
    statement = select(departments.c.code, departments.c.short_name_zh, departments.c.short_name_en)
    rows = connection.execute(statement.where(departments.c.code.in_(codes)))
    return {code: Text(zh=zh, en=en) for code, zh, en in rows}


def _most_frequent(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))[:FACET_VALUES_MAX]


def _hit(
    view: IndexView,
    found: Resource,
    group: Group,
    titles: dict[str, SimilarResource],
    query: SearchQuery,
) -> SearchHit:
    content, needles = found.content, query.needles
    items = [highlight(item.name.zh, needles) for item in content.items] if needles else []
    matched = [fragments for fragments in items if any(fragment.match for fragment in fragments)]
    others = (titles.get(view.resource_id(each)) for each in group.members[1:])
    return SearchHit(
        resource=found,
        score=group.members[0].score,
        title=highlight(content.title.zh, needles),
        summary=highlight(content.summary.zh, needles),
        items=tuple(matched[:HIGHLIGHTED_ITEMS_MAX]),
        similar=tuple(other for other in others if other is not None),
        similar_total=group.total - 1,
    )


def _facets(selection: Selection, pack: NormPack, departments: dict[str, Text]) -> tuple[Facet, ...]:
    names: dict[str, dict[str, Text]] = {
        "departments": departments,
        "themes": {theme.key: theme.name for theme in pack.themes},
        "open": {"1": Text(zh="开放", en="Open"), "0": Text(zh="不开放", en="Not open")},
        "share_types": {member.value: member.label for member in ShareType},
        "formats": {member.value: member.label for member in ResourceFormat},
        "update_cycles": {member.value: member.label for member in UpdateCycle},
        "grades": {member.value: member.label for member in Grade},
    }
    found = []
    for field, label in FACET_LABELS.items():
        values = tuple(
            FacetValue(value=value, label=names[field].get(value, Text(zh=value, en=value)), count=number)
            for value, number in _most_frequent(selection.facets[field])
            if value
        )
        found.append(Facet(field=field, label=label, values=values))
    return tuple(found)
