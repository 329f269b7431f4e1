"""The values a norm pack consists of: what a field, a code, a limit and an indicator mean.

A pack is data (YAML, see `loader`); these are its types after validation. Every number of the platform's rules that
comes from a norm is read from here, so that a locality can set its own.
"""

from datetime import date
from enum import StrEnum
from functools import cached_property

from pydantic import Field

from datong.kernel import NotFound, Text, Value
from datong.norms.identifiers import IdentifierKind
from datong.norms.terms import DataType, Grade, Mask


class Code(Value):
    """One code of a code list; `aliases` are other ways in which sources write it."""

    code: str = Field(min_length=1, max_length=64)
    name: Text
    aliases: tuple[str, ...] = ()


class CodeList(Value):
    """A code list of a standard, for example sex by GB/T 2261.1."""

    key: str
    name: Text
    standard: str
    codes: tuple[Code, ...] = Field(min_length=1)


class DataElement(Value):
    """What one kind of field means, in every department.

    `aliases` are the names by which sources call it: Chinese names, pinyin, abbreviations, common column names.
    `codes` and `null_markers` are filled in from the pack, so that an element explains itself.
    """

    code: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    name: Text
    data_type: DataType
    max_length: int = Field(gt=0, le=10_000)
    decimals: int = Field(0, ge=0, le=8)
    pattern: str | None = None
    code_list: str | None = None
    identifier: IdentifierKind | None = None
    grade: Grade
    mask: Mask = Mask.NONE
    personal: bool = False
    standard: str
    aliases: tuple[str, ...] = ()
    codes: tuple[Code, ...] = ()
    null_markers: tuple[str, ...] = ()

    def code_name(self, code: str) -> Text | None:
        """The name of `code` in the element's code list, if it has one."""
        return next((member.name for member in self.codes if member.code == code), None)


class LimitUnit(StrEnum):
    """What a time limit is counted in."""

    WORKING_DAYS = "working_days"
    YEARS = "years"


class TimeLimit(Value):
    """A time limit of 《政务数据共享条例》 or of the locality."""

    key: str
    name: Text
    amount: int = Field(ge=0, le=1000)
    unit: LimitUnit = LimitUnit.WORKING_DAYS
    article: str


class PartyRole(Value):
    """A role that the Regulation gives to a department, and the articles that say what it must do."""

    key: str
    name: Text
    duty: Text
    article: str


class IndicatorGroup(StrEnum):
    """Evaluation groups: the paper's four, and three more (NORMS §4)."""

    READINESS = "readiness"
    STANDARDISATION = "standardisation"
    TIMELINESS = "timeliness"
    STAFF = "staff"
    QUALITY = "quality"
    EFFECT = "effect"
    SECURITY = "security"


class IndicatorDefinition(Value):
    """How one indicator is computed and how much it weighs.

    A ratio is given in 0–1. `higher_is_better` says how a score follows: a ratio scores itself or its complement;
    another unit scores full marks at `target` and falls in proportion to it.
    """

    key: str
    name: Text
    group: IndicatorGroup
    formula: Text
    unit: str = Field("ratio", pattern="^(ratio|milliseconds|days|count|hours)$")
    higher_is_better: bool = True
    target: int | None = None
    weight: int = Field(ge=0, le=100)
    article: str = ""


class Classification(Value):
    """A 类 (1 digit), 项 (3 digits) or 目 (6 digits) of the resource classification."""

    code: str = Field(pattern=r"^[123](\d{2}(\d{3}\w*)?)?$")
    name: Text


class Theme(Value):
    """A subject of the catalogue's navigation."""

    key: str
    name: Text
    words: tuple[str, ...] = ()


class NormPack(Value):
    """One consistent set of norms: the national pack, possibly extended by a local one."""

    name: Text
    version: str
    elements: tuple[DataElement, ...]
    code_lists: tuple[CodeList, ...]
    time_limits: tuple[TimeLimit, ...]
    roles: tuple[PartyRole, ...]
    indicators: tuple[IndicatorDefinition, ...]
    classifications: tuple[Classification, ...]
    themes: tuple[Theme, ...]
    synonyms: tuple[tuple[str, ...], ...] = ()
    calendar: dict[date, bool] = Field(default_factory=dict)
    code_serial_digits: int = Field(5, ge=1, le=12)

    @cached_property
    def _elements(self) -> dict[str, DataElement]:
        return {element.code: element for element in self.elements}

    @cached_property
    def _limits(self) -> dict[str, TimeLimit]:
        return {limit.key: limit for limit in self.time_limits}

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

    def code_list(self, key: str) -> CodeList:
        """Return the code list `key`, or raise NotFound."""
        found = next((codes for codes in self.code_lists if codes.key == key), None)
        if found is None:
            raise _unknown("code_list", Text(zh="代码表", en="code list"), key)
        return found

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
        found = next((indicator for indicator in self.indicators if indicator.key == key), None)
        if found is None:
            raise _unknown("indicator", Text(zh="指标", en="indicator"), key)
        return found

    def classification(self, code: str) -> Classification | None:
        """Return the most exact classification that `code` falls under, if any."""
        under = [known for known in self.classifications if code.startswith(known.code)]
        return max(under, key=lambda known: len(known.code), default=None)


def _unknown(kind: str, noun: Text, key: str) -> NotFound:
    return NotFound(
        f"norms.{kind}_unknown",
        what=Text(zh=f"规范包中没有{noun.zh} {key}。", en=f"The norm pack has no {noun.en} {key}."),
        remedy=Text(
            zh="请核对代码，或在本地扩展包中加入它。", en="Check the code, or add it in the local extension pack."
        ),
        context={"key": key},
    )
