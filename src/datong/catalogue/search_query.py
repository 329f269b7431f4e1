"""What somebody typed, as units to look for: known words with their synonyms, and what stands between them.

A unit matches a resource when all terms of one of its alternatives do. Pairs of characters that lie across two words
(市|学 in 全市学校), words that only ask (查询, 有哪些) and general ones (信息) are wishes: they count when they match,
and do no harm when not.
"""

from collections.abc import Iterable
from functools import cache, lru_cache
from importlib import resources
from itertools import pairwise

from datong.catalogue.search_terms import term_ranges
from datong.catalogue.search_text import RUN, fold, is_han, squeezed
from datong.kernel import Value

QUERY_CHARS_MAX = 200
UNITS_MAX = 16
ALTERNATIVES_MAX = 16
SYNONYM_WEIGHT = 0.8
WORD_CHARS_MAX = 24
Ranges = tuple[tuple[int, int], ...]


@cache
def plain_words(*kinds: str) -> frozenset[str]:
    """Return words that say little, of some kinds: asking, general, common (see the file)."""
    text = resources.files("datong.catalogue").joinpath("data", "plain-words.txt").read_text(encoding="utf-8")
    lines = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return frozenset(word for kind, *words in lines if kind in kinds for word in words)


class Alternative(Value):
    """One way to say a unit: terms that must all be there, each a half-open range of numbers."""

    text: str
    ranges: Ranges
    weight: float = 1.0


class Unit(Value):
    """A word of the query, and other ways to say it; a wish need not match."""

    text: str
    alternatives: tuple[Alternative, ...]
    wish: bool = False


class SearchQuery(Value):
    """A query as the index understands it; `asked` is the folded text without spaces and signs."""

    text: str
    asked: str
    words: tuple[str, ...]
    units: tuple[Unit, ...]

    @property
    def needles(self) -> tuple[str, ...]:
        """The words to highlight: what was asked, and other ways to say it."""
        said = [alternative.text for unit in self.units for alternative in unit.alternatives if not unit.wish]
        return tuple(dict.fromkeys([*self.words, *said]))


class Vocabulary:
    """The words and families of synonyms in force; folded once."""

    def __init__(self, families: Iterable[tuple[str, ...]], words: Iterable[str] = ()) -> None:
        self._others: dict[str, dict[str, None]] = {}
        for family in families:
            folded = [word for member in family if (word := _spaced(fold(member)))]
            for word in folded:
                self._others.setdefault(word, {}).update(dict.fromkeys(other for other in folded if other != word))
        known = {_spaced(fold(word)) for word in words} | set(self._others)
        known |= plain_words("asking", "general", "common")
        self.words = frozenset(word for word in known if 0 < len(word) <= WORD_CHARS_MAX)
        self.chars_max = max(len(word) for word in self.words)

    def synonyms(self, word: str) -> tuple[str, ...]:
        """Return the other ways to say `word`."""
        return tuple(self._others.get(word, ()))

    def segments(self, text: str) -> list[tuple[str, bool]]:
        """Cut a folded, spaced text into known words (longest first) and what stands between; True marks the known."""
        found: list[tuple[str, bool]] = []
        at, pending = 0, 0
        while at < len(text):
            word = self._known_at(text, at)
            if word is None:
                at += 1
                continue
            found.extend((run, False) for run in RUN.findall(text[pending:at]))
            found.append((word, True))
            at += len(word)
            pending = at
        found.extend((run, False) for run in RUN.findall(text[pending:]))
        return found

    def _known_at(self, text: str, at: int) -> str | None:
        if text[at] == " " or (at and not is_han(text[at]) and _glued(text[at - 1], text[at])):
            return None
        for size in range(min(self.chars_max, len(text) - at), 0, -1):
            word = text[at : at + size]
            if word in self.words and not (at + size < len(text) and _glued(word[-1], text[at + size])):
                return word
        return None


def parse_query(text: str, vocabulary: Vocabulary) -> SearchQuery:
    """Turn what a person typed into a query; any text is acceptable, what is not a word is passed over."""
    folded = _spaced(fold(text[:QUERY_CHARS_MAX]))
    segments = vocabulary.segments(folded)[:UNITS_MAX]
    said = frozenset(word for word, _ in segments)
    wishes = _wishes([word for word, _ in segments])
    units: list[Unit] = []
    for word, known in segments:
        spellings = (word, *(vocabulary.synonyms(word) if known else _inside(word, vocabulary)))
        # One character between two words is a particle more often than a word.
        particle = not known and len(word) == 1 and len(segments) > 1 and is_han(word)
        units.append(unit_of(spellings, wish=word in wishes or particle, said=said))
    units.extend(_across(folded, segments))
    return SearchQuery(
        text=text[:QUERY_CHARS_MAX],
        asked=squeezed(folded),
        words=tuple(dict.fromkeys(word for word, _ in segments)),
        units=tuple(unit for unit in units if unit.alternatives),
    )


def _wishes(words: list[str]) -> frozenset[str]:
    """Return the words that say too little to be insisted on, as long as another word is left."""
    for kinds in (("asking", "general"), ("asking",)):
        if any(word not in plain_words(*kinds) for word in words):
            return plain_words(*kinds)
    return frozenset()


def unit_of(spellings: Iterable[str], *, wish: bool = False, said: frozenset[str] = frozenset()) -> Unit:
    """Return a unit that the first spelling names and the others say otherwise.

    `said` are the query's own words, which do not stand for each other: what has only 收入 has not 工资收入.
    """
    named, *others = dict.fromkeys(spellings)
    ways = (named, *(other for other in others if other not in said))
    found: list[Alternative] = []
    for index, way in enumerate(ways):
        ranges = _ranges(way)
        # 居民身份证号码 asks for all that 身份证号 asks for, and more: whatever has the one has the other.
        if ranges and not any(set(known.ranges) <= set(ranges) for known in found):
            found.append(Alternative(text=way, ranges=ranges, weight=SYNONYM_WEIGHT if index else 1.0))
    return Unit(text=ways[0], alternatives=tuple(found[:ALTERNATIVES_MAX]), wish=wish)


@lru_cache(maxsize=4096)
def _ranges(text: str) -> Ranges:
    return tuple(dict.fromkeys(bounds for run in RUN.findall(text) for bounds in term_ranges(run)))


def _inside(word: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """A plural in English is looked for in the singular too; everything else stands for itself."""
    if not is_han(word) and len(word) > 3 and word.endswith("s"):
        return (word[:-1], *vocabulary.synonyms(word[:-1]))
    return ()


def _across(folded: str, segments: list[tuple[str, bool]]) -> list[Unit]:
    """The pairs of characters across two neighbouring words, as wishes: the query's words stand together in a title."""
    found = []
    for (before, _), (after, _) in pairwise(segments):
        pair = before[-1] + after[0]
        if is_han(before[-1]) and is_han(after[0]) and pair in folded:
            found.append(unit_of((pair,), wish=True))
    return found


def _spaced(folded: str) -> str:
    """A folded text with one space for whatever is no letter, digit or Chinese character."""
    return " ".join(RUN.findall(folded)) if not folded.isalnum() else folded


def _glued(before: str, after: str) -> bool:
    """Whether two characters belong to one Latin word or number."""
    return before != " " and after != " " and not is_han(before) and not is_han(after)
