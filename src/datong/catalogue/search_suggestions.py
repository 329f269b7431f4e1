"""What somebody who is typing may mean: subjects of titles that begin so, in characters, pinyin or initials."""

from sqlalchemy import Connection, Table, select

from datong.catalogue.search_corrections import spoken
from datong.catalogue.search_query import Vocabulary, parse_query
from datong.catalogue.search_text import core_title, fold, squeezed
from datong.catalogue.search_values import Suggestion
from datong.catalogue.search_view import IndexView, SearchOrder
from datong.catalogue.tables import listing, open_listing

SUGGESTIONS_MAX = 10
SUBJECTS_MAX = 200
"""So many of the subjects that begin as typed are compared by how many resources they have."""
HITS_MAX = 200


def suggest(
    connection: Connection, view: IndexView, vocabulary: Vocabulary, text: str, limit: int, *, public: bool = False
) -> list[Suggestion]:
    """Return what `text` may become, what most resources are about first; nothing for an empty text.

    `public` says the words of open resources' public titles; the view must be the public's then.
    """
    typed = squeezed(fold(text))
    if not typed:
        return []
    counts = view.subjects(typed, SUBJECTS_MAX)
    chosen = sorted(counts, key=lambda subject: (-counts[subject], len(subject), subject))[:limit]
    if len(chosen) < limit:
        query = spoken(view, parse_query(text, vocabulary))
        selection = view.matching(query, {}) if query.units else None
        hits = view.ordered(selection, SearchOrder.RELEVANCE, query, HITS_MAX) if selection else []
        for hit in hits:
            subject = view.core(hit)
            if subject not in counts and len(chosen) < limit:
                counts[subject] = view.subject_count(subject)
                chosen.append(subject)
    return _worded(connection, view, chosen, counts, open_listing if public else listing)


def _worded(
    connection: Connection, view: IndexView, subjects: list[bytes], counts: dict[bytes, int], titled: Table
) -> list[Suggestion]:
    """Say each subject as the title of one of its living resources does, read from the database."""
    examples = {subject: view.example(subject) for subject in subjects}
    wanted = [example for example in examples.values() if example is not None]
    statement = select(titled.c.resource_id, titled.c.title).where(titled.c.resource_id.in_(wanted))
    titles = {row.resource_id: row.title for row in connection.execute(statement)}
    return [
        Suggestion(text=core_title(titles[example]), count=counts[subject])
        for subject, example in examples.items()
        if example is not None and example in titles
    ]
