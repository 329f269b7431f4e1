"""Conformance of a catalogue entry: how far what it says of its items agrees with the norms. Pure.

The weights of a score's parts are data of the pack (`scoring`).
"""

from collections.abc import Mapping, Sequence

from datong.kernel import Value
from datong.norms.entries import DataElement
from datong.norms.pack import NormPack
from datong.norms.standardise import NUMBERS
from datong.norms.terms import DataType, Grade


class DeclaredItem(Value):
    """An item as a catalogue entry describes it: its data element, if one is named, and what it says beside it."""

    name: str
    element: str | None
    data_type: DataType
    length: int | None
    grade: Grade


class ItemDeviation(Value):
    """An item that does not agree with the norms, and in what: `mapped`, `type`, `length` or `grade`."""

    name: str
    element: str | None
    parts: tuple[str, ...]


class DescribedScore(Value):
    """The conformance of a catalogue entry: 0–100, its parts (0–1 each), and the items that deviate."""

    items: int
    mapped: int
    agreeing: int
    score: float
    parts: dict[str, float]
    deviations: tuple[ItemDeviation, ...]


def score_described(items: Sequence[DeclaredItem], pack: NormPack) -> DescribedScore:
    """Measure a catalogue entry by what it says of its items; pure."""
    agreeing = {"mapped": 0, "type": 0, "length": 0, "grade": 0}
    deviations: list[ItemDeviation] = []
    whole = 0
    for item in items:
        element = pack.element(item.element) if item.element is not None and pack.has_element(item.element) else None
        agreed = _agreements(item, element)
        for part in agreed:
            agreeing[part] += 1
        whole += len(agreed) == len(agreeing)
        if len(agreed) < len(agreeing):
            missing = tuple(part for part in agreeing if part not in agreed) if element is not None else ("mapped",)
            deviations.append(ItemDeviation(name=item.name, element=item.element, parts=missing))
    mapped = agreeing["mapped"]
    parts = {
        part: (count / (len(items) if part == "mapped" else mapped) if mapped else 0.0)
        for part, count in agreeing.items()
    }
    return DescribedScore(
        items=len(items),
        mapped=mapped,
        agreeing=whole,
        score=weighted(parts, pack.scoring.resource),
        parts=parts,
        deviations=tuple(deviations),
    )


def _agreements(item: DeclaredItem, element: DataElement | None) -> frozenset[str]:
    """In what an item agrees with its element; an item without one agrees in nothing."""
    if element is None:
        return frozenset()
    agreed = {"mapped"}
    if _type_agrees(item.data_type, element.data_type):
        agreed.add("type")
    if item.length is None or item.length <= element.max_length:
        agreed.add("length")
    if item.grade.rank >= element.grade.rank:
        agreed.add("grade")
    return frozenset(agreed)


def _type_agrees(declared: DataType, normed: DataType) -> bool:
    """Whether a declared type can hold what the norm means: numbers are one family, texts another."""
    families = (frozenset(NUMBERS), frozenset({DataType.CHARACTER, DataType.MEMO}))
    return declared is normed or any({declared, normed} <= family for family in families)


def weighted(parts: Mapping[str, float], weights: Mapping[str, int]) -> float:
    """The sum of `parts` (0–1 each) by `weights` (100 in all)."""
    return round(sum(parts[part] * weight for part, weight in weights.items()), 1)
