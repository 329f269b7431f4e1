"""Other ways to read a query: pinyin and initials as the characters they stand for, slips of the pen put right.

All of it asks the view's own dictionary, so that it never offers a word which no living resource of that view has.
"""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from datong import catalogue
from datong.catalogue.search_query import Alternative, SearchQuery, Unit, Vocabulary, parse_query, unit_of
from datong.catalogue.search_terms import han_key, han_pair, initials_keys, word_range
from datong.catalogue.search_text import RUN, fold, is_han
from datong.catalogue.search_view import IndexView

CHAINS_MAX = 12
BEAM = 48
CANDIDATES_MAX = 10
SLIPS_MAX = 2
LONG_CHARS = 6
"""A shorter query has one slip at most: with two, anything could be meant."""
RUN_CHARS_MAX = 24
WORD_LETTERS_MIN = 4
FEW_COUNT = 2
"""A pair of characters that so few resources have may be a slip."""
SPOKEN_WEIGHT = 0.9
SAME_SOUND = 8.0
SAME_CHARACTERS = 12.0
"""How much likelier a homophone, or the same characters in another order, are than any other character."""
LESS_SAID = 0.05
"""Somebody seldom types a character too many: taking one away is the last thing to try."""
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Correction(NamedTuple):
    """Another spelling, and how likely it is what was meant."""

    text: str
    likelihood: float


def spoken(view: IndexView, query: SearchQuery) -> SearchQuery:
    """Return the query with what its Latin words can mean in pinyin or initials as further alternatives."""
    if not any(_is_latin(unit.text) for unit in query.units):
        return query
    units = []
    for unit in _joined_syllables(view, query.units):
        if not _is_latin(unit.text):
            units.append(unit)
            continue
        said = _said(view, unit.text)
        most = max(said.values(), default=1)
        # What is common is meant: dibao is 低保 before it is 地保.
        ways = [
            way.model_copy(update={"weight": SPOKEN_WEIGHT * math.sqrt(count / most)})
            for text, count in said.items()
            for way in _ways(text)
        ]
        known = any(all(view.count(low, high) for low, high in way.ranges) for way in unit.alternatives)
        if not ways and not known and len(unit.text) > 2:
            letters = initials_keys(unit.text) if unit.text.isalpha() else ()
            if letters:
                ways = [Alternative(text=unit.text, ranges=tuple((key, key + 1) for key in letters))]
        units.append(unit.model_copy(update={"alternatives": (*unit.alternatives, *ways)}) if ways else unit)
    return query.model_copy(update={"units": tuple(units)})


def corrections(view: IndexView, query: SearchQuery, vocabulary: Vocabulary) -> list[SearchQuery]:
    """Return the likeliest other spellings of a query, each with a slip or two put right; none if nothing is amiss."""
    text = " ".join(RUN.findall(fold(query.text)))
    found = [Correction(text, 1.0)]
    settled: dict[str, float] = {}
    for _ in range(1 if len(text) < LONG_CHARS else SLIPS_MAX):
        following = [
            Correction(candidate.text, known.likelihood * candidate.likelihood)
            for known in found
            for candidate in _one_slip(view, known.text, vocabulary)
        ]
        found = sorted(following, key=lambda each: (-each.likelihood, each.text))[:CANDIDATES_MAX]
        for each in found:
            if not _amiss(view, each.text, vocabulary):
                settled[each.text] = max(each.likelihood, settled.get(each.text, 0.0))
        if settled:
            break
    best = sorted(settled, key=lambda text: (-settled[text], text))[:CANDIDATES_MAX]
    return [spoken(view, parse_query(each, vocabulary)) for each in best if each != text]


def _is_latin(text: str) -> bool:
    return text.isascii() and text.isalpha() and len(text) > 1


def _ways(text: str) -> tuple[Alternative, ...]:
    return unit_of((text,)).alternatives


