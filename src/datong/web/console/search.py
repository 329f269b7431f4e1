"""The catalogue's search: hits with facets, suggestions, the vocabulary of operators, needs that nothing meets."""

from typing import Annotated, TypeVar

from fastapi import Form, Query
from fastapi.responses import Response

from datong.catalogue import (
    DemandState,
    FacetValue,
    SearchFilters,
    SearchOrder,
    SearchRequest,
    WordKind,
)
from datong.kernel import DepartmentCode, Value
from datong.kernel.limits import NAME_CHARS_MAX, TEXT_CHARS_MAX
from datong.norms import Grade, ResourceFormat, ShareType, UpdateCycle
from datong.sharing import Action
from datong.web.console.desk import PAGE_ROWS, Offset, SignedIn
from datong.web.routing import unlisted_routes

router = unlisted_routes()
Choices = Annotated[list[str] | None, Query()]
Member = TypeVar("Member", ShareType, ResourceFormat, UpdateCycle, Grade)
WORD_SEPARATORS = str.maketrans(dict.fromkeys("，、；;\n", ","))


class FacetChoice(Value):
    """One box of a facet, and whether it is ticked."""

    value: FacetValue
    chosen: bool


@router.get("/catalogue")
def search(
    desk: SignedIn,
    offset: Offset,
    q: Annotated[str, Query(max_length=NAME_CHARS_MAX)] = "",
    departments: Choices = None,
    share_types: Choices = None,
    formats: Choices = None,
    update_cycles: Choices = None,
    themes: Choices = None,
    grades: Choices = None,
    is_open: Annotated[list[str] | None, Query(alias="open")] = None,
    order: str = "",
    single: bool = False,
) -> Response:
    """Search the published catalogue; without a query it lists everything. Near-duplicates are one hit, or `single`."""
    if view := desk.opening_view():
        return desk.go(view)
    desk.require(Action.RESOURCE_READ)
    opened = set(is_open or ()) & {"0", "1"}
    filters = SearchFilters(
        departments=tuple(DepartmentCode(code) for code in departments or ()),
        share_types=_members(ShareType, share_types),
        formats=_members(ResourceFormat, formats),
        update_cycles=_members(UpdateCycle, update_cycles),
        themes=tuple(themes or ()),
        grades=_members(Grade, grades),
        open=None if len(opened) != 1 else opened == {"1"},
    )
    request = SearchRequest(
        text=q,
        filters=filters,
        order=SearchOrder(order) if order in set(SearchOrder) else SearchOrder.RELEVANCE,
        grouped=bool(q.strip()) and not single,
        offset=offset,
        limit=PAGE_ROWS,
    )
    found = desk.services.catalogue.discovery.search(request, asked_by=desk.caller.department)
    chosen = {name: {str(value) for value in values} for name, values in filters if isinstance(values, tuple)}
    chosen["open"] = opened if len(opened) == 1 else set()
    facets = [
        (
            facet,
            tuple(
                FacetChoice(value=value, chosen=value.value in chosen.get(facet.field, ())) for value in facet.values
            ),
        )
        for facet in found.facets
    ]
    return desk.page(
        "catalogue/search.html",
        q=q,
        found=found,
        facets=facets,
        offset=offset,
        step=PAGE_ROWS,
        order=request.order,
        orders=tuple(SearchOrder),
        grouped=request.grouped,
        single=single,
        filtered=any(chosen.values()),
        may_see_demand=desk.may(Action.DEMAND_READ),
    )


@router.get("/catalogue/suggestions")
def suggestions(desk: SignedIn, q: Annotated[str, Query(max_length=NAME_CHARS_MAX)] = "") -> Response:
    """Return what somebody who types may mean, as a piece of the search page."""
    desk.require(Action.RESOURCE_READ)
    found = desk.services.catalogue.discovery.suggest(q)
    return desk.page("catalogue/suggestions.html", suggestions=found, search="/catalogue")


@router.get("/catalogue/vocabulary")
def vocabulary(desk: SignedIn) -> Response:
    """Show the synonyms and words of the search."""
    desk.require(Action.RESOURCE_READ)
    return desk.page(
        "catalogue/vocabulary.html",
        entries=desk.services.catalogue.discovery.vocabulary(),
        kinds=tuple(WordKind),
        families=desk.services.pack.synonyms,
        may_edit=desk.may(Action.VOCABULARY_EDIT),
    )


@router.post("/catalogue/vocabulary")
def add_words(
    desk: SignedIn,
    words: Annotated[str, Form(max_length=TEXT_CHARS_MAX)],
    kind: Annotated[WordKind, Form()] = WordKind.SYNONYMS,
) -> Response:
    """Add words that mean the same, or one word."""
    desk.require(Action.VOCABULARY_EDIT)
    several = tuple(words.translate(WORD_SEPARATORS).split(","))
    desk.services.catalogue.discovery.add_words(kind, several, desk.caller.actor)
    return desk.go("/catalogue/vocabulary", done="vocabulary")


@router.post("/catalogue/vocabulary/{entry_id}/removal")
def remove_words(desk: SignedIn, entry_id: str) -> Response:
    """Take an entry out of force."""
    desk.require(Action.VOCABULARY_EDIT)
    desk.services.catalogue.discovery.remove_words(entry_id, desk.caller.actor)
    return desk.go("/catalogue/vocabulary", done="vocabulary")


@router.get("/catalogue/demands")
def demands(desk: SignedIn, offset: Offset, state: str = "") -> Response:
    """Show needs that no catalogue meets."""
    desk.require(Action.DEMAND_READ)
    chosen = DemandState(state) if state in set(DemandState) else None
    return desk.page(
        "catalogue/demands.html",
        page=desk.services.catalogue.discovery.demands(state=chosen, offset=offset, limit=PAGE_ROWS),
        offset=offset,
        step=PAGE_ROWS,
        state=state,
        states=tuple(DemandState),
        may_handle=desk.may(Action.DEMAND_HANDLE),
        departments=tuple(desk.departments.values()),
    )


@router.post("/catalogue/demands")
def handle_demand(
    desk: SignedIn,
    key: Annotated[str, Form(max_length=NAME_CHARS_MAX)],
    state: Annotated[DemandState, Form()],
    department: Annotated[str, Form(max_length=18)] = "",
    note: Annotated[str, Form(max_length=TEXT_CHARS_MAX)] = "",
) -> Response:
    """Note what becomes of a need."""
    desk.require(Action.DEMAND_HANDLE)
    holder = DepartmentCode(department) if department else None
    if holder is not None:
        desk.services.departments.get(holder)
    desk.services.catalogue.discovery.handle_demand(key, state, desk.caller.actor, department=holder, note=note)
    return desk.go("/catalogue/demands", done="demand")


def _members(kind: type[Member], values: list[str] | None) -> tuple[Member, ...]:
    return tuple(kind(value) for value in values or () if value in set(kind))
