"""The ledger's tables: entries, the departments they name, the log's state, its checkpoints, their cosignatures."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from datong.kernel import METADATA, UtcDateTime

_SERIAL = BigInteger().with_variant(Integer(), "sqlite")

ENTRIES = Table(
    "ledger_entry",
    METADATA,
    Column("serial", _SERIAL, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("position", BigInteger, unique=True),
    Column("kind", String(40), nullable=False),
    Column("subject", Text, nullable=False, index=True),
    Column("at", UtcDateTime, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("leaf_hash", String(64), nullable=False),
)
"""`serial` is the order of insertion, which need not be that of commits; `position` is the index in the log."""

Index("ix_ledger_entry_kind_at", ENTRIES.c.kind, ENTRIES.c.at)
Index(
    "ix_ledger_entry_pending",
    ENTRIES.c.serial,
    sqlite_where=ENTRIES.c.position.is_(None),
    postgresql_where=ENTRIES.c.position.is_(None),
)

ENTRY_DEPARTMENTS = Table(
    "ledger_entry_department",
    METADATA,
    Column("department", String(64), primary_key=True),
    Column("serial", _SERIAL, ForeignKey("ledger_entry.serial"), primary_key=True, autoincrement=False),
)
"""Which departments an entry names; derived from the leaf, only for finding entries."""

STATE = Table(
    "ledger_state",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("numbered_size", BigInteger, nullable=False),
    Column("published_size", BigInteger),
)
"""One row, and the sequencer's lock. `published_size` is NULL until the first checkpoint."""

CHECKPOINTS = Table(
    "ledger_checkpoint",
    METADATA,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
)
"""Checkpoints as the log signed them: the newest ones, and all that a witness's newest cosignature is about."""

COSIGNATURES = Table(
    "ledger_cosignature",
    METADATA,
    Column("witness_name", String(200), primary_key=True),
    Column("witness_key", String(64), nullable=False),
    Column("size", BigInteger, ForeignKey("ledger_checkpoint.size"), nullable=False, index=True),
    Column("line", Text, nullable=False),
    Column("signed_at", UtcDateTime, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
)
"""The newest cosignature of each witness."""
