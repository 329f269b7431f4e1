"""The values that cross the border of the library: what comes in, what a build is, what is served.

No value here opens anything: the service fills them from the lake and the control database.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from pydantic import Field

from datong.kernel import (
    Actor,
    BatchId,
    BuildId,
    DepartmentCode,
    EntityId,
    EntryId,
    ResourceId,
    Text,
    Value,
)


class LandingMode(StrEnum):
    """What a landed batch says about the rows that are not in it."""

    SNAPSHOT = "snapshot"
    """The batch opens (or continues) a complete copy; a snapshot that starts later replaces all before it."""
    INCREMENT = "increment"
    """Rows in it replace those with the same key; the others stay."""


class LandedBatch(Value):
    """One immutable batch in the landing zone: an Arrow IPC stream (zstd) at `path`.

    `snapshot` numbers the complete copy that a snapshot batch belongs to: batches of one number are one copy, and a
    higher number replaces every row that landed before. `payload_digest` is the SHA-256 of the file as the exchange
    recorded it; a build refuses a file with another (empty: not known, not checked).
    """

    batch_id: BatchId
    sequence: int = Field(ge=0)
    path: Path
    mode: LandingMode = LandingMode.INCREMENT
    snapshot: int = 0
    produced_at: datetime | None = None
    payload_digest: str = ""


class LandedSource(Value):
    """A resource that a library may use: whose it is, what its columns mean, which batches of it have landed.

    `columns` maps every source column to its data element, or to None where the catalogue maps it to none.
    """

    resource_id: ResourceId
    department: DepartmentCode
    title: Text
    columns: Mapping[str, str | None]
    key_columns: tuple[str, ...]
    batches: tuple[LandedBatch, ...] = ()
    resource_version: int = 1
    cycle_days: int | None = None
    """The update cycle that the catalogue declares, in days; None where it is irregular or real time."""

    @property
    def elements(self) -> frozenset[str]:
        """The data elements that the resource holds."""
        return frozenset(element for element in self.columns.values() if element)


class Landing(Protocol):
    """Says which resources have landed for the library; bound by the composition root to exchange and catalogue."""

    def sources(self) -> tuple[LandedSource, ...]:
        """Return every resource with at least one landed batch, in a stable order."""
        ...


class FixedLanding:
    """A landing that is what it was told to be; a test, or a builder over plain files, replaces `landed` at will."""

    def __init__(self, landed: tuple[LandedSource, ...] = ()) -> None:
        self.landed = landed

    def sources(self) -> tuple[LandedSource, ...]:
        """Return the sources it holds."""
        return self.landed


RECORD_KEY_SEPARATOR = "\x1f"


def record_key(resource_id: ResourceId, row_key: str) -> str:
    """Return the name of a record in decisions and reviews: its resource and its key there."""
    return f"{resource_id}{RECORD_KEY_SEPARATOR}{row_key}"


def record_of_key(key: str) -> tuple[ResourceId, str]:
    """Return the resource and the key there that `record_key` made a name of."""
    resource_id, _, row_key = key.partition(RECORD_KEY_SEPARATOR)
    return ResourceId(resource_id), row_key


class LinkDecision(Value):
    """What a person decided of two records, named by `record_key`: they stand for the same entity, or they do not."""

    left_key: str
    right_key: str
    same: bool


class LinkDecisions(Protocol):
    """Says what people decided about records; a build keeps to it."""

    def link_decisions(self, library: str) -> tuple[LinkDecision, ...]:
        """Return the decisions in force for `library`, at most one per pair, in a stable order."""
        ...


class FixedDecisions:
    """Decisions that are what they were told to be; none, unless a test or a builder over plain files replaces them."""

    def __init__(self, decided: tuple[LinkDecision, ...] = ()) -> None:
        self.decided = decided

    def link_decisions(self, library: str) -> tuple[LinkDecision, ...]:
        """Return the decisions it holds, whatever the library."""
        return self.decided


class BuildState(StrEnum):
    """Where a build stands."""

    REQUESTED = "requested"
    RUNNING = "running"
    PUBLISHED = "published"
    FAILED = "failed"


class BuildStep(StrEnum):
    """The steps of a build, in order; each leaves an immutable folder, so that a killed build resumes after it."""

    CONFORM = "conform"
    LINK = "link"
    FUSE = "fuse"
    DERIVE = "derive"
    """Of a derived library, in place of the three before."""
    PUBLISH = "publish"


class Build(Value):
    """One run of a library's pipeline over a fixed list of landed batches."""

    id: BuildId
    library: str
    state: BuildState
    step: BuildStep | None = None
    requested_by: Actor
    requested_at: datetime
    finished_at: datetime | None = None
    input_digest: str
    whole: bool = False
    """Whether it was asked to make everything anew."""
    source_count: int
    batch_count: int
    version: int | None = None
    digest: str | None = None
    records: int | None = None
    entities: int | None = None
    step_seconds: Mapping[str, float] = Field(default_factory=dict)
    error: str | None = None


def published_column(column: str) -> str:
    """Return the published name of a source's column: Delta Lake admits no spaces, separators or equals signs."""
    return re.sub(r"[ ,;{}()\n\t=]", "_", column)


class DatasetColumn(Value):
    """A published column: its name in the table, the data element it carries (if any), and its title."""

    name: str
    element: str | None
    title: Text


