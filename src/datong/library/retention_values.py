"""The values of versions kept and disposed of: what exists, why it stays, what was erased, and a look into the past."""

from collections.abc import Mapping
from datetime import datetime

from pydantic import Field

from datong.kernel import Actor, EntityId, EntryId, Value
from datong.kernel.limits import TEXT_CHARS_MAX
from datong.library.retention_rules import HoldReason, RetentionRule
from datong.library.values import Cell, CellConflict, RuleFinding


class RetentionOrder(RetentionRule):
    """A rule as somebody declares it, with the grounds."""

    statement: str = Field(min_length=1, max_length=TEXT_CHARS_MAX)


class DeclaredRetention(Value):
    """The rule in force for a library; without `declared_by` it is the installation's setting."""

    rule: RetentionRule
    statement: str = ""
    declared_by: Actor | None = None
    declared_at: datetime | None = None
    entry_id: EntryId | None = None


class HoldOrder(Value):
    """A version that is to be kept, and why; or why a hold ends."""

    version: int = Field(ge=1)
    statement: str = Field(min_length=1, max_length=TEXT_CHARS_MAX)


class VersionHold(Value):
    """A person's order to keep a version beyond its retention."""

    id: str
    library: str
    version: int
    statement: str
    placed_by: Actor
    placed_at: datetime
    entry_id: EntryId
    released_at: datetime | None = None


class Disposal(Value):
    """That a version was disposed of, by which entry; `erased_at` when its files were seen to be gone."""

    disposed_at: datetime
    entry_id: EntryId
    erased_at: datetime | None
    erased_entry_id: EntryId | None


class LibraryVersion(Value):
    """One published version of a library: what it was, and whether it can still be read."""

    library: str
    version: int
    published_at: datetime
    superseded_at: datetime | None
    keep_until: datetime | None
    """When its retention ends; None for the current version."""
    rows: int
    digest: str
    entry_id: EntryId | None
    holds: tuple[HoldReason, ...] = ()
    disposal: Disposal | None = None


class PastEntity(Value):
    """An entity as a version had it: cells with their origins, or a derived library's measures and findings."""

    library: str
    version: int
    published_at: datetime
    superseded_at: datetime | None
    entity_id: EntityId
    cells: Mapping[str, Cell] = Field(default_factory=dict)
    conflicts: tuple[CellConflict, ...] = ()
    measures: Mapping[str, str | None] = Field(default_factory=dict)
    findings: tuple[RuleFinding, ...] = ()
