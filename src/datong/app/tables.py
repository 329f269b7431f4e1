"""Tables of the composition itself: which process does what, where several work on one control database."""

from sqlalchemy import Column, String, Table

from datong.kernel.database import METADATA, UtcDateTime

lease = Table(
    "app_lease",
    METADATA,
    Column("name", String(80), primary_key=True),
    Column("holder", String(80), nullable=False),
    Column("until", UtcDateTime, nullable=False),
)
"""What one process at a time may do, which process that is, and until when if it says nothing more (the server's
clock)."""
