"""The machine interface as its users use it: people with sessions, nodes with their keys, a browser with its cookie."""

import base64
import io
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pyarrow as pa
import pytest
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import OAuth2Client

from datong.catalogue import ResourceContent
from datong.exchange import (
    GENESIS_DIGEST,
    Column,
    Manifest,
    Receipt,
    SignedManifest,
    Task,
    TransferMode,
    schema_fingerprint,
    signed_manifest,
    signed_receipt,
    write_payload,
)
from datong.kernel import BatchId, DepartmentCode, NodeId, SystemClock, new_id
from datong.ledger import Ed25519Signer, Signer, verify_log
from datong.node.agreements import sign_confirmed
from datong.node.hub_answers import enrol
from datong.node.hub_client import HubClient
from datong.sharing import Agreement, AgreementState
from datong.web.authentication import SESSION_COOKIE
from tests.data_contracts import lint
from tests.integration.web.conftest import EDUCATION, PASSWORD, POLICE, RunningHub

COLUMNS = (Column(name="id", type="string"), Column(name="name", type="string"))
ROWS = {"id": ["110101199003070011", "110101200002290042"], "name": ["王丽", "张伟"]}
CHUNK_BYTES = 300


class Node:
    """An enrolled node: its key, and its client."""

    def __init__(
        self, hub: RunningHub, operator: httpx.Client, department: DepartmentCode, signer: Signer | None = None
    ) -> None:
        self.signer = signer or Ed25519Signer.generate()
        token = posted(operator, "/api/v1/enrolments", {"department": department})["token"]
        answer = enrol(hub.url, str(token), "node-1", self.signer.public_key)
        self.id = NodeId(answer["node_id"])
        self.answer = answer
        self.log_key = base64.b64decode(answer["log_key"])
        self.department = department
        self.client = HubClient(hub_url=hub.url, node_id=self.id, signer=self.signer, clock=SystemClock())
        hub.opened.callback(self.client.close)


def posted(client: httpx.Client, path: str, body: object, *, status: int = 201) -> dict[str, object]:
    """Post `body`, check the status, and return the answer."""
    answer = client.post(path, json=body)
    assert answer.status_code == status, answer.text
    document = answer.json()
    assert isinstance(document, dict)
    return document


def content(node_id: str) -> dict[str, object]:
    """Return a complete description of a small resource."""
    text = {"zh": "户籍人口", "en": "Registered residents"}
    shared = {"share_type": "1", "share_modes": ["interface", "bulk"]}
    item = {**shared, "grade": "L2", "data_type": "C", "length": 18}
    return {
        **shared,
        "title": text,
        "summary": text,
        "classification": "101001",
        "format": "3",
        "update_cycle": "daily",
        "theme": "population",
        "use_condition": "依法履职",
        "data_category": "personal_basic",
        "assessment": {
            "secrecy": "不涉及国家秘密",
            "personal_information": "风险可控",
            "conclusion": "passed",
            "assessed_by": "保密办",
            "assessed_on": "2026-11-02",
        },
        "binding": {"node_id": node_id, "source": "main", "table": "people", "key_columns": ["id"]},
        "items": [
            {
                **item,
                "name": {"zh": "公民身份号码", "en": "Citizen ID"},
                "column": "id",
                "element": "citizen_id",
                "key": True,
            },
            {**item, "name": {"zh": "姓名", "en": "Name"}, "column": "name", "element": "person_name"},
        ],
    }


def publish(node: Node, police: httpx.Client, authority: httpx.Client) -> str:
    """Take a resource from the node's draft to its publication and return its id."""
    resource = str(node.client.draft_resource(ResourceContent.model_validate(content(node.id))).id)
    path = f"/api/v1/resources/{resource}/actions"
    posted(police, path, {"action": "sign_off"}, status=200)
    posted(police, path, {"action": "submit"}, status=200)
    posted(authority, path, {"action": "approve"}, status=200)
    assert posted(authority, path, {"action": "publish"}, status=200)["state"] == "published"
    return resource


