"""Cases opened by people, objections with evidence, rulings"""

import sqlalchemy as sa
from alembic import op

from datong.kernel import JsonColumn

revision = "0075"
down_revision = "0074"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move the schema forward."""
    with op.batch_alter_table("governance_case", schema=None) as batch_op:
        batch_op.alter_column("finding_id", existing_type=sa.String(length=36), nullable=True)
        batch_op.add_column(sa.Column("origin", sa.String(length=20), nullable=True))
        batch_op.add_column(sa.Column("origin_id", sa.String(length=200), nullable=True))
        batch_op.add_column(sa.Column("ruling", sa.String(length=20), nullable=True))
    with op.batch_alter_table("governance_case_act", schema=None) as batch_op:
        batch_op.add_column(sa.Column("evidence", JsonColumn, nullable=True))
        batch_op.add_column(sa.Column("recheck", JsonColumn, nullable=True))
