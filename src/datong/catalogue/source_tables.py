"""Tables of 一数一源: who holds which element, sketches and overlaps, source departments, service items."""

from sqlalchemy import BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from datong.kernel import METADATA, JsonColumn, UtcDateTime

ELEMENT = String(64)
ID = String(64)
DEPARTMENT = String(18)

holding = Table(
    "catalogue_holding",
    METADATA,
    Column("resource_id", ID, ForeignKey("catalogue_resource.id"), primary_key=True),
    Column("column_name", String(200), primary_key=True),
    Column("element", ELEMENT, nullable=False),
    Column("department", DEPARTMENT, nullable=False),
    Column("is_key", Boolean, nullable=False),
    Column("share_type", String(1)),
    Index("ix_catalogue_holding_element", "element", "department", "share_type", "resource_id"),
)
"""One row for each item of a visible resource that is mapped to a data element, with how the resource is shared.

A process of a version that knew no share type leaves it empty; `holdings.recount` sets it.
"""

holder = Table(
    "catalogue_holder",
    METADATA,
    Column("element", ELEMENT, primary_key=True),
    Column("department", DEPARTMENT, primary_key=True),
    Column("share_type", String(1), primary_key=True),
    Column("resources", Integer, nullable=False),
    Column("columns", Integer, nullable=False),
)
"""How many resources, and items of them, of one department hold an element: the sums of `catalogue_holding`."""

sealing_key = Table(
    "catalogue_sealing_key",
    METADATA,
    Column("node_id", ID, primary_key=True),
    Column("department", DEPARTMENT, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("key_id", String(16), ForeignKey("catalogue_department_key.key_id"), nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("registered_at", UtcDateTime, nullable=False),
)
"""The X25519 key under which a node may be sent a secret, signed by its registered key."""

sketch_epoch = Table(
    "catalogue_sketch_epoch",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("standing", ID, nullable=False, unique=True),
    Column("made_by", ID, nullable=False),
    Column("commitment", String(64), nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
)
"""An epoch of the nodes' shared secret; `standing` is "running" for at most one, else its id."""

sketch_envelope = Table(
    "catalogue_sketch_envelope",
    METADATA,
    Column("epoch", ID, ForeignKey("catalogue_sketch_epoch.id"), primary_key=True),
    Column("node_id", ID, ForeignKey("catalogue_sealing_key.node_id"), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("sealed_by", ID, nullable=False),
    Column("key_id", String(16), nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("sealed_at", UtcDateTime, nullable=False),
)

sketch_set = Table(
    "catalogue_sketch_set",
    METADATA,
    Column("resource_id", ID, ForeignKey("catalogue_resource.id"), primary_key=True),
    Column("department", DEPARTMENT, nullable=False),
    Column("epoch", ID, nullable=False),
    Column("sketches_sha256", String(64), nullable=False),
    Column("taken_at", UtcDateTime, nullable=False),
    Column("entry_id", ID, nullable=False),
)
"""The last sketches that a node took of a resource's table, and of which mapping."""

sketch = Table(
    "catalogue_sketch",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("resource_id", ID, ForeignKey("catalogue_sketch_set.resource_id"), nullable=False, index=True),
    Column("department", DEPARTMENT, nullable=False),
    Column("kind", String(10), nullable=False),
    Column("column_name", String(200), nullable=False),
    Column("element", ELEMENT, nullable=False),
    Column("key_column", String(200), nullable=False),
    Column("key_element", ELEMENT, nullable=False),
    Column("epoch", ID, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("registers", LargeBinary),
    Column("distinct", Float),
    Column("distinct_error", Float),
    Column("compared", Boolean, nullable=False, index=True),
    Index("ix_catalogue_sketch_domain", "element", "kind", "key_element", "epoch"),
)

overlap = Table(
    "catalogue_overlap",
    METADATA,
    Column("left_sketch", ID, ForeignKey("catalogue_sketch.id"), primary_key=True),
    Column("right_sketch", ID, ForeignKey("catalogue_sketch.id"), primary_key=True, index=True),
    Column("estimate", JsonColumn, nullable=False),
    Column("found_at", UtcDateTime, nullable=False),
)

source = Table(
    "catalogue_source",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("element", ELEMENT, nullable=False),
    Column("scope", String(200), nullable=False),
    Column("standing", ID, nullable=False),
    Column("department", DEPARTMENT, ForeignKey("catalogue_department.code"), nullable=False),
    Column("resource_id", ID, ForeignKey("catalogue_resource.id")),
    Column("legal_basis", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("designated_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Index("uq_catalogue_source_standing", "element", "scope", "standing", unique=True),
    Index("ix_catalogue_source_department", "department", "standing"),
)
"""A source department of one element (and scope); `standing` is "active" for at most one of them, else its id."""

source_step = Table(
    "catalogue_source_step",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("source_id", ID, ForeignKey("catalogue_source.id"), nullable=False, index=True),
    Column("element", ELEMENT, nullable=False, index=True),
    Column("action", String(20), nullable=False),
    Column("objection_id", ID),
    Column("actor_id", ID, nullable=False),
    Column("actor_name", String(200), nullable=False),
    Column("actor_department", DEPARTMENT),
    Column("reason", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("entry_id", ID, nullable=False),
)

objection = Table(
    "catalogue_source_objection",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("source_id", ID, ForeignKey("catalogue_source.id"), nullable=False, index=True),
    Column("department", DEPARTMENT, nullable=False),
    Column("reason", Text, nullable=False),
    Column("state", String(20), nullable=False),
    Column("answer", Text, nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    Column("answered_at", UtcDateTime),
)

service_item = Table(
    "catalogue_service_item",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("code", String(64), nullable=False, unique=True),
    Column("department", DEPARTMENT, ForeignKey("catalogue_department.code"), nullable=False, index=True),
    Column("name_zh", String(200), nullable=False),
    Column("name_en", String(200), nullable=False),
    Column("legal_basis", Text, nullable=False),
    Column("annual_cases", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("registered_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

service_field = Table(
    "catalogue_service_field",
    METADATA,
    Column("item_id", ID, ForeignKey("catalogue_service_item.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name_zh", String(200), nullable=False),
    Column("name_en", String(200), nullable=False),
    Column("material", String(200), nullable=False),
    Column("element", ELEMENT, index=True),
    Column("mapping_confidence", Integer, nullable=False),
    Column("seconds", Integer, nullable=False),
    Column("sheets", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("request_id", ID),
    Column("changed_at", UtcDateTime, nullable=False),
)

service_step = Table(
    "catalogue_service_step",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("item_id", ID, ForeignKey("catalogue_service_item.id"), nullable=False, index=True),
    Column("action", String(20), nullable=False),
    Column("elements", JsonColumn, nullable=False),
    Column("actor_id", ID, nullable=False),
    Column("actor_name", String(200), nullable=False),
    Column("actor_department", DEPARTMENT),
    Column("reason", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False, index=True),
    Column("entry_id", ID, nullable=False),
)
