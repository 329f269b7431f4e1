"""What every route promises: the one error shape, the headers, the description."""

from pathlib import Path

import pytest

from datong.ledger import standalone_verifier
from datong.web.problems import ProblemDocument
from tests.integration.web.conftest import RunningHub

PUBLIC = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/log/checkpoint"),
    ("GET", "/log/tile/{path}"),
    ("GET", "/log/keys"),
    ("GET", "/log/quorum"),
    ("GET", "/log/verify.py"),
    ("GET", "/log/rederive.py"),
    ("POST", "/api/v1/session"),
    ("DELETE", "/api/v1/session"),
    ("POST", "/api/v1/oauth/token"),
    ("POST", "/api/v1/nodes"),
    ("GET", "/api/v1/agreement-papers/{code}"),
    ("GET", "/api/v1/showcase"),
    ("GET", "/api/v1/wishes"),
    ("GET", "/api/v1/wishes/{wish_id}"),
    ("GET", "/catalog"),
    ("GET", "/catalog.ttl"),
    ("GET", "/catalog.jsonld"),
    ("GET", "/catalog.rdf"),
    ("GET", "/open/feed.atom"),
    ("GET", "/open/demand/feed.atom"),
    ("GET", "/open/{resource_id}.ttl"),
    ("GET", "/open/{resource_id}.jsonld"),
    ("GET", "/open/{resource_id}.rdf"),
    ("GET", "/open/{resource_id}.json"),
    ("GET", "/api/3/action/{action}"),
    ("POST", "/api/3/action/{action}"),
    ("GET", "/ogc/"),
    ("GET", "/ogc/conformance"),
    ("GET", "/ogc/api"),
    ("GET", "/ogc/collections"),
    ("GET", "/ogc/collections/{collection_id}"),
    ("GET", "/ogc/collections/{collection_id}/items"),
    ("GET", "/ogc/collections/{collection_id}/items/{feature_id}"),
}
"""Routes without credentials: log, open catalogue and features, wishes, obtaining credentials, giving them up."""
CKAN = "/api/3/action/"
"""Here an error has CKAN's shape, because CKAN's clients raise their exceptions from it."""


def test_every_route_answers_every_error_in_one_shape(hub: RunningHub) -> None:
    """401 without credentials, 405 for a wrong method, 422 or another problem for nonsense: always the same object."""
    with hub.client() as visitor:
        described = visitor.get("/api/openapi.json").json()
        for template, operations in described["paths"].items():
            path = template.replace("{offset}", "0").replace("{run}", "1").replace("{", "").replace("}", "")
            for method in operations:
                answer = visitor.request(method, path, headers={"Accept": "application/json"})
                if (method.upper(), template) in PUBLIC:
                    continue
                assert answer.status_code == 401, (method, template, answer.text)
                assert_problem(answer.json(), answer.headers["content-type"], 401)
            wrong = visitor.request("PATCH", path)
            assert wrong.status_code == 405, (template, wrong.text)
            assert_problem(wrong.json(), wrong.headers["content-type"], 405)


def test_nonsense_from_somebody_known_is_a_problem_too(hub: RunningHub) -> None:
    """Nobody can make a route leave in another shape, or fail inside, by sending it nonsense."""
    with hub.person("authority") as person:
        described = person.get("/api/openapi.json").json()
        for template, operations in described["paths"].items():
            path = template.replace("{offset}", "x").replace("{run}", "x").replace("{", "").replace("}", "")
            for method in set(operations) - {"delete"}:
                answer = person.request(
                    method, path, content=b"{]", headers={"Content-Type": "application/json", "Accept": "*/*"}
                )
                assert answer.status_code < 500, (method, template, answer.text)
                if answer.status_code >= 400 and not template.startswith(CKAN):
                    assert_problem(answer.json(), answer.headers["content-type"], answer.status_code)


def assert_problem(body: object, media_type: str, status: int) -> None:
    """Check that an answer is a problem document of `status`, complete in both languages."""
    assert media_type == "application/problem+json"
    document = ProblemDocument.model_validate(body)
    assert document.status == status
    assert all((document.code, document.detail_zh, document.detail_en, document.remedy_zh, document.remedy_en))
    assert document.request_id


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/gateway/v1", "/log/nothing"])
def test_unknown_addresses_are_problems(hub: RunningHub, path: str) -> None:
    """404 in the one shape, in the language that was asked for."""
    with hub.client(**{"Accept-Language": "en"}) as visitor:
        answer = visitor.get(path)
    assert_problem(answer.json(), answer.headers["content-type"], 404)
    assert answer.json()["detail"] == answer.json()["detail_en"]


def test_the_description_is_openapi_3_1_and_names_every_contract_route(hub: RunningHub) -> None:
    """The interface is described where it is served."""
    with hub.client() as visitor:
        described = visitor.get("/api/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    operations = [operation for paths in described["paths"].values() for operation in paths.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    assert all(operation.get("summary") and "4XX" in operation["responses"] for operation in operations)
    routes = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}
    assert routes >= CONTRACT, CONTRACT - routes


