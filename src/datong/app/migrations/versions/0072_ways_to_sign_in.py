"""Ways to sign in"""

import sqlalchemy as sa
from alembic import op

import datong.kernel.database

revision = "0072"
down_revision = "0071"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move the schema forward."""
    op.create_table(
        "sharing_identity_link",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=64), nullable=False),
        sa.Column("issuer", sa.String(length=500), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("provider", sa.String(length=40), nullable=False),
        sa.Column("linked_at", datong.kernel.database.UtcDateTime(), nullable=False),
        sa.Column("used_at", datong.kernel.database.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["sharing_account.id"], name=op.f("fk_sharing_identity_link_account_id_sharing_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sharing_identity_link")),
        sa.UniqueConstraint("account_id", "issuer", name=op.f("uq_sharing_identity_link_account_id")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_sharing_identity_link_issuer")),
    )
    with op.batch_alter_table("sharing_identity_link", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sharing_identity_link_account_id"), ["account_id"], unique=False)
    op.create_table(
        "sharing_sign_in_rule",
        sa.Column("role", sa.String(length=40), nullable=False),
        sa.Column("methods", datong.kernel.database.JsonColumn, nullable=False),
        sa.Column("changed_at", datong.kernel.database.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("role", name=op.f("pk_sharing_sign_in_rule")),
    )
    op.create_table(
        "sharing_used_attempt",
        sa.Column("attempt_hash", sa.String(length=64), nullable=False),
        sa.Column("expires_at", datong.kernel.database.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("attempt_hash", name=op.f("pk_sharing_used_attempt")),
    )
    with op.batch_alter_table("sharing_used_attempt", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sharing_used_attempt_expires_at"), ["expires_at"], unique=False)
    with op.batch_alter_table("sharing_session", schema=None) as batch_op:
        batch_op.add_column(sa.Column("address", sa.String(length=45), server_default="", nullable=False))
        batch_op.add_column(sa.Column("method", sa.String(length=20), server_default="password", nullable=False))
        batch_op.add_column(sa.Column("provider", sa.String(length=40), server_default="", nullable=False))
