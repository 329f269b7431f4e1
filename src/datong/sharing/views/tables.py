"""The table of saved views."""

from sqlalchemy import Boolean, Column, Index, String, Table

from datong.kernel import METADATA, UtcDateTime

saved_view = Table(
    "sharing_saved_view",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("account", String(64), nullable=False),
    Column("department", String(18)),
    Column("page", String(60), nullable=False),
    Column("name", String(60), nullable=False),
    Column("query", String(1000), nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("opens", Boolean, nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    Index("ix_sharing_saved_view_account", "account", "page"),
    Index("ix_sharing_saved_view_department", "department", "page"),
)
"""What filters people keep; a preference, so without evidence. `opens`: the page begins with it."""
