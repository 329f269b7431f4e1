"""The search of the catalogue: hits, suggestions, the vocabulary that operators keep, and needs that nothing meets."""

from typing import Annotated

from fastapi import Query
from pydantic import Field

from datong.catalogue import (
    DemandState,
    SearchFilters,
    SearchOrder,
    SearchPage,
    SearchRequest,
    Suggestion,
    UnmetDemand,
    VocabularyEntry,
    WordKind,
)
from datong.kernel import DepartmentCode, Page, Value
from datong.kernel.limits import NAME_CHARS_MAX, TEXT_CHARS_MAX
from datong.norms import Grade, ResourceFormat, ShareType, UpdateCycle
from datong.sharing import Action
from datong.web.api.scope import LIMIT_DEFAULT, Limit, Offset
from datong.web.authentication import Caller, Hub
from datong.web.routing import api_routes

router = api_routes(tag="search")


class NewVocabulary(Value):
    """Words that mean the same, or one word that is to be read as a whole."""

    kind: WordKind = WordKind.SYNONYMS
    words: tuple[str, ...] = Field(min_length=1, max_length=50)


class DemandHandling(Value):
    """What becomes of a need; `key` is the one that the list gives."""

    key: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    state: DemandState
    department: DepartmentCode | None = None
    note: str = Field("", max_length=TEXT_CHARS_MAX)


@router.get("/search")
def search(
    caller: Caller,
    hub: Hub,
    q: Annotated[str, Query(max_length=NAME_CHARS_MAX)] = "",
    department: Annotated[list[DepartmentCode] | None, Query()] = None,
    share_type: Annotated[list[ShareType] | None, Query()] = None,
    resource_format: Annotated[list[ResourceFormat] | None, Query(alias="format")] = None,
    update_cycle: Annotated[list[UpdateCycle] | None, Query()] = None,
    theme: Annotated[list[str] | None, Query()] = None,
    grade: Annotated[list[Grade] | None, Query()] = None,
    is_open: Annotated[bool | None, Query(alias="open")] = None,
    order: SearchOrder = SearchOrder.RELEVANCE,
    grouped: bool = False,
    offset: Offset = 0,
    limit: Limit = LIMIT_DEFAULT,
) -> SearchPage:
    """Search the published catalogue, in Chinese, English or pinyin, with highlights and facets.

    `grouped` shows resources about the same (of another place or year) as one hit.
    """
    hub.policy.require(caller, Action.RESOURCE_READ)
    filters = SearchFilters(
        departments=tuple(department or ()),
        share_types=tuple(share_type or ()),
        formats=tuple(resource_format or ()),
        update_cycles=tuple(update_cycle or ()),
        themes=tuple(theme or ()),
        grades=tuple(grade or ()),
        open=is_open,
    )
    request = SearchRequest(text=q, filters=filters, order=order, grouped=grouped, offset=offset, limit=limit)
    return hub.catalogue.discovery.search(request, asked_by=caller.department)


@router.get("/search/suggestions")
def suggestions(
    caller: Caller, hub: Hub, q: Annotated[str, Query(max_length=NAME_CHARS_MAX)] = ""
) -> tuple[Suggestion, ...]:
    """Return what somebody who typed `q` may mean, in characters, pinyin or initials."""
    hub.policy.require(caller, Action.RESOURCE_READ)
    return hub.catalogue.discovery.suggest(q)


@router.get("/search/vocabulary")
def list_vocabulary(caller: Caller, hub: Hub) -> tuple[VocabularyEntry, ...]:
    """Return the synonyms and words that operators added to the norm pack's, newest first."""
    hub.policy.require(caller, Action.RESOURCE_READ)
    return hub.catalogue.discovery.vocabulary()


@router.post("/search/vocabulary", status_code=201)
def add_vocabulary(body: NewVocabulary, caller: Caller, hub: Hub) -> VocabularyEntry:
    """Add synonyms or a word; searches know it at once."""
    hub.policy.require(caller, Action.VOCABULARY_EDIT)
    return hub.catalogue.discovery.add_words(body.kind, body.words, caller.actor)


@router.delete("/search/vocabulary/{entry_id}", status_code=204)
def remove_vocabulary(entry_id: str, caller: Caller, hub: Hub) -> None:
    """Take an entry out of force."""
    hub.policy.require(caller, Action.VOCABULARY_EDIT)
    hub.catalogue.discovery.remove_words(entry_id, caller.actor)


@router.get("/search/demands")
def list_demands(
    caller: Caller, hub: Hub, state: DemandState | None = None, offset: Offset = 0, limit: Limit = LIMIT_DEFAULT
) -> Page[UnmetDemand]:
    """Return needs that no catalogue meets, those of the most departments first."""
    hub.policy.require(caller, Action.DEMAND_READ)
    return hub.catalogue.discovery.demands(state=state, offset=offset, limit=limit)


@router.post("/search/demands", status_code=204)
def handle_demand(body: DemandHandling, caller: Caller, hub: Hub) -> None:
    """Note what became of a need."""
    hub.policy.require(caller, Action.DEMAND_HANDLE)
    hub.catalogue.discovery.handle_demand(
        body.key, body.state, caller.actor, department=body.department, note=body.note
    )
