"""first release"""

import sqlalchemy as sa
from alembic import op

from datong.kernel import JsonColumn, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


SEARCH_INDEX = {
    "sqlite": (
        "CREATE VIRTUAL TABLE catalogue_search_all USING fts5(title, items, body, tokenize='unicode61')",
        "CREATE VIRTUAL TABLE catalogue_search_open USING fts5(title, items, body, tokenize='unicode61')",
    ),
    "postgresql": (
        "CREATE TABLE catalogue_search_all (search_id bigint PRIMARY KEY, terms tsvector NOT NULL)",
        "CREATE INDEX ix_catalogue_search_all_terms ON catalogue_search_all USING gin (terms)",
        "CREATE TABLE catalogue_search_open (search_id bigint PRIMARY KEY, terms tsvector NOT NULL)",
        "CREATE INDEX ix_catalogue_search_open_terms ON catalogue_search_open USING gin (terms)",
    ),
}
"""The full-text tables, which SQLAlchemy's metadata does not know."""


def upgrade() -> None:
    """Move the schema forward."""
    op.create_table(
        "catalogue_code_counter",
        sa.Column("classification", sa.String(length=64), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("classification", name=op.f("pk_catalogue_code_counter")),
    )
    op.create_table(
        "catalogue_department",
        sa.Column("code", sa.String(length=18), nullable=False),
        sa.Column("name_zh", sa.String(length=200), nullable=False),
        sa.Column("name_en", sa.String(length=200), nullable=False),
        sa.Column("short_name_zh", sa.String(length=200), nullable=False),
        sa.Column("short_name_en", sa.String(length=200), nullable=False),
        sa.Column("is_authority", sa.Boolean(), nullable=False),
        sa.Column("registered_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_catalogue_department")),
    )
    op.create_table(
        "catalogue_unmet_demand",
        sa.Column("query", sa.String(length=200), nullable=False),
        sa.Column("department", sa.String(length=18), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("first_at", UtcDateTime(), nullable=False),
        sa.Column("last_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("query", "department", name=op.f("pk_catalogue_unmet_demand")),
    )
    with op.batch_alter_table("catalogue_unmet_demand", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_unmet_demand_last_at"), ["last_at"], unique=False)

    op.create_table(
        "exchange_task",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("agreement_id", sa.String(length=64), nullable=False),
        sa.Column("resource_id", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=18), nullable=False),
        sa.Column("consumer", sa.String(length=18), nullable=False),
        sa.Column("producer_node", sa.String(length=64), nullable=False),
        sa.Column("consumer_node", sa.String(length=64), nullable=True),
        sa.Column("details", JsonColumn, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("run_requested", sa.Integer(), nullable=False),
        sa.Column("run_done", sa.Integer(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("confirmed", JsonColumn, nullable=False),
        sa.Column("batches", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("payload_bytes", sa.BigInteger(), nullable=False),
        sa.Column("receipted_sequence", sa.BigInteger(), nullable=False),
        sa.Column("rows_applied", sa.BigInteger(), nullable=False),
        sa.Column("rows_rejected", sa.BigInteger(), nullable=False),
        sa.Column("last_committed_at", UtcDateTime(), nullable=True),
        sa.Column("last_applied_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exchange_task")),
    )
    with op.batch_alter_table("exchange_task", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_exchange_task_agreement_id"), ["agreement_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_exchange_task_consumer"), ["consumer"], unique=False)
        batch_op.create_index(batch_op.f("ix_exchange_task_consumer_node"), ["consumer_node"], unique=False)
        batch_op.create_index(batch_op.f("ix_exchange_task_producer_node"), ["producer_node"], unique=False)
        batch_op.create_index(batch_op.f("ix_exchange_task_provider"), ["provider"], unique=False)
        batch_op.create_index(batch_op.f("ix_exchange_task_resource_id"), ["resource_id"], unique=False)

    op.create_table(
        "governance_finding",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("provider", sa.String(length=18), nullable=False),
        sa.Column("consumer", sa.String(length=18), nullable=True),
        sa.Column("authority", sa.String(length=18), nullable=True),
        sa.Column("delay_working_days", sa.Integer(), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("entry_id", sa.String(length=36), nullable=False),
        sa.Column("opened_at", UtcDateTime(), nullable=False),
        sa.Column("revised_at", UtcDateTime(), nullable=False),
        sa.Column("settled_at", UtcDateTime(), nullable=True),
        sa.Column("document", JsonColumn, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_governance_finding")),
    )
    with op.batch_alter_table("governance_finding", schema=None) as batch_op:
        batch_op.create_index("ix_governance_finding_opened", ["opened_at", "id"], unique=False)
        batch_op.create_index("ix_governance_finding_provider", ["provider", "opened_at"], unique=False)

    op.create_table(
        "ledger_checkpoint",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("published_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_ledger_checkpoint")),
    )
    op.create_table(
        "ledger_entry",
        sa.Column("serial", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("leaf_hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_ledger_entry")),
        sa.UniqueConstraint("id", name=op.f("uq_ledger_entry_id")),
        sa.UniqueConstraint("position", name=op.f("uq_ledger_entry_position")),
    )
    with op.batch_alter_table("ledger_entry", schema=None) as batch_op:
        batch_op.create_index("ix_ledger_entry_kind_at", ["kind", "at"], unique=False)
        batch_op.create_index(
            "ix_ledger_entry_pending",
            ["serial"],
            unique=False,
            sqlite_where=sa.text("position IS NULL"),
            postgresql_where=sa.text("position IS NULL"),
        )
        batch_op.create_index(batch_op.f("ix_ledger_entry_subject"), ["subject"], unique=False)

    op.create_table(
        "ledger_state",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("numbered_size", sa.BigInteger(), nullable=False),
        sa.Column("published_size", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_state")),
    )
    op.create_table(
        "library_build",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("library", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("step", sa.String(length=16), nullable=True),
        sa.Column("requested_by", JsonColumn, nullable=False),
        sa.Column("requested_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("input_digest", sa.String(length=64), nullable=False),
        sa.Column("inputs", JsonColumn, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("records", sa.Integer(), nullable=True),
        sa.Column("entities", sa.Integer(), nullable=True),
        sa.Column("step_seconds", JsonColumn, nullable=False),
        sa.Column("error", sa.String(length=2000), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_library_build")),
    )
    with op.batch_alter_table("library_build", schema=None) as batch_op:
        batch_op.create_index("ix_library_build_library_requested", ["library", "requested_at"], unique=False)

    op.create_table(
        "library_current",
        sa.Column("library", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("build_id", sa.String(length=36), nullable=False),
        sa.PrimaryKeyConstraint("library", name=op.f("pk_library_current")),
    )
    op.create_table(
        "library_dataset",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("library", sa.String(length=64), nullable=False),
        sa.Column("build_id", sa.String(length=36), nullable=False),
        sa.Column("published_at", UtcDateTime(), nullable=False),
        sa.Column("details", JsonColumn, nullable=False),
        sa.PrimaryKeyConstraint("name", "version", name=op.f("pk_library_dataset")),
        sa.UniqueConstraint("build_id", "name", name=op.f("uq_library_dataset_build_id")),
    )
    op.create_table(
        "sharing_access",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("allowed", sa.Boolean(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("consumer", sa.String(length=18), nullable=True),
        sa.Column("provider", sa.String(length=18), nullable=False),
        sa.Column("resource_id", sa.String(length=64), nullable=False),
        sa.Column("entry_id", sa.String(length=64), nullable=False),
        sa.Column("content", JsonColumn, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sharing_access")),
    )
    with op.batch_alter_table("sharing_access", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sharing_access_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_sharing_access_consumer"), ["consumer"], unique=False)
        batch_op.create_index(batch_op.f("ix_sharing_access_provider"), ["provider"], unique=False)
        batch_op.create_index(batch_op.f("ix_sharing_access_resource_id"), ["resource_id"], unique=False)

    op.create_table(
        "sharing_account",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("username", sa.String(length=200), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("department", sa.String(length=18), nullable=True),
        sa.Column("roles", JsonColumn, nullable=False),
        sa.Column("password_hash", sa.String(length=500), nullable=False),
        sa.Column("citizen_id", sa.String(length=18), nullable=True),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sharing_account")),
        sa.UniqueConstraint("username", name=op.f("uq_sharing_account_username")),
    )
    with op.batch_alter_table("sharing_account", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sharing_account_department"), ["department"], unique=False)

    op.create_table(
        "sharing_application",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("department", sa.String(length=18), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sharing_application")),
    )
    with op.batch_alter_table("sharing_application", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sharing_application_department"), ["department"], unique=False)

    op.create_table(
        "sharing_assertion",
        sa.Column("jti_hash", sa.String(length=64), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("jti_hash", name=op.f("pk_sharing_assertion")),
    )
    with op.batch_alter_table("sharing_assertion", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sharing_assertion_expires_at"), ["expires_at"], unique=False)

    op.create_table(
        "sharing_enrolment",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("department", sa.String(length=18), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("node_id", sa.String(length=64), nullable=True),
        sa.Column("public_key", sa.LargeBinary(length=32), nullable=True),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sharing_enrolment")),
    )
    op.create_table(
        "sharing_guess",
        sa.Column("consumer", sa.String(length=18), nullable=False),
        sa.Column("resource_id", sa.String(length=64), nullable=False),
        sa.Column("subject_index", sa.String(length=64), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("wrong", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "resource_id", "subject_index", "day", name=op.f("pk_sharing_guess")),
    )
    op.create_table(
        "sharing_login_failure",
        sa.Column("username_hash", sa.String(length=64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_failure_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("username_hash", name=op.f("pk_sharing_login_failure")),
    )
    with op.batch_alter_table("sharing_login_failure", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sharing_login_failure_last_failure_at"), ["last_failure_at"], unique=False)

    op.create_table(
        "sharing_node",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("department", sa.String(length=18), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("enrolled_at", UtcDateTime(), nullable=False),
        sa.Column("last_seen_at", UtcDateTime(), nullable=True),
        sa.Column("last_status", sa.String(length=2000), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sharing_node")),
    )
    with op.batch_alter_table("sharing_node", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sharing_node_department"), ["department"], unique=False)

    op.create_table(
        "sharing_request",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("bundle_id", sa.String(length=64), nullable=False),
        sa.Column("consumer", sa.String(length=18), nullable=False),
        sa.Column("provider", sa.String(length=18), nullable=False),
        sa.Column("resource_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("submitted_at", UtcDateTime(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("extension", sa.String(length=20), nullable=False),
        sa.Column("extension_reason", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        sa.Column("agreement_id", sa.String(length=64), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("content", JsonColumn, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sharing_request")),
    )
    with op.batch_alter_table("sharing_request", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sharing_request_bundle_id"), ["bundle_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_sharing_request_consumer"), ["consumer"], unique=False)
        batch_op.create_index(batch_op.f("ix_sharing_request_provider"), ["provider"], unique=False)
        batch_op.create_index(batch_op.f("ix_sharing_request_resource_id"), ["resource_id"], unique=False)
        batch_op.create_index("ix_sharing_request_state_due", ["state", "due_at"], unique=False)

    op.create_table(
        "catalogue_department_key",
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("department", sa.String(length=18), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("node_id", sa.String(length=64), nullable=True),
        sa.Column("registered_at", UtcDateTime(), nullable=False),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["department"], ["catalogue_department.code"], name=op.f("fk_catalogue_department_key_department")
        ),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_catalogue_department_key")),
    )
    with op.batch_alter_table("catalogue_department_key", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_department_key_department"), ["department"], unique=False)
        batch_op.create_index(batch_op.f("ix_catalogue_department_key_node_id"), ["node_id"], unique=False)

    op.create_table(
        "catalogue_resource",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("code", sa.String(length=100), nullable=True),
        sa.Column("department", sa.String(length=18), nullable=False),
        sa.Column("binding_key", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("published_version", sa.Integer(), nullable=True),
        sa.Column("visible", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["department"], ["catalogue_department.code"], name=op.f("fk_catalogue_resource_department")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_resource")),
        sa.UniqueConstraint("code", name=op.f("uq_catalogue_resource_code")),
        sa.UniqueConstraint("department", "binding_key", name=op.f("uq_catalogue_resource_department")),
    )
    with op.batch_alter_table("catalogue_resource", schema=None) as batch_op:
        batch_op.create_index("ix_catalogue_resource_department_state", ["department", "state"], unique=False)
        batch_op.create_index("ix_catalogue_resource_state_updated", ["state", "updated_at"], unique=False)

    op.create_table(
        "exchange_batch",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("task_id", sa.String(length=36), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("payload_bytes", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("signed", JsonColumn, nullable=False),
        sa.Column("committed_at", UtcDateTime(), nullable=False),
        sa.Column("entry_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["exchange_task.id"], name=op.f("fk_exchange_batch_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exchange_batch")),
        sa.UniqueConstraint("task_id", "sequence", name=op.f("uq_exchange_batch_task_id")),
    )
    op.create_table(
        "exchange_reconciliation",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("task_id", sa.String(length=36), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("requested_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("producer", JsonColumn, nullable=True),
        sa.Column("consumer", JsonColumn, nullable=True),
        sa.Column("entry_id", sa.String(length=36), nullable=True),
        sa.ForeignKeyConstraint(["task_id"], ["exchange_task.id"], name=op.f("fk_exchange_reconciliation_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exchange_reconciliation")),
    )
    with op.batch_alter_table("exchange_reconciliation", schema=None) as batch_op:
        batch_op.create_index("ix_exchange_reconciliation_task_requested", ["task_id", "requested_at"], unique=False)

    op.create_table(
        "exchange_upload",
        sa.Column("batch_id", sa.String(length=36), nullable=False),
        sa.Column("task_id", sa.String(length=36), nullable=False),
        sa.Column("node_id", sa.String(length=64), nullable=False),
        sa.Column("signed", JsonColumn, nullable=False),
        sa.Column("opened_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["exchange_task.id"], name=op.f("fk_exchange_upload_task_id")),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_exchange_upload")),
    )
    with op.batch_alter_table("exchange_upload", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_exchange_upload_task_id"), ["task_id"], unique=False)

    op.create_table(
        "governance_case",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("finding_id", sa.String(length=36), nullable=False),
        sa.Column("stage", sa.String(length=20), nullable=False),
        sa.Column("provider", sa.String(length=18), nullable=False),
        sa.Column("consumer", sa.String(length=18), nullable=True),
        sa.Column("opened_at", UtcDateTime(), nullable=False),
        sa.Column("stage_due_at", UtcDateTime(), nullable=True),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(length=4000), nullable=True),
        sa.ForeignKeyConstraint(["finding_id"], ["governance_finding.id"], name=op.f("fk_governance_case_finding_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_governance_case")),
        sa.UniqueConstraint("finding_id", name=op.f("uq_governance_case_finding_id")),
    )
    with op.batch_alter_table("governance_case", schema=None) as batch_op:
        batch_op.create_index("ix_governance_case_stage", ["stage", "opened_at"], unique=False)

    op.create_table(
        "ledger_cosignature",
        sa.Column("witness_name", sa.String(length=200), nullable=False),
        sa.Column("witness_key", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("signed_at", UtcDateTime(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["size"], ["ledger_checkpoint.size"], name=op.f("fk_ledger_cosignature_size")),
        sa.PrimaryKeyConstraint("witness_name", name=op.f("pk_ledger_cosignature")),
    )
    with op.batch_alter_table("ledger_cosignature", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_ledger_cosignature_size"), ["size"], unique=False)

    op.create_table(
        "ledger_entry_department",
        sa.Column("department", sa.String(length=64), nullable=False),
        sa.Column("serial", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["serial"], ["ledger_entry.serial"], name=op.f("fk_ledger_entry_department_serial")),
        sa.PrimaryKeyConstraint("department", "serial", name=op.f("pk_ledger_entry_department")),
    )
    op.create_table(
        "sharing_access_subject",
        sa.Column("subject_index", sa.String(length=64), nullable=False),
        sa.Column("access_id", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("salt", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(["access_id"], ["sharing_access.id"], name=op.f("fk_sharing_access_subject_access_id")),
        sa.PrimaryKeyConstraint("subject_index", "access_id", name=op.f("pk_sharing_access_subject")),
    )
    op.create_table(
        "sharing_agreement",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=18), nullable=False),
        sa.Column("consumer", sa.String(length=18), nullable=False),
        sa.Column("resource_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("state_reason", sa.Text(), nullable=False),
        sa.Column("suspended_by", sa.String(length=18), nullable=True),
        sa.Column("valid_until", UtcDateTime(), nullable=False),
        sa.Column("provide_due_at", UtcDateTime(), nullable=False),
        sa.Column("drawn_up_at", UtcDateTime(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("content", JsonColumn, nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["sharing_request.id"], name=op.f("fk_sharing_agreement_request_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sharing_agreement")),
        sa.UniqueConstraint("request_id", name=op.f("uq_sharing_agreement_request_id")),
    )
    with op.batch_alter_table("sharing_agreement", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sharing_agreement_provider"), ["provider"], unique=False)
        batch_op.create_index("ix_sharing_agreement_state_until", ["state", "valid_until"], unique=False)
        batch_op.create_index("ix_sharing_agreement_use", ["consumer", "resource_id"], unique=False)

    op.create_table(
        "sharing_session",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["sharing_account.id"], name=op.f("fk_sharing_session_account_id")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_sharing_session")),
    )
    with op.batch_alter_table("sharing_session", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sharing_session_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_sharing_session_expires_at"), ["expires_at"], unique=False)

    op.create_table(
        "catalogue_listing",
        sa.Column("resource_id", sa.String(length=64), nullable=False),
        sa.Column("search_id", sa.BigInteger(), nullable=False),
        sa.Column("department", sa.String(length=18), nullable=False),
        sa.Column("title", sa.String(length=400), nullable=False),
        sa.Column("share_type", sa.String(length=1), nullable=False),
        sa.Column("format", sa.String(length=1), nullable=False),
        sa.Column("update_cycle", sa.String(length=20), nullable=False),
        sa.Column("theme", sa.String(length=64), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("item_count", sa.Integer(), nullable=False),
        sa.Column("published_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["resource_id"], ["catalogue_resource.id"], name=op.f("fk_catalogue_listing_resource_id")
        ),
        sa.PrimaryKeyConstraint("resource_id", name=op.f("pk_catalogue_listing")),
        sa.UniqueConstraint("search_id", name=op.f("uq_catalogue_listing_search_id")),
    )
    with op.batch_alter_table("catalogue_listing", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_listing_department"), ["department"], unique=False)
        batch_op.create_index(batch_op.f("ix_catalogue_listing_open"), ["open"], unique=False)
        batch_op.create_index(batch_op.f("ix_catalogue_listing_published_at"), ["published_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_catalogue_listing_title"), ["title"], unique=False)

    op.create_table(
        "catalogue_step",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("resource_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("from_state", sa.String(length=20), nullable=True),
        sa.Column("to_state", sa.String(length=20), nullable=False),
        sa.Column("actor_id", sa.String(length=64), nullable=False),
        sa.Column("actor_name", sa.String(length=200), nullable=False),
        sa.Column("actor_department", sa.String(length=18), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=True),
        sa.Column("entry_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["resource_id"], ["catalogue_resource.id"], name=op.f("fk_catalogue_step_resource_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_step")),
    )
    with op.batch_alter_table("catalogue_step", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_catalogue_step_resource_id"), ["resource_id"], unique=False)

    op.create_table(
        "catalogue_version",
        sa.Column("resource_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("content", JsonColumn, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("published_at", UtcDateTime(), nullable=True),
        sa.Column("superseded_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["resource_id"], ["catalogue_resource.id"], name=op.f("fk_catalogue_version_resource_id")
        ),
        sa.PrimaryKeyConstraint("resource_id", "version", name=op.f("pk_catalogue_version")),
    )
    op.create_table(
        "exchange_receipt",
        sa.Column("batch_id", sa.String(length=36), nullable=False),
        sa.Column("task_id", sa.String(length=36), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("signed", JsonColumn, nullable=False),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        sa.Column("entry_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["exchange_batch.id"], name=op.f("fk_exchange_receipt_batch_id")),
        sa.ForeignKeyConstraint(["task_id"], ["exchange_task.id"], name=op.f("fk_exchange_receipt_task_id")),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_exchange_receipt")),
        sa.UniqueConstraint("task_id", "sequence", name=op.f("uq_exchange_receipt_task_id")),
    )
    op.create_table(
        "governance_case_act",
        sa.Column("case_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("stage_before", sa.String(length=20), nullable=True),
        sa.Column("stage_after", sa.String(length=20), nullable=False),
        sa.Column("actor", JsonColumn, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("statement", sa.String(length=4000), nullable=False),
        sa.Column("entry_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["governance_case.id"], name=op.f("fk_governance_case_act_case_id")),
        sa.PrimaryKeyConstraint("case_id", "number", name=op.f("pk_governance_case_act")),
    )
    op.create_table(
        "sharing_confirmation",
        sa.Column("agreement_id", sa.String(length=64), nullable=False),
        sa.Column("department", sa.String(length=18), nullable=False),
        sa.Column("confirmed_by", sa.String(length=64), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["sharing_agreement.id"], name=op.f("fk_sharing_confirmation_agreement_id")
        ),
        sa.PrimaryKeyConstraint("agreement_id", "department", name=op.f("pk_sharing_confirmation")),
    )
    op.create_table(
        "sharing_signature",
        sa.Column("agreement_id", sa.String(length=64), nullable=False),
        sa.Column("department", sa.String(length=18), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("signature", sa.String(length=100), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["sharing_agreement.id"], name=op.f("fk_sharing_signature_agreement_id")
        ),
        sa.PrimaryKeyConstraint("agreement_id", "department", name=op.f("pk_sharing_signature")),
    )
    for statement in SEARCH_INDEX[op.get_bind().dialect.name]:
        op.execute(statement)
