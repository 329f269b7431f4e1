"""Whole columns enciphered as `enciphering` does single values: NumPy over the bytes of Arrow texts, no loop over rows.

Only texts that are rare in a column of identifiers go one by one: digits with separators, or more than 18 of them.
"""

from collections.abc import Callable, Mapping
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from datong.norms import CITIZEN_CHECKS, CITIZEN_WEIGHTS
from datong.sharing.enciphering import (
    DAYS,
    DIGITS_MIN,
    DIGITS_TWEAK,
    FIRST_DAY,
    HIDDEN,
    ID_DIGITS,
    ID_PATTERN,
    ID_TWEAK,
    ID_VALUES,
    MOBILE_DIGITS,
    MOBILE_LENGTH,
    MOBILE_PATTERN,
    MOBILE_VALUES,
    OLD_ID_PATTERN,
    ORDERS,
    PHONE_TWEAK,
    REGION_MIN,
    encipher_digits,
    encipher_phone,
)
from datong.sharing.ff1_columns import COLUMN_DIGITS_MAX, encrypt_numbers
from datong.sharing.masks import MaskKind

Numbers = NDArray[np.uint64]
Letters = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Texts = pa.StringArray
_ZERO = ord("0")
_CHECKS = np.frombuffer(CITIZEN_CHECKS.encode(), np.uint8)
_WEIGHTS = np.array(CITIZEN_WEIGHTS, np.uint8)
_FIRST_DAY = np.datetime64(FIRST_DAY.isoformat(), "D").astype(np.int64)


def encipher_column(kind: MaskKind, key: bytes, texts: Texts) -> Texts:
    """Return a column of trimmed texts enciphered; None stays None."""
    return _WAYS[kind](key, texts)


def encipher_chunks(kind: MaskKind, key: bytes, texts: "pa.ChunkedArray[pa.StringScalar]") -> Texts:
    """Return what `encipher_column` does of the chunks in which DuckDB hands a column to a function."""
    return encipher_column(kind, key, cast("Texts", pa.concat_arrays(texts.chunks)))


def _encipher_ids(key: bytes, texts: Texts) -> Texts:
    capitals: Texts = pc.replace_substring(texts, "x", "X")
    hidden: Texts = pc.replace_substring_regex(texts, "(?s)^.+$", HIDDEN)
    is_new, is_old = _fits(capitals, ID_PATTERN), _fits(capitals, OLD_ID_PATTERN)
    new = _letters(_chosen(capitals, is_new), 18)
    old = _letters(_chosen(capitals, is_old), 15)
    century = np.broadcast_to(np.frombuffer(b"19", np.uint8), (len(old), 2))
    first_17 = np.concatenate([new[:, :17], np.concatenate([old[:, :6], century, old[:, 6:]], axis=1)])
    numbers, valid = _id_numbers(first_17)
    valid[: len(new)] &= _checks(new[:, :17]) == new[:, 17]
    walked = _walk(key, ID_TWEAK, numbers[valid], ID_DIGITS, lambda at: at < ID_VALUES)
    places = np.concatenate([np.flatnonzero(is_new), np.flatnonzero(is_old)])[valid]
    return _put(hidden, places, _texts(_id_letters(walked)))


def _encipher_phones(key: bytes, texts: Texts) -> Texts:
    mobile = _fits(texts, MOBILE_PATTERN)
    numbers = _numbers(_letters(_chosen(texts, mobile), MOBILE_LENGTH)[:, 1:]) - np.uint64(3 * 10**9)
    walked = _walk(key, PHONE_TWEAK, numbers, MOBILE_DIGITS, lambda at: at < MOBILE_VALUES)
    become = _texts(_digits(walked + np.uint64(13 * 10**9), MOBILE_LENGTH))
    left = ~mobile
    others = _encipher_plain(
        _chosen(texts, left), key, PHONE_TWEAK, lambda text: encipher_phone(key, text), unless=MOBILE_PATTERN
    )
    return _put(_put(texts, np.flatnonzero(left), others), np.flatnonzero(mobile), become)


def _encipher_digits(key: bytes, texts: Texts) -> Texts:
    return _encipher_plain(texts, key, DIGITS_TWEAK, lambda text: encipher_digits(key, text), unless=None)


def _encipher_plain(
    texts: Texts, key: bytes, tweak: bytes, alone: Callable[[str], str], *, unless: str | None
) -> Texts:
    """Encipher texts of digits length by length, and what is left one by one."""
    found, left = texts, _fits(texts, ".*", dot_all=True)
    for length in range(DIGITS_MIN, COLUMN_DIGITS_MAX + 1):
        chosen = _fits(texts, f"[0-9]{{{length}}}")
        places = np.flatnonzero(chosen)
        if not len(places):
            continue
        outside = _outside(unless) if unless is not None and length == MOBILE_LENGTH else None
        walked = _walk(key, tweak, _numbers(_letters(_chosen(texts, chosen), length)), length, outside)
        found = _put(found, places, _texts(_digits(walked, length)))
        left &= ~chosen
    rest = np.flatnonzero(left)
    return _put(found, rest, pa.array([text and alone(text) for text in _chosen(texts, left).to_pylist()], pa.string()))


def _outside(pattern: str) -> Callable[[Numbers], Flags]:
    def is_outside(numbers: Numbers) -> Flags:
        return ~_fits(_texts(_digits(numbers, MOBILE_LENGTH)), pattern)

    return is_outside


