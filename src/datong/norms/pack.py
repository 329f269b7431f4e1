"""One consistent set of norms: the national pack, extended by the packs of the province and the city.

Every number of the platform's rules that comes from a norm is read from here, so that a locality can set its own.
"""

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from functools import cached_property
from typing import Self, TypeVar

from pydantic import Field

from datong.kernel import NotFound, Text, Value
from datong.norms.divisions import Divisions
from datong.norms.entries import (
    Classification,
    CodeList,
    DataCategory,
    DataElement,
    Division,
    Entry,
    GradeNorm,
    IdentifierNorm,
    IndicatorDefinition,
    Licence,
    PartyRole,
    Theme,
    TimeLimit,
    Validity,
    in_force,
)
from datong.norms.terms import Grade

_Keyed = TypeVar("_Keyed", CodeList, IndicatorDefinition, DataCategory, Licence, GradeNorm)
SECTION_FIELDS = (
    "elements",
    "code_lists",
    "identifiers",
    "time_limits",
    "roles",
    "indicators",
    "classifications",
    "themes",
    "grades",
    "data_categories",
    "licences",
)
"""The sections whose entries have validity dates."""


class PackLevel(StrEnum):
    """Whose pack it is; a lower level extends a higher one."""

    NATIONAL = "national"
    PROVINCE = "province"
    CITY = "city"

    @property
    def rank(self) -> int:
        """0 for the nation, 1 for a province, 2 for a city."""
        return list(PackLevel).index(self)

    @property
    def label(self) -> Text:
        """The level's name."""
        return _LEVELS[self]


_LEVELS = {
    PackLevel.NATIONAL: Text(zh="国家", en="National"),
    PackLevel.PROVINCE: Text(zh="省级", en="Province"),
    PackLevel.CITY: Text(zh="市级", en="City"),
}


class PackLayer(Validity):
    """One pack file among those that were laid over each other; `digest` is the SHA-256 of its text, in hex."""

    level: PackLevel
    name: Text
    version: str
    digest: str


class ScoreWeights(Value):
    """What a conformance score consists of, in parts that sum to 100.

    For a table: columns mapped to data elements, physical types that can hold the element, values that conform as
    written. For a catalogue entry: items mapped, and agreement of type, of length and of grade with the element.
    """

    table: dict[str, int] = Field({"mapped": 40, "type": 20, "values": 40})
    resource: dict[str, int] = Field({"mapped": 50, "type": 20, "length": 15, "grade": 15})


