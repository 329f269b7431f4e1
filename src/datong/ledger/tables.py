"""The ledger's tables: entries, the departments they name, places, state, checkpoints, keys, cosignatures."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from datong.kernel import METADATA, UtcDateTime

_SERIAL = BigInteger().with_variant(Integer(), "sqlite")

ENTRIES = Table(
    "ledger_entry",
    METADATA,
    Column("serial", _SERIAL, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("kind", String(40), nullable=False),
    Column("subject", Text, nullable=False, index=True),
    Column("at", UtcDateTime, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("leaf_hash", String(64), nullable=False),
)
"""`serial` is the order of insertion, which need not be that of commits; `ledger_run` has the places in the log."""

Index("ix_ledger_entry_kind_at", ENTRIES.c.kind, ENTRIES.c.at)

ENTRY_DEPARTMENTS = Table(
    "ledger_entry_department",
    METADATA,
    Column("department", String(64), primary_key=True),
    Column("serial", _SERIAL, primary_key=True, autoincrement=False),
)
"""Which departments an entry names; derived from the leaf, only for finding entries. `fsck` compares it with the leaf:
a foreign key would look every entry up again as it is written, and lock it."""

RUNS = Table(
    "ledger_run",
    METADATA,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("serial", BigInteger, nullable=False, unique=True),
    Column("length", BigInteger, nullable=False),
)
"""So many entries, from a serial on, have the places in the log from `position` on; see `places`."""

GAPS = Table(
    "ledger_gap",
    METADATA,
    Column("serial", BigInteger, primary_key=True, autoincrement=False),
    Column("until", BigInteger, nullable=False),
)
"""Serials that were not there when those behind them were numbered."""

STATE = Table(
    "ledger_state",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("numbered_size", BigInteger, nullable=False),
    Column("next_serial", BigInteger, nullable=False),
    Column("published_size", BigInteger),
)
"""One row, and the sequencer's lock. `next_serial` is behind the highest that was numbered.
`published_size` is NULL until the first checkpoint."""

CHECKPOINTS = Table(
    "ledger_checkpoint",
    METADATA,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
)
"""Checkpoints as the log signed them: the newest ones, and all that a witness's newest cosignature is about."""

LOG_KEYS = Table(
    "ledger_key",
    METADATA,
    Column("old_key", String(64), primary_key=True),
    Column("new_key", String(64), nullable=False, unique=True),
    Column("by_old", String(128), nullable=False),
    Column("by_new", String(128), nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
    Column("retired_at", UtcDateTime),
)
"""Which key took whose place, and both signatures over it, in hexadecimal; the old one signs until it is retired."""

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
