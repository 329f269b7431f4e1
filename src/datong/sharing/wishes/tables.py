"""Tables of the demand wall: wishes, and who joined them."""

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table

from datong.kernel import METADATA, JsonColumn, UtcDateTime

ID = String(64)
DEPARTMENT = String(18)

wish = Table(
    "sharing_wish",
    METADATA,
    Column("id", ID, primary_key=True),
    Column("account", ID, nullable=False, index=True),
    Column("title", String(200), nullable=False),
    Column("department", DEPARTMENT, index=True),
    Column("state", String(20), nullable=False, index=True),
    Column("made_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime),
    Column("supporters", Integer, nullable=False),
    Column("content", JsonColumn, nullable=False),
)
"""What citizens and firms wish to be opened; `account` filed it."""

wish_support = Table(
    "sharing_wish_support",
    METADATA,
    Column("wish_id", ID, ForeignKey("sharing_wish.id"), primary_key=True),
    Column("account", ID, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Index("ix_sharing_wish_support_account", "account", "at"),
)
"""Who joined a wish; one row for an account, gone when it is taken back."""