def agree(resource: str, police: httpx.Client, education: httpx.Client, nodes: tuple[Node, ...]) -> Agreement:
    """Request the resource, confirm and sign, and return the agreement in force."""
    now = datetime.now(UTC)
    purpose = {
        "legal_basis": "《义务教育法》",
        "scene": "入学资格核验",
        "scope": "教育局招生办",
        "modes": ["interface", "bulk"],
        "valid_from": (now - timedelta(minutes=1)).isoformat(),
        "valid_until": (now + timedelta(days=365)).isoformat(),
        "service_item": "义务教育入学",
    }
    lines = [{"resource_id": resource, "items": ["id", "name"]}]
    (request,) = education.post("/api/v1/requests", json={"lines": lines, "purpose": purpose}).json()["requests"]
    assert request["state"] == "granted"
    agreement_id = request["agreement_id"]
    for officer in (police, education):
        posted(officer, f"/api/v1/agreements/{agreement_id}/confirm", {}, status=200)
    for node in nodes:
        (waiting,) = node.client.agreements_to_sign()
        node.client.sign_agreement(waiting.id, node.signer.sign(waiting.signing_bytes()))
    agreement = Agreement.model_validate(education.get(f"/api/v1/agreements/{agreement_id}").json())
    assert agreement.state is AgreementState.ACTIVE
    contract = education.get(f"/api/v1/agreements/{agreement_id}/contract.yaml")
    assert "apiVersion: v3.1.0" in contract.text
    return agreement


def read_documents(client: httpx.Client, visitor: httpx.Client, agreement: Agreement, folder: Path) -> None:
    """Read what an agreement is written down in: the contract as its linter does, the policy, the paper, its code."""
    address = f"/api/v1/agreements/{agreement.id}"
    linted = lint(client.get(f"{address}/contract.yaml").text, folder)
    assert linted.returncode == 0, linted.stdout
    policy = client.get(f"{address}/policy.jsonld")
    assert (policy.headers["content-type"], policy.json()["type"]) == ("application/ld+json", "Agreement")
    paper = client.get(f"{address}/agreement.pdf")
    assert (paper.headers["content-type"], paper.content[:5]) == ("application/pdf", b"%PDF-")
    checked = visitor.get(f"/api/v1/agreement-papers/{agreement.code}").json()
    assert (checked["agreement_id"], checked["on_record"]) == (agreement.id, True)
    assert visitor.get("/api/v1/agreement-papers/0000-0000-0000-0000").status_code == 404


def renew(agreement: Agreement, proposer: httpx.Client, other: httpx.Client, nodes: tuple[Node, ...]) -> Agreement:
    """Let one side propose a longer term, the other agree, and both nodes sign it, as they sign any agreement."""
    address = f"/api/v1/agreements/{agreement.id}"
    until = (agreement.valid_until + timedelta(days=365)).isoformat()
    proposed = posted(proposer, f"{address}/amendments", {"change": {"valid_until": until}, "reason": "仍需使用"})
    assert (proposed["kind"], proposed["version"]) == ("renew", 2)
    word = {"action": "confirm"}
    posted(other, f"{address}/amendments/2/actions", word, status=200)
    for node in nodes:
        assert sign_confirmed(node.client, node.signer, node.department) == (agreement.id,)
    after = Agreement.model_validate(other.get(address).json())
    assert (after.id, after.version, after.state) == (agreement.id, 2, AgreementState.ACTIVE)
    states = [one["state"] for one in proposer.get(f"{address}/amendments").json()]
    assert states == ["in_force", "superseded"]
    return after


def draft_of(agreement: Agreement, producer: Node, consumer: Node) -> dict[str, object]:
    """Return a transfer task under the agreement."""
    return {
        "agreement_id": agreement.id,
        "resource_id": agreement.resource_id,
        "resource_version": agreement.resource_version,
        "provider": agreement.provider,
        "consumer": agreement.consumer,
        "producer_node": producer.id,
        "consumer_node": consumer.id,
        "source": "main",
        "table": "people",
        "columns": [{"column": "id", "item": "公民身份号码"}, {"column": "name", "item": "姓名"}],
        "key_columns": ["id"],
        "target_table": "residents",
    }


