"""open duties"""

import sqlalchemy as sa
from alembic import op

from datong.kernel import JsonColumn, UtcDateTime

revision = "0066"
down_revision = "0065"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move the schema forward."""
    op.create_table(
        "governance_open_duty",
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("document", JsonColumn, nullable=False),
        sa.PrimaryKeyConstraint("kind", "subject", name=op.f("pk_governance_open_duty")),
    )
    with op.batch_alter_table("governance_open_duty", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_governance_open_duty_due_at"), ["due_at"], unique=False)