def _joined_syllables(view: IndexView, units: Iterable[Unit]) -> Iterator[Unit]:
    """Yield the units, neighbouring Latin words that are one syllable each joined: hun yin as hunyin."""
    pending: list[Unit] = []
    for unit in [*units, None]:
        if (
            unit is not None
            and _is_latin(unit.text)
            and any(len(way) == 1 for way in catalogue.split_syllables(unit.text))
        ):
            pending.append(unit)
            continue
        joined = "".join(each.text for each in pending)
        if len(pending) > 1 and _said(view, joined):
            yield unit_of((joined,))
        else:
            yield from pending
        pending = []
        if unit is not None:
            yield unit


def _said(view: IndexView, word: str) -> dict[str, int]:
    """Return the texts of the view's dictionary that are read as `word`, with a count, the commonest first."""
    best: dict[str, int] = {}
    for syllables in catalogue.split_syllables(word):
        if len(syllables) > 1:
            for text, count in _chains(view, syllables):
                best[text] = max(count, best.get(text, 0))
    chosen = sorted(best, key=lambda text: (-best[text], text))[:CHAINS_MAX]
    return {text: best[text] for text in chosen}


def _chains(view: IndexView, syllables: tuple[str, ...]) -> list[tuple[str, int]]:
    """Return texts read as `syllables` whose neighbouring characters all occur together, with the rarest's count."""
    chains: list[tuple[str, int]] = []
    for index in range(len(syllables) - 1):
        pairs = _spoken_pairs(view, syllables[index], syllables[index + 1])
        if index == 0:
            chains = pairs
        else:
            by_first: dict[str, list[tuple[str, int]]] = {}
            for pair, count in pairs:
                by_first.setdefault(pair[0], []).append((pair[1], count))
            chains = [
                (text + following, min(count, other))
                for text, count in chains
                for following, other in by_first.get(text[-1], ())
            ]
        chains = sorted(chains, key=lambda chain: (-chain[1], chain[0]))[:BEAM]
    return chains


def _spoken_pairs(view: IndexView, first: str, second: str) -> list[tuple[str, int]]:
    keys = {int(key) for segment in view.segments for key in segment.pairs.spoken(first, second)}
    return [(han_pair(key), count) for key in keys if (count := view.count(key, key + 1))]


def _amiss(view: IndexView, text: str, vocabulary: Vocabulary) -> bool:
    """Whether a text has a word or a pair of characters that no resource has."""
    for run in RUN.findall(text):
        if not is_han(run):
            if not _meant(view, run, vocabulary) and not _said(view, run):
                return True
        elif any(not _count(view, run[index], run[index + 1]) for index in range(len(run) - 1)):
            return True
    return False


def _one_slip(view: IndexView, text: str, vocabulary: Vocabulary) -> Iterator[Correction]:
    """Yield texts that differ from `text` by one slip and have one rarity less; known words are spelled right."""
    right = _known_places(text, vocabulary)
    for match in RUN.finditer(text):
        run = match[0]
        if len(run) > RUN_CHARS_MAX:
            continue
        if is_han(run):
            others = _han_slips(view, run, right[match.start() : match.end()])
        else:
            others = _word_slips(view, run, vocabulary)
        for other, likelihood in others.items():
            yield Correction(text[: match.start()] + other + text[match.end() :], likelihood)


def _known_places(text: str, vocabulary: Vocabulary) -> list[bool]:
    """Whether each character belongs to a known word."""
    places, at = [False] * len(text), 0
    for word, known in vocabulary.segments(text):
        at = text.index(word, at)
        if known and len(word) > 1:
            places[at : at + len(word)] = [True] * len(word)
        at += len(word)
    return places


def _han_slips(view: IndexView, run: str, right: list[bool]) -> dict[str, float]:
    """Return what a run of characters may be meant for, where a pair of them hardly ever occurs."""
    found: dict[str, float] = {}
    for index in range(len(run) - 1):
        if (right[index] and right[index + 1]) or _count(view, run[index], run[index + 1]) > FEW_COUNT:
            continue
        for other, likelihood, at in _slips_at(view, run, index):
            # Weighed by the rarest pair near the change: what a change makes must be common to be meant.
            near = range(max(at - 2, 0), min(at + 2, len(other) - 1))
            rarest = min((_count(view, other[place], other[place + 1]) for place in near), default=0)
            if rarest and other != run:
                found[other] = max(found.get(other, 0.0), likelihood * rarest)
    best = sorted(found, key=lambda other: (-found[other], other))[:CANDIDATES_MAX]
    return {other: found[other] for other in best}


