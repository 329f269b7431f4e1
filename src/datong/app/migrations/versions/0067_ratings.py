"""ratings"""

import sqlalchemy as sa
from alembic import op

from datong.kernel import JsonColumn, UtcDateTime

revision = "0067"
down_revision = "0066"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move the schema forward."""
    op.create_table(
        "governance_rating",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("agreement_id", sa.String(length=64), nullable=False),
        sa.Column("period", sa.String(length=10), nullable=False),
        sa.Column("provider", sa.String(length=18), nullable=False),
        sa.Column("consumer", sa.String(length=18), nullable=False),
        sa.Column("resource_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("scores", JsonColumn, nullable=False),
        sa.Column("reasons", JsonColumn, nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("rated_at", UtcDateTime(), nullable=False),
        sa.Column("answered_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_governance_rating")),
    )
    with op.batch_alter_table("governance_rating", schema=None) as batch_op:
        batch_op.create_index("ix_governance_rating_agreement", ["agreement_id", "period"], unique=False)
        batch_op.create_index("ix_governance_rating_consumer", ["consumer", "rated_at"], unique=False)
        batch_op.create_index("ix_governance_rating_provider", ["provider", "rated_at"], unique=False)

    op.create_table(
        "governance_rating_act",
        sa.Column("rating_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("state_after", sa.String(length=20), nullable=False),
        sa.Column("actor", JsonColumn, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("scores", JsonColumn, nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("entry_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["rating_id"], ["governance_rating.id"], name=op.f("fk_governance_rating_act_rating_id")
        ),
        sa.PrimaryKeyConstraint("rating_id", "number", name=op.f("pk_governance_rating_act")),
    )
