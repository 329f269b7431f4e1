"""What people decided about pairs of records, as the linkage takes it: a table of record numbers.

Two records that a person called the same are joined whatever else speaks against it, two different valid identifiers
included; two that a person called different never meet, not even through a third. Decisions about records that are
not there (any more) wait without effect.
"""

from collections.abc import Sequence

import pyarrow as pa

from datong.library.conform import ConformedSource
from datong.library.engine import Workspace, sql_text
from datong.library.values import LinkDecision

_COLUMNS = ("left_key", "right_key", "same")


def decisions_table(decisions: Sequence[LinkDecision]) -> pa.Table:
    """Return `decisions` as a table (left_key, right_key, same)."""
    types = (pa.string(), pa.string(), pa.bool_())
    return pa.table(
        {
            name: pa.array([getattr(known, name) for known in decisions], kind)
            for name, kind in zip(_COLUMNS, types, strict=True)
        }
    )


def create_decided(
    work: Workspace,
    records: str,
    sources: tuple[ConformedSource, ...],
    decisions: Sequence[LinkDecision],
) -> None:
    """Create `decided` (a, b, same) from the table `records`: the decisions about records of this build, `a` < `b`."""
    work.lend("decision_rows", decisions_table(decisions))
    named = ", ".join(f"({source.number}, {sql_text(source.source.resource_id)})" for source in sources)
    work.create(
        "decided",
        f"""
        WITH keys AS (SELECT left_key AS key FROM decision_rows UNION SELECT right_key FROM decision_rows),
        sought AS (
            SELECT key, split_part(key, chr(31), 1) AS resource, substr(key, strpos(key, chr(31)) + 1) AS row_key
            FROM keys
        ), known AS (
            SELECT key, unique_id AS record FROM sought JOIN (VALUES {named}) named(source, resource) USING (resource)
            JOIN {records} USING (source, row_key)
        )
        SELECT DISTINCT least(l.record, r.record) AS a, greatest(l.record, r.record) AS b, same
        FROM decision_rows JOIN known l ON l.key = left_key JOIN known r ON r.key = right_key
        WHERE l.record <> r.record ORDER BY a, b, same""",
    )
    work.drop("decision_rows")