def _slips_at(view: IndexView, run: str, index: int) -> Iterator[tuple[str, float, int]]:
    """Yield texts without the odd pair at `index`, how likely such a slip is, and where it was."""
    for at in (index, index + 1):
        for character in _fitting(view, run[at - 1 : at] if at else "", run[at + 1 : at + 2]):
            yield run[:at] + character + run[at + 1 :], SAME_SOUND if _sound_alike(character, run[at]) else 1.0, at
        if len(run) > 2:
            yield run[:at] + run[at + 1 :], LESS_SAID, at
    for at in range(max(index - 1, 0), min(index + 2, len(run) - 1)):
        yield run[:at] + run[at + 1] + run[at] + run[at + 2 :], SAME_CHARACTERS, at
    for character in _fitting(view, run[index], run[index + 1]):
        yield run[: index + 1] + character + run[index + 1 :], 1.0, index + 1


def _fitting(view: IndexView, before: str, after: str) -> set[str]:
    """Return the characters that follow `before` and precede `after`; an empty neighbour admits everything."""
    following = {
        han_pair(int(key))[1] for segment in view.segments for key in (segment.pairs.after(before) if before else ())
    }
    preceding = {
        han_pair(int(key))[0] for segment in view.segments for key in (segment.pairs.before(after) if after else ())
    }
    if before and after:
        return following & preceding
    return following | preceding


def _meant(view: IndexView, word: str, vocabulary: Vocabulary) -> int:
    """Return how many resources a Latin word can mean: those that have it, or a word that means the same."""
    return view.count(*word_range(word)) + sum(
        min(view.count(low, high) for low, high in way.ranges)
        for other in vocabulary.synonyms(word)
        for way in _ways(other)
    )


def _word_slips(view: IndexView, word: str, vocabulary: Vocabulary) -> dict[str, float]:
    if len(word) < WORD_LETTERS_MIN or _meant(view, word, vocabulary) or _said(view, word):
        return {}
    others = {word[:at] + word[at + 1 :] for at in range(len(word))}
    others |= {word[:at] + word[at + 1] + word[at] + word[at + 2 :] for at in range(len(word) - 1)}
    for letter in _LETTERS:
        others |= {word[:at] + letter + word[at + 1 :] for at in range(len(word))}
        others |= {word[:at] + letter + word[at:] for at in range(len(word) + 1)}
    found = {other: float(count) for other in others if (count := _meant(view, other, vocabulary))}
    if not found:
        readable = sorted(other for other in others if any(len(way) > 1 for way in catalogue.split_syllables(other)))
        for other in readable:
            chains = [count for way in catalogue.split_syllables(other)[:1] for _, count in _chains(view, way)[:1]]
            if chains:
                found[other] = float(chains[0])
    best = sorted(found, key=lambda other: (-found[other], other))[:CANDIDATES_MAX]
    return {other: found[other] for other in best}


def _count(view: IndexView, first: str, second: str) -> int:
    key = han_key(first, second)
    return view.count(key, key + 1)


def _sound_alike(one: str, other: str) -> bool:
    known = catalogue.character_readings()
    readings = {_blurred(reading) for reading in known.get(ord(one), ())}
    return any(_blurred(reading) in readings for reading in known.get(ord(other), ()))


def _blurred(reading: str) -> str:
    """A reading without what many speakers do not tell apart: zh/z, ch/c, sh/s, -ng/-n, l/n."""
    for spelled, heard in (("zh", "z"), ("ch", "c"), ("sh", "s"), ("ng", "n")):
        reading = reading.replace(spelled, heard)
    return reading
