"""alarms"""

import sqlalchemy as sa
from alembic import op

from datong.kernel import JsonColumn, UtcDateTime

revision = "0049"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move the schema forward."""
    op.create_table(
        "governance_tally",
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("series", sa.String(length=300), nullable=False),
        sa.Column("content", JsonColumn, nullable=False),
        sa.PrimaryKeyConstraint("day", "series", name=op.f("pk_governance_tally")),
    )
    with op.batch_alter_table("governance_tally", schema=None) as batch_op:
        batch_op.create_index("ix_governance_tally_series", ["series", "day"], unique=False)
    op.create_table(
        "governance_alarm",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("series", sa.String(length=300), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("provider", sa.String(length=18), nullable=True),
        sa.Column("consumer", sa.String(length=18), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("raised_at", UtcDateTime(), nullable=False),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        sa.Column("decided_by", JsonColumn, nullable=True),
        sa.Column("reason", sa.String(length=4000), nullable=True),
        sa.Column("entry_id", sa.String(length=36), nullable=False),
        sa.Column("document", JsonColumn, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_governance_alarm")),
    )
    with op.batch_alter_table("governance_alarm", schema=None) as batch_op:
        batch_op.create_index("ix_governance_alarm_day", ["day", "id"], unique=False)
        batch_op.create_index("ix_governance_alarm_state", ["state", "day"], unique=False)
