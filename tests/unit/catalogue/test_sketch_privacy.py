"""Attacks on sketches: what the hub alone learns (nothing of any value), and what it learns with a node's secret.

The attacker knows every number that could exist, which of them are asked about, and the whole sketch. Its advantage is
the chance to call a member a member minus the chance to call a stranger one. Seeds are fixed.
"""

import hashlib
import math
import random

import pytest

from datong.catalogue import SketchKey, SketchRequest
from tests.unit.catalogue.sketching import KEY, registers_by_definition

REQUEST = SketchRequest(column="v", element="citizen_id")
CANDIDATES = 6000
CHANCE = 4 * math.sqrt(0.5 / CANDIDATES)
"""Four standard errors of an advantage that is none, at worst."""


def people(dice: random.Random, number: int) -> tuple[list[str], list[str]]:
    """Return some members of a column, and as many strangers, of one space of numbers."""
    space = dice.sample(range(10_000_000), 2 * number)
    members, strangers = space[:number], space[number:]
    return [f"440106{one:012}" for one in members], [f"440106{one:012}" for one in strangers]


def advantage(registers: bytes, members: list[str], strangers: list[str], key: SketchKey, *, exact: bool) -> float:
    """The advantage of an attacker who hashes each candidate under `key` and looks at its register.

    `exact`: it calls a member whoever has exactly the register's level; else whoever has at most that level.
    """

    def called(values: list[str]) -> float:
        found = 0
        for value in values:
            level, place = _single(value, key)
            register = registers[place % len(registers)]
            found += level == register if exact else level <= register
        return found / len(values)

    return called(members) - called(strangers)


def _single(value: str, key: SketchKey) -> tuple[int, int]:
    alone = registers_by_definition({value}, key, REQUEST)
    place = next(place for place, level in enumerate(alone) if level)
    return alone[place], place


@pytest.mark.parametrize("exact", [True, False])
def test_the_hub_alone_cannot_tell_members_from_strangers(exact: bool) -> None:
    members, strangers = people(random.Random(1), CANDIDATES)
    registers = registers_by_definition(set(members), KEY, REQUEST)
    guesses = [
        SketchKey(epoch=KEY.epoch, secret=bytes(32)),
        SketchKey(epoch=KEY.epoch, secret=hashlib.sha256(b"datong").digest()),
        SketchKey(epoch="another", secret=KEY.secret),
    ]
    for guess in guesses[: 1 if exact else 3]:
        assert abs(advantage(registers, members, strangers, guess, exact=exact)) < CHANCE


def test_without_the_secret_a_sketch_looks_like_that_of_any_other_set_of_its_size() -> None:
    """A distinguisher that sees both sets and every register: the best single-register statistics do not differ."""
    dice = random.Random(2)
    one, other = people(dice, 5000)
    sketches = [registers_by_definition(set(values), KEY, REQUEST) for values in (one, other)]
    means = [sum(sketch) / len(sketch) for sketch in sketches]
    spread = math.sqrt(sum((level - means[0]) ** 2 for level in sketches[0]) / len(sketches[0]))
    assert abs(means[0] - means[1]) < 4 * spread * math.sqrt(2 / 4096)
    equal = sum(left == right for left, right in zip(*sketches, strict=True)) / 4096
    expected = sum((sketches[0].count(level) / 4096) * (sketches[1].count(level) / 4096) for level in range(256))
    assert abs(equal - expected) < 4 * math.sqrt(expected / 4096)


def test_who_has_the_secret_as_well_learns_of_few_and_of_fewer_the_larger_the_column() -> None:
    """What hub and a node learn together is bounded by the number of registers (docs/sources.md publishes it)."""
    known = []
    for number in (2000, 6000):
        members, strangers = people(random.Random(3), number)
        registers = registers_by_definition(set(members), KEY, REQUEST)
        bins = 1024 if number == 2000 else 2048
        folded = bytes(max(registers[place::bins]) for place in range(bins))
        known.append(advantage(folded, members, strangers, KEY, exact=True))
        # Each register shows one member: at most bins / number of them are exposed.
        assert known[-1] < bins / number
    assert known[0] > 0.2
    assert known[1] < known[0]
