"""Quality of one source in one published version, on the six dimensions of GB/T 36344. Pure.

A score is a share of what is right, in basis points (10,000 is perfect), so that it compares exactly from version to
version. A dimension without evidence has no score and no weight.

| dimension | what is right |
|---|---|
| conformity 规范性 | values of the right form, length and code list |
| completeness 完整性 | values that are there |
| accuracy 准确性 | values without a wrong checksum or an impossible date |
| consistency 一致性 | values that agree with the golden record where another source speaks of the same |
| timeliness 时效性 | the newest batch is no older than the update cycle that the catalogue declares |
| accessibility 可访问性 | rows with a key, by which they can be found, updated and linked |
"""

from collections.abc import Mapping
from enum import StrEnum

from datong.kernel import DepartmentCode, ResourceId, Text, Value
from datong.library.values import SourceQuality

PERFECT = 10_000
FALL_MIN = 200
"""A source whose score (or a dimension's, times `DIMENSION_FACTOR`) fell by so many basis points is told so."""
DIMENSION_FACTOR = 2
ACCURACY_FLAGS = frozenset({"checksum", "impossible_date", "incoherent"})


class Dimension(StrEnum):
    """A dimension of data quality (GB/T 36344-2018)."""

    CONFORMITY = "conformity"
    COMPLETENESS = "completeness"
    ACCURACY = "accuracy"
    CONSISTENCY = "consistency"
    TIMELINESS = "timeliness"
    ACCESSIBILITY = "accessibility"

    @property
    def label(self) -> Text:
        """What the dimension is called."""
        return _LABELS[self]


class Fall(Value):
    """A score that fell from one version to the next; without a dimension it is the whole."""

    dimension: Dimension | None
    before: int
    after: int


class SourceScore(Value):
    """A source's scores in one version, in basis points; `faults` counts flawed values by element and flag."""

    library: str
    version: int
    resource_id: ResourceId
    department: DepartmentCode
    rows: int
    overall: int
    dimensions: Mapping[Dimension, int]
    faults: Mapping[str, Mapping[str, int]]
    fallen: tuple[Fall, ...] = ()


def scored(
    quality: SourceQuality, *, library: str, version: int, days_since_batch: int | None, previous: SourceScore | None
) -> SourceScore:
    """Return the scores of a source, and what has fallen since the version before.

    `days_since_batch` is None where nothing is known of the newest batch or of the update cycle.
    """
    dimensions = {
        dimension: share
        for dimension, share in (
            (Dimension.CONFORMITY, _sound(quality, accuracy=False)),
            (Dimension.COMPLETENESS, _complete(quality)),
            (Dimension.ACCURACY, _sound(quality, accuracy=True)),
            (Dimension.CONSISTENCY, _share(sum(quality.agreeing.values()), sum(quality.compared.values()))),
            (Dimension.TIMELINESS, _timely(quality.cycle_days, days_since_batch)),
            (Dimension.ACCESSIBILITY, _share(quality.rows, quality.rows + quality.without_key)),
        )
        if share is not None
    }
    overall = sum(dimensions.values()) // len(dimensions) if dimensions else PERFECT
    faults: dict[str, dict[str, int]] = {element: dict(flags) for element, flags in quality.flags.items()}
    for element, count in quality.missing.items():
        faults.setdefault(element, {})["missing"] = count
    score = SourceScore(
        library=library,
        version=version,
        resource_id=quality.resource_id,
        department=quality.department,
        rows=quality.rows,
        overall=overall,
        dimensions=dimensions,
        faults=faults,
    )
    return score if previous is None else score.model_copy(update={"fallen": falls(previous, score)})


def falls(before: SourceScore, after: SourceScore) -> tuple[Fall, ...]:
    """Return what fell so far that the source department is told: the whole, and single dimensions."""
    found = []
    if before.overall - after.overall >= FALL_MIN:
        found.append(Fall(dimension=None, before=before.overall, after=after.overall))
    for dimension, share in after.dimensions.items():
        former = before.dimensions.get(dimension)
        if former is not None and former - share >= FALL_MIN * DIMENSION_FACTOR:
            found.append(Fall(dimension=dimension, before=former, after=share))
    return tuple(found)


def _sound(quality: SourceQuality, *, accuracy: bool) -> int | None:
    present = quality.rows * len(quality.elements) - sum(quality.missing.values())
    wrong = sum(
        count
        for flags in quality.flags.values()
        for flag, count in flags.items()
        if (flag in ACCURACY_FLAGS) is accuracy
    )
    return _share(present - wrong, present)


def _complete(quality: SourceQuality) -> int | None:
    whole = quality.rows * len(quality.elements)
    return _share(whole - sum(quality.missing.values()), whole)


def _timely(cycle_days: int | None, days_since_batch: int | None) -> int | None:
    if cycle_days is None or days_since_batch is None:
        return None
    return PERFECT if days_since_batch <= cycle_days else PERFECT * cycle_days // days_since_batch


def _share(part: int, whole: int) -> int | None:
    return PERFECT * max(0, min(part, whole)) // whole if whole > 0 else None


_LABELS = {
    Dimension.CONFORMITY: Text(zh="规范性", en="Conformity"),
    Dimension.COMPLETENESS: Text(zh="完整性", en="Completeness"),
    Dimension.ACCURACY: Text(zh="准确性", en="Accuracy"),
    Dimension.CONSISTENCY: Text(zh="一致性", en="Consistency"),
    Dimension.TIMELINESS: Text(zh="时效性", en="Timeliness"),
    Dimension.ACCESSIBILITY: Text(zh="可访问性", en="Accessibility"),
}
