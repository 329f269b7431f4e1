"""The committed linkage model rendered: conditions as SQL, and the whole as settings for Splink, which trains it.

Splink's own saved models are bound to one SQL dialect, so the definition keeps the model in our terms (see
`definition.Linkage`), and this module renders it.
"""

from typing import Any

from datong.library.definition import Comparison, Level, Linkage

_OPEN = "(l.is_open OR r.is_open)"


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
    if level.kind == "similar":
        return f"jaro_winkler_similarity({left}, {right}) >= {level.least}"
    if level.kind == "crossed":
        (one_left, one_right), (other_left, other_right) = columns
        return f"{one_left} = {other_right} AND {other_left} = {one_right}"
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
