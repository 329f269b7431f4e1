"""Tours"""

import sqlalchemy as sa
from alembic import op

import datong.kernel.database

revision = "0073"
down_revision = "0072"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move the schema forward."""
    op.create_table(
        "sharing_tour",
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("tour", sa.String(length=40), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("changed_at", datong.kernel.database.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("account", "tour", name=op.f("pk_sharing_tour")),
    )
