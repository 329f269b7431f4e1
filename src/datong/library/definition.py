"""Library definitions: what a base library is made of, as data.

A definition names no department and no table. A source takes part if it holds the data elements that one of the
definition's *roles* requires; authority, linkage and publication are stated in terms of roles and elements. So the same
file serves every city.
"""

import json
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from datong.kernel import Invalid, Misconfigured, Text, Value, sha256_hex
from datong.library.derivation import EDGE_COLUMNS, VERDICT_COLUMN, Derivation, DerivedInput, Faulty, Graph
from datong.library.values import LandedSource
from datong.norms import read_mapping

DEFINITIONS = Path(__file__).parent / "definitions"
PERSON_IDENTIFIER = "citizen_id"


class LibraryKind(StrEnum):
    """How records become entities."""

    LINKED = "linked"
    """By linkage of many sources (people, firms)."""
    REFERENCE = "reference"
    """By a code that is unique in itself (divisions)."""
    DERIVED = "derived"
    """By rules over other libraries' published tables (low-income families, public credit)."""
    GRAPH = "graph"
    """No entities of its own: the relations between those of other libraries."""
    KEYED = "keyed"
    """By keys that the definition names (firms, certificates): an identifier first, then other keys by their weight."""


class SourceRole(Value):
    """What a source is for the library, recognised by the data elements it holds; the first role that fits is taken."""

    key: str
    title: Text
    requires: frozenset[str]
    any_of: frozenset[str] = frozenset()

    def fits(self, source: LandedSource) -> bool:
        """Return whether `source` can play this role."""
        return self.fits_elements(source.elements)

    def fits_elements(self, held: frozenset[str]) -> bool:
        """Return whether what holds these elements can play this role."""
        return self.requires <= held and (not self.any_of or bool(self.any_of & held))


class Level(Value):
    """One degree of agreement, from the most to the least alike, with its trained weights.

    `kind` is one of: `exact` (all `columns` equal), `edits` (Damerau–Levenshtein distance of the one column at most
    `most`), `characters` (of the columns, one per character, at most `most` differ), `prefix` (first `most` characters
    equal), `similar` (Jaro–Winkler similarity of the one column at least `least`), `crossed` (the first of two columns
    equals the other's second, and the second the first), `else`. `m` and `u` are the shares of true matches and of
    strangers at this level. Columns are ASCII only: engines measure other text differently.
    """

    kind: Literal["exact", "edits", "characters", "prefix", "similar", "crossed", "else"]
    columns: tuple[str, ...] = ()
    most: int = Field(0, ge=0, le=32)
    least: float = Field(1, ge=0, le=1)
    frequency: str | None = None
    m: float = Field(gt=0, lt=1)
    u: float = Field(gt=0, lt=1)


