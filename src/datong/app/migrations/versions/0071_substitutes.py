"""Substitutes"""

import sqlalchemy as sa
from alembic import op

import datong.kernel.database

revision = "0071"
down_revision = "0070"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move the schema forward."""
    op.create_table(
        "sharing_delegation",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("delegator", sa.String(length=64), nullable=False),
        sa.Column("substitute", sa.String(length=64), nullable=False),
        sa.Column("department", sa.String(length=18), nullable=False),
        sa.Column("begins_at", datong.kernel.database.UtcDateTime(), nullable=False),
        sa.Column("ends_at", datong.kernel.database.UtcDateTime(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("proposed_by", sa.String(length=64), nullable=False),
        sa.Column("proposed_at", datong.kernel.database.UtcDateTime(), nullable=False),
        sa.Column("changed_at", datong.kernel.database.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delegator"], ["sharing_account.id"], name=op.f("fk_sharing_delegation_delegator_sharing_account")
        ),
        sa.ForeignKeyConstraint(
            ["substitute"], ["sharing_account.id"], name=op.f("fk_sharing_delegation_substitute_sharing_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sharing_delegation")),
    )
    with op.batch_alter_table("sharing_delegation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sharing_delegation_delegator"), ["delegator"], unique=False)
        batch_op.create_index(batch_op.f("ix_sharing_delegation_department"), ["department"], unique=False)
        batch_op.create_index(batch_op.f("ix_sharing_delegation_ends_at"), ["ends_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_sharing_delegation_substitute"), ["substitute"], unique=False)
    with op.batch_alter_table("sharing_session", schema=None) as batch_op:
        batch_op.add_column(sa.Column("delegation_id", sa.String(length=64), nullable=True))
