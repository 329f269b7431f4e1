"""The tables of notifications in the control database."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text

from datong.kernel import METADATA, JsonColumn, UtcDateTime

POSITION = Table(
    "governance_notice_position",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
)
"""One row, and the lock of those who read the log: entries below `position` have been told."""

RELIED_POSITION = Table(
    "governance_relied_position",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
)
"""As `POSITION`, of those who tell whom a wrong value reached."""

SETTING = Table(
    "governance_notice_setting",
    METADATA,
    Column("person", String(36), primary_key=True),
    Column("content", JsonColumn, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
)
"""What each person chose; whoever chose nothing has no row."""

MESSAGE = Table(
    "governance_notice_message",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("person", String(36), nullable=False),
    Column("department", String(18)),
    Column("channel", String(10), nullable=False),
    Column("address", String(2000), nullable=False),
    Column("notices", Integer, nullable=False),
    Column("content", Text, nullable=False),
    Column("content_sha256", String(64), nullable=False),
    Column("state", String(10), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("detail", String(200), nullable=False),
    Column("settled_at", UtcDateTime),
    Column("entry_id", String(36)),
    Index("ix_governance_notice_message_due", "state", "due_at"),
    Index("ix_governance_notice_message_person", "person", "made_at"),
)
"""What leaves the platform: the id is the message's own and stays the same over all attempts."""

NOTICE = Table(
    "governance_notice",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("person", String(36), nullable=False),
    Column("matter", String(300), nullable=False),
    Column("topic", String(20), nullable=False),
    Column("urgent", Boolean, nullable=False),
    Column("times", Integer, nullable=False),
    Column("first_at", UtcDateTime, nullable=False),
    Column("told_at", UtcDateTime, nullable=False),
    Column("read_at", UtcDateTime),
    Column("waiting_since", UtcDateTime),
    Column("message", String(40), ForeignKey("governance_notice_message.id")),
    Column("content", JsonColumn, nullable=False),
    Index("ix_governance_notice_person", "person", "read_at", "told_at"),
    Index("ix_governance_notice_matter", "person", "matter"),
    Index("ix_governance_notice_waiting", "waiting_since"),
)
"""The inboxes. `waiting_since`: since when it waits to leave the console; `message` is the last one that carried it."""
