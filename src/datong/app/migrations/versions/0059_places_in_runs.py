"""places of entries in runs; no index and no foreign key on what every call writes but those that are read by"""

import sqlalchemy as sa
from alembic import op

revision = "0059"
down_revision = "0049"
branch_labels = None
depends_on = None

_RUNS = """
    INSERT INTO ledger_run (position, serial, length)
    SELECT min(position), min(serial), count(*) FROM (
        SELECT position, serial, sum(begins) OVER (ORDER BY position) AS run FROM (
            SELECT position, serial,
                CASE WHEN serial = lag(serial) OVER (ORDER BY position) + 1 THEN 0 ELSE 1 END AS begins
            FROM ledger_entry WHERE position IS NOT NULL
        ) AS entries
    ) AS runs GROUP BY run
"""
_GAPS = """
    INSERT INTO ledger_gap (serial, until)
    SELECT behind, serial FROM (
        SELECT serial, coalesce(lag(serial + length) OVER (ORDER BY serial), 1) AS behind FROM ledger_run
    ) AS runs WHERE behind < serial
"""
_NEXT = "UPDATE ledger_state SET next_serial = coalesce((SELECT max(serial + length) FROM ledger_run), 1)"


def upgrade() -> None:
    """Move the schema forward."""
    op.create_table(
        "ledger_run",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("serial", sa.BigInteger(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_ledger_run")),
        sa.UniqueConstraint("serial", name=op.f("uq_ledger_run_serial")),
    )
    op.create_table(
        "ledger_gap",
        sa.Column("serial", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_ledger_gap")),
    )
    op.execute(_RUNS)
    op.execute(_GAPS)
    with op.batch_alter_table("ledger_state", schema=None) as batch_op:
        batch_op.add_column(sa.Column("next_serial", sa.BigInteger(), nullable=False, server_default="1"))
    op.execute(_NEXT)
    with op.batch_alter_table("ledger_state", schema=None) as batch_op:
        batch_op.alter_column("next_serial", server_default=None)
    with op.batch_alter_table("ledger_entry_department", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_ledger_entry_department_serial"), type_="foreignkey")
    with op.batch_alter_table("ledger_entry", schema=None) as batch_op:
        batch_op.drop_index("ix_ledger_entry_pending")
        batch_op.drop_constraint(batch_op.f("uq_ledger_entry_position"), type_="unique")
        batch_op.drop_column("position")
    with op.batch_alter_table("sharing_access_subject", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_sharing_access_subject_access_id"), type_="foreignkey")
    with op.batch_alter_table("sharing_access", schema=None) as batch_op:
        for column in ("consumer", "provider", "resource_id"):
            batch_op.drop_index(batch_op.f(f"ix_sharing_access_{column}"))
        batch_op.create_index(
            "ix_sharing_access_refused",
            ["consumer", "resource_id", "at"],
            unique=False,
            sqlite_where=sa.text("allowed IS 0"),
            postgresql_where=sa.text("allowed IS false"),
        )
