"""Indexes that keep the pages of a grown catalogue quick"""

from alembic import op

revision = "0082"
down_revision = "0081"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move the schema forward."""
    with op.batch_alter_table("catalogue_listing", schema=None) as batch_op:
        batch_op.create_index("ix_catalogue_listing_counts", ["department", "open", "item_count"], unique=False)
    with op.batch_alter_table("catalogue_quality", schema=None) as batch_op:
        batch_op.create_index("ix_catalogue_quality_own_score", ["own", "score", "resource_id"], unique=False)
