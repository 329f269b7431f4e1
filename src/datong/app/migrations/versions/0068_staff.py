"""staff"""

import sqlalchemy as sa
from alembic import op

from datong.kernel import JsonColumn, UtcDateTime

revision = "0068"
down_revision = "0067"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move the schema forward."""
    op.create_table(
        "governance_staff",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("department", sa.String(length=18), nullable=False),
        sa.Column("name", sa.String(length=50), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("assigned_on", sa.String(length=10), nullable=False),
        sa.Column("left_on", sa.String(length=10), nullable=True),
        sa.Column("trainings", JsonColumn, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_governance_staff")),
    )
    with op.batch_alter_table("governance_staff", schema=None) as batch_op:
        batch_op.create_index("ix_governance_staff_department", ["department", "left_on"], unique=False)

    op.create_table(
        "governance_staff_register",
        sa.Column("department", sa.String(length=18), nullable=False),
        sa.Column("salt", sa.String(length=64), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("department", name=op.f("pk_governance_staff_register")),
    )