class NormPack(Value):
    """One consistent set of norms; `layers` are the packs it was made of, the highest first.

    `origins` maps the YAML path of whatever a lower layer added or changed to the index of that layer.
    """

    name: Text
    version: str
    elements: tuple[DataElement, ...]
    code_lists: tuple[CodeList, ...]
    identifiers: tuple[IdentifierNorm, ...] = ()
    time_limits: tuple[TimeLimit, ...]
    roles: tuple[PartyRole, ...]
    indicators: tuple[IndicatorDefinition, ...]
    classifications: tuple[Classification, ...]
    themes: tuple[Theme, ...]
    grades: tuple[GradeNorm, ...] = ()
    data_categories: tuple[DataCategory, ...] = ()
    licences: tuple[Licence, ...] = ()
    divisions: tuple[Division, ...] = Field((), repr=False)
    synonyms: tuple[tuple[str, ...], ...] = ()
    calendar: dict[date, bool] = Field(default_factory=dict)
    code_serial_digits: int = Field(5, ge=1, le=12)
    code_detail_max: int = Field(6, ge=0, le=20)
    scoring: ScoreWeights = ScoreWeights()
    layers: tuple[PackLayer, ...] = ()
    origins: dict[str, int] = Field(default_factory=dict, repr=False)

    @cached_property
    def _elements(self) -> dict[str, DataElement]:
        return {element.code: element for element in self.elements}

    @cached_property
    def _limits(self) -> dict[str, TimeLimit]:
        return {limit.key: limit for limit in self.time_limits}

    @cached_property
    def _aliases(self) -> dict[str, DataElement]:
        names: dict[str, DataElement] = {}
        for element in self.elements:
            for name in (element.code, element.name.zh, *element.aliases):
                names.setdefault(name.casefold(), element)
        return names

    @cached_property
    def division_register(self) -> Divisions:
        """The administrative divisions by code and year, the national ones and those that the layers add."""
        return Divisions(self.divisions)

    def as_of(self, day: date) -> Self:
        """Return the pack as it reads on `day`: what is not in force is left out, and revisions are applied."""
        sections: dict[str, tuple[Entry, ...]] = {
            section: in_force(getattr(self, section), day) for section in SECTION_FIELDS
        }
        lists = {
            codes.key: codes.model_copy(
                update={"codes": tuple(member for member in codes.codes if member.in_force(day))}
            )
            for codes in in_force(self.code_lists, day)
        }
        elements = tuple(
            element.model_copy(update={"codes": lists[element.code_list].codes})
            if element.code_list is not None and element.code_list in lists
            else element
            for element in in_force(self.elements, day)
        )
        return self.model_copy(update={**sections, "code_lists": tuple(lists.values()), "elements": elements})

    def has_element(self, code: str) -> bool:
        """Whether the pack knows the data element `code`."""
        return code in self._elements

    def element(self, code: str) -> DataElement:
        """Return the data element `code`.

        Raises:
            NotFound: the pack has none.
        """
        if code not in self._elements:
            raise _unknown("element", Text(zh="数据元", en="data element"), code)
        return self._elements[code]

    def element_called(self, name: str) -> DataElement | None:
        """Return the data element that sources call `name` (its code, Chinese name or an alias), if one is known."""
        folded = name.strip().casefold()
        return self._aliases.get(folded) or self._aliases.get(folded.replace("_", ""))

    def code_list(self, key: str) -> CodeList:
        """Return the code list `key`, or raise NotFound."""
        return _find(self.code_lists, key, "code_list", Text(zh="代码表", en="code list"))

    def limit(self, key: str) -> TimeLimit:
        """Return the time limit `key` with its article, or raise NotFound."""
        if key not in self._limits:
            raise _unknown("time_limit", Text(zh="时限", en="time limit"), key)
        return self._limits[key]

    def time_limit(self, key: str) -> int:
        """Return the amount of the time limit `key` (working days, unless its unit says otherwise)."""
        return self.limit(key).amount

    def indicator(self, key: str) -> IndicatorDefinition:
        """Return the indicator `key`, or raise NotFound."""
        return _find(self.indicators, key, "indicator", Text(zh="指标", en="indicator"))

    def data_category(self, key: str) -> DataCategory:
        """Return the data category `key`, or raise NotFound."""
        return _find(self.data_categories, key, "data_category", Text(zh="数据分类", en="data category"))

    def licence(self, key: str) -> Licence:
        """Return the licence `key`, or raise NotFound."""
        return _find(self.licences, key, "licence", Text(zh="许可", en="licence"))

    def grade(self, grade: Grade) -> GradeNorm:
        """Return what the pack says about `grade`, or raise NotFound."""
        return _find(self.grades, grade, "grade", Text(zh="数据分级", en="grade"))

    def classification(self, code: str) -> Classification | None:
        """Return the most exact classification that `code` falls under, if any."""
        under = [known for known in self.classifications if code.startswith(known.code)]
        return max(under, key=lambda known: len(known.code), default=None)

    def origin(self, section: str, key: str) -> PackLayer | None:
        """Return the layer that first said something about an entry: the base, unless a lower layer added it."""
        if not self.layers:
            return None
        return self.layers[self.origins.get(f"{section}.{key}", 0)]

    def overrides(self, section: str, key: str) -> Mapping[str, PackLayer]:
        """Return the fields of an entry that a lower layer changed, each with the layer its value comes from."""
        start = f"{section}.{key}."
        return {
            path.removeprefix(start): self.layers[index]
            for path, index in self.origins.items()
            if path.startswith(start)
        }


def _find(entries: tuple[_Keyed, ...], key: str, kind: str, noun: Text) -> _Keyed:
    found = next((entry for entry in entries if entry.key == key), None)
    if found is None:
        raise _unknown(kind, noun, key)
    return found


def _unknown(kind: str, noun: Text, key: str) -> NotFound:
    return NotFound(
        f"norms.{kind}_unknown",
        what=Text(zh=f"规范包中没有{noun.zh} {key}。", en=f"The norm pack has no {noun.en} {key}."),
        remedy=Text(
            zh="请核对代码，或在本地扩展包中加入它。", en="Check the code, or add it in the local extension pack."
        ),
        context={"key": key},
    )
