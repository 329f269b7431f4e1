"""An entity as an older version had it, read from that version's Delta tables."""

from collections.abc import Sequence
from decimal import Decimal
from importlib import import_module
from typing import Any

import pyarrow as pa

from datong.kernel import BatchId, DepartmentCode, EntityId, NotFound, ResourceId, Text
from datong.library.definition import Definition
from datong.library.retention_values import PastEntity
from datong.library.values import Cell, CellConflict, Dataset, RuleFinding

ENTITY = "entity_id"
_HIDDEN = frozenset({ENTITY, "geometry"})


def past_entity(definition: Definition, dataset: Dataset, ids: Sequence[EntityId]) -> PastEntity:
    """Return the entity that had one of `ids` in the version that `dataset` is; the first of them that it had.

    Raises:
        NotFound: the version did not have it.
        Unavailable: its tables cannot be read.
    """
    # Delta Lake takes half a second to import: only who looks back pays for it.
    files = import_module("datong.library.version_files")
    with files.told_unreadable(definition.name):
        return _past(files, definition, dataset, ids)


def _past(files: Any, definition: Definition, dataset: Dataset, ids: Sequence[EntityId]) -> PastEntity:
    golden: pa.Table = files.rows_of(dataset.delta_path, dataset.delta_version, ENTITY, ids)
    rows = {row[ENTITY]: row for row in golden.to_pylist()}
    entity_id = next((known for known in ids if known in rows), None)
    if entity_id is None:
        raise NotFound(
            "library.entity_not_then",
            what=Text(
                zh=f"第 {dataset.version} 版中没有这一实体。", en=f"Version {dataset.version} did not have this entity."
            ),
            remedy=Text(zh="请选择更晚的日期。", en="Choose a later day."),
        )
    lineage: list[dict[str, Any]] = []
    if dataset.lineage_path is not None:
        version = files.version_of_build(dataset.lineage_path, dataset.build_id)
        if version is not None:
            lineage = files.rows_of(dataset.lineage_path, version, ENTITY, [entity_id]).to_pylist()
    common = {
        "library": definition.name,
        "version": dataset.version,
        "published_at": dataset.published_at,
        "superseded_at": None,
        "entity_id": entity_id,
    }
    if definition.derivation is not None:
        measures = {name: _text(value) for name, value in rows[entity_id].items() if name not in _HIDDEN}
        found = sorted(lineage, key=lambda row: int(row["place"]))
        return PastEntity(**common, measures=measures, findings=tuple(_finding(row) for row in found))
    said: dict[str, list[Cell]] = {}
    for row in sorted(lineage, key=lambda row: (str(row["element"]), int(row["position"]))):
        said.setdefault(row["element"], []).append(_cell(row))
    return PastEntity(
        **common,
        cells={element: cells[0] for element, cells in said.items()},
        conflicts=tuple(
            CellConflict(element=element, candidates=tuple(cells)) for element, cells in said.items() if len(cells) > 1
        ),
    )


def _cell(row: dict[str, Any]) -> Cell:
    return Cell(
        value=row["value"],
        department=DepartmentCode(row["department"]),
        resource_id=ResourceId(row["resource_id"]),
        batch_id=BatchId(row["batch_id"]),
        row_key=row["row_key"],
        observed_at=row["observed_at"],
        rule=row["rule"],
        flag=row["flag"],
        raw=row["raw"],
    )


def _finding(row: dict[str, Any]) -> RuleFinding:
    return RuleFinding(
        title=Text(zh=row["title_zh"], en=row["title_en"]),
        **{name: row[name] for name in ("rule", "value", "must", "threshold", "unit", "verdict", "basis")},
    )


def _text(value: object) -> str | None:
    # A table holds decimals with a fixed scale; a person reads them without its zeros.
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return None if value is None else str(value)
