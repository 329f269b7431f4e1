"""The library's tables in the control database: builds, versions and reports; records stay in the lake."""

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint, false

from datong.kernel import METADATA, JsonColumn, UtcDateTime

BUILDS = Table(
    "library_build",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("library", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("step", String(16)),
    Column("requested_by", JsonColumn, nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("input_digest", String(64), nullable=False),
    Column("inputs", JsonColumn, nullable=False),
    Column("whole", Boolean, nullable=False, server_default=false()),
    Column("attempts", Integer, nullable=False),
    Column("version", Integer),
    Column("digest", String(64)),
    Column("records", Integer),
    Column("entities", Integer),
    Column("step_seconds", JsonColumn, nullable=False),
    Column("error", String(2000)),
    Index("ix_library_build_library_requested", "library", "requested_at"),
)

DATASETS = Table(
    "library_dataset",
    METADATA,
    Column("name", String(128), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("library", String(64), nullable=False),
    Column("build_id", String(36), nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
    Column("details", JsonColumn, nullable=False),
    UniqueConstraint("build_id", "name"),
)

CURRENT = Table(
    "library_current",
    METADATA,
    Column("library", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("build_id", String(36), nullable=False),
)
"""The version of each library that is served; one row changes, in the transaction that publishes."""

CORRECTIONS = Table(
    "library_correction",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("library", String(64), nullable=False),
    Column("resource_id", String(36), nullable=False),
    Column("provider", String(18), nullable=False),
    Column("consumer", String(18)),
    Column("reporter", String(36), nullable=False),
    Column("reporter_kind", String(16), nullable=False),
    Column("element", String(200), nullable=False),
    Column("cell_digest", String(64), nullable=False),
    Column("batch_id", String(36), nullable=False),
    Column("disputes", Integer, nullable=False),
    Column("reported_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("answered_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("record_library", String(64), nullable=False),
    Column("followed_version", Integer, nullable=False),
    Column("sight", JsonColumn),
    Column("personal", JsonColumn, nullable=False),
    Column("disposed_at", UtcDateTime),
    Index("ix_library_correction_provider", "provider", "due_at"),
    Index("ix_library_correction_consumer", "consumer", "due_at"),
    Index("ix_library_correction_reporter", "reporter", "state"),
    Index("ix_library_correction_state", "state", "record_library"),
    Index("ix_library_correction_disposed", "disposed_at", "ended_at"),
)
"""Reports of wrong cells (校核). `personal` holds what only the parties may see (ADR 0090): values and salts, until the
report is disposed of."""

CORRECTION_ACTS = Table(
    "library_correction_act",
    METADATA,
    Column("correction_id", String(36), ForeignKey("library_correction.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("action", String(16), nullable=False),
    Column("state_before", String(16)),
    Column("state_after", String(16), nullable=False),
    Column("actor", JsonColumn, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("statement", String(4000), nullable=False),
    Column("entry_id", String(36), nullable=False),
)

DEFINITIONS = Table(
    "library_definition",
    METADATA,
    Column("name", String(40), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("text", Text, nullable=False),
    Column("defined_by", JsonColumn, nullable=False),
    Column("defined_at", UtcDateTime, nullable=False),
    Column("entry_id", String(36), nullable=False),
)
"""Definitions that operators supplied, as they wrote them; the newest of a name is in force."""
LINK_DECISIONS = Table(
    "library_link_decision",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("library", String(64), nullable=False),
    Column("left_key", String(500), nullable=False),
    Column("right_key", String(500), nullable=False),
    Column("in_force", String(64), unique=True),
    Column("verdict", String(16), nullable=False),
    Column("statement", String(4000), nullable=False),
    Column("details", JsonColumn, nullable=False),
    Column("decided_by", JsonColumn, nullable=False),
    Column("decided_at", UtcDateTime, nullable=False),
    Column("decided_version", Integer, nullable=False),
    Column("entry_id", String(36), nullable=False),
    Column("withdrawn_at", UtcDateTime),
    Index("ix_library_link_decision_library", "library", "decided_at"),
)
"""What people decided about pairs of records. `in_force` names the pair while the decision stands: one at a time."""

SCORES = Table(
    "library_quality",
    METADATA,
    Column("library", String(64), primary_key=True),
    Column("resource_id", String(36), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("department", String(18), nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
    Column("overall", Integer, nullable=False),
    Column("fallen", Boolean, nullable=False),
    Column("score", JsonColumn, nullable=False),
    Index("ix_library_quality_version", "library", "version"),
    Index("ix_library_quality_department", "department", "fallen"),
)
"""The quality of every source in every published version (GB/T 36344); counts only."""

RETENTIONS = Table(
    "library_retention",
    METADATA,
    Column("library", String(64), primary_key=True),
    Column("days", Integer, nullable=False),
    Column("versions_min", Integer, nullable=False),
    Column("statement", String(4000), nullable=False),
    Column("declared_by", JsonColumn, nullable=False),
    Column("declared_at", UtcDateTime, nullable=False),
    Column("entry_id", String(36), nullable=False),
)
"""How long the versions of a library are kept, where somebody declared it; else the setting holds."""

HOLDS = Table(
    "library_hold",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("library", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("statement", String(4000), nullable=False),
    Column("placed_by", JsonColumn, nullable=False),
    Column("placed_at", UtcDateTime, nullable=False),
    Column("entry_id", String(36), nullable=False),
    Column("released_at", UtcDateTime),
    Index("ix_library_hold_library", "library", "released_at"),
)
"""Orders to keep a version beyond its retention."""

DISPOSALS = Table(
    "library_disposal",
    METADATA,
    Column("library", String(64), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("disposed_at", UtcDateTime, nullable=False),
    Column("entry_id", String(36), nullable=False),
    Column("erased_at", UtcDateTime),
    Column("erased_entry_id", String(36)),
)
"""Versions that were disposed of. What they were stays in `library_dataset`; `erased_at`: their files are gone."""

WEIGHTS = Table(
    "library_weights",
    METADATA,
    Column("library", String(64), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("state", String(16), nullable=False),
    Column("base_digest", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("weights", JsonColumn, nullable=False),
    Column("report", JsonColumn, nullable=False),
    Column("proposed_by", JsonColumn, nullable=False),
    Column("proposed_at", UtcDateTime, nullable=False),
    Column("proposed_entry_id", String(36), nullable=False),
    Column("decided_by", JsonColumn),
    Column("decided_at", UtcDateTime),
    Column("decided_entry_id", String(36)),
    Column("statement", String(4000), nullable=False),
    Index("ix_library_weights_state", "state"),
)
"""Weights of linkage models that were learned from people's decisions: proposed, in force, or ended. `base_digest` is
that of the definition they are for, `digest` that of the definition with them."""
