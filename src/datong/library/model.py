"""The committed linkage model rendered for Splink, and the scored pairs that Splink finds with it.

Splink's own saved models are bound to one SQL dialect, so the definition keeps the model in our terms (see
`definition.Linkage`), and this module renders it. Every weight is fixed: nothing is trained when a library is built.
"""

from typing import Any

import duckdb
from splink import DuckDBAPI, Linker

from datong.library.definition import Comparison, Level, Linkage

_OPEN = "(l.is_open OR r.is_open)"
WEIGHT_DECIMALS = 6


def level_sql(level: Level) -> str:
    """Return the SQL condition of one level over a pair's `_l` and `_r` columns."""
    columns = [(f"{column}_l", f"{column}_r") for column in level.columns]
    if level.kind == "else":
        return "ELSE"
    if level.kind == "exact":
        return " AND ".join(f"{left} = {right}" for left, right in columns)
    left, right = columns[0]
    if level.kind == "edits":
        return f"damerau_levenshtein({left}, {right}) <= {level.most}"
    if level.kind == "prefix":
        return f"substr({left}, 1, {level.most}) = substr({right}, 1, {level.most})"
    differing = " + ".join(
        f"(CASE WHEN coalesce({left}, '') <> coalesce({right}, '') THEN 1 ELSE 0 END)" for left, right in columns
    )
    third = columns[min(2, len(columns) - 1)]
    return f"{differing} <= {level.most} AND {third[0]} IS NOT NULL AND {third[1]} IS NOT NULL"


def _comparison_settings(comparison: Comparison) -> dict[str, Any]:
    missing = " OR ".join(f"{column}_l IS NULL OR {column}_r IS NULL" for column in comparison.needs)
    levels: list[dict[str, Any]] = [{"sql_condition": missing, "label_for_charts": "missing", "is_null_level": True}]
    for number, level in enumerate(comparison.levels):
        rendered: dict[str, Any] = {
            "sql_condition": level_sql(level),
            "label_for_charts": f"{level.kind} {number}",
            "m_probability": level.m,
            "u_probability": level.u,
        }
        if level.frequency:
            rendered["tf_adjustment_column"] = level.frequency
            rendered["tf_adjustment_weight"] = 1.0
        levels.append(rendered)
    return {"output_column_name": comparison.name, "comparison_levels": levels}


def splink_settings(linkage: Linkage, *, open_only: bool) -> dict[str, Any]:
    """Return Splink's settings for the model; with `open_only`, pairs of two trusted records are not compared."""
    return {
        "link_type": "dedupe_only",
        "unique_id_column_name": "unique_id",
        "probability_two_random_records_match": linkage.match_share,
        "retain_matching_columns": False,
        "retain_intermediate_calculation_columns": False,
        "comparisons": [_comparison_settings(comparison) for comparison in linkage.comparisons],
        "blocking_rules_to_generate_predictions": [
            {
                "blocking_rule": " AND ".join(
                    [*(f"l.{column} = r.{column}" for column in rule), *([_OPEN] if open_only else [])]
                )
            }
            for rule in linkage.blocking
        ],
    }


def score_pairs(connection: duckdb.DuckDBPyConnection, linkage: Linkage) -> None:
    """Create `pairs` (a, b, weight in bits) from `linkable`: every pair that comes near the accepted weight."""
    connection.execute("CREATE OR REPLACE TABLE pairs (a BIGINT, b BIGINT, weight DOUBLE)")
    found = connection.execute("SELECT count(*) FILTER (is_open), count(*) FROM linkable").fetchone()
    if found is None or not found[0] or found[1] < 2:
        return
    api = DuckDBAPI(connection=connection)
    settings = splink_settings(linkage, open_only=True)
    linker = Linker(api.register("linkable"), settings, log_level=None, validate_settings=False)
    predictions = linker.inference.predict(threshold_match_weight=linkage.accept_bits - linkage.margin_bits)
    connection.execute(f"""
        INSERT INTO pairs SELECT least(unique_id_l, unique_id_r), greatest(unique_id_l, unique_id_r),
            round(match_weight, {WEIGHT_DECIMALS}) FROM {predictions.physical_name}
    """)
    api.delete_tables_created_by_splink_from_db()
