"""notices"""

import sqlalchemy as sa
from alembic import op

from datong.kernel import JsonColumn, UtcDateTime

revision = "0061"
down_revision = "0060"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move the schema forward."""
    op.create_table(
        "governance_notice_message",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("person", sa.String(length=36), nullable=False),
        sa.Column("department", sa.String(length=18), nullable=True),
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("address", sa.String(length=2000), nullable=False),
        sa.Column("notices", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("content_sha256", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("made_at", UtcDateTime(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("detail", sa.String(length=200), nullable=False),
        sa.Column("settled_at", UtcDateTime(), nullable=True),
        sa.Column("entry_id", sa.String(length=36), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_governance_notice_message")),
    )
    with op.batch_alter_table("governance_notice_message", schema=None) as batch_op:
        batch_op.create_index("ix_governance_notice_message_due", ["state", "due_at"], unique=False)
        batch_op.create_index("ix_governance_notice_message_person", ["person", "made_at"], unique=False)

    op.create_table(
        "governance_notice_position",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_governance_notice_position")),
    )
    op.create_table(
        "governance_notice_setting",
        sa.Column("person", sa.String(length=36), nullable=False),
        sa.Column("content", JsonColumn, nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("person", name=op.f("pk_governance_notice_setting")),
    )
    op.create_table(
        "governance_notice",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("person", sa.String(length=36), nullable=False),
        sa.Column("matter", sa.String(length=300), nullable=False),
        sa.Column("topic", sa.String(length=20), nullable=False),
        sa.Column("urgent", sa.Boolean(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("first_at", UtcDateTime(), nullable=False),
        sa.Column("told_at", UtcDateTime(), nullable=False),
        sa.Column("read_at", UtcDateTime(), nullable=True),
        sa.Column("waiting_since", UtcDateTime(), nullable=True),
        sa.Column("message", sa.String(length=40), nullable=True),
        sa.Column("content", JsonColumn, nullable=False),
        sa.ForeignKeyConstraint(
            ["message"], ["governance_notice_message.id"], name=op.f("fk_governance_notice_message")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_governance_notice")),
    )
    with op.batch_alter_table("governance_notice", schema=None) as batch_op:
        batch_op.create_index("ix_governance_notice_matter", ["person", "matter"], unique=False)
        batch_op.create_index("ix_governance_notice_person", ["person", "read_at", "told_at"], unique=False)
        batch_op.create_index("ix_governance_notice_waiting", ["waiting_since"], unique=False)
