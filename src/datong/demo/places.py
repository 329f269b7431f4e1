"""Where people of 示例市 live: the real division codes of one city, invented roads and buildings, and written forms.

The city is invented; it borrows the codes and names of real districts so that addresses meet the real divisions.
"""

import csv
import gzip
import io
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from datong.demo.dice import Dice
from datong.demo.names import words

CITY_NAME = "示例市"
PROVINCE_NAME = "广东省"
DISTRICT_CODES = ("440604", "440605", "440606", "440607")
LAST_ORDINARY_STREET = 400
"""Street numbers from here on are farms, prisons and the like, where the demo settles nobody."""
OWN_CITY_PREFIX = "4406"

_ROAD_KINDS = ("路", "东路", "西路", "南路", "北路", "大道", "街", "一路", "二路")


class Division(NamedTuple):
    """One administrative division: its code (6 digits, or 9 for a street), name, level 1–4 and parent's code."""

    code: str
    name: str
    level: int
    parent: str


class Place(NamedTuple):
    """One home: the parts of its address."""

    district: str
    district_name: str
    street: str
    street_name: str
    road: str
    number: int
    building: int
    unit: int
    room: int


@cache
def divisions() -> tuple[Division, ...]:
    """Return the real divisions of China, parents before children."""
    packed = files("datong.demo").joinpath("data/divisions.csv.gz").read_bytes()
    rows = csv.DictReader(io.StringIO(gzip.decompress(packed).decode()))
    return tuple(Division(row["code"], row["name"], int(row["level"]), row["parent"]) for row in rows)


@cache
def _districts() -> dict[str, str]:
    return {division.code: division.name for division in divisions() if division.level == 3}


@cache
def _streets() -> tuple[Division, ...]:
    return tuple(
        division
        for division in divisions()
        if division.level == 4 and division.parent in DISTRICT_CODES and int(division.code[6:]) < LAST_ORDINARY_STREET
    )


@cache
def elsewhere_codes() -> tuple[str, ...]:
    """Return the district codes of other cities, where those who moved here were born."""
    return tuple(code for code in _districts() if not code.startswith(OWN_CITY_PREFIX))


def any_home(dice: Dice) -> Place:
    """Return a home somewhere in the city."""
    street = dice.pick(_streets())
    return Place(
        street.parent,
        _districts()[street.parent],
        street.code,
        street.name,
        dice.pick(words().roads) + dice.pick(_ROAD_KINDS),
        dice.whole(1, 260),
        dice.whole(1, 24),
        dice.whole(1, 4),
        dice.whole(1, 28) * 100 + dice.whole(1, 6),
    )


def official_address(place: Place) -> str:
    """Return the full written form, as the police keep it."""
    return (
        f"{PROVINCE_NAME}{CITY_NAME}{place.district_name}{place.street_name}{place.road}{place.number}号"
        f"{place.building}栋{place.unit}单元{place.room}室"
    )


def address_forms(place: Place) -> tuple[str, ...]:
    """Return the other ways in which people and offices write the same home."""
    head = f"{place.road}{place.number}号"
    tail = f"{place.building}栋{place.unit}单元{place.room}"
    return (
        f"{CITY_NAME}{place.district_name}{place.street_name}{head}{tail}室",
        f"{place.district_name}{head}{tail}",
        f"{place.district_name}{place.street_name}{head}{place.building}-{place.unit}-{place.room}",
        f"{CITY_NAME}{place.district_name}{head}{place.building}座{place.unit}单元{place.room}房",
        f"{PROVINCE_NAME}{CITY_NAME}{place.district_name}{head} {place.building}#楼{place.unit}单元{place.room}室",
    )