def _walk(
    key: bytes, tweak: bytes, numbers: Numbers, digits: int, inside: Callable[[Numbers], Flags] | None
) -> Numbers:
    """Encipher until every number is back among those that mean something (cycle walking)."""
    walked = encrypt_numbers(key, tweak, numbers, digits)
    if inside is None:
        return walked
    away = np.flatnonzero(~inside(walked))
    while len(away):
        walked[away] = encrypt_numbers(key, tweak, walked[away], digits)
        away = away[~inside(walked[away])]
    return walked


def _id_numbers(first_17: Letters) -> tuple[Numbers, Flags]:
    """Return the place of every ID among all that there could be, and whether its date exists and counts."""
    region, order = _numbers(first_17[:, :6]), _numbers(first_17[:, 14:])
    year, month, day = (_numbers(first_17[:, a:b]).astype(np.int64) for a, b in ((6, 10), (10, 12), (12, 14)))
    months = ((year - 1970) * 12 + np.clip(month, 1, 12) - 1).astype("datetime64[M]")
    born = months.astype("datetime64[D]") + (np.clip(day, 1, 31) - 1)
    valid = (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31) & (born.astype("datetime64[M]") == months)
    days = born.astype(np.int64) - _FIRST_DAY
    valid &= (days >= 0) & (days < DAYS)
    safe = np.where(valid, days, 0).astype(np.uint64)
    numbers = ((region - np.uint64(REGION_MIN)) * np.uint64(DAYS) + safe) * np.uint64(ORDERS) + order
    return numbers, valid


def _id_letters(numbers: Numbers) -> Letters:
    rest, order = np.divmod(numbers, np.uint64(ORDERS))
    region, day = np.divmod(rest, np.uint64(DAYS))
    born = (day.astype(np.int64) + _FIRST_DAY).astype("datetime64[D]")
    months = born.astype("datetime64[M]")
    parts = (
        _digits(region + np.uint64(REGION_MIN), 6),
        _digits((months.astype("datetime64[Y]").astype(np.int64) + 1970).astype(np.uint64), 4),
        _digits((months.astype(np.int64) % 12 + 1).astype(np.uint64), 2),
        _digits(((born - months.astype("datetime64[D]")).astype(np.int64) + 1).astype(np.uint64), 2),
        _digits(order, 3),
    )
    first_17 = np.concatenate(parts, axis=1)
    return np.concatenate([first_17, _checks(first_17)[:, None]], axis=1)


def _checks(first_17: Letters) -> Letters:
    found = _CHECKS[((first_17 - _ZERO).astype(np.int64) * _WEIGHTS).sum(axis=1) % 11]
    return np.asarray(found, np.uint8)


def _fits(texts: Texts, pattern: str, *, dot_all: bool = False) -> Flags:
    """Return which texts are wholly of a pattern; None is not."""
    flags = "(?s)" if dot_all else ""
    # \z, not $: a line feed at the end belongs to the text.
    found = pc.match_substring_regex(texts, rf"{flags}\A(?:{pattern})\z")
    return np.asarray(found.fill_null(False).to_numpy(zero_copy_only=False), np.bool_)


def _letters(texts: Texts, width: int) -> Letters:
    """Return texts that all have `width` bytes as rows of bytes."""
    _, ends, data = texts.buffers()
    if ends is None or data is None or not len(texts):
        return np.empty((0, width), np.uint8)
    # A fixed width makes the bytes of all texts, one after the other, a matrix.
    start = int(np.frombuffer(ends.to_pybytes(), np.int32)[texts.offset])
    return np.frombuffer(data.to_pybytes(), np.uint8)[start : start + len(texts) * width].reshape(-1, width)


def _texts(letters: Letters) -> Texts:
    count, width = letters.shape
    ends = np.arange(count + 1, dtype=np.int32) * np.int32(width)
    return pa.StringArray.from_buffers(count, pa.py_buffer(ends.tobytes()), pa.py_buffer(letters.tobytes()))


def _chosen(texts: Texts, flags: Flags) -> Texts:
    return texts.filter(pa.array(flags, pa.bool_()))


def _numbers(letters: Letters) -> Numbers:
    value = np.zeros(len(letters), np.uint64)
    for place in range(letters.shape[1]):
        value = value * np.uint64(10) + (letters[:, place] - _ZERO)
    return value


def _digits(numbers: Numbers, width: int) -> Letters:
    letters = np.empty((len(numbers), width), np.uint8)
    for place in reversed(range(width)):
        numbers, letters[:, place] = np.divmod(numbers, np.uint64(10))
    return letters + np.uint8(_ZERO)


def _put(texts: Texts, places: NDArray[np.intp], become: Texts) -> Texts:
    """Return `texts` with those at `places` replaced."""
    if not len(places):
        return texts
    source = np.arange(len(texts))
    source[places] = len(texts) + np.arange(len(places))
    return pa.concat_arrays([texts, become]).take(pa.array(source, pa.int64()))


_WAYS: Mapping[MaskKind, Callable[[bytes, Texts], Texts]] = {
    MaskKind.CIPHER_ID: _encipher_ids,
    MaskKind.CIPHER_PHONE: _encipher_phones,
    MaskKind.CIPHER_DIGITS: _encipher_digits,
}
