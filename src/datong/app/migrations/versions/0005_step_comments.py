"""comments on the fields of a returned entry"""

import sqlalchemy as sa
from alembic import op

from datong.kernel import JsonColumn

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move the schema forward."""
    with op.batch_alter_table("catalogue_step", schema=None) as batch_op:
        batch_op.add_column(sa.Column("comments", JsonColumn, server_default="[]", nullable=False))
