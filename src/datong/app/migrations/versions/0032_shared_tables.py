"""Shared tables: profiles of applications, and which releases an access handed out."""

import sqlalchemy as sa
from alembic import op

from datong.kernel import JsonColumn, UtcDateTime

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move the schema forward."""
    op.create_table(
        "sharing_access_release",
        sa.Column("access_id", sa.String(length=64), nullable=False),
        sa.Column("release_id", sa.String(length=64), nullable=False),
        sa.Column("files", JsonColumn, nullable=False),
        sa.ForeignKeyConstraint(["access_id"], ["sharing_access.id"], name=op.f("fk_sharing_access_release_access_id")),
        sa.PrimaryKeyConstraint("access_id", "release_id", name=op.f("pk_sharing_access_release")),
    )
    with op.batch_alter_table("sharing_access_release", schema=None) as batch_op:
        batch_op.create_index("ix_sharing_access_release_release", ["release_id"], unique=False)

    op.create_table(
        "sharing_profile",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("application_id", sa.String(length=64), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["application_id"], ["sharing_application.id"], name=op.f("fk_sharing_profile_application_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sharing_profile")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_sharing_profile_token_hash")),
    )
    with op.batch_alter_table("sharing_profile", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sharing_profile_application_id"), ["application_id"], unique=False)
