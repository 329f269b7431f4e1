"""Keys of the log"""

import sqlalchemy as sa
from alembic import op

import datong.kernel.database

revision = "0074"
down_revision = "0073"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move the schema forward."""
    op.create_table(
        "ledger_key",
        sa.Column("old_key", sa.String(length=64), nullable=False),
        sa.Column("new_key", sa.String(length=64), nullable=False),
        sa.Column("by_old", sa.String(length=128), nullable=False),
        sa.Column("by_new", sa.String(length=128), nullable=False),
        sa.Column("made_at", datong.kernel.database.UtcDateTime(), nullable=False),
        sa.Column("retired_at", datong.kernel.database.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("old_key", name=op.f("pk_ledger_key")),
        sa.UniqueConstraint("new_key", name=op.f("uq_ledger_key_new_key")),
    )
