"""How what is held is shared, and the sums of who holds which element"""

import sqlalchemy as sa
from alembic import op

revision = "0081"
down_revision = "0080"
branch_labels = None
depends_on = None

SHARED = """UPDATE catalogue_holding SET share_type =
    (SELECT share_type FROM catalogue_listing WHERE catalogue_listing.resource_id = catalogue_holding.resource_id)"""
SUMMED = """INSERT INTO catalogue_holder (element, department, share_type, resources, columns)
    SELECT element, department, share_type, count(DISTINCT resource_id), count(*)
    FROM catalogue_holding GROUP BY element, department, share_type"""


def upgrade() -> None:
    """Move the schema forward."""
    op.create_table(
        "catalogue_holder",
        sa.Column("element", sa.String(length=64), nullable=False),
        sa.Column("department", sa.String(length=18), nullable=False),
        sa.Column("share_type", sa.String(length=1), nullable=False),
        sa.Column("resources", sa.Integer(), nullable=False),
        sa.Column("columns", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("element", "department", "share_type", name=op.f("pk_catalogue_holder")),
    )
    with op.batch_alter_table("catalogue_holding", schema=None) as batch_op:
        batch_op.add_column(sa.Column("share_type", sa.String(length=1), nullable=True))
        batch_op.drop_index("ix_catalogue_holding_element")
    op.execute(SHARED)
    with op.batch_alter_table("catalogue_holding", schema=None) as batch_op:
        batch_op.create_index(
            "ix_catalogue_holding_element", ["element", "department", "share_type", "resource_id"], unique=False
        )
    op.execute(SUMMED)
