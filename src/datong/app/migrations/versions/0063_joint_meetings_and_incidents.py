"""joint meetings and incidents"""

import sqlalchemy as sa
from alembic import op

from datong.kernel import JsonColumn, UtcDateTime

revision = "0063"
down_revision = "0062"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move the schema forward."""
    op.create_table(
        "governance_assignment",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("origin", sa.String(length=10), nullable=False),
        sa.Column("origin_id", sa.String(length=36), nullable=False),
        sa.Column("case_id", sa.String(length=36), nullable=True),
        sa.Column("department", sa.String(length=18), nullable=False),
        sa.Column("authority", sa.String(length=18), nullable=False),
        sa.Column("what", sa.String(length=500), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("made_at", UtcDateTime(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("settled_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_governance_assignment")),
    )
    with op.batch_alter_table("governance_assignment", schema=None) as batch_op:
        batch_op.create_index("ix_governance_assignment_case", ["case_id"], unique=False)
        batch_op.create_index("ix_governance_assignment_department", ["department", "due_at"], unique=False)
        batch_op.create_index("ix_governance_assignment_origin", ["origin_id"], unique=False)
        batch_op.create_index("ix_governance_assignment_state", ["state", "due_at"], unique=False)

    op.create_table(
        "governance_incident",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("description", sa.String(length=4000), nullable=False),
        sa.Column("severity", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("authority", sa.String(length=18), nullable=False),
        sa.Column("departments", JsonColumn, nullable=False),
        sa.Column("opened_at", UtcDateTime(), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.Column("outcome", sa.String(length=4000), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_governance_incident")),
    )
    with op.batch_alter_table("governance_incident", schema=None) as batch_op:
        batch_op.create_index("ix_governance_incident_opened", ["opened_at", "id"], unique=False)

    op.create_table(
        "governance_meeting",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("authority", sa.String(length=18), nullable=False),
        sa.Column("held_at", UtcDateTime(), nullable=False),
        sa.Column("place", sa.String(length=200), nullable=False),
        sa.Column("called_at", UtcDateTime(), nullable=False),
        sa.Column("minutes", sa.Text(), nullable=False),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_governance_meeting")),
    )
    with op.batch_alter_table("governance_meeting", schema=None) as batch_op:
        batch_op.create_index("ix_governance_meeting_held", ["held_at", "id"], unique=False)

    op.create_table(
        "governance_assignment_act",
        sa.Column("assignment_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("state_after", sa.String(length=20), nullable=False),
        sa.Column("actor", JsonColumn, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("statement", sa.String(length=4000), nullable=False),
        sa.Column("evidence", JsonColumn, nullable=False),
        sa.Column("entry_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["assignment_id"], ["governance_assignment.id"], name=op.f("fk_governance_assignment_act_assignment_id")
        ),
        sa.PrimaryKeyConstraint("assignment_id", "number", name=op.f("pk_governance_assignment_act")),
    )
    op.create_table(
        "governance_incident_act",
        sa.Column("incident_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("actor", JsonColumn, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("statement", sa.String(length=4000), nullable=False),
        sa.Column("entry_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["governance_incident.id"], name=op.f("fk_governance_incident_act_incident_id")
        ),
        sa.PrimaryKeyConstraint("incident_id", "number", name=op.f("pk_governance_incident_act")),
    )
    op.create_table(
        "governance_meeting_act",
        sa.Column("meeting_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("state_after", sa.String(length=20), nullable=False),
        sa.Column("actor", JsonColumn, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("item", sa.Integer(), nullable=True),
        sa.Column("entry_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["meeting_id"], ["governance_meeting.id"], name=op.f("fk_governance_meeting_act_meeting_id")
        ),
        sa.PrimaryKeyConstraint("meeting_id", "number", name=op.f("pk_governance_meeting_act")),
    )
    op.create_table(
        "governance_meeting_party",
        sa.Column("meeting_id", sa.String(length=36), nullable=False),
        sa.Column("department", sa.String(length=18), nullable=False),
        sa.Column("coming", sa.Boolean(), nullable=True),
        sa.Column("names", sa.String(length=200), nullable=False),
        sa.Column("present", sa.Boolean(), nullable=True),
        sa.ForeignKeyConstraint(
            ["meeting_id"], ["governance_meeting.id"], name=op.f("fk_governance_meeting_party_meeting_id")
        ),
        sa.PrimaryKeyConstraint("meeting_id", "department", name=op.f("pk_governance_meeting_party")),
    )
    with op.batch_alter_table("governance_meeting_party", schema=None) as batch_op:
        batch_op.create_index("ix_governance_meeting_party_department", ["department"], unique=False)

    op.create_table(
        "governance_meeting_item",
        sa.Column("meeting_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("case_id", sa.String(length=36), nullable=True),
        sa.Column("topic", sa.String(length=500), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.Column("statement", sa.String(length=4000), nullable=False),
        sa.Column("assignments", JsonColumn, nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["governance_case.id"], name=op.f("fk_governance_meeting_item_case_id")),
        sa.ForeignKeyConstraint(
            ["meeting_id"], ["governance_meeting.id"], name=op.f("fk_governance_meeting_item_meeting_id")
        ),
        sa.PrimaryKeyConstraint("meeting_id", "number", name=op.f("pk_governance_meeting_item")),
    )
    with op.batch_alter_table("governance_meeting_item", schema=None) as batch_op:
        batch_op.create_index("ix_governance_meeting_item_case", ["case_id"], unique=False)
