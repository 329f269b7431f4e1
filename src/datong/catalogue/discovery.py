"""Finding things in the catalogue: the service over search, suggestions, vocabulary, uses and unmet demand."""

from collections import Counter

from sqlalchemy import Connection

from datong.catalogue.demand import Demands
from datong.catalogue.search import SearchRequest, evaluate, run_search
from datong.catalogue.search_feed import record_changes
from datong.catalogue.search_index import SearchIndex
from datong.catalogue.search_suggestions import SUGGESTIONS_MAX, suggest
from datong.catalogue.search_values import (
    DemandState,
    SearchFilters,
    SearchPage,
    Suggestion,
    UnmetDemand,
    VocabularyEntry,
    WordKind,
)
from datong.catalogue.search_view import SearchOrder
from datong.catalogue.use import UseKind
from datong.catalogue.use_counts import record_use
from datong.catalogue.vocabulary import VocabularyBook, VocabularyInForce
from datong.kernel import Actor, Clock, Database, DepartmentCode, Page, ResourceId
from datong.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX
from datong.ledger import Ledger
from datong.norms import NormPack

NEAREST_HITS_MAX = 20


class Discovery:
    """Searches what everybody sees; remembers what was used, and what nobody could find."""

    def __init__(self, *, database: Database, clock: Clock, ledger: Ledger, pack: NormPack, index: SearchIndex) -> None:
        self._database, self._clock, self._pack = database, clock, pack
        self._index = index
        self._words = VocabularyInForce(pack)
        self._book = VocabularyBook(database=database, clock=clock, ledger=ledger)
        self._demands = Demands(database=database, clock=clock, ledger=ledger)

    def search(self, request: SearchRequest, *, asked_by: DepartmentCode | None = None) -> SearchPage:
        """Return one page of hits, best first; an empty text lists the newest.

        `asked_by` is the searcher's department: a query of its that finds nothing exactly is recorded as unmet demand.
        """
        limited = request.model_copy(update={"limit": min(request.limit, PAGE_ROWS_MAX)})
        with self._database.snapshot() as connection:
            vocabulary = self._words.current(connection)
        page = run_search(self._database, self._index, self._pack, vocabulary, limited)
        unfiltered = request.filters == SearchFilters() and not request.open_only and request.offset == 0
        if asked_by is not None and unfiltered and page.exact_total == 0 and not page.corrected:
            self._demands.record(request.text, vocabulary, asked_by)
        return page

    def suggest(self, text: str, *, open_only: bool = False, limit: int = SUGGESTIONS_MAX) -> tuple[Suggestion, ...]:
        """Return what somebody who typed `text` may mean, in characters, pinyin or initials."""
        with self._database.snapshot() as connection:
            state = self._index.current(connection)
            view = state.public if open_only else state.internal
            vocabulary = self._words.current(connection)
            most = min(limit, SUGGESTIONS_MAX)
            return tuple(suggest(connection, view, vocabulary, text, most, public=open_only))

    def keep_up(self) -> bool:
        """Bring the index up to date and its files in order; return whether there was much to do."""
        with self._database.snapshot() as connection:
            return self._index.keep_up(connection)

    def record_use(
        self, resource_id: ResourceId, kind: UseKind, user: DepartmentCode | None, provider: DepartmentCode
    ) -> None:
        """Count that a department uses a resource of another one; ranking looks at how many do."""
        if user is not None and user != provider:
            with self._database.transaction() as connection:
                self.record_use_within(connection, resource_id, kind, user, provider)

    def record_use_within(
        self,
        connection: Connection,
        resource_id: ResourceId,
        kind: UseKind,
        user: DepartmentCode,
        provider: DepartmentCode,
    ) -> None:
        """Count it in the transaction of the act that is the use (`sharing.ResourceUses`)."""
        if user != provider and record_use(connection, resource_id, user, kind, self._clock.now()):
            record_changes(connection, [resource_id])

    def vocabulary(self) -> tuple[VocabularyEntry, ...]:
        """Return the words that operators added, newest first."""
        return self._book.entries()

    def add_words(self, kind: WordKind, words: tuple[str, ...], actor: Actor) -> VocabularyEntry:
        """Add synonyms, or a word that is to be read as a whole; raises Invalid or Conflict."""
        return self._book.add(kind, words, actor)

    def remove_words(self, entry_id: str, actor: Actor) -> None:
        """Take an entry of the vocabulary out of force; raises NotFound."""
        self._book.remove(entry_id, actor)

    def demands(
        self, *, state: DemandState | None = None, offset: int = 0, limit: int = PAGE_ROWS_DEFAULT
    ) -> Page[UnmetDemand]:
        """Return needs that no catalogue meets, with the departments whose resources come nearest."""
        return self._demands.find(self._nearest, state=state, offset=offset, limit=min(limit, PAGE_ROWS_MAX))

    def demand_asked(self, key: str) -> tuple[str, DepartmentCode | None]:
        """Return how a need is written most often, and which department was asked to meet it; raises NotFound."""
        return self._demands.asked(key)

    def handle_demand(
        self, key: str, state: DemandState, actor: Actor, *, department: DepartmentCode | None = None, note: str = ""
    ) -> None:
        """Note what became of a need; raises NotFound."""
        self._demands.handle(key, state, actor, department=department, note=note)

    def _nearest(self, text: str) -> tuple[int, Counter[DepartmentCode]]:
        with self._database.snapshot() as connection:
            view = self._index.current(connection).internal
            outcome = evaluate(view, self._words.current(connection), SearchRequest(text=text))
            best = view.ordered(outcome.selection, SearchOrder.RELEVANCE, outcome.query, NEAREST_HITS_MAX)
            return outcome.exact_total, Counter(DepartmentCode(view.facet(each, "departments")) for each in best)