def cut(task: Task, path: Path, signer: Signer) -> SignedManifest:
    """Write the only batch of the task's first run and sign its manifest."""
    facts = write_payload(path, pa.table(ROWS).to_batches(), COLUMNS)
    manifest = Manifest(
        batch_id=BatchId(new_id()),
        task_id=task.id,
        agreement_id=task.agreement_id,
        sequence=1,
        previous_digest=GENESIS_DIGEST,
        resource_id=task.resource_id,
        resource_version=task.resource_version,
        schema_fingerprint=schema_fingerprint(COLUMNS),
        columns=COLUMNS,
        cursor_from=None,
        cursor_to=None,
        rows=facts.content.rows,
        content_digest=facts.content.sum,
        payload_digest=facts.digest,
        payload_bytes=facts.bytes,
        produced_at=datetime.now(UTC),
        department=task.provider,
        mode=TransferMode.SNAPSHOT,
        run=1,
        part=1,
        last=True,
    )
    return signed_manifest(manifest, signer)


def transfer(hub: RunningHub, task: Task, producer: Node, consumer: Node, folder: Path) -> None:
    """Move one batch from node to node, chunk by chunk, and acknowledge it."""
    path = folder / "batch.arrow"
    signed = cut(task, path, producer.signer)
    batch_id, data = signed.manifest.batch_id, path.read_bytes()
    assert producer.client.open_upload(signed).received_bytes == 0
    for offset in range(0, len(data), CHUNK_BYTES):
        state = producer.client.put_chunk(batch_id, offset, data[offset : offset + CHUNK_BYTES])
    assert state.received_bytes == len(data)
    record = producer.client.commit(batch_id)
    assert producer.client.commit(batch_id) == record
    producer.client.finish_run(task.id, 1)
    assert [work.task.id for work in consumer.client.work(0).consume] == [task.id]
    assert consumer.client.batches(task.id, 0) == (record,)
    fetched = folder / "fetched.arrow"
    fetched.write_bytes(data[:100])
    consumer.client.download(batch_id, fetched, len(data))
    assert fetched.read_bytes() == data
    receipt = Receipt(
        batch_id=batch_id,
        task_id=task.id,
        sequence=1,
        manifest_digest=signed.manifest.digest,
        consumer=task.consumer,
        rows_applied=2,
        rows_rejected=0,
        table_digest=None,
        applied_at=datetime.now(UTC),
    )
    consumer.client.send_receipt(signed_receipt(receipt, consumer.signer))
    assert hub.services.exchange.progress(task.id).rows_applied == 2


def test_from_draft_to_receipt(hub: RunningHub, tmp_path: Path) -> None:
    """A resource is published, requested, agreed upon, moved between nodes and acknowledged; all of it is evidence."""
    operator, police, education = hub.person("operator"), hub.person("police"), hub.person("education")
    authority, auditor = hub.person("authority"), hub.person("auditor")
    producer, consumer = Node(hub, operator, POLICE), Node(hub, operator, EDUCATION)
    resource = publish(producer, police, authority)
    hits = education.get("/api/v1/search", params={"q": "户籍"}).json()["hits"]
    assert [hit["resource"]["id"] for hit in hits] == [resource]
    agreement = agree(resource, police, education, (producer, consumer))
    with hub.client() as visitor:
        read_documents(education, visitor, agreement, tmp_path)
    agreement = renew(agreement, education, police, (producer, consumer))
    task = Task.model_validate(posted(authority, "/api/v1/tasks", draft_of(agreement, producer, consumer)))
    posted(authority, f"/api/v1/tasks/{task.id}/actions", {"action": "run"}, status=200)
    assert [work.run for work in producer.client.work(5).produce] == [1]
    transfer(hub, task, producer, consumer, tmp_path)
    view = education.get(f"/api/v1/tasks/{task.id}").json()
    assert (view["task"]["run_done"], view["progress"]["receipted_batches"]) == (1, 1)

    replays = f"/api/v1/tasks/{task.id}/replays"
    assert police.post(replays, json={"from_sequence": 1}).status_code == 403
    ordered = posted(education, replays, {"from_sequence": 1})
    assert [one.replay.id for one in consumer.client.work(5).replay] == [ordered["id"]]
    posted(education, f"{replays}/{ordered['id']}/cancellation", {}, status=200)
    assert consumer.client.work(0).replay == ()
    assert [one["state"] for one in education.get(replays).json()] == ["cancelled"]

    report = posted(authority, "/api/v1/monitor/runs", {})
    assert report["opened"] == []
    performance = authority.get("/api/v1/indicators").json()
    line = next(line for line in performance["departments"] if line["department"] == POLICE)
    ranked = sorted((found for found in performance["departments"] if found["rank"]), key=lambda found: found["rank"])
    scores = [found["score"] for found in ranked]
    assert line in ranked
    assert scores == sorted(scores, reverse=True)
    assert authority.get("/api/v1/dashboard").json()["agreements_active"] == 1

    while hub.services.ledger.integrate():
        pass
    entries = auditor.get("/api/v1/ledger/entries", params={"limit": 200}).json()
    kinds = {entry["kind"] for entry in entries["rows"]}
    assert {"catalogue.step", "sharing.request", "sharing.agreement", "exchange.batch", "exchange.receipt"} <= kinds
    proof = auditor.get(f"/api/v1/ledger/entries/{entries['rows'][0]['entry_id']}/proof")
    assert proof.status_code == 200
    exported = auditor.get("/api/v1/ledger/export")
    with tarfile.open(fileobj=io.BytesIO(exported.content)) as tar:
        tar.extractall(tmp_path, filter="data")
    assert verify_log(tmp_path / "log", log_key=producer.log_key).size == entries["total"]
    assert producer.client.log_file("checkpoint") == hub.services.ledger.checkpoint()


