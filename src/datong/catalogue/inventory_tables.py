"""Tables of inventories and of drift; the catalogue's other tables are in `tables`."""

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, String, Table

from datong.kernel import METADATA, JsonColumn, UtcDateTime

inventory = Table(
    "catalogue_inventory",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("department", String(18), ForeignKey("catalogue_department.code"), nullable=False, index=True),
    Column("node_id", String(64), nullable=False),
    Column("source", String(200), nullable=False),
    Column("engine", String(20), nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("answered", Boolean, nullable=False),
    Column("newest", Boolean, nullable=False),
    Column("counts", JsonColumn, nullable=False),
    Column("fault", JsonColumn),
    Column("entry_id", String(64)),
    Index("ix_catalogue_inventory_place", "node_id", "source", "finished_at"),
)
"""One row for each inventory of a source; `newest` marks the one whose tables are kept."""

inventory_table = Table(
    "catalogue_inventory_table",
    METADATA,
    Column("inventory_id", String(64), ForeignKey("catalogue_inventory.id"), primary_key=True),
    Column("name", String(400), primary_key=True),
    Column("role", String(20), nullable=False),
    Column("resource_id", String(64), index=True),
    Column("to_check", Integer, nullable=False),
    Column("document", JsonColumn, nullable=False),
)
"""One row for each table that an inventory found; kept for the newest inventory of a source only."""

baseline = Table(
    "catalogue_baseline",
    METADATA,
    Column("resource_id", String(64), ForeignKey("catalogue_resource.id"), primary_key=True),
    Column("node_id", String(64), nullable=False),
    Column("source", String(200), nullable=False),
    Column("name", String(400), nullable=False),
    Column("version", Integer),
    Column("shape", JsonColumn, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Index("ix_catalogue_baseline_place", "node_id", "source"),
)
"""The structure that a resource was catalogued from; `version` is the published version it belongs to."""

drift = Table(
    "catalogue_drift",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("resource_id", String(64), ForeignKey("catalogue_resource.id"), nullable=False, index=True),
    Column("department", String(18), nullable=False),
    Column("version", Integer, nullable=False),
    Column("changes", JsonColumn, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("found", JsonColumn),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime),
    Column("entry_id", String(64), nullable=False),
    Index("ix_catalogue_drift_department", "department", "closed_at"),
)
"""Departures of a source from its published entry; open until a new version is published or the source is as before."""
