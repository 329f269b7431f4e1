"""The entries of a norm pack: what a field, a code, a limit, a category and an indicator mean.

A pack is data (YAML, see `loader`); these are the types of its entries after validation. An entry may be in force for a
time only, and its fields may change on a day (`revisions`), so that a pack answers for any date.
"""

from collections.abc import Sequence
from datetime import date
from enum import StrEnum
from functools import cached_property
from typing import Self, TypeVar

from pydantic import Field

from datong.kernel import JsonValue, Text, Value
from datong.norms.identifiers import IdentifierKind
from datong.norms.terms import DataType, Grade, Mask


class Validity(Value):
    """The days on which something is in force: from `valid_from` to `valid_until`, both included; None is open."""

    valid_from: date | None = None
    valid_until: date | None = None

    def in_force(self, day: date) -> bool:
        """Whether `day` lies in the time of validity."""
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_until is None or day <= self.valid_until
        )


class Revision(Value):
    """Fields of an entry that change from the day `valid_from` on."""

    valid_from: date
    changes: dict[str, JsonValue] = Field(min_length=1)


class Entry(Validity):
    """One entry of a pack's section."""

    revisions: tuple[Revision, ...] = ()

    def as_of(self, day: date) -> Self:
        """Return the entry as it reads on `day`, without revisions."""
        if not self.revisions:
            return self
        fields = self.model_dump(exclude={"revisions"})
        for revision in sorted(self.revisions, key=lambda known: known.valid_from):
            if revision.valid_from <= day:
                fields |= revision.changes
        return type(self).model_validate(fields)


class Code(Validity):
    """One code of a code list; `aliases` are other ways in which sources write it."""

    code: str = Field(min_length=1, max_length=64)
    name: Text
    aliases: tuple[str, ...] = ()


class CodeList(Entry):
    """A code list of a standard, for example sex by GB/T 2261.1."""

    key: str
    name: Text
    standard: str
    codes: tuple[Code, ...] = Field(min_length=1)

    @cached_property
    def _codes(self) -> dict[str, Code]:
        return {member.code: member for member in self.codes}

    def code(self, code: str) -> Code | None:
        """The member with that code, if there is one."""
        return self._codes.get(code)


class DataElement(Entry):
    """What one kind of field means, in every department.

    `aliases` are the names by which sources call it: Chinese names, pinyin, abbreviations, common column names.
    `unit` is the unit of a quantity's canonical form; `future` says that a date may well lie in the future. `domain`
    is the key of the theme that the element belongs to.
    `codes` and `null_markers` are filled in from the pack, so that an element explains itself.
    """

    code: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    name: Text
    definition: Text | None = None
    domain: str = ""
    data_type: DataType
    max_length: int = Field(gt=0, le=10_000)
    decimals: int = Field(0, ge=0, le=8)
    unit: str = Field("", max_length=20)
    pattern: str | None = None
    code_list: str | None = None
    identifier: IdentifierKind | None = None
    grade: Grade
    category: str = ""
    mask: Mask = Mask.NONE
    personal: bool = False
    future: bool = False
    standard: str
    aliases: tuple[str, ...] = ()
    codes: tuple[Code, ...] = ()
    null_markers: tuple[str, ...] = ()

    def code_name(self, code: str) -> Text | None:
        """The name of `code` in the element's code list, if it has one."""
        return next((member.name for member in self.codes if member.code == code), None)


class IdentifierNorm(Entry):
    """What an identifier consists of, with examples that the platform's own check must accept or refuse."""

    key: IdentifierKind
    name: Text
    structure: Text
    check: Text
    standard: str
    examples: tuple[str, ...] = ()
    counterexamples: tuple[str, ...] = ()


class LimitUnit(StrEnum):
    """What a time limit is counted in."""

    WORKING_DAYS = "working_days"
    YEARS = "years"


class LimitBound(StrEnum):
    """Whether a time limit says how long something may take at most, or how long it must last at least."""

    AT_MOST = "at_most"
    AT_LEAST = "at_least"


class TimeLimit(Entry):
    """A time limit of 《政务数据共享条例》 or of the locality; a `statutory` one may only be tightened locally."""

    key: str
    name: Text
    amount: int = Field(ge=0, le=1000)
    unit: LimitUnit = LimitUnit.WORKING_DAYS
    bound: LimitBound = LimitBound.AT_MOST
    statutory: bool = True
    article: str


class PartyRole(Entry):
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


class IndicatorDefinition(Entry):
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


class Classification(Entry):
    """A 类 (1 digit), 项 (3 digits), 目 (6 digits) or 细目 (longer) of the resource classification."""

    code: str = Field(pattern=r"^[123](\d{2}(\d{3}[0-9A-Za-z]*)?)?$")
    name: Text

    @property
    def parent(self) -> str | None:
        """The code that it lies under: none for a 类."""
        return next((self.code[:length] for length in (6, 3, 1) if len(self.code) > length), None)


class Theme(Entry):
    """A subject of the catalogue's navigation."""

    key: str
    name: Text
    words: tuple[str, ...] = ()


class SecurityLevel(StrEnum):
    """Level of data in GB/T 43697-2024; important and core data never pass through the platform."""

    GENERAL = "general"
    IMPORTANT = "important"
    CORE = "core"


class GradeNorm(Entry):
    """What a security grade means and how its data is handled."""

    key: Grade
    name: Text
    level: SecurityLevel = SecurityLevel.GENERAL
    definition: Text
    handling: Text


class DataCategory(Entry):
    """A 数据分类 (GB/T 43697-2024): what the data is about. `grade_min` is the lowest grade that fits it."""

    key: str
    name: Text
    parent: str | None = None
    definition: Text | None = None
    grade_min: Grade = Grade.L1
    standard: str


class Licence(Entry):
    """A licence under which open data may be used; `url` names its text."""

    key: str
    name: Text
    url: str = Field("", pattern=r"^(https?://\S+)?$")
    attribution: bool = True
    share_alike: bool = False


class Division(Value):
    """An administrative division under one name; `since` and `until` are years (GB/T 2260 changes every year).

    None is open: it was so before the records begin, or is so still.
    """

    code: str = Field(pattern=r"^[1-9]\d{5}$")
    name: str = Field(min_length=1, max_length=100)
    since: int | None = Field(None, ge=1949, le=2200)
    until: int | None = Field(None, ge=1949, le=2200)

    def in_year(self, year: int) -> bool:
        """Whether the code meant this division in `year`."""
        return (self.since is None or self.since <= year) and (self.until is None or year <= self.until)


AnyEntry = TypeVar("AnyEntry", bound=Entry)


def in_force(entries: Sequence[AnyEntry], day: date) -> tuple[AnyEntry, ...]:
    """Return the entries in force on `day`, each as it reads then."""
    revised = (entry.as_of(day) for entry in entries)
    return tuple(entry for entry in revised if entry.in_force(day))