def test_who_may_not_is_refused_with_reasons(hub: RunningHub) -> None:
    """The policy's own words reach the caller, and lists show a department only what concerns it."""
    education = hub.person("education")
    refused = education.post("/api/v1/monitor/runs")
    assert refused.status_code == 403
    assert refused.json()["context"]["policies"]
    assert education.get("/api/v1/findings").json() == {"rows": [], "total": 0, "next_offset": None}
    assert education.get("/api/v1/findings", params={"department": POLICE}).status_code == 403
    assert education.get("/api/v1/me/uses").status_code == 403


def test_a_cookie_changes_things_only_from_the_platform_s_own_pages(hub: RunningHub) -> None:
    """Another site's form is refused; the same request from the platform's page is not."""
    hub.person("police").close()
    with hub.client() as browser:
        opened = browser.post("/api/v1/session", json={"username": "police", "password": PASSWORD})
        assert "HttpOnly" in opened.headers["set-cookie"]
        assert "SameSite=lax" in opened.headers["set-cookie"]
        assert browser.cookies[SESSION_COOKIE] == opened.json()["token"]
        assert browser.get("/api/v1/session").json()["actor"]["department"] == POLICE
        path = "/api/v1/enrolments"
        body = {"department": POLICE}
        for headers in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "same-site"}):
            crossed = browser.post(path, json=body, headers=headers)
            assert (crossed.status_code, crossed.json()["code"]) == (403, "web.cross_origin")
        assert browser.post(path, json=body, headers={"Origin": hub.url}).status_code == 201
        assert browser.post(path, json=body, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 201
        assert browser.delete("/api/v1/session", headers={"Origin": "https://evil.example"}).status_code == 403
        assert browser.delete("/api/v1/session", headers={"Origin": hub.url}).status_code == 204
        browser.cookies.set(SESSION_COOKIE, opened.json()["token"])
        assert browser.get("/api/v1/session").status_code == 401


def test_an_application_obtains_a_token_by_its_secret(hub: RunningHub) -> None:
    """By form and by header; anything else is refused."""
    education = hub.person("education")
    issued = posted(education, "/api/v1/applications", {"name": "招生系统", "department": EDUCATION})
    application = issued["application"]
    assert isinstance(application, dict)
    client_id, secret = str(application["client_id"]), str(issued["client_secret"])
    form = {"grant_type": "client_credentials"}
    with hub.client() as visitor:
        credentials = {"client_id": client_id, "client_secret": secret}
        by_form = visitor.post("/api/v1/oauth/token", data={**form, **credentials})
        by_header = visitor.post("/api/v1/oauth/token", data=form, auth=(client_id, secret))
        assert by_form.status_code == by_header.status_code == 200
        token = by_header.json()["access_token"]
        assert visitor.get("/api/v1/session", headers={"Authorization": f"Bearer {token}"}).status_code == 200
        assert visitor.post("/api/v1/oauth/token", data=form).status_code == 401
        assert visitor.post("/api/v1/oauth/token", data=form, auth=(client_id, "wrong")).status_code == 401
        assert visitor.post("/api/v1/oauth/token", data={"grant_type": "password"}).status_code == 422
        tampered = visitor.get("/api/v1/session", headers={"Authorization": f"Bearer {token}x"})
        assert tampered.status_code == 401


def test_an_application_is_reviewed_and_its_oauth_library_works_unmodified(hub: RunningHub) -> None:
    """Authlib's client gets and uses tokens as it comes: sandbox before the review, real ones after it."""
    education, authority = hub.person("education"), hub.person("authority")
    new = {"name": "入学一件事", "purpose": "核验", "scenes": ["入学"], "contacts": ["张三"], "showcase": True}
    made = posted(education, "/api/v1/registrations", {**new, "department": EDUCATION})
    path = f"/api/v1/registrations/{made['client_id']}"
    endpoint = f"{hub.url}/api/v1/oauth/token"

    def client(key: dict[str, object], **options: object) -> OAuth2Client:
        return OAuth2Client(str(made["client_id"]), str(key["client_secret"]), base_url=hub.url, **options)

    assert education.post(f"{path}/keys", json={}).json()["code"] == "sharing.application_not_approved"
    assert education.post(f"{path}/actions", json={"action": "approve"}).status_code == 403
    key = posted(education, f"{path}/keys", {"kind": "sandbox"})
    with client(key) as library:
        library.fetch_token(endpoint)
        answer = library.post("/sandbox/v1/nothing/query", json={"key": {"citizen_id": "1"}, "items": ["xm"]})
        assert (answer.status_code, answer.json()["code"]) == (404, "sharing.sandbox_unbound")
        assert library.get("/api/v1/resources").status_code == 403, "a sandbox token opens the sandbox only"
    assert authority.post(f"{path}/actions", json={"action": "approve"}).json()["state"] == "approved"
    key = posted(education, f"{path}/keys", {"kind": "live"})
    for way in ("client_secret_basic", "client_secret_post"):
        with client(key, token_endpoint_auth_method=way) as library:
            library.fetch_token(endpoint)
            assert library.get("/api/v1/session").json()["actor"]["id"] == made["client_id"]
    with client({"client_secret": "wrong"}) as library, pytest.raises(OAuthError, match="invalid_client"):
        library.fetch_token(endpoint)
    with hub.client() as visitor:
        (shown,) = visitor.get("/api/v1/showcase").json()["rows"]
        assert shown == {"name": "入学一件事", "department": EDUCATION, "purpose": "核验", "scenes": ["入学"]}
    suspended = authority.post(f"{path}/actions", json={"action": "suspend", "reason": "复核"}).json()
    assert suspended["state"] == "suspended"
    with client(key) as library, pytest.raises(OAuthError, match="invalid_client"):
        library.fetch_token(endpoint)
    assert education.get(f"{path}/health").json()["findings"] == []
    issued = posted(education, "/api/v1/applications", {"name": "旧系统", "department": EDUCATION})
    plain = issued["application"]
    assert isinstance(plain, dict)
    assert education.get("/api/v1/applications").json()[0]["client_id"] == plain["client_id"]
    revoked = education.post(f"/api/v1/applications/{plain['client_id']}/revocation")
    assert revoked.json()["revoked_at"] is not None


def test_waiting_for_work_ends_without_work(hub: RunningHub) -> None:
    """A node that has nothing to do is answered after the time it offered to wait."""
    node = Node(hub, hub.person("operator"), POLICE)
    assert node.client.work(0.5).is_empty
    node.client.heartbeat("well")
    (seen,) = hub.services.identity.nodes(POLICE)
    assert seen.last_status == "well"