class Comparison(Value):
    """How two records are compared in one respect; `needs` are columns without which nothing is said.

    `differ_min` bounds the trained `m` of the last level from below: people do change telephone and home, however tidy
    the data that the model was trained on.
    """

    name: str
    needs: tuple[str, ...]
    differ_min: float = Field(0.002, gt=0, lt=1)
    levels: tuple[Level, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _ends_in_else(self) -> "Comparison":
        if [level.kind == "else" for level in self.levels] != [False] * (len(self.levels) - 1) + [True]:
            raise Faulty("最后一级且只有最后一级是 else", "the last level, and only the last, is `else`")
        return self


class Feature(Value):
    """A column that comparisons and blocking read: the first of `fields` that has a value, in ASCII.

    A field is a data element, or `column:<name>` for a source's column without one. `form` is `text` (small letters
    without accents, single blanks), `compact` (letters and digits alone) or `digits`; `first` and `last` keep so many
    characters of it (0: all), and a text that is shorter is missing.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    fields: tuple[str, ...] = Field(min_length=1)
    form: Literal["text", "compact", "digits"] = "text"
    first: int = Field(0, ge=0, le=64)
    last: int = Field(0, ge=0, le=64)


PERSON_TRAINING = (("pinyin", "birth"), ("phone",), ("address", "sex"), ("identifier_text",))


class Linkage(Value):
    """The committed linkage model: blocking, comparisons with weights, and the rules of clustering.

    `features` are the columns that it reads; without any, they are those of Chinese people (module `features`), and
    trusted identifiers come first (module `identify`). `training` names the blocks in which the weights are estimated.

    `accept_bits` is the match weight from which two records may join; `margin_bits` by how much the best partner must
    beat the next partner of another entity; `members_max` caps an entity's records. From `sure_bits` on a pair joins
    two groups of records although both its records have better partners, for data in which one thing has many records.
    `evidence` lists comparisons of which one line at least must agree, each better than at its last level, or a pair
    stays below the accepted weight whatever else agrees: twins share birth, sex, home and telephone.
    """

    match_share: float = Field(gt=0, lt=1)
    accept_bits: float
    sure_bits: float | None = None
    margin_bits: float = Field(ge=0)
    members_max: int = Field(gt=1)
    evidence: tuple[tuple[str, ...], ...] = ()
    features: tuple[Feature, ...] = ()
    blocking: tuple[tuple[str, ...], ...] = Field(min_length=1)
    training: tuple[tuple[str, ...], ...] = Field(PERSON_TRAINING, min_length=1)
    comparisons: tuple[Comparison, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _evidence_known(self) -> "Linkage":
        unknown = {name for line in self.evidence for name in line} - {one.name for one in self.comparisons}
        if unknown:
            raise Faulty(f"没有比较 {sorted(unknown)}", f"no such comparisons: {sorted(unknown)}")
        return self

    @model_validator(mode="after")
    def _columns_known(self) -> "Linkage":
        if not self.features:
            return self
        levels = [level for comparison in self.comparisons for level in comparison.levels]
        read = {column for comparison in self.comparisons for column in comparison.needs}
        read |= {column for level in levels for column in (*level.columns, *filter(None, [level.frequency]))}
        read |= {column for rule in (*self.blocking, *self.training) for column in rule}
        unknown = read - {feature.name for feature in self.features}
        if unknown:
            raise ValueError(f"columns that are no features: {sorted(unknown)}")
        return self


class KeyPart(Value):
    """One part of a key: an element, and in which form its value is compared (see `keys.FORMS`)."""

    element: str
    form: Literal["exact", "code", "organisation", "company", "person", "address"] = "exact"


class KeyRule(Value):
    """Records that agree on all `parts` speak for one entity with `bits`; a record that lacks a part says nothing."""

    name: str
    parts: tuple[KeyPart, ...] = Field(min_length=1)
    bits: float = Field(gt=0)


class Identity(Value):
    """How records become entities by keys.

    `trusted` is the identifier: records with the same sound value are one entity, records with different ones never.
    `guard` are parts of which one at least must agree with the identifier's reference record, if any can be compared;
    a record that fits in none loses its claim on the identifier. The other limits are those of `Linkage`.
    """

    trusted: tuple[KeyPart, ...] = Field(min_length=1)
    guard: tuple[KeyPart, ...] = ()
    rules: tuple[KeyRule, ...] = ()
    accept_bits: float
    margin_bits: float = Field(ge=0)
    members_max: int = Field(gt=1)


class ElementRule(Value):
    """How the library chooses an element's value where sources disagree."""

    code: str
    authority: tuple[str, ...] = ()
    prefer: Literal["authority", "recency"] = "authority"


class SpatialRule(Value):
    """What makes a library's entities features on a map; their place is the element `geometry`, else the coordinates.

    `crs` is the reference system in which the features are kept; `level` and `parent` name the elements by which
    divisions contain each other.
    """

    crs: Literal["EPSG:4490", "EPSG:4326"] = "EPSG:4490"
    name: str
    level: str | None = None
    parent: str | None = None


class Definition(Value):
    """One base library."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    version: int
    title: Text
    entity: Text
    kind: LibraryKind
    open: bool = False
    roles: tuple[SourceRole, ...] = ()
    elements: tuple[ElementRule, ...] = ()
    key_elements: tuple[str, ...] = Field(min_length=1)
    summary_elements: tuple[str, ...] = Field(min_length=1)
    linkage: Linkage | None = None
    identity: Identity | None = None
    derivation: Derivation | None = None
    graph: Graph | None = None
    precedence: int = Field(100, ge=0, le=1000)
    """Libraries are listed in this order; the first in which a source plays a role publishes the source's records."""
    spatial: SpatialRule | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "Definition":
        if (self.kind is LibraryKind.LINKED) != (self.linkage is not None):
            raise Faulty("linked 类且只有该类有 linkage", "a linked library, and only such a one, has a linkage model")
        if (self.kind is LibraryKind.KEYED) != (self.identity is not None):
            raise Faulty("keyed 类且只有该类有 identity", "a keyed library, and only such a one, says by which keys")
        if (self.kind is LibraryKind.DERIVED) != (self.derivation is not None):
            raise Faulty(
                "derived 类且只有该类有 derivation", "a derived library, and only such a one, has a derivation"
            )
        if (self.kind is LibraryKind.GRAPH) != (self.graph is not None):
            raise Faulty("graph 类且只有该类有 graph", "a graph, and only such a one, has edges")
        if bool(self.reads) == bool(self.roles and self.elements):
            raise Faulty(
                "资源库须有 roles 和 elements，或者有 derivation、graph",
                "a library has roles and elements, or a derivation or graph",
            )
        return self

    @model_validator(mode="after")
    def _names_known(self) -> "Definition":
        roles = {role.key for role in self.roles}
        for rule in self.elements:
            unknown = set(rule.authority) - roles
            if unknown:
                raise Faulty(
                    f"{rule.code}：没有角色 {sorted(unknown)}", f"{rule.code}: unknown roles {sorted(unknown)}"
                )
        codes = {rule.code for rule in self.elements}
        if self.derivation is not None:
            codes = {
                self.derivation.subject.by,
                VERDICT_COLUMN,
                *(measure.code for measure in self.derivation.measures),
            }
        if self.graph is not None:
            codes = set(EDGE_COLUMNS)
        missing = (set(self.key_elements) | set(self.summary_elements)) - codes
        if missing:
            raise Faulty(f"键不是数据元或度量：{sorted(missing)}", f"keys that are no elements: {sorted(missing)}")
        return self

    @property
    def digest(self) -> str:
        """The digest of everything that the definition says."""
        return sha256_hex(json.dumps(self.model_dump(), default=_in_order, sort_keys=True).encode())

    @property
    def publishes_records(self) -> bool:
        """Whether the records of its sources are published beside the golden ones."""
        return self.kind in (LibraryKind.LINKED, LibraryKind.KEYED)

    @property
    def inputs(self) -> frozenset[str]:
        """The libraries that this one derives from."""
        return frozenset(given.library for given in self.reads)

    @property
    def reads(self) -> tuple[DerivedInput, ...]:
        """The published tables that this library is made of; none if it is made of what landed."""
        if self.derivation is not None:
            return self.derivation.inputs
        return self.graph.inputs if self.graph is not None else ()

    @property
    def identifier(self) -> str | None:
        """The element that identifies an entity by itself, if one does."""
        if self.identity is not None:
            return self.identity.trusted[0].element if len(self.identity.trusted) == 1 else None
        return PERSON_IDENTIFIER if self.linkage is not None and not self.linkage.features else None

    def role_of(self, source: LandedSource) -> SourceRole | None:
        """Return the first role that `source` fits, or None if the library has no use for it."""
        return self.role_for(source.elements)

    def role_for(self, held: frozenset[str]) -> SourceRole | None:
        """Return the first role that fits what holds these elements."""
        return next((role for role in self.roles if role.fits_elements(held)), None)

    def authority(self, element: str) -> Mapping[str, int]:
        """Return the rank of every role for `element`: 0 is the source department of the datum."""
        named = next((rule.authority for rule in self.elements if rule.code == element), ())
        order = [*named, *(role.key for role in self.roles if role.key not in named)]
        return {role: rank for rank, role in enumerate(order)}


def _in_order(value: object) -> object:
    """Return a set as a list that is the same in every process."""
    if not isinstance(value, frozenset):
        raise TypeError(f"a definition holds no {type(value).__name__}")
    return sorted(value)


def load_definition(path: Path) -> Definition:
    """Read a definition.

    Raises:
        Misconfigured: the file is no definition.
    """
    try:
        return Definition.model_validate(read_mapping(path.read_text(encoding="utf-8")))
    except (Invalid, ValidationError) as error:
        raise Misconfigured(
            "library.definition_invalid",
            what=Text(zh=f"资源库定义 {path.name} 不可用：{error}", en=f"Library definition {path.name}: {error}"),
            remedy=Text(zh="请按 docs/library.md 修改定义文件。", en="Correct the file by docs/library.md."),
            context={"path": str(path)},
        ) from error


@cache
def shipped_definitions() -> tuple[Definition, ...]:
    """Return the definitions that come with the platform, in their order."""
    known = [load_definition(path) for path in sorted(DEFINITIONS.glob("*.yaml"))]
    return tuple(sorted(known, key=lambda definition: (definition.precedence, definition.name)))
