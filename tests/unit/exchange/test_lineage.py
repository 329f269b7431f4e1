"""Lineage events: what the official client would write, in the order of the run, posted to a real server."""

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    column_lineage_dataset,
    datasource_dataset,
    error_message_run,
    job_type_job,
    nominal_time_run,
    output_statistics_output_dataset,
    schema_dataset,
)
from openlineage.client.serde import Serde

from datong.adapters.openlineage_post import OpenLineagePost
from datong.exchange import Confirmed, LineageKind, Retry, Task
from datong.exchange.lineage import PRODUCER
from datong.kernel import PLATFORM_ACTOR, Database, DepartmentCode, Refused, TaskId, Unavailable
from tests.unit.exchange.test_hub import NODE
from tests.unit.exchange.test_runs import TimedScene, failure


class Endpoint:
    """A real HTTP server that takes OpenLineage events, and answers with what the test says first."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.tokens: list[str | None] = []
        self.answers: list[int] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = endpoint.answers.pop(0) if endpoint.answers else 201
                endpoint.tokens.append(self.headers["Authorization"])
                if status < 300:
                    endpoint.taken.append(json.loads(body))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_words: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/api/v1/lineage"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    endpoint = Endpoint()
    yield endpoint
    endpoint.close()


@pytest.fixture
def scene(tmp_path: Path, control_database: Database) -> TimedScene:
    return TimedScene(tmp_path, control_database)


def told(scene: TimedScene, task_id: TaskId) -> list[LineageKind]:
    return [entry.kind for entry in scene.exchange.lineage.events(task_id=task_id)]


def move(scene: TimedScene, **changes: object) -> Task:
    """Move ten rows in one run, applied and acknowledged."""
    task = scene.task(name="people", **changes)
    signed, payload = scene.cut(task, Confirmed(), range(10))
    scene.upload(signed, payload)
    scene.exchange.finish_run(task.id, 1, actor=NODE)
    scene.receive(signed)
    return task


def as_the_client_writes(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event as the official client serialises the same facts: each facet by its own class."""
    run, job = event["run"], event["job"]
    facets: dict[str, Any] = {"nominalTime": nominal_time_run.NominalTimeRunFacet(**own(run["facets"]["nominalTime"]))}
    if "errorMessage" in run["facets"]:
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(**own(run["facets"]["errorMessage"]))
    made = RunEvent(
        eventType=RunState[event["eventType"]],
        eventTime=event["eventTime"],
        producer=event["producer"],
        run=Run(runId=run["runId"], facets=facets),
        job=Job(
            namespace=job["namespace"],
            name=job["name"],
            facets={"jobType": job_type_job.JobTypeJobFacet(**own(job["facets"]["jobType"]))},
        ),
        inputs=[
            InputDataset(namespace=one["namespace"], name=one["name"], facets=dataset_facets(one["facets"]))
            for one in event["inputs"]
        ],
        outputs=[
            OutputDataset(
                namespace=one["namespace"],
                name=one["name"],
                facets=dataset_facets(one["facets"]),
                outputFacets={
                    "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                        **own(one["outputFacets"]["outputStatistics"])
                    )
                },
            )
            for one in event["outputs"]
        ],
    )
    written: dict[str, Any] = filled(json.loads(Serde.to_json(made)))
    return written


def own(facet: dict[str, Any]) -> dict[str, Any]:
    """Return what a facet says, without where it is specified; the producer is ours."""
    return {name: value for name, value in facet.items() if not name.startswith("_")} | {"producer": PRODUCER}


def dataset_facets(facets: dict[str, Any]) -> dict[str, Any]:
    """Return the facets of a dataset, built by the client's classes."""
    made: dict[str, Any] = {
        "dataSource": datasource_dataset.DatasourceDatasetFacet(**own(facets["dataSource"])),
        "schema": schema_dataset.SchemaDatasetFacet(
            fields=[schema_dataset.SchemaDatasetFacetFields(**field) for field in facets["schema"]["fields"]],
            producer=PRODUCER,
        ),
    }
    if "columnLineage" in facets:
        made["columnLineage"] = column_lineage_dataset.ColumnLineageDatasetFacet(
            fields={
                name: column_lineage_dataset.Fields(
                    inputFields=[
                        column_lineage_dataset.InputField(
                            **{
                                **field,
                                "transformations": [
                                    column_lineage_dataset.Transformation(**one) for one in field["transformations"]
                                ],
                            }
                        )
                        for field in content["inputFields"]
                    ]
                )
                for name, content in facets["columnLineage"]["fields"].items()
            },
            producer=PRODUCER,
        )
    return made


