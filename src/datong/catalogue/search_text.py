"""Words for the search: one pre-tokeniser for what is indexed and what is asked, on every database.

Two thirds of the words in Chinese catalogue titles have two characters, which trigram tokenisers miss, so runs of
Chinese characters become overlapping pairs. A run's last character is also a token, so that one character as a prefix
finds it anywhere. Latin letters and digits form words. Titles are findable by pinyin and by its initials too.
"""

import re
import unicodedata
from collections.abc import Iterable

from datong import catalogue
from datong.catalogue.values import Fragment
from datong.kernel import Value

QUERY_CHARS_MAX = 200
QUERY_WORDS_MAX = 12
PINYIN_CHARS_MAX = 24
TEXT_TOKENS_MAX = 4000

_RUN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003134f]+|[a-z0-9]+")
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003134f]")


class Term(Value):
    """One token to look for; `prefix` also accepts tokens that begin with it."""

    token: str
    prefix: bool = False


class SearchQuery(Value):
    """What was asked: every group must match; a group matches when all terms of one of its alternatives do."""

    text: str
    words: tuple[str, ...]
    groups: tuple[tuple[tuple[Term, ...], ...], ...]

    def relaxed(self) -> "SearchQuery":
        """The same words, any of which may match."""
        terms = {term.token: term for group in self.groups for alternative in group for term in alternative}
        return self.model_copy(update={"groups": (tuple((term,) for term in terms.values()),)})


def fold(text: str) -> str:
    """Return `text` in compatibility form (full-width to half-width) and lower case."""
    return unicodedata.normalize("NFKC", text).lower()


def tokens(text: str) -> list[str]:
    """Return the tokens of an indexed text."""
    found: list[str] = []
    for run in _RUN.findall(fold(text)):
        if _HAN.match(run):
            found.extend(run[index : index + 2] for index in range(len(run) - 1))
            found.append(run[-1])
        else:
            found.append(run)
    return found[:TEXT_TOKENS_MAX]


def pinyin_tokens(title: str) -> list[str]:
    """Return pinyin and initials of a title from each of its characters on, so that a prefix finds any part of it."""
    found: list[str] = []
    for run in _RUN.findall(fold(title)[:PINYIN_CHARS_MAX]):
        if not _HAN.match(run):
            continue
        syllables = catalogue.toneless_syllables(run)
        for start in range(len(syllables) - 1):
            found.append("".join(syllables[start:]))
            found.append("".join(syllable[0] for syllable in syllables[start:] if syllable))
    return found


def parse_query(text: str, synonyms: Iterable[tuple[str, ...]] = ()) -> SearchQuery:
    """Turn what a person typed into a query; any text is acceptable, what is not a word is passed over."""
    words = _RUN.findall(fold(text[:QUERY_CHARS_MAX]))[:QUERY_WORDS_MAX]
    groups = []
    families = [tuple(fold(word) for word in family) for family in synonyms]
    for word in words:
        spellings = [word]
        for family in families:
            for member in family:
                if member in word:
                    # A synonym inside a longer word replaces just that part: 户口登记 also finds 户籍登记.
                    spellings.extend(word.replace(member, other) for other in family if other != member)
        alternatives = {spelling: _terms(spelling) for spelling in spellings[:QUERY_WORDS_MAX]}
        groups.append(tuple(dict.fromkeys(terms for terms in alternatives.values() if terms)))
    return SearchQuery(
        text=text[:QUERY_CHARS_MAX], words=tuple(words), groups=tuple(group for group in groups if group)
    )


def _terms(word: str) -> tuple[Term, ...]:
    found: list[Term] = []
    for run in _RUN.findall(word):
        if not _HAN.match(run) or len(run) == 1:
            found.append(Term(token=run, prefix=True))
        else:
            found.extend(Term(token=run[index : index + 2]) for index in range(len(run) - 1))
    return tuple(dict.fromkeys(found))


def fts5_expression(query: SearchQuery) -> str:
    """The query in the language of SQLite FTS5; tokens are letters and digits only, so quoting them is enough."""
    groups = []
    for group in query.groups:
        alternatives = [
            " AND ".join(f'"{term.token}"{"*" if term.prefix else ""}' for term in terms) for terms in group
        ]
        groups.append("(" + " OR ".join(f"({alternative})" for alternative in alternatives) + ")")
    return " AND ".join(groups)


def tsquery_expression(query: SearchQuery) -> str:
    """The query in the language of PostgreSQL's tsquery."""
    groups = []
    for group in query.groups:
        alternatives = [" & ".join(f"'{term.token}'{':*' if term.prefix else ''}" for term in terms) for terms in group]
        groups.append("(" + " | ".join(f"({alternative})" for alternative in alternatives) + ")")
    return " & ".join(groups)


def tsvector_literal(weighted: Iterable[tuple[str, list[str]]]) -> str:
    """A tsvector literal from (weight A–D, tokens), made here: the server's own parser depends on its locale."""
    places: dict[str, list[str]] = {}
    position = 0
    for weight, words in weighted:
        for word in words:
            position += 1
            known = places.setdefault(word, [])
            if position < 16_000 and len(known) < 200:
                known.append(f"{position}{weight}")
    return " ".join(f"'{word}'" + (":" + ",".join(marks) if marks else "") for word, marks in places.items())


def highlight(text: str, words: Iterable[str]) -> tuple[Fragment, ...]:
    """Return the original `text` in fragments, those that match a word or a pair of its characters marked."""
    folded = "".join(_fold_one(character) for character in text)
    marks = [False] * len(text)
    for word in words:
        needles = [word] if word in folded else [word[index : index + 2] for index in range(len(word) - 1)]
        for needle in needles if len(needles) == 1 or _HAN.match(word) else ():
            start = folded.find(needle)
            while start >= 0 and needle:
                marks[start : start + len(needle)] = [True] * len(needle)
                start = folded.find(needle, start + 1)
    fragments: list[Fragment] = []
    begin = 0
    for index in range(1, len(text) + 1):
        if index == len(text) or marks[index] != marks[begin]:
            fragments.append(Fragment(text=text[begin:index], match=marks[begin]))
            begin = index
    return tuple(fragments)


def _fold_one(character: str) -> str:
    folded = fold(character)
    return folded if len(folded) == 1 else character
