"""Administrative divisions by year (GB/T 2260): a code that is unknown raises doubt, never an error.

Codes come and go with every reform: a citizen keeps an ID whose region was abolished long ago. So a code is looked up
together with a year, and the answer is one of three: known in that year, known in another year, unknown.
"""

import csv
from collections.abc import Iterable
from functools import cache
from importlib import resources

from datong.norms.entries import Division

DIVISIONS_FILE = "divisions.csv"


@cache
def national_divisions() -> tuple[Division, ...]:
    """Return the nation's provinces, cities and counties since 2002, each with the years in which its name was seen.

    `since` is empty if the division is in the oldest list, `until` if it is in the newest.
    """
    with resources.files("datong.norms").joinpath("packs", "national", DIVISIONS_FILE).open(encoding="utf-8") as file:
        return tuple(
            Division(
                code=row["code"],
                name=row["name"],
                since=int(row["since"]) if row["since"] else None,
                until=int(row["until"]) if row["until"] else None,
            )
            for row in csv.DictReader(file)
        )


class Divisions:
    """A register of divisions: the national ones, and those that a pack adds."""

    def __init__(self, added: Iterable[Division] = ()) -> None:
        self._added = tuple(added)
        self._by_code: dict[str, list[Division]] = {}
        for division in (*national_divisions(), *self._added):
            self._by_code.setdefault(division.code, []).append(division)

    def __len__(self) -> int:
        return sum(len(named) for named in self._by_code.values())

    def all(self) -> tuple[Division, ...]:
        """Every division under every name, by code and year."""
        return tuple(
            division
            for code in sorted(self._by_code)
            for division in sorted(self._by_code[code], key=lambda known: known.since or 0)
        )

    def codes(self) -> tuple[str, ...]:
        """Every code that is known in any year, in order."""
        return tuple(sorted(self._by_code))

    def known(self, code: str) -> tuple[Division, ...]:
        """The divisions that the first six digits of `code` meant, the oldest first; empty if never known."""
        return tuple(sorted(self._by_code.get(code[:6], ()), key=lambda division: division.since or 0))

    def lookup(self, code: str, year: int) -> Division | None:
        """The division that the first six digits of `code` meant in `year`, if it is known."""
        return next((division for division in self.known(code) if division.in_year(year)), None)

    def path(self, code: str, year: int) -> tuple[Division, ...]:
        """Province, city and county of `code` in `year`, as far as they are known."""
        chain = (f"{code[:2]}0000", f"{code[:4]}00", code[:6])
        found = (self.lookup(member, year) for member in dict.fromkeys(chain))
        return tuple(division for division in found if division is not None)
