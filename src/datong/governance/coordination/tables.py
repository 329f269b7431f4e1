"""The tables of meetings, assignments and incidents in the control database."""

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, String, Table, Text

from datong.kernel import METADATA, JsonColumn, UtcDateTime

MEETING = Table(
    "governance_meeting",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("title", String(200), nullable=False),
    Column("state", String(20), nullable=False),
    Column("authority", String(18), nullable=False),
    Column("held_at", UtcDateTime, nullable=False),
    Column("place", String(200), nullable=False),
    Column("called_at", UtcDateTime, nullable=False),
    Column("minutes", Text, nullable=False),
    Column("closed_at", UtcDateTime),
    Index("ix_governance_meeting_held", "held_at", "id"),
)

MEETING_PARTY = Table(
    "governance_meeting_party",
    METADATA,
    Column("meeting_id", String(36), ForeignKey("governance_meeting.id"), primary_key=True),
    Column("department", String(18), primary_key=True),
    Column("coming", Boolean),
    Column("names", String(200), nullable=False),
    Column("present", Boolean),
    Index("ix_governance_meeting_party_department", "department"),
)

MEETING_ITEM = Table(
    "governance_meeting_item",
    METADATA,
    Column("meeting_id", String(36), ForeignKey("governance_meeting.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("case_id", String(36), ForeignKey("governance_case.id")),
    Column("topic", String(500), nullable=False),
    Column("outcome", String(20)),
    Column("statement", String(4000), nullable=False),
    Column("assignments", JsonColumn, nullable=False),
    Index("ix_governance_meeting_item_case", "case_id"),
)

MEETING_ACT = Table(
    "governance_meeting_act",
    METADATA,
    Column("meeting_id", String(36), ForeignKey("governance_meeting.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("action", String(20), nullable=False),
    Column("state_after", String(20), nullable=False),
    Column("actor", JsonColumn, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("item", Integer),
    Column("entry_id", String(36), nullable=False),
)

ASSIGNMENT = Table(
    "governance_assignment",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("origin", String(10), nullable=False),
    Column("origin_id", String(36), nullable=False),
    Column("case_id", String(36)),
    Column("department", String(18), nullable=False),
    Column("authority", String(18), nullable=False),
    Column("what", String(500), nullable=False),
    Column("state", String(20), nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("settled_at", UtcDateTime),
    Index("ix_governance_assignment_state", "state", "due_at"),
    Index("ix_governance_assignment_department", "department", "due_at"),
    Index("ix_governance_assignment_origin", "origin_id"),
    Index("ix_governance_assignment_case", "case_id"),
)

ASSIGNMENT_ACT = Table(
    "governance_assignment_act",
    METADATA,
    Column("assignment_id", String(36), ForeignKey("governance_assignment.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("action", String(20), nullable=False),
    Column("state_after", String(20), nullable=False),
    Column("actor", JsonColumn, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("statement", String(4000), nullable=False),
    Column("evidence", JsonColumn, nullable=False),
    Column("entry_id", String(36), nullable=False),
)

INCIDENT = Table(
    "governance_incident",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("title", String(200), nullable=False),
    Column("description", String(4000), nullable=False),
    Column("severity", String(20), nullable=False),
    Column("state", String(20), nullable=False),
    Column("authority", String(18), nullable=False),
    Column("departments", JsonColumn, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime),
    Column("outcome", String(4000), nullable=False),
    Index("ix_governance_incident_opened", "opened_at", "id"),
)

INCIDENT_ACT = Table(
    "governance_incident_act",
    METADATA,
    Column("incident_id", String(36), ForeignKey("governance_incident.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("action", String(20), nullable=False),
    Column("actor", JsonColumn, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("statement", String(4000), nullable=False),
    Column("entry_id", String(36), nullable=False),
)
