"""Tables of the catalogue."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from datong.kernel import METADATA, JsonColumn, UtcDateTime

department = Table(
    "catalogue_department",
    METADATA,
    Column("code", String(18), primary_key=True),
    Column("name_zh", String(200), nullable=False),
    Column("name_en", String(200), nullable=False),
    Column("short_name_zh", String(200), nullable=False),
    Column("short_name_en", String(200), nullable=False),
    Column("is_authority", Boolean, nullable=False),
    Column("registered_at", UtcDateTime, nullable=False),
)

department_key = Table(
    "catalogue_department_key",
    METADATA,
    Column("key_id", String(16), primary_key=True),
    Column("department", String(18), ForeignKey("catalogue_department.code"), nullable=False, index=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("node_id", String(64), index=True),
    Column("registered_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
)

recipient_key = Table(
    "catalogue_recipient_key",
    METADATA,
    Column("key_id", String(16), primary_key=True),
    Column("department", String(18), ForeignKey("catalogue_department.code"), nullable=False, index=True),
    Column("node_id", String(64), nullable=False, index=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("signed_by", String(16), ForeignKey("catalogue_department_key.key_id"), nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("registered_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
)
"""X25519 keys to which payloads are sealed, each signed by its node's signing key."""

resource = Table(
    "catalogue_resource",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("code", String(100), unique=True),
    Column("department", String(18), ForeignKey("catalogue_department.code"), nullable=False),
    Column("binding_key", String(64), nullable=False),
    Column("state", String(20), nullable=False),
    Column("version", Integer, nullable=False),
    Column("published_version", Integer),
    Column("visible", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime),
    UniqueConstraint("department", "binding_key"),
    Index("ix_catalogue_resource_department_state", "department", "state"),
    Index("ix_catalogue_resource_state_updated", "state", "updated_at"),
    Index("ix_catalogue_resource_updated", "updated_at", "id"),
)

