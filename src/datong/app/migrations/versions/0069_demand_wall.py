"""Demand wall"""

import sqlalchemy as sa
from alembic import op

from datong.kernel import JsonColumn, UtcDateTime

revision = "0069"
down_revision = "0068"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move the schema forward."""
    op.create_table(
        "sharing_wish",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("department", sa.String(length=18), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("made_at", UtcDateTime(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=True),
        sa.Column("supporters", sa.Integer(), nullable=False),
        sa.Column("content", JsonColumn, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sharing_wish")),
    )
    with op.batch_alter_table("sharing_wish", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sharing_wish_account"), ["account"], unique=False)
        batch_op.create_index(batch_op.f("ix_sharing_wish_department"), ["department"], unique=False)
        batch_op.create_index(batch_op.f("ix_sharing_wish_state"), ["state"], unique=False)

    op.create_table(
        "sharing_wish_support",
        sa.Column("wish_id", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["wish_id"], ["sharing_wish.id"], name=op.f("fk_sharing_wish_support_wish_id_sharing_wish")
        ),
        sa.PrimaryKeyConstraint("wish_id", "account", name=op.f("pk_sharing_wish_support")),
    )
    with op.batch_alter_table("sharing_wish_support", schema=None) as batch_op:
        batch_op.create_index("ix_sharing_wish_support_account", ["account", "at"], unique=False)
