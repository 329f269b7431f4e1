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
    Column("opening_sequence", BigInteger),
    Column("origin_sequence", BigInteger),
    Column("disposed_sequence", BigInteger, nullable=False, server_default="0"),
    Column("reconcile_hours", Integer, index=True),
    Column("live_name", String(200), unique=True),
    Column("next_due_at", UtcDateTime, index=True),
    Column("change_mark", String(200)),
    Column("consume_failures", Integer, nullable=False, server_default="0"),
    Column("consume_not_before", UtcDateTime),
    Column("consume_error", JsonColumn),
    Column("source_report", JsonColumn),
)
"""`live_name` is the task's name until it ends; `next_due_at` when its schedule is due next; `change_mark` what the
source looked like when it was last seen to change. `origin_sequence` is the first batch of the newest complete whole
copy, `opening_sequence` of one under way; `disposed_sequence` the newest batch whose payload is deleted. `confirmed` is
the end of the chain; the sums are kept up to date with every batch and receipt.
"""

RUNS = Table(
    "exchange_run",
    METADATA,
    Column("task_id", String(36), ForeignKey("exchange_task.id"), primary_key=True),
    Column("run", Integer, primary_key=True),
    Column("lineage_id", String(36), nullable=False),
    Column("reason", String(16), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("requested_by", JsonColumn, nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime),
    Column("missed", Integer, nullable=False),
    Column("not_before", UtcDateTime),
    Column("started_at", UtcDateTime),
    Column("delivered_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("failures", Integer, nullable=False),
    Column("failures_in_row", Integer, nullable=False),
    Column("first_sequence", BigInteger),
    Column("last_sequence", BigInteger),
    Column("batches", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("payload_bytes", BigInteger, nullable=False),
    Column("rows_applied", BigInteger, nullable=False),
    Column("rows_rejected", BigInteger, nullable=False),
    Column("expected_rows", BigInteger),
    Column("error", JsonColumn),
    Column("span", JsonColumn),
    Column("entry_id", String(36)),
    UniqueConstraint("task_id", "due_at"),
)
"""The history of runs. One due time has one run at most, whatever number of processes looks at the clock."""

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
    Index("ix_exchange_batch_task_committed", "task_id", "committed_at"),
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
    Index("ix_exchange_receipt_task_recorded", "task_id", "recorded_at"),
)

LINEAGE = Table(
    "exchange_lineage",
    METADATA,
    Column("serial", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True),
    Column("task_id", String(36), ForeignKey("exchange_task.id"), nullable=False, index=True),
    Column("run", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("event", JsonColumn, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_post_at", UtcDateTime, nullable=False),
    Column("posted_at", UtcDateTime),
    Index("ix_exchange_lineage_posted_serial", "posted_at", "serial"),
)
"""Lineage events in the order of their insertion, and whether an OpenLineage endpoint has taken them."""

SUBSCRIPTIONS = Table(
    "exchange_subscription",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("task_id", String(36), ForeignKey("exchange_task.id"), nullable=False),
    Column("agreement_id", String(64), nullable=False, index=True),
    Column("consumer", String(18), nullable=False),
    Column("consumer_node", String(64), nullable=False, index=True),
    Column("target_table", String(200), nullable=False),
    Column("target_source", String(200), nullable=False),
    Column("state", String(16), nullable=False),
    Column("first_sequence", BigInteger),
    Column("receipted_sequence", BigInteger, nullable=False),
    Column("rows_applied", BigInteger, nullable=False),
    Column("rows_rejected", BigInteger, nullable=False),
    Column("joined_at", UtcDateTime, nullable=False),
    Column("left_at", UtcDateTime),
    Column("last_applied_at", UtcDateTime),
    UniqueConstraint("task_id", "consumer"),
)
"""Further consumers of a task's stream."""

SUBSCRIPTION_RECEIPTS = Table(
    "exchange_subscription_receipt",
    METADATA,
    Column("subscription_id", String(36), ForeignKey("exchange_subscription.id"), primary_key=True),
    Column("batch_id", String(36), ForeignKey("exchange_batch.id"), primary_key=True),
    Column("task_id", String(36), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("signed", JsonColumn, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("entry_id", String(36), nullable=False),
    UniqueConstraint("subscription_id", "sequence"),
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

REPLAYS = Table(
    "exchange_replay",
    METADATA,
    Column("id", String(36), primary_key=True),
    Column("task_id", String(36), ForeignKey("exchange_task.id"), nullable=False),
    Column("consumer", String(18), nullable=False),
    Column("consumer_node", String(64), nullable=False),
    Column("from_sequence", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("details", JsonColumn, nullable=False),
    Index("ix_exchange_replay_task", "task_id", "id"),
    Index("ix_exchange_replay_node_state", "consumer_node", "state"),
)
"""Orders to apply at a consumer's end once more what the hub stores; ids grow with time."""

REJECTS = Table(
    "exchange_reject",
    METADATA,
    Column("task_id", String(36), ForeignKey("exchange_task.id"), primary_key=True),
    Column("signed", JsonColumn, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("entry_id", String(36), nullable=False),
)
"""The newest report of every task's dead letters: counts, never a value."""
