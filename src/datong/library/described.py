"""What a linkage looks at where its definition says so itself: one ASCII column per feature, no trusted identifier.

Every record is open, so that likeness alone decides; see `definition.Feature` for the forms.
"""

from pathlib import Path

from datong.library.conform import ConformedSource
from datong.library.definition import Definition, Feature
from datong.library.engine import Workspace, sql_name

_FORMS = {
    "text": "nullif(trim(regexp_replace({value}, '[^a-z0-9]+', ' ', 'g')), '')",
    "compact": "nullif(regexp_replace({value}, '[^a-z0-9]+', '', 'g'), '')",
    "digits": "nullif(regexp_replace({value}, '[^0-9]+', '', 'g'), '')",
}


def create_described(
    work: Workspace,
    definition: Definition,
    features: tuple[Feature, ...],
    sources: tuple[ConformedSource, ...],
    folder: Path,
) -> None:
    """Create `linkable`: one row per conformed record with the features' columns."""
    ranks = definition.authority(definition.key_elements[0])
    parts = " UNION ALL ".join(
        f"SELECT {source.number} AS source, {ranks[source.role.key]} AS rank, row_key, first_sequence, "
        + ", ".join(f"{_feature_sql(source, feature)} AS {feature.name}" for feature in features)
        + f" FROM {source.sql(folder)}"
        for source in sources
    )
    names = ", ".join(feature.name for feature in features)
    work.create(
        "linkable",
        f"""
        SELECT row_number() OVER (ORDER BY source, row_key) - 1 AS unique_id, source, row_key, first_sequence, rank,
            NULL::VARCHAR AS claimed, NULL::VARCHAR AS trusted, false AS distrusted, true AS is_open, {names}
        FROM ({parts}) ORDER BY unique_id""",
    )


def _feature_sql(source: ConformedSource, feature: Feature) -> str:
    held = [f"nullif({sql_name(field)}, '')" for field in feature.fields if source.has(field)]
    if not held:
        return "NULL::VARCHAR"
    text = _FORMS[feature.form].format(value=f"lower(strip_accents(coalesce({', '.join(held)})))")
    if feature.first:
        text = f"CASE WHEN length({text}) >= {feature.first} THEN substr({text}, 1, {feature.first}) END"
    if feature.last:
        text = f"CASE WHEN length({text}) >= {feature.last} THEN right({text}, {feature.last}) END"
    return text
