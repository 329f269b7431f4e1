"""one source per datum: holdings, sketches, source departments, service items

What the visible resources hold is noted for those that are visible already.
"""

import sqlalchemy as sa
from alembic import op

from datong.kernel import JsonColumn, UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move the schema forward."""
    op.create_table(
        "catalogue_sketch_epoch",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("standing", sa.String(length=64), nullable=False),
        sa.Column("made_by", sa.String(length=64), nullable=False),
        sa.Column("commitment", sa.String(length=64), nullable=False),
        sa.Column("made_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_sketch_epoch")),
        sa.UniqueConstraint("standing", name=op.f("uq_catalogue_sketch_epoch_standing")),
    )
    op.create_table(
        "catalogue_service_item",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("department", sa.String(length=18), nullable=False),
        sa.Column("name_zh", sa.String(length=200), nullable=False),
        sa.Column("name_en", sa.String(length=200), nullable=False),
        sa.Column("legal_basis", sa.Text(), nullable=False),
        sa.Column("annual_cases", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("registered_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["department"], ["catalogue_department.code"], name=op.f("fk_catalogue_service_item_department")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_service_item")),
        sa.UniqueConstraint("code", name=op.f("uq_catalogue_service_item_code")),
    )
    with op.batch_alter_table("catalogue_service_item", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_service_item_department"), ["department"], unique=False)

    op.create_table(
        "catalogue_holding",
        sa.Column("resource_id", sa.String(length=64), nullable=False),
        sa.Column("column_name", sa.String(length=200), nullable=False),
        sa.Column("element", sa.String(length=64), nullable=False),
        sa.Column("department", sa.String(length=18), nullable=False),
        sa.Column("is_key", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["resource_id"], ["catalogue_resource.id"], name=op.f("fk_catalogue_holding_resource_id")
        ),
        sa.PrimaryKeyConstraint("resource_id", "column_name", name=op.f("pk_catalogue_holding")),
    )
    with op.batch_alter_table("catalogue_holding", schema=None) as batch_op:
        batch_op.create_index("ix_catalogue_holding_element", ["element", "department"], unique=False)

    op.create_table(
        "catalogue_sealing_key",
        sa.Column("node_id", sa.String(length=64), nullable=False),
        sa.Column("department", sa.String(length=18), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("registered_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["key_id"], ["catalogue_department_key.key_id"], name=op.f("fk_catalogue_sealing_key_key_id")
        ),
        sa.PrimaryKeyConstraint("node_id", name=op.f("pk_catalogue_sealing_key")),
    )
    op.create_table(
        "catalogue_service_field",
        sa.Column("item_id", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name_zh", sa.String(length=200), nullable=False),
        sa.Column("name_en", sa.String(length=200), nullable=False),
        sa.Column("material", sa.String(length=200), nullable=False),
        sa.Column("element", sa.String(length=64), nullable=True),
        sa.Column("mapping_confidence", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("sheets", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["item_id"], ["catalogue_service_item.id"], name=op.f("fk_catalogue_service_field_item_id")
        ),
        sa.PrimaryKeyConstraint("item_id", "position", name=op.f("pk_catalogue_service_field")),
    )
    with op.batch_alter_table("catalogue_service_field", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_service_field_element"), ["element"], unique=False)

    op.create_table(
        "catalogue_service_step",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("item_id", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("elements", JsonColumn, nullable=False),
        sa.Column("actor_id", sa.String(length=64), nullable=False),
        sa.Column("actor_name", sa.String(length=200), nullable=False),
        sa.Column("actor_department", sa.String(length=18), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("entry_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["item_id"], ["catalogue_service_item.id"], name=op.f("fk_catalogue_service_step_item_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_service_step")),
    )
    with op.batch_alter_table("catalogue_service_step", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_service_step_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_catalogue_service_step_item_id"), ["item_id"], unique=False)

    op.create_table(
        "catalogue_sketch_set",
        sa.Column("resource_id", sa.String(length=64), nullable=False),
        sa.Column("department", sa.String(length=18), nullable=False),
        sa.Column("epoch", sa.String(length=64), nullable=False),
        sa.Column("sketches_sha256", sa.String(length=64), nullable=False),
        sa.Column("taken_at", UtcDateTime(), nullable=False),
        sa.Column("entry_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["resource_id"], ["catalogue_resource.id"], name=op.f("fk_catalogue_sketch_set_resource_id")
        ),
        sa.PrimaryKeyConstraint("resource_id", name=op.f("pk_catalogue_sketch_set")),
    )
    op.create_table(
        "catalogue_source",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("element", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.String(length=200), nullable=False),
        sa.Column("standing", sa.String(length=64), nullable=False),
        sa.Column("department", sa.String(length=18), nullable=False),
        sa.Column("resource_id", sa.String(length=64), nullable=True),
        sa.Column("legal_basis", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("designated_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["department"], ["catalogue_department.code"], name=op.f("fk_catalogue_source_department")
        ),
        sa.ForeignKeyConstraint(
            ["resource_id"], ["catalogue_resource.id"], name=op.f("fk_catalogue_source_resource_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_source")),
    )
    with op.batch_alter_table("catalogue_source", schema=None) as batch_op:
        batch_op.create_index("ix_catalogue_source_department", ["department", "standing"], unique=False)
        batch_op.create_index("uq_catalogue_source_standing", ["element", "scope", "standing"], unique=True)

    op.create_table(
        "catalogue_sketch",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("resource_id", sa.String(length=64), nullable=False),
        sa.Column("department", sa.String(length=18), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("column_name", sa.String(length=200), nullable=False),
        sa.Column("element", sa.String(length=64), nullable=False),
        sa.Column("key_column", sa.String(length=200), nullable=False),
        sa.Column("key_element", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.String(length=64), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("registers", sa.LargeBinary(), nullable=True),
        sa.Column("distinct", sa.Float(), nullable=True),
        sa.Column("distinct_error", sa.Float(), nullable=True),
        sa.Column("compared", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["resource_id"], ["catalogue_sketch_set.resource_id"], name=op.f("fk_catalogue_sketch_resource_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_sketch")),
    )
    with op.batch_alter_table("catalogue_sketch", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_sketch_compared"), ["compared"], unique=False)
        batch_op.create_index("ix_catalogue_sketch_domain", ["element", "kind", "key_element", "epoch"], unique=False)
        batch_op.create_index(batch_op.f("ix_catalogue_sketch_resource_id"), ["resource_id"], unique=False)

    op.create_table(
        "catalogue_sketch_envelope",
        sa.Column("epoch", sa.String(length=64), nullable=False),
        sa.Column("node_id", sa.String(length=64), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_by", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["epoch"], ["catalogue_sketch_epoch.id"], name=op.f("fk_catalogue_sketch_envelope_epoch")
        ),
        sa.ForeignKeyConstraint(
            ["node_id"], ["catalogue_sealing_key.node_id"], name=op.f("fk_catalogue_sketch_envelope_node_id")
        ),
        sa.PrimaryKeyConstraint("epoch", "node_id", name=op.f("pk_catalogue_sketch_envelope")),
    )
    op.create_table(
        "catalogue_source_objection",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("source_id", sa.String(length=64), nullable=False),
        sa.Column("department", sa.String(length=18), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("made_at", UtcDateTime(), nullable=False),
        sa.Column("answered_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["source_id"], ["catalogue_source.id"], name=op.f("fk_catalogue_source_objection_source_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_source_objection")),
    )
    with op.batch_alter_table("catalogue_source_objection", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_source_objection_source_id"), ["source_id"], unique=False)

    op.create_table(
        "catalogue_source_step",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("source_id", sa.String(length=64), nullable=False),
        sa.Column("element", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("objection_id", sa.String(length=64), nullable=True),
        sa.Column("actor_id", sa.String(length=64), nullable=False),
        sa.Column("actor_name", sa.String(length=200), nullable=False),
        sa.Column("actor_department", sa.String(length=18), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("entry_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["source_id"], ["catalogue_source.id"], name=op.f("fk_catalogue_source_step_source_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_source_step")),
    )
    with op.batch_alter_table("catalogue_source_step", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_source_step_element"), ["element"], unique=False)
        batch_op.create_index(batch_op.f("ix_catalogue_source_step_source_id"), ["source_id"], unique=False)

    op.create_table(
        "catalogue_overlap",
        sa.Column("left_sketch", sa.String(length=64), nullable=False),
        sa.Column("right_sketch", sa.String(length=64), nullable=False),
        sa.Column("estimate", JsonColumn, nullable=False),
        sa.Column("found_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["left_sketch"], ["catalogue_sketch.id"], name=op.f("fk_catalogue_overlap_left_sketch")
        ),
        sa.ForeignKeyConstraint(
            ["right_sketch"], ["catalogue_sketch.id"], name=op.f("fk_catalogue_overlap_right_sketch")
        ),
        sa.PrimaryKeyConstraint("left_sketch", "right_sketch", name=op.f("pk_catalogue_overlap")),
    )
    with op.batch_alter_table("catalogue_overlap", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_overlap_right_sketch"), ["right_sketch"], unique=False)

    _fill(op.get_bind())


def _fill(connection: sa.Connection) -> None:
    """Note the data elements that the visible resources hold now."""
    listing = sa.table("catalogue_listing", *map(sa.column, ("resource_id", "department")))
    resource = sa.table("catalogue_resource", sa.column("id"), sa.column("published_version"))
    version = sa.table(
        "catalogue_version", sa.column("resource_id"), sa.column("version"), sa.column("content", JsonColumn)
    )
    holding = sa.table(
        "catalogue_holding",
        *map(sa.column, ("resource_id", "column_name", "element", "department")),
        sa.column("is_key", sa.Boolean()),
    )
    found = connection.execute(
        sa.select(listing.c.resource_id, listing.c.department, version.c.content)
        .join(resource, resource.c.id == listing.c.resource_id)
        .join(
            version,
            sa.and_(version.c.resource_id == resource.c.id, version.c.version == resource.c.published_version),
        )
    ).all()
    for resource_id, department, content in found:
        rows = [
            {
                "resource_id": resource_id,
                "column_name": column,
                "element": item["element"],
                "department": department,
                "is_key": bool(item.get("key", False)),
            }
            for column, item in {item["column"]: item for item in content["items"]}.items()
            if item.get("element")
        ]
        if rows:
            connection.execute(holding.insert(), rows)
