"""ways of requests"""

import sqlalchemy as sa
from alembic import op

from datong.kernel import UtcDateTime

revision = "0062"
down_revision = "0061"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move the schema forward."""
    op.create_table(
        "governance_flow",
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("agreement_id", sa.String(length=64), nullable=True),
        sa.Column("consumer", sa.String(length=18), nullable=False),
        sa.Column("provider", sa.String(length=18), nullable=False),
        sa.Column("resource_id", sa.String(length=64), nullable=False),
        sa.Column("submitted_at", UtcDateTime(), nullable=False),
        sa.Column("last_step", sa.String(length=20), nullable=False),
        sa.Column("last_at", UtcDateTime(), nullable=False),
        sa.Column("total_seconds", sa.BigInteger(), nullable=False),
        sa.Column("variant", sa.String(length=1500), nullable=False),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_governance_flow")),
    )
    with op.batch_alter_table("governance_flow", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_governance_flow_agreement_id"), ["agreement_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_governance_flow_submitted_at"), ["submitted_at"], unique=False)

    op.create_table(
        "governance_flow_act",
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("step", sa.String(length=20), nullable=False),
        sa.Column("before", sa.String(length=20), nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("party", sa.String(length=20), nullable=False),
        sa.Column("waited_seconds", sa.BigInteger(), nullable=False),
        sa.Column("entry_id", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint("request_id", "number", name=op.f("pk_governance_flow_act")),
    )
    with op.batch_alter_table("governance_flow_act", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_governance_flow_act_at"), ["at"], unique=False)
        batch_op.create_index("ix_governance_flow_act_edge", ["before", "step"], unique=False)

    op.create_table(
        "governance_flow_mark",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_governance_flow_mark")),
    )
