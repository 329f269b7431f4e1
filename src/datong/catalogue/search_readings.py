"""Readings of single characters for the search; the large dictionary is loaded at the first need.

Phrases decide how 重 is read in 重庆; here each character keeps all its readings, so that a query in pinyin finds a
word under any of them.
"""

import json
import unicodedata
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from sys import intern

WAYS_MAX = 4
SYLLABLES_MAX = 16
SYLLABLE_CHARS_MAX = 6
PINYIN_CHARS_MAX = 60
_UMLAUT = str.maketrans(dict.fromkeys("üǖǘǚǜ", "v"))


@cache
def character_readings() -> dict[int, tuple[str, ...]]:
    """Return every character's readings without tones, the usual one first, by code point."""
    alike: dict[str, tuple[str, ...]] = {}
    readings = {}
    for code, toned in _dictionary().items():
        if toned not in alike:
            plain = dict.fromkeys(_toneless(reading) for reading in toned.split(","))
            alike[toned] = tuple(intern(reading) for reading in plain if reading)
        readings[int(code)] = alike[toned]
    return readings


def _dictionary() -> Mapping[int | str, str]:
    """Return the readings with tones, by code point or its digits.

    They are read from pypinyin's file: importing any part of pypinyin loads its phrases as well, which take 45 MB that
    a process of the hub would keep for good.
    """
    package = find_spec("pypinyin")
    for folder in (package and package.submodule_search_locations) or ():
        file = Path(folder) / "pinyin_dict.json"
        if file.is_file():
            found: dict[int | str, str] = json.loads(file.read_bytes())
            return found
    loaded: dict[int | str, str] = import_module("pypinyin.pinyin_dict").pinyin_dict
    return loaded


@cache
def syllables() -> tuple[str, ...]:
    """Return every syllable that some character has as a reading, in order; its place is its number."""
    return tuple(sorted({syllable for readings in character_readings().values() for syllable in readings}))


def split_syllables(text: str) -> tuple[tuple[str, ...], ...]:
    """Return the ways to read `text` as pinyin, longest syllables first, at most `WAYS_MAX`."""
    found: list[tuple[str, ...]] = []
    known = _known()

    def extend(start: int, read: tuple[str, ...]) -> None:
        if len(found) >= WAYS_MAX or len(read) > SYLLABLES_MAX:
            return
        if start == len(text):
            found.append(read)
            return
        for size in range(min(SYLLABLE_CHARS_MAX, len(text) - start), 0, -1):
            if text[start : start + size] in known and _reaches_end(text, start + size):
                extend(start + size, (*read, text[start : start + size]))

    if text.isascii() and text.isalpha() and len(text) <= PINYIN_CHARS_MAX:
        extend(0, ())
    return tuple(found)


def _reaches_end(text: str, start: int) -> bool:
    """Whether the rest of `text` can be read at all: without this look, a bad ending would cost every way to it."""
    known = _known()
    reachable = {len(text)}
    for place in range(len(text) - 1, start - 1, -1):
        ends = range(place + 1, min(len(text), place + SYLLABLE_CHARS_MAX) + 1)
        if any(end in reachable and text[place:end] in known for end in ends):
            reachable.add(place)
    return start in reachable


@cache
def _known() -> frozenset[str]:
    # A letter by itself is a reading in the dictionary (m, n, ng for interjections); nobody means it as a syllable.
    return frozenset(syllable for syllable in syllables() if len(syllable) > 1 or syllable in "aeo")


def _toneless(reading: str) -> str:
    decomposed = unicodedata.normalize("NFD", reading.strip().translate(_UMLAUT))
    return "".join(character for character in decomposed if character.isascii() and character.isalpha())
