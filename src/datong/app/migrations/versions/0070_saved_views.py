"""Saved views"""

import sqlalchemy as sa
from alembic import op

from datong.kernel import UtcDateTime

revision = "0070"
down_revision = "0069"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move the schema forward."""
    op.create_table(
        "sharing_saved_view",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("department", sa.String(length=18), nullable=True),
        sa.Column("page", sa.String(length=60), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("query", sa.String(length=1000), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("opens", sa.Boolean(), nullable=False),
        sa.Column("made_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sharing_saved_view")),
    )
    with op.batch_alter_table("sharing_saved_view", schema=None) as batch_op:
        batch_op.create_index("ix_sharing_saved_view_account", ["account", "page"], unique=False)
        batch_op.create_index("ix_sharing_saved_view_department", ["department", "page"], unique=False)
