"""Synthetic records of the same shape as a resource: valid by the norms, and nobody's.

Identifiers pass their checks but cannot be real: they name the division 990000, which GB/T 2260 does not assign, and
segments and letters that nobody was given. Values follow from a seed alone, so that the same sandbox gives the same
records on every process. Nothing is read.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from typing import TypeVar

from datong.catalogue import Item, Resource
from datong.norms import DataElement, DataType, IdentifierKind, NormPack
from datong.norms.identifiers import (
    certificate_check_character,
    citizen_check_character,
    organisation_check_character,
    registration_check_character,
    uscc_check_character,
    vin_check_character,
)

T = TypeVar("T")
RECORDS = 50
"""Records of a sandbox for each resource."""
TEST_DIVISION = "990000"
FEW = 2
"""How often something is repeated that may be repeated more or less often."""
_BOUNDS = re.compile(r"\{([0-9]+)(,([0-9]*))?\}")
_LETTERS = "ABCDEFGHJKLMNPQRTUWXY"
_SURNAMES = "测试样例甲乙丙丁"
_OLDEST = date(1940, 1, 1)
_DAYS = 30_000
_CLASS = re.compile(r"\[([^\]]+)\]|\\p\{Han\}|\\(.)|([^()\[\]{}|?*+.])")


class Choices:
    """An endless row of choices that follows from a seed: SHA-256 over the seed and a counter."""

    def __init__(self, seed: bytes) -> None:
        self._seed, self._count = seed, 0

    def randrange(self, below: int) -> int:
        """Return a number from 0 to below - 1."""
        self._count += 1
        return int.from_bytes(hashlib.sha256(self._seed + self._count.to_bytes(8, "big")).digest(), "big") % below

    def choice(self, among: Sequence[T]) -> T:
        """Return one of `among`."""
        return among[self.randrange(len(among))]


def records_of(resource: Resource, pack: NormPack, *, seed: str, count: int = RECORDS) -> tuple[Mapping[str, str], ...]:
    """Return synthetic records by column; within one record the same element has the same value."""
    made = []
    for number in range(count):
        digest = hashlib.sha256(f"datong sandbox v1\n{seed}\n{resource.id}\n{number}".encode()).digest()
        source = Choices(digest)
        by_element: dict[str, str] = {}
        record: dict[str, str] = {}
        for item in resource.content.items:
            key = item.element or f"column:{item.column}"
            if key not in by_element:
                by_element[key] = value_of(item, pack, source)
            record[item.column] = by_element[key]
        made.append(record)
    return tuple(made)


def value_of(item: Item, pack: NormPack, source: Choices) -> str:
    """Return one synthetic value of an item: by its data element, else by its declared type."""
    if item.element is not None and pack.has_element(item.element):
        return element_value(pack.element(item.element), pack, source)
    return f"样例{source.randrange(10_000):04d}"


def element_value(element: DataElement, pack: NormPack, source: Choices) -> str:
    """Return one synthetic value of a data element that its norm accepts."""
    if element.identifier is not None and element.identifier in _IDENTIFIERS:
        return _IDENTIFIERS[element.identifier](source)
    if element.code_list is not None:
        return source.choice(pack.code_list(element.code_list).codes).code
    if element.codes:
        return source.choice(element.codes).code
    if element.data_type in _BY_TYPE:
        return _BY_TYPE[element.data_type](element, source)
    if element.pattern:
        return patterned(element.pattern, source)
    return f"样例{element.name.zh}{source.randrange(1000):03d}"[: element.max_length or None]


def patterned(pattern: str, source: Choices) -> str:
    """Return a text that a simple pattern matches: its first way, each repetition a few times.

    Patterns of the norm packs are made of character classes, literals, groups and bounded repetitions.
    """
    text, rest = _alternatives(pattern, 0, source)
    if rest != len(pattern):
        raise ValueError(f"not understood: {pattern!r} at {rest}")
    return text


def _alternatives(pattern: str, at: int, source: Choices) -> tuple[str, int]:
    """Read `a|b|c` up to a closing parenthesis or the end; the text is that of the first way."""
    first, at = _sequence(pattern, at, source)
    while at < len(pattern) and pattern[at] == "|":
        _, at = _sequence(pattern, at + 1, source)
    return first, at


def _sequence(pattern: str, at: int, source: Choices) -> tuple[str, int]:
    made: list[str] = []
    while at < len(pattern) and pattern[at] not in "|)":
        again: Callable[[], str]
        if pattern[at] == "(":
            again = partial(_first_way, pattern, at + 1, source)
            at = _alternatives(pattern, at + 1, source)[1] + 1
        else:
            found = _CLASS.match(pattern, at)
            if found is None:
                raise ValueError(f"not understood: {pattern!r} at {at}")
            again = partial(source.choice, _letters(found))
            at = found.end()
        least, at = _repetition(pattern, at)
        made += [again() for _ in range(least)]
    return "".join(made), at


def _first_way(pattern: str, at: int, source: Choices) -> str:
    return _alternatives(pattern, at, source)[0]


def _letters(found: "re.Match[str]") -> str:
    if found.group(0) == "\\p{Han}":
        return _SURNAMES
    if found.group(1) is None:
        return found.group(2) or found.group(3)
    inside = found.group(1).replace("\\p{Han}", _SURNAMES)
    if inside.startswith("^"):
        return "x"
    letters = ""
    place = 0
    while place < len(inside):
        if place + 2 < len(inside) and inside[place + 1] == "-":
            letters += "".join(chr(point) for point in range(ord(inside[place]), ord(inside[place + 2]) + 1))
            place += 3
        else:
            letters += inside[place]
            place += 1
    # Letters and digits first: a text of hyphens would be a value in form only.
    return "".join(one for one in letters if one.isalnum()) or letters


def _repetition(pattern: str, at: int) -> tuple[int, int]:
    """Return how often the part before `at` is repeated, and where its quantifier ends."""
    if at < len(pattern) and pattern[at] in "?*":
        return 0, at + 1
    if at < len(pattern) and pattern[at] == "+":
        return 1, at + 1
    found = _BOUNDS.match(pattern, at)
    if found is None:
        return 1, at
    least = int(found.group(1))
    most = least if found.group(2) is None else int(found.group(3) or least + FEW)
    return min(most, max(least, FEW)), found.end()


def _digits(source: Choices, count: int) -> str:
    return "".join(source.choice("0123456789") for _ in range(count))


def _day(source: Choices) -> date:
    return _OLDEST + timedelta(days=source.randrange(_DAYS))


def _citizen_id(source: Choices) -> str:
    body = f"{TEST_DIVISION}{_day(source):%Y%m%d}{_digits(source, 3)}"
    return body + citizen_check_character(body)


def _organisation_code(source: Choices) -> str:
    body = _digits(source, 8)
    return body + organisation_check_character(body)


def _uscc(source: Choices) -> str:
    body = f"91{TEST_DIVISION}{_organisation_code(source)}"
    return body + uscc_check_character(body)


def _registration_number(source: Choices) -> str:
    body = f"{TEST_DIVISION}{_digits(source, 8)}"
    return body + registration_check_character(body)


def _certificate_id(source: Choices) -> str:
    issuer = _uscc(source)
    parts = (f"{issuer}001", issuer, _digits(source, 20), "001")
    return f"1.2.156.3005.2.{'.'.join(parts)}.{certificate_check_character(''.join(parts))}"


def _vin(source: Choices) -> str:
    head, tail = "LTEST" + _digits(source, 3), _digits(source, 8)
    return f"{head}{vin_check_character(f'{head}0{tail}')}{tail}"


_IDENTIFIERS: Mapping[IdentifierKind, Callable[[Choices], str]] = {
    IdentifierKind.CITIZEN_ID: _citizen_id,
    IdentifierKind.USCC: _uscc,
    IdentifierKind.ORGANISATION_CODE: _organisation_code,
    IdentifierKind.REGISTRATION_NUMBER: _registration_number,
    IdentifierKind.CERTIFICATE_ID: _certificate_id,
    IdentifierKind.DIVISION_CODE: lambda _: TEST_DIVISION,
    IdentifierKind.REAL_ESTATE_UNIT: lambda source: f"{TEST_DIVISION}001001GB{_digits(source, 5)}F{_digits(source, 8)}",
    # No operator has the segment 154, no place the area code 0700.
    IdentifierKind.MOBILE: lambda source: f"154{_digits(source, 8)}",
    IdentifierKind.TELEPHONE: lambda source: f"154{_digits(source, 8)}",
    IdentifierKind.LANDLINE: lambda source: f"0700{_digits(source, 8)}",
    IdentifierKind.VIN: _vin,
    IdentifierKind.PLATE: lambda source: f"藏Z{_digits(source, 5)}",
}


def _number(element: DataElement, source: Choices) -> str:
    whole = max(1, min((element.max_length or 6) - (element.decimals or 0), 4))
    number = str(source.randrange(10**whole))
    return f"{number}.{_digits(source, element.decimals)}" if element.decimals else number


_BY_TYPE: Mapping[DataType, Callable[[DataElement, Choices], str]] = {
    DataType.DATE: lambda _, source: f"{_day(source):%Y-%m-%d}",
    DataType.DATETIME: lambda _, source: f"{_day(source):%Y-%m-%d} 10:00:00",
    DataType.NUMERIC: _number,
    DataType.CURRENCY: _number,
    DataType.INTEGER: _number,
    DataType.DOUBLE: lambda _, source: f"{source.randrange(90)}.{_digits(source, 6)}",
    DataType.LOGICAL: lambda _, source: source.choice("01"),
}