class Dataset(Value):
    """One version of a published table.

    `delta_path` is a Delta Lake table whose version `delta_version` is this one; `lookup_path` an immutable SQLite
    file for point lookups by the `key_elements`.
    """

    name: str
    library: str
    version: int
    build_id: BuildId
    resource_id: ResourceId | None
    department: DepartmentCode | None
    title: Text
    open: bool
    rows: int
    digest: str
    published_at: datetime
    columns: tuple[DatasetColumn, ...]
    key_elements: tuple[str, ...]
    delta_path: Path
    delta_version: int
    lineage_path: Path | None
    lookup_path: Path
    entry_id: EntryId | None = None


SURVIVORSHIP_NAMES: Mapping[str, Text] = {
    "only": Text(zh="唯一来源", en="only source"),
    "agreed": Text(zh="各源一致", en="sources agree"),
    "authority": Text(zh="数源部门优先", en="source department first"),
    "recency": Text(zh="最新优先", en="newest first"),
    "quality": Text(zh="质量优先", en="best quality first"),
    "source": Text(zh="来源原值", en="as received"),
    "derived": Text(zh="派生", en="derived"),
}
"""Why a source's value became the golden one."""


class Cell(Value):
    """One value and where it comes from.

    `rule` says why this source won: a key of `SURVIVORSHIP_NAMES`. `flag` is the quality flag of the norms, if the
    value has a flaw. `raw` is the value as received where cleaning changed it.
    """

    value: str | None
    department: DepartmentCode
    resource_id: ResourceId
    batch_id: BatchId
    row_key: str
    observed_at: str | None
    rule: str
    flag: str | None = None
    raw: str | None = None


class GoldenRow(Value):
    """One row of a published dataset: an entity of a base library, or a source's record with its entity."""

    entity_id: EntityId | None
    cells: Mapping[str, Cell]


class CellConflict(Value):
    """Sources that say different things of one element; the first candidate is the one that was chosen."""

    element: str
    candidates: tuple[Cell, ...]


class LinkReason(Value):
    """Why a record belongs to its entity: the rule, its match weight in bits (None for a deterministic rule), and
    the record it was joined to."""

    rule: str
    weight: float | None = None
    joined_to: str | None = None


class InputTable(Value):
    """One version of a published table that a derived library reads.

    `path` is its Delta table below the library's folder and `lineage` that of its cells' origins, of the build
    `build_id`; `columns` maps what it holds (elements, or codes of a derived library) to its columns; `key` is the
    column of the entity.
    """

    input: str
    library: str
    dataset: str
    version: int
    digest: str
    title: Text
    department: DepartmentCode | None
    path: str
    delta_version: int
    columns: Mapping[str, str]
    key: str
    row_key: str
    lineage: str | None = None
    build_id: BuildId = BuildId("")


class RuleFinding(Value):
    """What one rule of a derived library says of an entity: the value, what it is held against, and the verdict."""

    rule: str
    title: Text
    value: str | None
    must: str
    threshold: str | None
    unit: str
    verdict: str
    basis: str


class MemberRecord(Value):
    """A source's record that belongs to an entity."""

    resource_id: ResourceId
    department: DepartmentCode
    title: Text
    row_key: str
    batch_id: BatchId
    cells: Mapping[str, Cell]
    reason: LinkReason


class EntityView(Value):
    """All that the library knows of one entity."""

    library: str
    version: int
    entity_id: EntityId
    former_ids: tuple[EntityId, ...]
    cells: Mapping[str, Cell]
    conflicts: tuple[CellConflict, ...]
    members: tuple[MemberRecord, ...]
    findings: tuple[RuleFinding, ...] = ()
    """Why a derived library counts the entity in or out."""


class EntityHit(Value):
    """An entity found by name or identifier; what would identify it further is masked in `summary`."""

    entity_id: EntityId
    summary: Mapping[str, str]
    members: int


class SourceQuality(Value):
    """The quality of one source in one build: rows, missing and flagged values per element.

    `compared` counts the values of which another source speaks, too, `agreeing` those that are the golden ones; both
    over a sample of entities where there are very many. `cycle_days` is how often the catalogue says it is updated.
    """

    resource_id: ResourceId
    department: DepartmentCode
    title: Text
    role: str
    rows: int
    superseded_rows: int
    missing: Mapping[str, int]
    flags: Mapping[str, Mapping[str, int]]
    repaired: Mapping[str, int]
    elements: tuple[str, ...] = ()
    without_key: int = 0
    compared: Mapping[str, int] = Field(default_factory=dict)
    agreeing: Mapping[str, int] = Field(default_factory=dict)
    cycle_days: int | None = None


class FailingRow(Value):
    """A source's record with a flawed value, for its source department: key, value as received, and the batch."""

    row_key: str
    raw: str | None
    batch_id: str
    observed_at: str | None


class LinkReport(Value):
    """What a build did, for the bureau's data engineers and for the departments."""

    library: str
    version: int
    records: int
    entities: int
    pairs_by_rule: Mapping[str, int]
    clusters_by_size: Mapping[int, int]
    cross_department_entities: int
    ambiguous_records: int
    vetoed_pairs: int
    distrusted_identifiers: int
    conflicts_by_element: Mapping[str, int]
    quarantined: Mapping[str, int]
    sources: tuple[SourceQuality, ...]
    base: str | None = None
    """The build from which this one took over what had not changed; None where everything was made anew."""
    whole: str | None = None
    """Why everything was made anew (`increment.WholeReason`)."""
    changed: int = 0
    """Of a build with a base: how many records changed since."""
    verdicts: Mapping[str, int] = Field(default_factory=dict)
    """Of a derived library: entities by what all rules say together."""
    rules: Mapping[str, Mapping[str, int]] = Field(default_factory=dict)
    """Of a derived library: entities by rule and its verdict."""
    edges: Mapping[str, int] = Field(default_factory=dict)
    """Of a graph: edges by kind."""
