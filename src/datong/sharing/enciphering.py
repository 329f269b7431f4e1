"""Values enciphered as other values of their format (FF1): citizen IDs, telephone numbers, digits within a text.

Under one key different values stay different and equal ones equal, and nothing else shows. A value that has not the
format is hidden, since there would be nothing to keep. `encipher_columns` does whole columns; a property test holds it
equal to these functions.
"""

import re
from collections.abc import Callable, Sequence
from datetime import date, timedelta

from datong.norms import citizen_check_character
from datong.sharing.ff1 import DIGITS_MAX, encrypt, encrypt_number

HIDDEN = "***"
ID_TWEAK, PHONE_TWEAK, DIGITS_TWEAK = b"id", b"phone", b"digits"
DIGITS_MIN = 6
"""Fewer digits have fewer than the million values that FF1 must have."""

FIRST_DAY, DAYS = date(1900, 1, 1), 73_049
"""Days of birth that an enciphered ID may have: 1900 to 2099."""
ORDERS = 1000
REGION_MIN, REGIONS = 100_000, 900_000
ID_VALUES = REGIONS * DAYS * ORDERS
ID_DIGITS = 14
MOBILE_VALUES, MOBILE_DIGITS, MOBILE_LENGTH = 7 * 10**9, 10, 11
ID_PATTERN, OLD_ID_PATTERN = "[1-9][0-9]{16}[0-9X]", "[1-9][0-9]{14}"
MOBILE_PATTERN = "1[3-9][0-9]{9}"
_ID, _OLD_ID, _MOBILE = re.compile(ID_PATTERN), re.compile(OLD_ID_PATTERN), re.compile(MOBILE_PATTERN)
_DIGIT = re.compile("[0-9]")


def encipher_id(key: bytes, text: str) -> str:
    """Return the citizen ID that a valid one becomes: another first six digits, day of birth and order, a valid check.

    The first six digits are not those of an existing division, other than by chance. An ID of the first generation
    becomes what its 18-character form becomes. Anything but a valid ID is hidden.
    """
    if not text:
        return ""
    number = _id_number(text.replace("x", "X"))
    return HIDDEN if number is None else _id_text(_walk(key, ID_TWEAK, number, ID_DIGITS, lambda at: at < ID_VALUES))


def encipher_phone(key: bytes, text: str) -> str:
    """Return the mobile number that one becomes; of any other number, the digits enciphered where they stand."""
    if not _MOBILE.fullmatch(text):
        return _encipher_digits(key, PHONE_TWEAK, text, unless=_MOBILE)
    number = int(text[1:]) - 3 * 10**9
    walked = _walk(key, PHONE_TWEAK, number, MOBILE_DIGITS, lambda at: at < MOBILE_VALUES)
    return f"1{walked + 3 * 10**9}"


def encipher_digits(key: bytes, text: str) -> str:
    """Return `text` with its 6 to 56 ASCII digits enciphered where they stand; everything else in it stays."""
    return _encipher_digits(key, DIGITS_TWEAK, text, unless=None)


def _encipher_digits(key: bytes, tweak: bytes, text: str, *, unless: re.Pattern[str] | None) -> str:
    found: Sequence[int] = [int(digit) for digit in _DIGIT.findall(text)]
    if not text:
        return ""
    if not DIGITS_MIN <= len(found) <= DIGITS_MAX:
        return HIDDEN
    while True:
        # Whoever started outside `unless` comes back there before the cycle of the permutation closes.
        found = encrypt(key, tweak, found)
        become = _with_digits(text, found)
        if unless is None or not unless.fullmatch(become):
            return become


def _with_digits(text: str, digits: Sequence[int]) -> str:
    left = iter(digits)
    return _DIGIT.sub(lambda _: str(next(left)), text)


def _walk(key: bytes, tweak: bytes, number: int, digits: int, inside: Callable[[int], bool]) -> int:
    """Encipher until the number is back among those that mean something (cycle walking; about 1.5 times)."""
    while True:
        number = encrypt_number(key, tweak, number, digits)
        if inside(number):
            return number


def _id_number(text: str) -> int | None:
    """Return the place of a valid ID among all that there could be."""
    if _OLD_ID.fullmatch(text):
        first_17 = f"{text[:6]}19{text[6:]}"
    elif _ID.fullmatch(text) and citizen_check_character(text[:17]) == text[17]:
        first_17 = text[:17]
    else:
        return None
    try:
        born = date(int(first_17[6:10]), int(first_17[10:12]), int(first_17[12:14]))
    except ValueError:
        return None
    day = (born - FIRST_DAY).days
    if not 0 <= day < DAYS:
        return None
    return ((int(first_17[:6]) - REGION_MIN) * DAYS + day) * ORDERS + int(first_17[14:])


def _id_text(number: int) -> str:
    rest, order = divmod(number, ORDERS)
    region, day = divmod(rest, DAYS)
    first_17 = f"{region + REGION_MIN}{FIRST_DAY + timedelta(days=day):%Y%m%d}{order:03}"
    return first_17 + citizen_check_character(first_17)
