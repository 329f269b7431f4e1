"""disposal at the end of an agreement"""

import sqlalchemy as sa
from alembic import op

from datong.kernel import UtcDateTime

revision = "0060"
down_revision = "0059"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move the schema forward."""
    with op.batch_alter_table("sharing_agreement", schema=None) as batch_op:
        batch_op.add_column(sa.Column("disposed_at", UtcDateTime(), nullable=True))
        batch_op.add_column(sa.Column("disposal", sa.Text(), server_default="", nullable=False))
