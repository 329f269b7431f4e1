"""How well a resource is described: indicators as data (`data/quality.yaml`), judged here or, for many at once, in SQL.

The scheme is the Metadata Quality Assessment of data.europa.eu: five dimensions, 405 points. Each test has two forms
that must agree, one over a content in memory and one over the JSON of many in DuckDB; a test compares them.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from datong.catalogue.values import ResourceContent
from datong.kernel import Text, Value, sha256_hex
from datong.norms import NormPack

QUALITY_FILE = Path(__file__).parent / "data" / "quality.yaml"


class ElementTest(Value):
    """A test of the elements of a list."""

    list: str
    field: str
    values: tuple[str, ...] = ()


class ExceptTest(Value):
    """The text at a path must be another than this value."""

    path: str
    value: str


class IndicatorTest(Value):
    """What must hold; several members are alternatives.

    `known` names a section of the pack that has the value at `path`; a content that says nothing there, but has
    `default_if`, stands under the section's default.
    """

    present: tuple[str, ...] = ()
    known: str = ""
    path: str = ""
    default_if: str = ""
    any_present: ElementTest | None = None
    any_of: ElementTest | None = None
    all_present: ElementTest | None = None
    excepted: ExceptTest | None = Field(None, alias="except")
    stated: bool = False


class Rating(Value):
    """A name for scores from some points on."""

    key: str
    points: int = Field(alias="from")
    name: Text


class Dimension(Value):
    """One of the five sides of quality."""

    key: str
    name: Text


class QualityIndicator(Value):
    """One thing that a good entry says: what it is worth, in which field it is said, and what saying it brings."""

    key: str
    dimension: str
    points: int = Field(gt=0)
    field: str
    name: Text
    gain: Text
    test: IndicatorTest


class QualityScheme(Value):
    """Every indicator, with the names of dimensions and ratings, best rating first."""

    version: str
    ratings: tuple[Rating, ...]
    dimensions: tuple[Dimension, ...]
    indicators: tuple[QualityIndicator, ...]

    @property
    def points(self) -> int:
        """The most that a resource can have."""
        return sum(indicator.points for indicator in self.indicators)

    @property
    def digest(self) -> str:
        """What tells two schemes apart: scores of another scheme are counted anew."""
        return sha256_hex(self.model_dump_json().encode())

    def points_of(self, dimension: str) -> int:
        """The most that a resource can have in one dimension."""
        return sum(indicator.points for indicator in self.indicators if indicator.dimension == dimension)

    def rating(self, score: float) -> Rating:
        """Return the rating of a score."""
        return next(rating for rating in self.ratings if score >= rating.points)


class Missing(Value):
    """What an entry does not say: the field, the points, and what saying it would bring."""

    indicator: str
    dimension: str
    field: str
    name: Text
    gain: Text
    points: int


class QualityReport(Value):
    """The score of one resource, by dimension, and everything that is missing, dearest first."""

    score: int
    points: int
    rating: Text
    dimensions: dict[str, int]
    missing: tuple[Missing, ...]


@cache
def quality_scheme(file: Path = QUALITY_FILE) -> QualityScheme:
    """Return the scheme of a file, read once."""
    return QualityScheme.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))


def assess(content: ResourceContent, pack: NormPack, scheme: QualityScheme | None = None) -> QualityReport:
    """Return how well a content describes its resource."""
    chosen = scheme or quality_scheme()
    values = content.model_dump(mode="json")
    met = {entry.key for entry in chosen.indicators if _holds(entry.test, values, pack)}
    return report_of(chosen, met)


def report_of(scheme: QualityScheme, met: set[str]) -> QualityReport:
    """Return the report of a resource that meets the indicators `met`."""
    dimensions = {
        dimension.key: sum(
            entry.points for entry in scheme.indicators if entry.key in met and entry.dimension == dimension.key
        )
        for dimension in scheme.dimensions
    }
    score = sum(dimensions.values())
    missing = [
        Missing(
            indicator=entry.key,
            dimension=entry.dimension,
            field=entry.field,
            name=entry.name,
            gain=entry.gain,
            points=entry.points,
        )
        for entry in scheme.indicators
        if entry.key not in met
    ]
    return QualityReport(
        score=score,
        points=scheme.points,
        rating=scheme.rating(score).name,
        dimensions=dimensions,
        missing=tuple(sorted(missing, key=lambda entry: -entry.points)),
    )


def vocabulary(pack: NormPack, section: str) -> frozenset[str]:
    """Return the keys of a section of the pack that `known` may name."""
    sections: Mapping[str, Sequence[Any]] = {"themes": pack.themes, "licences": pack.licences}
    return frozenset(entry.key for entry in sections[section])


def _holds(test: IndicatorTest, values: Mapping[str, Any], pack: NormPack) -> bool:
    if test.stated or any(_says(_at(values, path)) for path in test.present):
        return True
    if test.known and _known(test, values, vocabulary(pack, test.known)):
        return True
    if test.excepted is not None and _at(values, test.excepted.path) != test.excepted.value:
        return True
    checks: tuple[tuple[ElementTest | None, Callable[[ElementTest, list[Any]], bool]], ...] = (
        (test.any_present, lambda _, found: any(_says(value) for value in found)),
        (test.any_of, lambda wanted, found: any(str(value or "").lower() in wanted.values for value in found)),
        (test.all_present, lambda _, found: bool(found) and all(_says(value) for value in found)),
    )
    for wanted, holds in checks:
        if wanted is not None and holds(wanted, [entry.get(wanted.field) for entry in values.get(wanted.list) or ()]):
            return True
    return False


def _known(test: IndicatorTest, values: Mapping[str, Any], keys: frozenset[str]) -> bool:
    named = _at(values, test.path)
    return named in keys or bool(keys and test.default_if and not named and _at(values, test.default_if))


def _at(values: Mapping[str, Any], path: str) -> Any:
    found: Any = values
    for part in path.split("/"):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _says(value: object) -> bool:
    return value is not None and value not in ("", [], {}, ())


def indicator_sql(test: IndicatorTest, pack: NormPack, column: str = "content") -> str:
    """Return the test as a DuckDB expression over a JSON column; never null."""
    parts = ["true"] if test.stated else []
    parts += [_says_sql(f"json_extract({column}, '{_json_path(path)}')") for path in test.present]
    if test.known:
        keys = sorted(vocabulary(pack, test.known))
        named = f"json_extract_string({column}, '{_json_path(test.path)}')"
        parts.append(f"list_contains({_literal(keys)}, {named})")
        if keys and test.default_if:
            stated = f"json_extract_string({column}, '{_json_path(test.default_if)}') = 'true'"
            parts.append(f"(coalesce({named}, '') = '' AND {stated})")
    if test.excepted is not None:
        found = f"json_extract_string({column}, '{_json_path(test.excepted.path)}')"
        parts.append(f"{found} IS DISTINCT FROM {_quoted(test.excepted.value)}")
    for wanted, form in (
        (test.any_present, "len(list_filter({found}, lambda x: coalesce(x, '') <> '')) > 0"),
        (test.any_of, "list_has_any(list_transform({found}, lambda x: lower(coalesce(x, ''))), {values})"),
        (test.all_present, "len({found}) > 0 AND len(list_filter({found}, lambda x: coalesce(x, '') = '')) = 0"),
    ):
        if wanted is not None:
            found = f"json_extract_string({column}, '$.{wanted.list}[*].{wanted.field}')"
            parts.append(f"({form.format(found=found, values=_literal(wanted.values))})")
    return "(" + " OR ".join(f"coalesce({part}, false)" for part in parts) + ")"


def _json_path(path: str) -> str:
    return "$." + path.replace("/", ".")


def _says_sql(value: str) -> str:
    return f"CAST({value} AS VARCHAR) NOT IN ('null', '\"\"', '[]', '{{}}')"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _literal(values: Sequence[str]) -> str:
    return "CAST([" + ", ".join(_quoted(value) for value in values) + "] AS VARCHAR[])"
