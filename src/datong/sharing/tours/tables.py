"""The table of tours."""

from sqlalchemy import Column, Integer, String, Table

from datong.kernel import METADATA, UtcDateTime

tour_progress = Table(
    "sharing_tour",
    METADATA,
    Column("account", String(64), primary_key=True),
    Column("tour", String(40), primary_key=True),
    Column("step", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
)
"""How far an account is on a tour; a preference, so without evidence. `step` counts from 0."""
