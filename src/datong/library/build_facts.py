"""What the evidence and the digest of a build's input are made of: digests, counts and names, never a value."""

from typing import TYPE_CHECKING

from datong.kernel import JsonValue
from datong.library.definition import Definition
from datong.library.values import Build, LandedSource, LinkReport

if TYPE_CHECKING:
    from datong.library.pipeline import Pipeline
    from datong.library.publish import PublishedTable
    from datong.library.table_pipeline import TablePipeline


def input_facts(sources: tuple[LandedSource, ...]) -> list[JsonValue]:
    """Return what identifies the inputs: never a path, never a value."""
    return [
        {
            "resource": source.resource_id,
            "department": source.department,
            "version": source.resource_version,
            "columns": dict(source.columns),
            "keys": list(source.key_columns),
            "batches": [
                [batch.batch_id, batch.sequence, batch.mode.value, batch.snapshot, batch.payload_digest]
                for batch in source.batches
            ],
        }
        for source in sorted(sources, key=lambda source: source.resource_id)
    ]


def publication_facts(
    build: Build,
    definition: Definition,
    pipeline: "Pipeline | TablePipeline",
    tables: "tuple[PublishedTable, ...]",
    digest: str,
    report: LinkReport,
) -> dict[str, JsonValue]:
    """Return the facts of a publication: counts, digests and the versions of its inputs."""
    return {
        "build": build.id,
        "definition": {"version": definition.version, "digest": definition.digest},
        "norms": pipeline.pack.version,
        "departments": pipeline.departments(),
        "input_digest": build.input_digest,
        "golden_digest": digest,
        "base": report.base,
        "records": report.records,
        "entities": report.entities,
        "tables": [{"name": table.name, "rows": table.rows, "digest": table.digest} for table in tables],
        "inputs": pipeline.input_facts(),
    }
