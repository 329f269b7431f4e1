"""The pairs of a build that are worth a person's look, with what speaks for and against each, as a file.

`review.parquet` has one row per pair: `left` and `right` (named by `values.record_key`), `left_entity`,
`right_entity`, `weight` in bits, `reason`, and `levels`: per comparison its name, the level that held (`missing`, or
the level's kind and number) and what it added in bits. Reasons are those of `cluster.Unjoined`, and `distrusted`: two
records bear the same valid identifier, but do not look like one person. Pairs that a person has decided on are not
there.
"""

from pathlib import Path

import pyarrow as pa

from datong.library.cluster import Clustering
from datong.library.conform import ConformedSource
from datong.library.definition import Comparison, Identity, Linkage
from datong.library.engine import Workspace, sql_text
from datong.library.model import level_sql
from datong.library.score import comparison_sql, missing_sql, pair_columns_sql, weight_sql

REVIEW = "review.parquet"
DISTRUSTED = "distrusted"
_LEVEL = pa.struct([("comparison", pa.string()), ("level", pa.string()), ("bits", pa.float64())])
NO_DOUBTS = pa.schema(
    [(name, pa.string()) for name in ("left", "right", "left_entity", "right_entity")]
    + [("weight", pa.float64()), ("reason", pa.string()), ("levels", pa.list_(_LEVEL))]
).empty_table()
"""What a library without doubtful pairs has to review."""


def write_review(
    work: Workspace,
    model: Linkage | Identity,
    sources: tuple[ConformedSource, ...],
    clustering: Clustering,
    folder: Path,
) -> None:
    """Write `review.parquet` into `folder`."""
    open_pairs = clustering.open_pairs
    work.lend(
        "open_pairs",
        pa.table(
            {
                "a": pa.array([min(pair.record_a, pair.record_b) for pair, _ in open_pairs], pa.int64()),
                "b": pa.array([max(pair.record_a, pair.record_b) for pair, _ in open_pairs], pa.int64()),
                "reason": pa.array([str(why) for _, why in open_pairs], pa.string()),
            }
        ),
    )
    # A rejected claim is shown beside the most trusted record that bears the identifier.
    work.create(
        "doubtful",
        f"""
        WITH bearers AS (
            SELECT trusted, arg_min(unique_id, rank * {2**40} + unique_id) AS bearer FROM linkable
            WHERE trusted IS NOT NULL GROUP BY trusted
        ), claims AS (
            SELECT least(unique_id, bearer) AS a, greatest(unique_id, bearer) AS b
            FROM linkable l JOIN bearers ON bearers.trusted = l.claimed WHERE l.distrusted
        )
        SELECT a, b, min(reason) AS reason FROM (
            FROM open_pairs UNION ALL SELECT a, b, {sql_text(DISTRUSTED)} FROM claims
        ) ANTI JOIN decided USING (a, b) GROUP BY a, b""",
    )
    work.drop("open_pairs")
    resources = ", ".join(f"({source.number}, {sql_text(source.source.resource_id)})" for source in sources)
    work.write(
        f"""
            WITH weighed AS (
                {_weighed_sql(model, "doubtful")}
            ), keyed AS (
                SELECT unique_id, resource || chr(31) || row_key AS key, entity_id
                FROM linkable JOIN (VALUES {resources}) resources(source, resource) USING (source)
                JOIN placed ON record = unique_id JOIN named USING (root)
            )
            SELECT l.key AS "left", r.key AS "right", l.entity_id AS left_entity, r.entity_id AS right_entity,
                weight, reason, levels
            FROM weighed JOIN doubtful USING (a, b) JOIN keyed l ON l.unique_id = a JOIN keyed r ON r.unique_id = b
            WHERE l.entity_id <> r.entity_id ORDER BY a, b""",
        folder / REVIEW,
    )
    work.drop("doubtful")


def _weighed_sql(model: Linkage | Identity, pairs: str) -> str:
    """Return the query for `pairs` with weight and levels."""
    if isinstance(model, Linkage):
        levels = ", ".join(_level_sql(comparison) for comparison in model.comparisons)
        return (
            f"SELECT a, b, {weight_sql(model)} AS weight, [{levels}] AS levels FROM ({pair_columns_sql(model, pairs)})"
        )
    rules = [
        ("+".join(part.element for part in rule.parts), rule.bits, f"l.rule_{place}", f"r.rule_{place}")
        for place, rule in enumerate(model.rules)
    ]
    levels = ", ".join(
        f"{{'comparison': {sql_text(name)}, 'level': CASE WHEN {left} IS NULL OR {right} IS NULL THEN 'missing' "
        f"WHEN {left} = {right} THEN 'exact 0' ELSE 'else' END, "
        f"'bits': CASE WHEN {left} = {right} THEN {bits}::DOUBLE ELSE 0 END}}"
        for name, bits, left, right in rules
    )
    weight = " + ".join(f"CASE WHEN {left} = {right} THEN {bits}::DOUBLE ELSE 0 END" for _, bits, left, right in rules)
    return (
        f"SELECT a, b, {weight or '0::DOUBLE'} AS weight, [{levels}] AS levels FROM {pairs} "
        "JOIN linkable l ON l.unique_id = a JOIN linkable r ON r.unique_id = b"
    )


def _level_sql(comparison: Comparison) -> str:
    cases = [f"WHEN {missing_sql(comparison)} THEN 'missing'"]
    cases += [
        f"WHEN {level_sql(level)} THEN '{level.kind} {number}'" for number, level in enumerate(comparison.levels[:-1])
    ]
    return (
        f"{{'comparison': {sql_text(comparison.name)}, 'level': CASE {' '.join(cases)} ELSE 'else' END, "
        f"'bits': round(CAST({comparison_sql(comparison)} AS DOUBLE), 3)}}"
    )