version = Table(
    "catalogue_version",
    METADATA,
    Column("resource_id", String(64), ForeignKey("catalogue_resource.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("state", String(20), nullable=False),
    Column("content", JsonColumn, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("published_at", UtcDateTime),
    Column("superseded_at", UtcDateTime),
)

step = Table(
    "catalogue_step",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("resource_id", String(64), ForeignKey("catalogue_resource.id"), nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("action", String(20), nullable=False),
    Column("from_state", String(20)),
    Column("to_state", String(20), nullable=False),
    Column("actor_id", String(64), nullable=False),
    Column("actor_name", String(200), nullable=False),
    Column("actor_department", String(18)),
    Column("reason", Text, nullable=False),
    Column("comments", JsonColumn, nullable=False, server_default="[]"),
    Column("at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime),
    Column("entry_id", String(64), nullable=False),
)

code_counter = Table(
    "catalogue_code_counter",
    METADATA,
    Column("classification", String(64), primary_key=True),
    Column("last", Integer, nullable=False),
)

listing = Table(
    "catalogue_listing",
    METADATA,
    Column("resource_id", String(64), ForeignKey("catalogue_resource.id"), primary_key=True),
    Column("department", String(18), nullable=False, index=True),
    Column("title", String(400), nullable=False, index=True),
    Column("share_type", String(1), nullable=False),
    Column("format", String(1), nullable=False),
    Column("update_cycle", String(20), nullable=False),
    Column("theme", String(64), nullable=False),
    Column("open", Boolean, nullable=False, index=True),
    Column("item_count", Integer, nullable=False),
    Column("published_at", UtcDateTime, nullable=False, index=True),
    Index("ix_catalogue_listing_counts", "department", "open", "item_count"),
)
"""One row for each resource that everybody sees, in its published version: what lists and facets count."""

open_edition = Table(
    "catalogue_open_edition",
    METADATA,
    Column("resource_id", String(64), ForeignKey("catalogue_resource.id"), primary_key=True),
    Column("edition", Integer, primary_key=True),
    Column("department", String(18), nullable=False),
    Column("content", JsonColumn, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
)
"""What the public was shown of a resource, edition by edition: the open part only, numbered from 1."""

open_listing = Table(
    "catalogue_open",
    METADATA,
    Column("resource_id", String(64), ForeignKey("catalogue_resource.id"), primary_key=True),
    Column("edition", Integer, nullable=False),
    Column("department", String(18), nullable=False, index=True),
    Column("title", String(400), nullable=False),
    Column("theme", String(64), nullable=False, index=True),
    Column("licence", String(64), nullable=False),
    Column("first_opened_at", UtcDateTime, nullable=False, index=True),
    Column("changed_at", UtcDateTime, nullable=False, index=True),
)
"""One row for each resource that is open now. Public routes read this table and the two beside it, and no other of
the catalogue, so that what is not open cannot reach them."""

open_term = Table(
    "catalogue_open_term",
    METADATA,
    Column("resource_id", String(64), ForeignKey("catalogue_resource.id"), primary_key=True),
    Column("field", String(20), primary_key=True),
    Column("value", String(200), primary_key=True),
    Index("ix_catalogue_open_term_field_value", "field", "value"),
)
"""Keywords, formats and distribution ids of what is open now: the facets that have several values."""

search_change = Table(
    "catalogue_search_change",
    METADATA,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("token", String(64), nullable=False),
    Column("resource_id", String(64), nullable=False),
)
"""The log of what changed for everybody's eyes, in the order of commits: how search indexes keep up."""

use = Table(
    "catalogue_use",
    METADATA,
    Column("resource_id", String(64), primary_key=True),
    Column("department", String(18), primary_key=True),
    Column("kind", String(20), primary_key=True),
    Column("times", Integer, nullable=False),
    Column("first_at", UtcDateTime, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
)

vocabulary = Table(
    "catalogue_vocabulary",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("words", JsonColumn, nullable=False),
    Column("added_at", UtcDateTime, nullable=False),
    Column("added_by", String(200), nullable=False),
    Column("removed_at", UtcDateTime),
    Column("removed_by", String(200)),
)
"""Words and families of synonyms that operators add to the norm pack's; what is removed stays, for the record."""

unmet_demand = Table(
    "catalogue_unmet_demand",
    METADATA,
    Column("query", String(200), primary_key=True),
    Column("department", String(18), primary_key=True),
    Column("key", String(200), nullable=False, index=True),
    Column("times", Integer, nullable=False),
    Column("first_at", UtcDateTime, nullable=False),
    Column("last_at", UtcDateTime, nullable=False, index=True),
)

demand_handling = Table(
    "catalogue_demand_handling",
    METADATA,
    Column("key", String(200), primary_key=True),
    Column("state", String(20), nullable=False),
    Column("department", String(18)),
    Column("note", Text, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("updated_by", String(200), nullable=False),
    Column("entry_id", String(64), nullable=False),
)
"""What became of an unmet demand; `key` is its merged spelling."""
quality = Table(
    "catalogue_quality",
    METADATA,
    Column("resource_id", String(64), ForeignKey("catalogue_resource.id"), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("department", String(18), nullable=False),
    Column("own", Boolean, nullable=False),
    Column("rules", String(64), nullable=False),
    Column("score", Integer, nullable=False),
    *(
        Column(dimension, Integer, nullable=False)
        for dimension in ("findability", "accessibility", "interoperability", "reusability", "contextuality")
    ),
    Column("missing", JsonColumn, nullable=False),
    Column("counted_at", UtcDateTime, nullable=False),
    Index("ix_catalogue_quality_own_department_score", "own", "department", "score"),
    Index("ix_catalogue_quality_own_score", "own", "score", "resource_id"),
)
"""The quality of each visible resource's published version; `own` leaves out entries from elsewhere."""

quality_day = Table(
    "catalogue_quality_day",
    METADATA,
    Column("day", String(10), primary_key=True),
    Column("department", String(18), primary_key=True),
    Column("resources", Integer, nullable=False),
    Column("score_sum", BigInteger, nullable=False),
    Column("dimension_sums", JsonColumn, nullable=False),
    Column("missing", JsonColumn, nullable=False),
)
"""How the catalogue's quality stood at the end of each day; the empty department is the whole catalogue."""

import_job = Table(
    "catalogue_import_job",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("told_at", UtcDateTime, nullable=False, index=True),
    Column("content", JsonColumn, nullable=False),
)
"""How far an import is, or what came of it, as the process that does it last told the others; kept for a day."""
