"""The values of the search: what is asked for, what is found, what is not, and the words that operators add."""

from datetime import datetime
from enum import StrEnum

from datong.catalogue.values import Resource
from datong.kernel import DepartmentCode, ResourceId, Text, Value
from datong.norms import Grade, ResourceFormat, ShareType, UpdateCycle


class SearchFilters(Value):
    """Narrowing of a search; an empty tuple does not narrow. Members of one field are alternatives."""

    departments: tuple[DepartmentCode, ...] = ()
    share_types: tuple[ShareType, ...] = ()
    formats: tuple[ResourceFormat, ...] = ()
    update_cycles: tuple[UpdateCycle, ...] = ()
    themes: tuple[str, ...] = ()
    grades: tuple[Grade, ...] = ()
    open: bool | None = None


class Fragment(Value):
    """A piece of a text; `match` says whether to highlight it."""

    text: str
    match: bool = False


class SimilarResource(Value):
    """A resource about the same as another one, of another place, year or department."""

    id: ResourceId
    title: str
    department: DepartmentCode


class SearchHit(Value):
    """One found resource, in its published version, with the places that matched.

    In a grouped search `similar` has the first of those that are about the same, and `similar_total` counts them.
    """

    resource: Resource
    score: float
    title: tuple[Fragment, ...]
    summary: tuple[Fragment, ...]
    items: tuple[tuple[Fragment, ...], ...] = ()
    similar: tuple[SimilarResource, ...] = ()
    similar_total: int = 0


class FacetValue(Value):
    """One value of a facet, its name, and how many found resources have it."""

    value: str
    label: Text
    count: int


class Facet(Value):
    """One way to narrow the result; `field` is a field of `SearchFilters`."""

    field: str
    label: Text
    values: tuple[FacetValue, ...]


class SearchPage(Value):
    """A page of search results; `total` and `facets` count every hit, not only this page.

    `relaxed` says that hits need not match all of the query; `exact_total` of them do, and come first. `corrected` is
    the query that was searched instead of one without any hit; `did_you_mean` is one that would find more.
    """

    hits: tuple[SearchHit, ...]
    total: int
    next_offset: int | None
    facets: tuple[Facet, ...]
    relaxed: bool = False
    exact_total: int = 0
    corrected: str = ""
    did_you_mean: str = ""


class Suggestion(Value):
    """What somebody who types may mean: a title's subject, and how many resources are about it."""

    text: str
    count: int


class DemandState(StrEnum):
    """What became of a need that no catalogue meets."""

    NEW = "new"
    ASKED = "asked"
    MET = "met"
    DISMISSED = "dismissed"

    @property
    def label(self) -> Text:
        """The state's name."""
        return _DEMAND_STATES[self]


_DEMAND_STATES = {
    DemandState.NEW: Text(zh="待处理", en="New"),
    DemandState.ASKED: Text(zh="已请部门编目", en="Department asked"),
    DemandState.MET: Text(zh="已满足", en="Met"),
    DemandState.DISMISSED: Text(zh="不予处理", en="Dismissed"),
}


class UnmetDemand(Value):
    """Queries that found nothing, spellings of one need together.

    `likely` names departments that hold what comes nearest; `hits` says how many resources match it today.
    """

    key: str
    query: str
    spellings: tuple[str, ...]
    times: int
    departments: int
    first_at: datetime
    last_at: datetime
    state: DemandState = DemandState.NEW
    department: DepartmentCode | None = None
    note: str = ""
    likely: tuple[DepartmentCode, ...] = ()
    hits: int = 0


class WordKind(StrEnum):
    """What operators add to the vocabulary of the search."""

    SYNONYMS = "synonyms"
    WORD = "word"

    @property
    def label(self) -> Text:
        """The kind's name."""
        return _WORD_KINDS[self]


_WORD_KINDS = {
    WordKind.SYNONYMS: Text(zh="同义词", en="Synonyms"),
    WordKind.WORD: Text(zh="用户词", en="Word"),
}


class VocabularyEntry(Value):
    """A word, or words that mean the same, added to the norm pack's by an operator."""

    id: str
    kind: WordKind
    words: tuple[str, ...]
    added_at: datetime
    added_by: str
