"""what is open, edition by edition

Resources that are open already become their first edition, reduced to what the public may see.
"""

import uuid

import sqlalchemy as sa
from alembic import op

from datong.kernel import JsonColumn, UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


PUBLIC = {
    "title",
    "summary",
    "classification",
    "format",
    "items",
    "share_type",
    "share_condition",
    "share_modes",
    "legal_basis",
    "open",
    "open_condition",
    "update_cycle",
    "theme",
    "keywords",
}
PUBLIC_ITEM = {
    "name",
    "column",
    "element",
    "data_type",
    "length",
    "grade",
    "share_type",
    "share_condition",
    "share_modes",
    "legal_basis",
    "open",
    "key",
}


def upgrade() -> None:
    """Move the schema forward."""
    op.create_table(
        "catalogue_open",
        sa.Column("resource_id", sa.String(length=64), nullable=False),
        sa.Column("search_id", sa.BigInteger(), nullable=False),
        sa.Column("edition", sa.Integer(), nullable=False),
        sa.Column("department", sa.String(length=18), nullable=False),
        sa.Column("title", sa.String(length=400), nullable=False),
        sa.Column("theme", sa.String(length=64), nullable=False),
        sa.Column("licence", sa.String(length=64), nullable=False),
        sa.Column("first_opened_at", UtcDateTime(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["resource_id"], ["catalogue_resource.id"], name=op.f("fk_catalogue_open_resource_id")),
        sa.PrimaryKeyConstraint("resource_id", name=op.f("pk_catalogue_open")),
        sa.UniqueConstraint("search_id", name=op.f("uq_catalogue_open_search_id")),
    )
    with op.batch_alter_table("catalogue_open", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_open_changed_at"), ["changed_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_catalogue_open_department"), ["department"], unique=False)
        batch_op.create_index(batch_op.f("ix_catalogue_open_first_opened_at"), ["first_opened_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_catalogue_open_theme"), ["theme"], unique=False)

    op.create_table(
        "catalogue_open_edition",
        sa.Column("resource_id", sa.String(length=64), nullable=False),
        sa.Column("edition", sa.Integer(), nullable=False),
        sa.Column("department", sa.String(length=18), nullable=False),
        sa.Column("content", JsonColumn, nullable=False),
        sa.Column("opened_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["resource_id"], ["catalogue_resource.id"], name=op.f("fk_catalogue_open_edition_resource_id")
        ),
        sa.PrimaryKeyConstraint("resource_id", "edition", name=op.f("pk_catalogue_open_edition")),
    )
    op.create_table(
        "catalogue_open_term",
        sa.Column("resource_id", sa.String(length=64), nullable=False),
        sa.Column("field", sa.String(length=20), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(
            ["resource_id"], ["catalogue_resource.id"], name=op.f("fk_catalogue_open_term_resource_id")
        ),
        sa.PrimaryKeyConstraint("resource_id", "field", "value", name=op.f("pk_catalogue_open_term")),
    )
    with op.batch_alter_table("catalogue_open_term", schema=None) as batch_op:
        batch_op.create_index("ix_catalogue_open_term_field_value", ["field", "value"], unique=False)

    _fill(op.get_bind())


def _fill(connection: sa.Connection) -> None:
    """Copy the public part of what is open now; the columns are those of the first release."""
    listing = sa.table("catalogue_listing", *map(sa.column, ("resource_id", "search_id", "department", "open")))
    resource = sa.table("catalogue_resource", sa.column("id"), sa.column("published_version"))
    version = sa.table(
        "catalogue_version",
        sa.column("resource_id"),
        sa.column("version"),
        sa.column("content", JsonColumn),
        sa.column("published_at", UtcDateTime()),
    )
    open_now = sa.table(
        "catalogue_open",
        *map(sa.column, ("resource_id", "search_id", "edition", "department", "title", "theme", "licence")),
        sa.column("first_opened_at", UtcDateTime()),
        sa.column("changed_at", UtcDateTime()),
    )
    edition = sa.table(
        "catalogue_open_edition",
        *map(sa.column, ("resource_id", "edition", "department")),
        sa.column("content", JsonColumn),
        sa.column("opened_at", UtcDateTime()),
    )
    term = sa.table("catalogue_open_term", *map(sa.column, ("resource_id", "field", "value")))
    found = connection.execute(
        sa.select(
            listing.c.resource_id, listing.c.search_id, listing.c.department, version.c.content, version.c.published_at
        )
        .join(resource, resource.c.id == listing.c.resource_id)
        .join(
            version,
            sa.and_(version.c.resource_id == resource.c.id, version.c.version == resource.c.published_version),
        )
        .where(listing.c.open == sa.true())
    ).all()
    for key, row_id, department, content, at in found:
        part = {name: value for name, value in content.items() if name in PUBLIC}
        part["items"] = [
            {name: value for name, value in item.items() if name in PUBLIC_ITEM}
            for item in content.get("items", ())
            if item.get("open")
        ]
        shared = {"resource_id": key, "edition": 1, "department": department}
        connection.execute(edition.insert(), {**shared, "content": part, "opened_at": at})
        connection.execute(
            open_now.insert(),
            {
                **shared,
                "search_id": row_id,
                "title": part["title"]["zh"][:400],
                "theme": part.get("theme", ""),
                "licence": "",
                "first_opened_at": at,
                "changed_at": at,
            },
        )
        words = {("keyword", word.strip()[:200]) for word in part.get("keywords", ()) if word.strip()}
        words |= {("format", "HTML"), ("distribution", str(uuid.uuid5(uuid.UUID(key), "portal")))}
        connection.execute(
            term.insert(), [{"resource_id": key, "field": field, "value": value} for field, value in sorted(words)]
        )
