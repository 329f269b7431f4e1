"""The words of the search: the norm pack's, and what operators add at run time. Each change is evidence.

Changes take effect with the next search of every hub process; nothing has to be indexed again, since synonyms are
looked up when a query is read.
"""

import threading

from sqlalchemy import Connection, func, select, update

from datong.catalogue.faults import vocabulary_entry_not_found, vocabulary_invalid, vocabulary_known
from datong.catalogue.search_query import WORD_CHARS_MAX, Vocabulary
from datong.catalogue.search_text import RUN, fold
from datong.catalogue.search_values import VocabularyEntry, WordKind
from datong.catalogue.tables import vocabulary
from datong.kernel import Actor, Clock, Database, new_id
from datong.ledger import EntryKind, Ledger
from datong.norms import NormPack

FAMILY_WORDS_MAX = 20
ENTRIES_MAX = 5_000
_COLUMNS = (vocabulary.c.id, vocabulary.c.kind, vocabulary.c.words, vocabulary.c.added_at, vocabulary.c.added_by)


class VocabularyInForce:
    """Gives the vocabulary that a state of the database has, folded once for every state."""

    def __init__(self, pack: NormPack) -> None:
        self._pack = pack
        self._lock = threading.Lock()
        self._known: tuple[object, Vocabulary] | None = None

    def current(self, connection: Connection) -> Vocabulary:
        """Return the vocabulary that `connection` sees."""
        columns = (func.count(), func.max(vocabulary.c.added_at), func.max(vocabulary.c.removed_at))
        stamp = tuple(connection.execute(select(*columns)).one())
        with self._lock:
            if self._known is None or self._known[0] != stamp:
                entries = _read(connection)
                families = [entry.words for entry in entries if entry.kind is WordKind.SYNONYMS]
                words = [word for entry in entries if entry.kind is WordKind.WORD for word in entry.words]
                made = Vocabulary([*pack_families(self._pack), *families], [*pack_words(self._pack), *words])
                self._known = stamp, made
            return self._known[1]


class VocabularyBook:
    """Keeps what operators added."""

    def __init__(self, *, database: Database, clock: Clock, ledger: Ledger) -> None:
        self._database, self._clock, self._ledger = database, clock, ledger

    def entries(self) -> tuple[VocabularyEntry, ...]:
        """Return what operators added and nobody removed, newest first."""
        with self._database.snapshot() as connection:
            return tuple(_read(connection))

    def add(self, kind: WordKind, words: tuple[str, ...], actor: Actor) -> VocabularyEntry:
        """Add words that mean the same, or one word that is to be read as a whole.

        Raises:
            Invalid: too few, too many or too long words, or one without any letter.
            Conflict: the same words are there already, or there is no room for more.
        """
        cleaned = tuple(dict.fromkeys(word.strip() for word in words if word.strip()))
        least, most = (2, FAMILY_WORDS_MAX) if kind is WordKind.SYNONYMS else (1, 1)
        if not least <= len(cleaned) <= most or any(
            len(word) > WORD_CHARS_MAX or not RUN.search(fold(word)) for word in cleaned
        ):
            raise vocabulary_invalid(least, most, WORD_CHARS_MAX)
        now = self._clock.now()
        with self._database.transaction() as connection:
            known = _read(connection)
            if len(known) >= ENTRIES_MAX or any(
                entry.kind is kind and set(entry.words) == set(cleaned) for entry in known
            ):
                raise vocabulary_known()
            made = VocabularyEntry(id=new_id(), kind=kind, words=cleaned, added_at=now, added_by=actor.name or actor.id)
            connection.execute(vocabulary.insert().values(**made.model_dump(mode="python") | {"words": list(cleaned)}))
            self._record(connection, made, "add", actor)
        return made

    def remove(self, entry_id: str, actor: Actor) -> None:
        """Take an entry out of force; raises NotFound if there is none such."""
        with self._database.transaction() as connection:
            found = next((entry for entry in _read(connection) if entry.id == entry_id), None)
            if found is None:
                raise vocabulary_entry_not_found(entry_id)
            connection.execute(
                update(vocabulary)
                .where(vocabulary.c.id == entry_id)
                .values(removed_at=self._clock.now(), removed_by=actor.name or actor.id)
            )
            self._record(connection, found, "remove", actor)

    def _record(self, connection: Connection, entry: VocabularyEntry, action: str, actor: Actor) -> None:
        self._ledger.append(
            connection,
            kind=EntryKind.VOCABULARY,
            subject=entry.id,
            actor=actor,
            facts={"action": action, "kind": entry.kind.value, "words": list(entry.words)},
        )


def pack_families(pack: NormPack) -> list[tuple[str, ...]]:
    """Return the pack's synonyms: its own list, and the names by which sources call each data element."""
    elements = [(element.name.zh, element.name.en, *element.aliases) for element in pack.elements]
    return [*pack.synonyms, *elements]


def pack_words(pack: NormPack) -> list[str]:
    """Return the pack's words that are to be read as a whole."""
    return [theme.name.zh for theme in pack.themes]


def _read(connection: Connection) -> list[VocabularyEntry]:
    statement = select(*_COLUMNS).where(vocabulary.c.removed_at.is_(None))
    rows = connection.execute(statement.order_by(vocabulary.c.added_at.desc(), vocabulary.c.id)).mappings()
    return [VocabularyEntry.model_validate(dict(row)) for row in rows]
