"""Runs told as OpenLineage events: which dataset a run read, which it wrote, column by column. Pure.

Source: OpenLineage 2-0-2 (https://openlineage.io/spec/2-0-2/OpenLineage.json) and its facets.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from datong.exchange.run_values import Run
from datong.exchange.signed import utc_text
from datong.exchange.table_values import Column
from datong.exchange.values import Task, TransferMode
from datong.kernel import JsonValue

SPECIFICATION = "https://openlineage.io/spec"
PRODUCER = "https://datong.example/exchange"
"""Names the code that tells; the specification wants an address, and reads nothing there."""
Event = dict[str, JsonValue]


class LineageKind(StrEnum):
    """What an event says about a run."""

    START = "START"
    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    FAIL = "FAIL"
    ABORT = "ABORT"


def run_event(
    task: Task, run: Run, kind: LineageKind, *, at: datetime, hub: str, columns: Sequence[Column] = ()
) -> Event:
    """Return the event. `hub` names this installation; `columns` are those of the newest batch, if there is one."""
    shown = tuple(columns) or tuple(Column(name=pair.column, type="") for pair in task.columns)
    source = _dataset(f"datong://{hub}/{task.producer_node}", task.source, task.table)
    consumer = task.consumer_node or "library"
    target = _dataset(f"datong://{hub}/{consumer}", task.target_source or "default", task.target_table or task.table)
    names = {pair.column: getattr(pair, "target", "") or pair.column for pair in task.columns}
    written = [(column, names.get(column.name, column.name)) for column in shown]
    return {
        "eventTime": utc_text(at),
        "eventType": kind.value,
        "producer": PRODUCER,
        "schemaURL": f"{SPECIFICATION}/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": run.lineage_id, "facets": _run_facets(run)},
        "job": {
            "namespace": f"datong://{hub}",
            "name": task.name or task.id,
            "facets": {
                "jobType": _facet(
                    "2-0-4",
                    "JobTypeJobFacet",
                    processingType="BATCH" if task.mode is TransferMode.SNAPSHOT else "STREAMING",
                    integration="DATONG",
                    jobType="TASK",
                )
            },
        },
        "inputs": [{**source, "facets": _dataset_facets(source, [(column, column.name) for column in shown])}],
        "outputs": [
            {
                **target,
                "facets": {
                    **_dataset_facets(target, written),
                    "columnLineage": _facet(
                        "1-2-0",
                        "ColumnLineageDatasetFacet",
                        fields={name: {"inputFields": [_input_field(source, column.name)]} for column, name in written},
                    ),
                },
                "outputFacets": {
                    "outputStatistics": _facet(
                        "1-0-2", "OutputStatisticsOutputDatasetFacet", rowCount=run.rows_applied, size=run.payload_bytes
                    )
                },
            }
        ],
    }


def _run_facets(run: Run) -> dict[str, JsonValue]:
    facets: dict[str, JsonValue] = {
        "nominalTime": _facet("1-0-1", "NominalTimeRunFacet", nominalStartTime=utc_text(run.due_at or run.requested_at))
    }
    if run.error is not None:
        facets["errorMessage"] = _facet(
            "1-0-1",
            "ErrorMessageRunFacet",
            message=f"{run.error.code}: {run.error.what.en}",
            programmingLanguage="PYTHON",
        )
    return facets


def _dataset(namespace: str, source: str, table: str) -> dict[str, str]:
    return {"namespace": namespace, "name": f"{source}.{table}"}


def _dataset_facets(dataset: dict[str, str], columns: Sequence[tuple[Column, str]]) -> dict[str, JsonValue]:
    fields: list[JsonValue] = [
        {"name": name, **({"type": column.type} if column.type else {})} for column, name in columns
    ]
    return {
        "dataSource": _facet(
            "1-0-1", "DatasourceDatasetFacet", name=dataset["name"].split(".")[0], uri=dataset["namespace"]
        ),
        "schema": _facet("1-2-0", "SchemaDatasetFacet", fields=fields),
    }


def _input_field(dataset: dict[str, str], column: str) -> JsonValue:
    return {**dataset, "field": column, "transformations": [{"type": "DIRECT", "subtype": "IDENTITY"}]}


def _facet(version: str, kind: str, **content: JsonValue) -> JsonValue:
    url = f"{SPECIFICATION}/facets/{version}/{kind}.json#/$defs/{kind}"
    return {"_producer": PRODUCER, "_schemaURL": url, **content}
