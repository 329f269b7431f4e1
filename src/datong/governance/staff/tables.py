"""The tables of departments' staff in the control database."""

from sqlalchemy import Column, Index, String, Table

from datong.kernel import METADATA, JsonColumn, UtcDateTime

STAFF = Table(
    "governance_staff",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("department", String(18), nullable=False),
    Column("name", String(50), nullable=False),
    Column("role", String(20), nullable=False),
    Column("assigned_on", String(10), nullable=False),
    Column("left_on", String(10)),
    Column("trainings", JsonColumn, nullable=False),
    Index("ix_governance_staff_department", "department", "left_on"),
)

STAFF_REGISTER = Table(
    "governance_staff_register",
    METADATA,
    Column("department", String(18), primary_key=True),
    Column("salt", String(64), nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
)
"""Of each department's register the salt of the commitment in its newest entry."""
