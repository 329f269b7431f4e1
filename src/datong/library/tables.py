"""The library's tables in the control database: builds and versions only; people's data stays in the lake."""

from sqlalchemy import Column, Index, Integer, String, Table, UniqueConstraint

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
