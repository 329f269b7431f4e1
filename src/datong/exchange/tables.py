"""The exchange's tables: tasks, manifests, receipts, reconciliations. Rows of data never enter the control database."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, UniqueConstraint

from datong.kernel import METADATA, JsonColumn, UtcDateTime

TASKS = Table(
    "exchange_task",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("agreement_id", String(64), nullable=False, index=True),
    Column("resource_id", String(64), nullable=False, index=True),
    Column("provider", String(18), nullable=False, index=True),
    Column("consumer", String(18), nullable=False, index=True),
    Column("producer_node", String(64), nullable=False, index=True),
    Column("consumer_node", String(64), index=True),
    Column("details", JsonColumn, nullable=False),
    Column("state", String(16), nullable=False),
    Column("run_requested", Integer, nullable=False),
    Column("run_done", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("confirmed", JsonColumn, nullable=False),
    Column("batches", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("payload_bytes", BigInteger, nullable=False),
    Column("receipted_sequence", BigInteger, nullable=False),
    Column("rows_applied", BigInteger, nullable=False),
    Column("rows_rejected", BigInteger, nullable=False),
    Column("last_committed_at", UtcDateTime),
    Column("last_applied_at", UtcDateTime),
    Column("reconcile_hours", Integer, index=True),
)
"""`confirmed` is the end of the chain; the sums are kept up to date with every batch and receipt."""

BATCHES = Table(
    "exchange_batch",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("task_id", String(36), ForeignKey("exchange_task.id"), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("payload_bytes", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("signed", JsonColumn, nullable=False),
    Column("committed_at", UtcDateTime, nullable=False),
    Column("entry_id", String(36), nullable=False),
    UniqueConstraint("task_id", "sequence"),
)

UPLOADS = Table(
    "exchange_upload",
    METADATA,
    Column("batch_id", String(36), primary_key=True),
    Column("task_id", String(36), ForeignKey("exchange_task.id"), nullable=False, index=True),
    Column("node_id", String(64), nullable=False),
    Column("signed", JsonColumn, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
)
"""Batches on their way; how many bytes have arrived is the length of the part file."""

FILES = Table(
    "exchange_file",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("agreement_id", String(64), nullable=False, index=True),
    Column("sender", String(18), nullable=False, index=True),
    Column("recipient", String(18), nullable=False, index=True),
    Column("state", String(16), nullable=False),
    Column("payload_bytes", BigInteger, nullable=False),
    Column("signed", JsonColumn, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("committed_at", UtcDateTime),
    Column("entry_id", String(36)),
    Column("receipt", JsonColumn),
    Column("receipt_entry_id", String(36)),
    Column("received_at", UtcDateTime),
    Column("disposed_at", UtcDateTime),
    Index("ix_exchange_file_state_changed", "state", "changed_at"),
)
"""Files in exchange; how many bytes of one on its way have arrived is the length of its part file."""

RECEIPTS = Table(
    "exchange_receipt",
    METADATA,
    Column("batch_id", String(36), ForeignKey("exchange_batch.id"), primary_key=True),
    Column("task_id", String(36), ForeignKey("exchange_task.id"), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("signed", JsonColumn, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("entry_id", String(36), nullable=False),
    UniqueConstraint("task_id", "sequence"),
)

RECONCILIATIONS = Table(
    "exchange_reconciliation",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("task_id", String(36), ForeignKey("exchange_task.id"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("producer", JsonColumn),
    Column("consumer", JsonColumn),
    Column("entry_id", String(36)),
    Column("search", JsonColumn),
    Column("repair", JsonColumn),
    Index("ix_exchange_reconciliation_task_requested", "task_id", "requested_at"),
)

SCHEMAS = Table(
    "exchange_schema",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("task_id", String(36), ForeignKey("exchange_task.id"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("shape", JsonColumn),
    Column("findings", JsonColumn, nullable=False),
    Column("signed", JsonColumn, nullable=False),
    Column("reported_at", UtcDateTime, nullable=False),
    Column("entry_id", String(36), nullable=False),
    Column("decided_at", UtcDateTime),
    Column("decision", JsonColumn),
    Index("ix_exchange_schema_task", "task_id", "id"),
)
"""Shapes of source tables that producers reported, where they differed from the agreed one; ids grow with time."""
