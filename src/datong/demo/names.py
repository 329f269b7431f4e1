"""Chinese personal names: surnames by their real frequency, given names by sex and generation, and homophones.

The words themselves are data (`data/names.yaml`); two-character surnames are among them, so that whoever splits names
meets them.
"""

from functools import cache
from importlib.resources import files
from typing import NamedTuple

import yaml

from datong.demo.dice import Dice, Weighted

_ONE_CHARACTER_SHARE = {1: 0.12, 2: 0.30, 3: 0.10}
_SURNAME_SLIP_SHARE = 0.25


class Words(NamedTuple):
    """The words that names are made of."""

    surnames: Weighted[str]
    long_surnames: frozenset[str]
    given: dict[str, tuple[str, ...]]
    sounds_like: dict[str, str]
    confused_surnames: dict[str, str]
    roads: tuple[str, ...]
    company_words: tuple[str, ...]


@cache
def words() -> Words:
    """Return the words of names, roads and firms, read once."""
    data = yaml.safe_load(files("datong.demo").joinpath("data/names.yaml").read_text(encoding="utf-8"))
    shares = " ".join(data["surnames"]).split()
    surnames = dict(zip(shares[::2], map(float, shares[1::2]), strict=True))
    return Words(
        surnames=Weighted(surnames),
        long_surnames=frozenset(name for name in surnames if len(name) > 1),
        given={fashion: tuple(characters.split()) for fashion, characters in data["given"].items()},
        sounds_like={
            character: group.replace(character, "")
            for group in reversed(data["homophones"].split())
            for character in group
            if len(group) > 1
        },
        confused_surnames={pair[0]: pair[1] for pair in data["confused_surnames"].split()},
        roads=tuple(data["roads"].split()),
        company_words=tuple(data["company_words"].split()),
    )


def generation_of(birth_year: int) -> int:
    """Return the fashion of given names, 1 to 3, of those born in `birth_year`."""
    if birth_year < 1970:
        return 1
    return 2 if birth_year < 2000 else 3


def surname(dice: Dice) -> str:
    """Return a surname, as likely as it is in the country."""
    return words().surnames.draw(dice)


def given_name(dice: Dice, *, sex: str, birth_year: int) -> str:
    """Return a given name of one or two characters in the fashion of the birth year; `sex` is 1 or 2."""
    generation = generation_of(birth_year)
    characters = words().given[f"{sex}-{generation}"]
    first = dice.pick(characters)
    if dice.happens(_ONE_CHARACTER_SHARE[generation]):
        return first
    return first + dice.pick(characters)


def surname_of(name: str) -> str:
    """Return the surname that `name` starts with, one character or two."""
    return name[:2] if name[:2] in words().long_surnames else name[:1]


def misheard(dice: Dice, name: str) -> str:
    """Return `name` as a clerk who heard it might write it: one character replaced by one that sounds alike.

    A name none of whose characters has a homophone here is returned as it is.
    """
    sounds_like, confused = words().sounds_like, words().confused_surnames
    start = len(surname_of(name))
    if name[0] in confused and start == 1 and dice.happens(_SURNAME_SLIP_SHARE):
        return confused[name[0]] + name[1:]
    places = [place for place in range(start, len(name)) if name[place] in sounds_like]
    if not places:
        return name
    place = dice.pick(places)
    return name[:place] + dice.pick(sounds_like[name[place]]) + name[place + 1 :]
