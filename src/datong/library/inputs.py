"""Which published tables a derived library reads, at which versions: the input of its builds. Pure rules."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from datong.kernel import Conflict, JsonValue, Text, canonical_json, sha256_hex
from datong.library.definition import Definition
from datong.library.derivation import OWN_ID, DerivedInput
from datong.library.values import Dataset, InputTable

RECORD_ENTITY, RECORD_KEY = "_entity_id", "_row_key"
RECORDS = "resource:"


def resolve_inputs(
    definition: Definition, libraries: Mapping[str, Definition], datasets: Sequence[Dataset], folder: Path
) -> tuple[InputTable, ...]:
    """Return the tables that `definition` reads now; `folder` is where the datasets' paths start.

    Raises:
        Conflict: a library whose golden records it reads has not been published.
    """
    found: list[InputTable] = []
    for given in definition.reads:
        library = libraries.get(given.library)
        mine = [dataset for dataset in datasets if library is not None and _serves(dataset, given, library)]
        if not mine and given.role is None and definition.graph is None:
            raise Conflict(
                "library.input_missing",
                what=Text(
                    zh=f"“{definition.title.zh}”由资源库 {given.library} 派生，后者尚未发布。",
                    en=f"“{definition.title.en}” derives from {given.library}, which has not been published.",
                ),
                remedy=Text(zh=f"请先构建资源库 {given.library}。", en=f"Build the library {given.library} first."),
                context={"library": definition.name, "input": given.library},
            )
        found.extend(_table(dataset, given, folder) for dataset in sorted(mine, key=lambda dataset: dataset.name))
    return tuple(found)


def _serves(dataset: Dataset, given: DerivedInput, library: Definition) -> bool:
    if given.role is None:
        return dataset.name == given.library
    if dataset.library != given.library or not dataset.name.startswith(RECORDS):
        return False
    role = library.role_for(frozenset(column.element for column in dataset.columns if column.element))
    return role is not None and role.key == given.role


def _table(dataset: Dataset, given: DerivedInput, folder: Path) -> InputTable:
    golden = given.role is None
    columns: dict[str, str] = {}
    for column in dataset.columns:
        if golden or column.element:
            columns.setdefault(column.name if golden else column.element or "", column.name)
    return InputTable(
        input=given.name,
        library=given.library,
        dataset=dataset.name,
        version=dataset.version,
        digest=dataset.digest,
        title=dataset.title,
        department=dataset.department,
        path=str(dataset.delta_path.relative_to(folder)),
        delta_version=dataset.delta_version,
        columns=columns,
        key=OWN_ID if golden else RECORD_ENTITY,
        row_key=OWN_ID if golden else RECORD_KEY,
        lineage=str(dataset.lineage_path.relative_to(folder)) if dataset.lineage_path else None,
        build_id=dataset.build_id,
    )


def derived_input_digest(definition: Definition, tables: Sequence[InputTable]) -> str:
    """Return what identifies the input of a derived build: the definition and every version it reads."""
    facts: list[JsonValue] = [[table.input, table.dataset, table.version, table.digest] for table in tables]
    return sha256_hex(canonical_json({"definition": definition.digest, "inputs": facts}))