def test_health_and_metrics(hub: RunningHub) -> None:
    """A running hub says that it runs, that it can serve, and what it has served."""
    with hub.client() as visitor:
        health = visitor.get("/healthz")
        assert health.json()["status"] == "ok"
        assert health.json()["simulated_time"] is False
        assert health.headers["x-content-type-options"] == "nosniff"
        assert visitor.get("/readyz").json() == {"status": "ready"}
        assert visitor.get("/metrics").status_code == 401
        refused = visitor.get("/metrics", headers={"Authorization": "Bearer guessed"})
        assert refused.status_code == 401
    with hub.person("auditor") as auditor:
        assert 'route="/healthz"' in auditor.get("/metrics").text


CONTRACT = {
    (method, f"/api/v1/{path}")
    for method, path in (
        line.split()
        for line in """
        POST session
        GET session
        DELETE session
        POST oauth/token
        GET departments
        POST departments
        POST departments/{code}/keys/{key_id}/revocation
        GET people
        POST people
        POST applications
        POST enrolments
        POST nodes
        GET nodes/me/work
        GET nodes/me/calls
        POST nodes/me/calls/{call_id}/answer
        GET live-services
        GET resources/{resource_id}/live
        PUT resources/{resource_id}/live
        POST nodes/me/heartbeat
        GET resources
        POST resources
        GET resources/{resource_id}
        PUT resources/{resource_id}
        POST resources/actions
        POST resources/{resource_id}/actions
        GET resources/{resource_id}/versions
        GET search
        POST requests
        GET requests
        GET requests/{request_id}
        POST requests/{request_id}/actions
        GET requests/prefill
        PUT requests/{request_id}/purpose
        GET simulations/column
        POST simulations/access
        GET agreements
        GET agreements/{agreement_id}
        POST agreements/{agreement_id}/confirm
        POST agreements/{agreement_id}/signatures
        GET agreements/{agreement_id}/contract.yaml
        GET agreements/{agreement_id}/policy.jsonld
        GET agreements/{agreement_id}/amendments
        POST agreements/{agreement_id}/amendments
        POST agreements/{agreement_id}/amendments/{version}/actions
        GET agreements/{agreement_id}/agreement.pdf
        GET agreement-papers/{code}
        GET tasks
        POST tasks
        GET tasks/{task_id}
        POST tasks/{task_id}/actions
        POST tasks/{task_id}/runs/{run}/done
        POST batches
        GET batches/{batch_id}
        PUT batches/{batch_id}/chunks/{offset}
        POST batches/{batch_id}/commit
        GET tasks/{task_id}/batches
        GET batches/{batch_id}/payload
        POST batches/{batch_id}/receipts
        POST tasks/{task_id}/digests
        GET tasks/{task_id}/schema
        POST tasks/{task_id}/schema/reports
        POST tasks/{task_id}/schema/accept
        GET tasks/{task_id}/dead-letters
        POST tasks/{task_id}/dead-letters/reports
        GET tasks/{task_id}/reconciliation
        GET tasks/{task_id}/reconciliations
        GET tasks/{task_id}/reconciliations/{reconciliation_id}/report
        POST tasks/{task_id}/reconciliations/{reconciliation_id}/repair
        GET tasks/{task_id}/reconciliation-schedule
        PUT tasks/{task_id}/reconciliation-schedule
        GET tasks/{task_id}/replays
        POST tasks/{task_id}/replays
        POST tasks/{task_id}/replays/reports
        POST tasks/{task_id}/replays/{replay_id}/failures
        POST tasks/{task_id}/replays/{replay_id}/cancellation
        GET libraries
        POST libraries/{name}/builds
        GET builds/{build_id}
        GET libraries/{name}/report
        GET libraries/{name}/entities
        GET libraries/{name}/entities/{entity_id}
        GET libraries/{name}/links
        GET datasets
        GET me/uses
        GET me/uses/{access_id}/proof
        GET ledger/entries
        GET ledger/entries/{entry_id}
        GET ledger/entries/{entry_id}/proof
        GET ledger/witnesses
        POST ledger/cosignatures
        GET ledger/export
        POST monitor/runs
        GET findings
        GET findings/{finding_id}
        GET cases
        GET cases/{case_id}
        POST cases/{case_id}/actions
        GET indicators
        GET dashboard
        """.strip().splitlines()
    )
}
"""The routes that nodes, the demonstration and other programs rely on."""


def test_the_verifier_that_a_hub_gives_out_is_the_one_that_is_tested(hub: RunningHub) -> None:
    with hub.client() as visitor:
        answer = visitor.get("/log/verify.py")
    assert answer.headers["Content-Type"].startswith("text/x-python")
    assert answer.content == Path(standalone_verifier.__file__).read_bytes()
