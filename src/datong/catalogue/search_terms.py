"""Terms as 64-bit numbers, cut from many texts at once.

The three highest bits are the kind, the rest keeps the order of the text, so that every prefix is one range of
numbers and a dictionary of terms is one sorted array:

- HAN: two code points of 21 bits; a run's last character stands alone, with 0 in the second place;
- WORD: the first ten letters and digits of a Latin word, six bits each;
- LONG: a digest of a whole word that is longer than that, such as an identifier;
- INITIALS: the first letters of the readings of three neighbouring characters of a title.
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from datong import catalogue
from datong.catalogue.search_text import RUN, is_han, simplified

Keys = npt.NDArray[np.uint64]
Places = npt.NDArray[np.uint32]

KIND_SHIFT = 61
HAN, WORD, LONG, INITIALS = (kind << KIND_SHIFT for kind in range(1, 5))
HAN_SHIFT = 21
WORD_CHARS = 10
BITS_PER_CHAR = 6
FIELD_CHARS_MAX = 20_000
"""A text of an indexed field is read up to here."""
_CODES = 0x31350
_SPACES = re.compile(r"[\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_LETTER_NUMBER = {letter: number for number, letter in enumerate(_LETTERS, start=1)}


def terms_of(texts: Sequence[str], *, initials: bool) -> tuple[Keys, Places]:
    """Return the terms of many texts, and for each term which text it comes from; `initials` adds those of readings."""
    joined = "\n".join(_SPACES.sub(" ", text[:FIELD_CHARS_MAX]) for text in texts)
    folded = unicodedata.normalize("NFKC", joined).lower()
    codes = np.frombuffer(folded.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    codes = np.minimum(codes, _CODES - 1)
    codes = _simplified_table()[codes]
    place = np.cumsum(codes == 10, dtype=np.uint32)
    han = _han_table()[codes]
    keys = [_han_terms(codes, han), *_word_terms(codes, folded)]
    if initials:
        keys.append(_initials_terms(codes))
    found = [(values, place[at]) for at, values in keys if len(values)]
    if not found:
        return np.empty(0, np.uint64), np.empty(0, np.uint32)
    return np.concatenate([values for values, _ in found]), np.concatenate([places for _, places in found])


def _han_terms(codes: Places, han: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], Keys]:
    at = np.flatnonzero(han)
    following = np.zeros(len(at), np.uint64)
    paired = np.flatnonzero(han[np.minimum(at + 1, len(codes) - 1)] & (at + 1 < len(codes)))
    following[paired] = codes[at[paired] + 1]
    return at, np.uint64(HAN) | (codes[at].astype(np.uint64) << np.uint64(HAN_SHIFT)) | following


def _word_terms(codes: Places, folded: str) -> list[tuple[npt.NDArray[np.int64], Keys]]:
    numbers = _letter_table()[codes]
    inside = numbers > 0
    before = np.concatenate(([False], inside[:-1]))
    at = np.flatnonzero(inside & ~before)
    keys = np.full(len(at), WORD, np.uint64)
    alive = np.ones(len(at), np.bool_)
    for index in range(WORD_CHARS + 1):
        here = at + index
        alive &= here < len(codes)
        digit = np.where(alive, numbers[np.minimum(here, len(codes) - 1)], 0).astype(np.uint64)
        alive &= digit > 0
        if index < WORD_CHARS:
            keys |= digit << np.uint64(BITS_PER_CHAR * (WORD_CHARS - 1 - index))
    long_at = at[alive]
    whole = [_long_key(_word_at(folded, int(start))) for start in long_at]
    return [(at, keys), (long_at, np.array(whole, dtype=np.uint64))]


def _word_at(folded: str, start: int) -> str:
    match = RUN.match(folded, start)
    return match[0] if match else ""


def _initials_terms(codes: Places) -> tuple[npt.NDArray[np.int64], Keys]:
    letters = _initials_table()[codes]
    if len(letters) < 3:
        return np.empty(0, np.int64), np.empty(0, np.uint64)
    first, second, third = letters[:-2], letters[1:-1], letters[2:]
    at = np.flatnonzero((first > 0) & (second > 0) & (third > 0))
    keys = np.full(len(at), INITIALS, np.uint64)
    for index, part in enumerate((first, second, third)):
        keys |= part[at].astype(np.uint64) << np.uint64(BITS_PER_CHAR * (2 - index))
    return at, keys


def han_key(first: str, second: str = "") -> int:
    """Return the term of two characters, or of the last one of a run."""
    return HAN | ord(first) << HAN_SHIFT | (ord(second) if second else 0)


def han_pair(key: int) -> str:
    """Return the characters of a HAN term."""
    second = key & ((1 << HAN_SHIFT) - 1)
    return chr((key >> HAN_SHIFT) & ((1 << HAN_SHIFT) - 1)) + (chr(second) if second else "")


def word_of(key: int) -> str:
    """Return the letters of a WORD term."""
    numbers = ((key >> BITS_PER_CHAR * (WORD_CHARS - 1 - index)) & 63 for index in range(WORD_CHARS))
    return "".join(_LETTERS[number - 1] for number in numbers if number)


def term_ranges(run: str) -> tuple[tuple[int, int], ...]:
    """Return the terms that a run of a query asks for, each as a half-open range of numbers.

    A Latin word also finds the words that begin with it, and one Chinese character every pair that begins with it.
    """
    if is_han(run):
        if len(run) == 1:
            first = han_key(run)
            return ((first, first + (1 << HAN_SHIFT)),)
        pairs = dict.fromkeys(han_key(run[index], run[index + 1]) for index in range(len(run) - 1))
        return tuple((key, key + 1) for key in pairs)
    if len(run) > WORD_CHARS:
        key = _long_key(run)
        return ((key, key + 1),)
    return (word_range(run),)


def word_range(word: str) -> tuple[int, int]:
    """Return the range of words that begin with `word`, which is cut at ten characters."""
    low = WORD
    for index, letter in enumerate(word[:WORD_CHARS]):
        low |= _LETTER_NUMBER[letter] << BITS_PER_CHAR * (WORD_CHARS - 1 - index)
    return low, low + (1 << BITS_PER_CHAR * (WORD_CHARS - len(word[:WORD_CHARS])))


def initials_keys(letters: str) -> tuple[int, ...]:
    """Return the terms of three or more initials; none for fewer."""
    keys = []
    for index in range(len(letters) - 2):
        key = INITIALS
        for place, letter in enumerate(letters[index : index + 3]):
            key |= _LETTER_NUMBER[letter] << BITS_PER_CHAR * (2 - place)
        keys.append(key)
    return tuple(dict.fromkeys(keys))


def _long_key(word: str) -> int:
    digest = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
    return LONG | digest & ((1 << KIND_SHIFT) - 1)


@cache
def _simplified_table() -> Places:
    table = np.arange(_CODES, dtype=np.uint32)
    for traditional, simple in simplified().items():
        if traditional < _CODES:
            table[traditional] = simple
    return table


@cache
def _han_table() -> npt.NDArray[np.bool_]:
    table = np.zeros(_CODES, np.bool_)
    for low, high in ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0x20000, 0x3134F)):
        table[low : high + 1] = True
    return table


@cache
def _letter_table() -> npt.NDArray[np.uint8]:
    table = np.zeros(_CODES, np.uint8)
    for letter, number in _LETTER_NUMBER.items():
        table[ord(letter)] = number
    return table


@cache
def _initials_table() -> npt.NDArray[np.uint8]:
    table = np.zeros(_CODES, np.uint8)
    for code, readings in catalogue.character_readings().items():
        if code < _CODES and readings:
            table[code] = _LETTER_NUMBER.get(readings[0][0], 0)
    return table
