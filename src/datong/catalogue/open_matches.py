"""Which open resources a text finds, as a relation that the open catalogue's statements join."""

import json

from sqlalchemy import ARRAY, Connection, String, Subquery, bindparam, func, select

from datong.catalogue.search import SearchRequest, evaluate
from datong.catalogue.search_index import SearchIndex
from datong.catalogue.search_suggestions import suggest
from datong.catalogue.search_values import Suggestion
from datong.catalogue.search_view import SearchOrder
from datong.catalogue.vocabulary import VocabularyInForce
from datong.kernel import Value
from datong.norms import NormPack


class OpenWording(Value):
    """How a text was read by the public's index: the spelling searched instead, or one that finds much more."""

    corrected: str = ""
    did_you_mean: str = ""


class OpenMatches:
    """Looks texts up in the public's index. It holds what is open, so nothing else can be found or counted."""

    def __init__(self, index: SearchIndex, pack: NormPack) -> None:
        self._index, self._words = index, VocabularyInForce(pack)

    def relation(self, connection: Connection, text: str) -> Subquery | None:
        """Return `resource_id` and `place` (from 1) of what a text finds, best first; None if it holds no word."""
        view = self._index.current(connection).public
        outcome = evaluate(view, self._words.current(connection), SearchRequest(text=text))
        if not outcome.query.units:
            return None
        best = view.ordered(outcome.selection, SearchOrder.RELEVANCE, outcome.query, outcome.selection.total)
        return ids_relation(connection.dialect.name, [view.resource_id(each) for each in best])

    def wording(self, connection: Connection, text: str) -> OpenWording:
        """Return the other spellings of a text that open resources have, if it needs one."""
        view = self._index.current(connection).public
        outcome = evaluate(view, self._words.current(connection), SearchRequest(text=text))
        return OpenWording(corrected=outcome.corrected, did_you_mean=outcome.did_you_mean)

    def suggestions(self, connection: Connection, text: str, limit: int) -> list[Suggestion]:
        """Return the subjects of open resources that somebody who typed `text` may mean."""
        view = self._index.current(connection).public
        return suggest(connection, view, self._words.current(connection), text, limit, public=True)


def ids_relation(dialect: str, ids: list[str]) -> Subquery:
    """Return a relation of `resource_id` and `place` made of one parameter, however many ids there are."""
    if dialect == "sqlite":
        each = func.json_each(bindparam(None, json.dumps(ids), String, unique=True)).table_valued("key", "value")
        return select(each.c.value.label("resource_id"), (each.c.key + 1).label("place")).subquery()
    listed = func.unnest(bindparam(None, ids, ARRAY(String), unique=True))
    rows = listed.table_valued("resource_id", with_ordinality="place", name="matched_ids").render_derived()
    return select(rows.c.resource_id, rows.c.place).subquery()
