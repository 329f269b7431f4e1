"""Cases of service items are found by their applicant"""

from alembic import op

revision = "0077"
down_revision = "0076"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move the schema forward."""
    with op.batch_alter_table("sharing_service_case", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sharing_service_case_subject_index"), ["subject_index"], unique=False)
