"""search index beside the hub instead of full-text tables; vocabulary, uses, handling of unmet demand"""

import sqlalchemy as sa
from alembic import op

from datong.kernel import JsonColumn, UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move the schema forward."""
    for table in ("catalogue_search_all", "catalogue_search_open"):
        op.execute(f"DROP TABLE IF EXISTS {table}")
    for table, constraint in (
        ("catalogue_listing", "uq_catalogue_listing_search_id"),
        ("catalogue_open", "uq_catalogue_open_search_id"),
    ):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_constraint(batch_op.f(constraint), type_="unique")
            batch_op.drop_column("search_id")
    op.create_table(
        "catalogue_search_change",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("resource_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_catalogue_search_change")),
    )
    # Whatever is visible now counts as one change: it is the index's beginning.
    op.execute(
        "INSERT INTO catalogue_search_change (sequence, token, resource_id)"
        " SELECT 1, 'before-' || min(resource_id), '' FROM catalogue_listing HAVING count(*) > 0"
    )
    op.create_table(
        "catalogue_use",
        sa.Column("resource_id", sa.String(length=64), nullable=False),
        sa.Column("department", sa.String(length=18), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("first_at", UtcDateTime(), nullable=False),
        sa.Column("last_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("resource_id", "department", "kind", name=op.f("pk_catalogue_use")),
    )
    op.create_table(
        "catalogue_vocabulary",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("words", JsonColumn, nullable=False),
        sa.Column("added_at", UtcDateTime(), nullable=False),
        sa.Column("added_by", sa.String(length=200), nullable=False),
        sa.Column("removed_at", UtcDateTime(), nullable=True),
        sa.Column("removed_by", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_vocabulary")),
    )
    op.create_table(
        "catalogue_demand_handling",
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("department", sa.String(length=18), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("updated_by", sa.String(length=200), nullable=False),
        sa.Column("entry_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_catalogue_demand_handling")),
    )
    op.add_column("catalogue_unmet_demand", sa.Column("key", sa.String(length=200), nullable=True))
    op.execute("UPDATE catalogue_unmet_demand SET key = replace(query, ' ', '')")
    with op.batch_alter_table("catalogue_unmet_demand", schema=None) as batch_op:
        batch_op.alter_column("key", existing_type=sa.String(length=200), nullable=False)
        batch_op.create_index(batch_op.f("ix_catalogue_unmet_demand_key"), ["key"], unique=False)
