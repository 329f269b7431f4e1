"""Passkeys"""

import sqlalchemy as sa
from alembic import op

from datong.kernel import JsonColumn, UtcDateTime

revision = "0076"
down_revision = "0075"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move the schema forward."""
    op.create_table(
        "sharing_passkey",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=64), nullable=False),
        sa.Column("credential_hash", sa.String(length=64), nullable=False),
        sa.Column("credential_id", sa.String(length=1400), nullable=False),
        sa.Column("public_key", sa.String(length=2000), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("transports", JsonColumn, nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("verifies", sa.Boolean(), nullable=False),
        sa.Column("added_at", UtcDateTime(), nullable=False),
        sa.Column("used_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["sharing_account.id"], name=op.f("fk_sharing_passkey_account_id_sharing_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sharing_passkey")),
        sa.UniqueConstraint("credential_hash", name=op.f("uq_sharing_passkey_credential_hash")),
    )
    with op.batch_alter_table("sharing_passkey", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sharing_passkey_account_id"), ["account_id"], unique=False)
