"""Boundaries of 示例市, generated and not real: the city is invented, and real boundaries may not be shipped.

The city is a crooked lattice in the open South China Sea, where no real city lies, cut by halves into districts and
these into streets. Neighbours share the lattice's corners, so the divisions neither overlap nor leave gaps.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from datong.demo.dice import Dice
from datong.demo.places import OWN_CITY_PREFIX, Division, divisions

COLUMNS, ROWS = 48, 36
WEST, SOUTH = 115.0, 20.4
CELL_DEGREES = 0.012
JITTER = 0.38
"""How far a corner strays, as a share of a cell; below a half no two edges cross."""
SEED = 4406
_DIGITS = 6


class _Block(NamedTuple):
    """A rectangle of lattice cells: columns from `left` to `right`, rows from `bottom` to `top`, ends excluded."""

    left: int
    bottom: int
    right: int
    top: int


@cache
def boundaries() -> Mapping[str, str]:
    """Return the boundary of the city, of each district and of each street as WKT, by division code."""
    own = [division for division in divisions() if division.code.startswith(OWN_CITY_PREFIX)]
    corners = _corners()
    return {code: _wkt(corners, block) for code, block in _blocks(own)}


def _blocks(own: Sequence[Division]) -> Iterator[tuple[str, _Block]]:
    whole = _Block(0, 0, COLUMNS, ROWS)
    children: dict[str, list[str]] = {}
    for division in own:
        children.setdefault(division.parent, []).append(division.code)
    for city in (division.code for division in own if division.level == 2):
        yield city, whole
        districts = children.get(city, [])
        weights = [max(1, len(children.get(district, []))) for district in districts]
        for district, block in _cut(districts, weights, whole):
            yield district, block
            streets = children.get(district, [])
            yield from _cut(streets, [1] * len(streets), block)


def _cut(codes: Sequence[str], weights: Sequence[int], block: _Block) -> Iterator[tuple[str, _Block]]:
    """Cut `block` into one part per code, each about as large as its weight, always across the longer side."""
    if len(codes) <= 1:
        yield from ((code, block) for code in codes)
        return
    half = len(codes) // 2
    share = sum(weights[:half]) / sum(weights)
    if block.right - block.left >= block.top - block.bottom:
        edge = block.left + min(max(1, round((block.right - block.left) * share)), block.right - block.left - 1)
        first, second = block._replace(right=edge), block._replace(left=edge)
    else:
        edge = block.bottom + min(max(1, round((block.top - block.bottom) * share)), block.top - block.bottom - 1)
        first, second = block._replace(top=edge), block._replace(bottom=edge)
    yield from _cut(codes[:half], weights[:half], first)
    yield from _cut(codes[half:], weights[half:], second)


def _corners() -> list[list[str]]:
    """Return the lattice's corners as WKT coordinates, by column and row."""
    dice = Dice(SEED)
    return [
        [
            f"{WEST + (column + (dice.random() - 0.5) * 2 * JITTER) * CELL_DEGREES:.{_DIGITS}f} "
            f"{SOUTH + (row + (dice.random() - 0.5) * 2 * JITTER) * CELL_DEGREES:.{_DIGITS}f}"
            for row in range(ROWS + 1)
        ]
        for column in range(COLUMNS + 1)
    ]


def _wkt(corners: Sequence[Sequence[str]], block: _Block) -> str:
    """Return the outline of `block`, counter-clockwise along the corners."""
    left, bottom, right, top = block
    ring = [
        *(corners[column][bottom] for column in range(left, right)),
        *(corners[right][row] for row in range(bottom, top)),
        *(corners[column][top] for column in range(right, left, -1)),
        *(corners[left][row] for row in range(top, bottom - 1, -1)),
    ]
    return f"POLYGON(({', '.join(ring)}))"