def filled(value: Any) -> Any:
    """Return a value without the empty fields that the client writes out."""
    if isinstance(value, dict):
        return {name: filled(child) for name, child in value.items() if child not in (None, {}, [])}
    return [filled(child) for child in value] if isinstance(value, list) else value


def test_each_step_of_a_run_is_an_event_of_one_run_id(scene: TimedScene) -> None:
    task = move(scene)
    entries = scene.exchange.lineage.events(task_id=task.id)
    assert [entry.kind for entry in entries] == [LineageKind.START, LineageKind.RUNNING, LineageKind.COMPLETE]
    assert len({entry.event["run"]["runId"] for entry in entries}) == 1
    assert [entry.serial for entry in scene.exchange.lineage.events(after=entries[0].serial)] == [
        entry.serial for entry in entries[1:]
    ]
    assert scene.exchange.lineage.events(department=DepartmentCode("nobody")) == ()


def test_events_are_what_the_official_client_writes(scene: TimedScene) -> None:
    columns = [{"column": "id", "item": "id"}, {"column": "name", "item": "name", "target": "name_"}]
    task = move(scene, columns=[*columns, {"column": "changed", "item": "changed"}])
    complete = scene.exchange.lineage.events(task_id=task.id)[-1].event
    assert complete["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 10
    assert complete["outputs"][0]["facets"]["columnLineage"]["fields"]["name_"]["inputFields"][0]["field"] == "name"
    for entry in scene.exchange.lineage.events(task_id=task.id):
        assert filled(entry.event) == as_the_client_writes(dict(entry.event))


def test_failed_and_cancelled_runs_say_so(scene: TimedScene) -> None:
    failed = scene.task(retry=Retry(attempts_max=1))
    scene.runs.begin(failed.id, 1, expected_rows=None, actor=NODE)
    scene.runs.fail(failed.id, 1, failure(), actor=NODE)
    assert told(scene, failed.id) == [LineageKind.START, LineageKind.FAIL]
    event = scene.exchange.lineage.events(task_id=failed.id)[-1].event
    assert event["run"]["facets"]["errorMessage"]["message"].startswith("adapters.down")
    assert filled(event) == as_the_client_writes(dict(event))
    cancelled = scene.task()
    scene.runs.cancel(cancelled.id, 1, actor=PLATFORM_ACTOR)
    assert told(scene, cancelled.id) == [LineageKind.ABORT]


def test_events_reach_the_endpoint_in_order_whatever_it_answers_first(scene: TimedScene, endpoint: Endpoint) -> None:
    move(scene)
    lineage = scene.exchange.lineage
    receiver = OpenLineagePost(url=endpoint.url, token="secret")
    endpoint.answers = [503, 201, 429]
    with pytest.raises(Unavailable, match="lineage_unavailable"):
        lineage.post_waiting(receiver)
    assert not lineage.post_waiting(receiver)
    assert endpoint.taken == []
    scene.clock.advance(timedelta(seconds=3))
    with pytest.raises(Unavailable):
        lineage.post_waiting(receiver)
    scene.clock.advance(timedelta(seconds=3))
    lineage.post_waiting(receiver)
    receiver.close()
    assert [event["eventType"] for event in endpoint.taken] == ["START", "RUNNING", "COMPLETE"]
    assert endpoint.taken == [entry.event for entry in lineage.events()]
    assert set(endpoint.tokens) == {"Bearer secret"}
    assert lineage.waiting() == 0


def test_an_event_that_is_refused_does_not_hold_back_the_others(scene: TimedScene, endpoint: Endpoint) -> None:
    move(scene)
    receiver = OpenLineagePost(url=endpoint.url)
    endpoint.answers = [400]
    scene.exchange.lineage.post_waiting(receiver)
    receiver.close()
    assert [event["eventType"] for event in endpoint.taken] == ["RUNNING", "COMPLETE"]
    assert scene.exchange.lineage.waiting() == 0


def test_an_endpoint_that_is_not_there_is_unavailable() -> None:
    def down(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("down")

    with pytest.raises(Unavailable):
        OpenLineagePost(url="http://nowhere", transport=httpx.MockTransport(down)).post({})
    with pytest.raises(Refused):
        OpenLineagePost(url="http://x", transport=httpx.MockTransport(lambda _: httpx.Response(404))).post({})
