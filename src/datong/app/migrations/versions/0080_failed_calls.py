"""Failed calls of hours that are not on record yet"""

import sqlalchemy as sa
from alembic import op

from datong.kernel import JsonColumn, UtcDateTime

revision = "0080"
down_revision = "0079"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move the schema forward."""
    op.create_table(
        "sharing_call_failure",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("hour", UtcDateTime(), nullable=False),
        sa.Column("content", JsonColumn, nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.Column("first_at", UtcDateTime(), nullable=False),
        sa.Column("last_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_sharing_call_failure")),
    )
    with op.batch_alter_table("sharing_call_failure", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sharing_call_failure_hour"), ["hour"], unique=False)
