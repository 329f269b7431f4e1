"""A small hub for tests of nodes: the exchange routes of the REST contract over the real service, and nothing else."""

import base64
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from datong.adapters.directory_store import DirectoryStore
from datong.adapters.file_keys import load_or_create_signer
from datong.catalogue import DepartmentKey, RecipientKey
from datong.exchange import (
    ColumnMap,
    Exchange,
    Failure,
    OpenTerms,
    ReplayDraft,
    SignedEndDigest,
    SignedManifest,
    SignedReceipt,
    SignedRejectReport,
    SignedReplayReport,
    SignedSchemaReport,
    TaskDraft,
)
from datong.kernel import (
    Actor,
    ActorKind,
    AgreementId,
    BatchId,
    Clock,
    Conflict,
    Corrupt,
    Database,
    DatongError,
    DepartmentCode,
    NodeId,
    NotFound,
    Refused,
    ResourceId,
    SystemClock,
    TaskId,
    Text,
    Value,
)
from datong.ledger import Ledger, key_id_of
from datong.node import NodeHome, NodeIdentity, SourceEntry
from tests.new_control import new_control

STATUSES = {NotFound: 404, Refused: 403, Conflict: 409, Corrupt: 422}


class FileKeys:
    """Departments' keys, kept as files named by key id: for tests."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def register(self, key_id: str, public_key: bytes, department: str, node_id: str | None) -> None:
        """Remember a key."""
        facts = {"public_key": public_key.hex(), "department": department, "node_id": node_id}
        (self._folder / key_id).write_text(json.dumps(facts))

    def key(self, key_id: str) -> DepartmentKey:
        """Return a key."""
        try:
            facts = json.loads((self._folder / key_id).read_text())
        except FileNotFoundError as error:
            text = Text(zh="没有该密钥", en="no such key")
            raise NotFound("tests.key_not_found", what=text, remedy=text) from error
        return DepartmentKey(
            key_id=key_id,
            department=facts["department"],
            public_key=bytes.fromhex(facts["public_key"]),
            node_id=facts["node_id"],
            registered_at=datetime(2026, 1, 1, tzinfo=UTC),
        )

    def of_department(self, department: str) -> list[tuple[str, bytes]]:
        """Return the key ids and public keys of a department."""
        known = ((file.name, json.loads(file.read_text())) for file in sorted(self._folder.iterdir()))
        return [(key, bytes.fromhex(facts["public_key"])) for key, facts in known if facts["department"] == department]

    def of_node(self, node_id: str) -> bytes:
        """Return the public key of a node."""
        known = (json.loads(file.read_text()) for file in self._folder.iterdir())
        return bytes.fromhex(next(facts["public_key"] for facts in known if facts["node_id"] == node_id))


class FileRecipients:
    """Recipient keys of nodes, one file each: for tests."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def register(self, actor: Actor, signing_key: bytes, public_key: bytes, signature: bytes) -> RecipientKey:
        """Remember a key."""
        key = RecipientKey(
            key_id=key_id_of(public_key),
            department=DepartmentCode(str(actor.department)),
            node_id=NodeId(actor.id),
            public_key=public_key,
            signature=signature,
            signing_key=signing_key,
            registered_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        (self._folder / key.key_id).write_text(key.model_dump_json())
        return key

    def of_department(self, department: str) -> tuple[RecipientKey, ...]:
        """Return a department's keys."""
        known = (RecipientKey.model_validate_json(file.read_text()) for file in sorted(self._folder.iterdir()))
        return tuple(key for key in known if key.department == department)

    def in_force(self, department: DepartmentCode, node_id: NodeId) -> tuple[RecipientKey, ...]:
        """Return the keys of a node that were not revoked."""
        return tuple(key for key in self.of_department(department) if key.node_id == node_id and key.revoked_at is None)

    def revoke(self, key_id: str) -> RecipientKey:
        """Revoke a key."""
        path = self._folder / key_id
        key = RecipientKey.model_validate_json(path.read_text())
        revoked = key.model_copy(update={"revoked_at": datetime(2026, 1, 2, tzinfo=UTC)})
        path.write_text(revoked.model_dump_json())
        return revoked


class TestHub:
    """The exchange service with its ledger, over one folder."""

    __test__ = False

    def __init__(self, folder: Path, database: Database | None = None, clock: Clock | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        clock = clock or SystemClock()
        if database is None:
            # The folder of a hub that was there before keeps its database.
            file = folder / "control.sqlite"
            database = Database(f"sqlite:///{file}") if file.exists() else new_control(folder)
        self.signer = load_or_create_signer(folder / "hub.pem")
        self.keys = FileKeys(folder / "keys")
        self.recipients = FileRecipients(folder / "recipients")
        self.database = database
        self.ledger = Ledger(
            database=database,
            clock=clock,
            signer=self.signer,
            origin="test.local/log",
            tiles=DirectoryStore(folder / "log"),
        )
        self.exchange = Exchange(
            database=database,
            clock=clock,
            ledger=self.ledger,
            keys=self.keys,
            terms=OpenTerms(),
            lake=folder / "lake",
            hub_signer=self.signer,
            recipients=self.recipients,
        )

    def enrol(self, home: Path, party: str, port: int, source: str, *, writable: bool) -> None:
        """Make the folder of `party`'s node, with its key registered and its database as source `main`."""
        node = NodeHome(home)
        signer = load_or_create_signer(node.key_path)
        self.keys.register(signer.key_id, signer.public_key, party, f"node-{party}")
        key = base64.b64encode(self.signer.public_key).decode()
        node.save_identity(
            NodeIdentity(
                hub_url=f"http://127.0.0.1:{port}",
                node_id=NodeId(f"node-{party}"),
                name=party,
                department=DepartmentCode(party),
                log_origin="test.local/log",
                log_key=key,
                hub_public_key=key,
            )
        )
        node.add_source(SourceEntry(name="main", url=source, writable=writable))


def task_draft(table: str, names: Sequence[str], **fields: object) -> TaskDraft:
    """Return a task that moves columns of the police's `table` to education."""
    draft = TaskDraft(
        agreement_id=AgreementId("agreement"),
        resource_id=ResourceId("resource"),
        resource_version=1,
        provider=DepartmentCode("police"),
        consumer=DepartmentCode("education"),
        producer_node=NodeId("node-police"),
        consumer_node=NodeId("node-education"),
        source="main",
        table=table,
        columns=tuple(ColumnMap(column=name, item=name) for name in names),
    )
    return TaskDraft.model_validate(draft.model_dump() | fields)


def actor_of(request: Request) -> Actor:
    """Return the node that calls; the token is its node id."""
    node = request.headers["Authorization"].removeprefix("Bearer ")
    return Actor(kind=ActorKind.NODE, id=node, department=DepartmentCode(node.removeprefix("node-")))


def app_of(hub: TestHub) -> Starlette:
    """Return the routes."""

    async def token(request: Request) -> Response:
        form = await request.form()
        claims = str(form["client_assertion"]).split(".")[1]
        node = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["sub"]
        return JSONResponse({"access_token": node, "token_type": "Bearer", "expires_in": 600})

    def route(path: str, method: str, act: Callable[[Request, bytes], Value | Response | list[Value] | None]) -> Route:
        async def endpoint(request: Request) -> Response:
            body = await request.body()
            try:
                return answer(await run_in_threadpool(act, request, body))
            except DatongError as error:
                status = next((code for kind, code in STATUSES.items() if isinstance(error, kind)), 422)
                problem = {"code": error.code, "detail": error.what.en, "context": error.context}
                return JSONResponse(problem, status_code=status)

        return Route(path, endpoint, methods=[method])

    def answer(result: Value | Response | list[Value] | None) -> Response:
        if isinstance(result, Response):
            return result
        if isinstance(result, list):
            return JSONResponse([one.model_dump(mode="json") for one in result])
        return JSONResponse(None if result is None else result.model_dump(mode="json"))

    def work(request: Request, _: bytes) -> Value:
        hub.ledger.integrate()
        node = NodeId(actor_of(request).id)
        found = hub.exchange.work_for(node)
        # One look for many nodes leaves out none for which something waits.
        assert not found.is_pressing or hub.exchange.concerned({node}) == {node}
        return found

    def chunk(request: Request, body: bytes) -> Value:
        return hub.exchange.put_chunk(
            BatchId(request.path_params["batch"]),
            request.path_params["offset"],
            body,
            request.headers["Datong-Chunk-Digest"],
            node=NodeId(actor_of(request).id),
        )

    def batches(request: Request, _: bytes) -> list[Value]:
        task, after = TaskId(request.path_params["task"]), int(request.query_params["after"])
        return list(hub.exchange.batches(task, after_sequence=after))

    def log(request: Request, _: bytes) -> Response:
        name = request.path_params["name"]
        return Response(hub.ledger.checkpoint() if name == "checkpoint" else hub.ledger.tile(name))

    def cosign(request: Request, body: bytes) -> None:
        node = actor_of(request).id
        hub.ledger.cosign(witness_name=node, witness_key=hub.keys.of_node(node), note=json.loads(body)["note"].encode())

    def heartbeat(_request: Request, _body: bytes) -> None:
        return None

    def to_sign(_request: Request, _body: bytes) -> list[Value]:
        return []

    def announce(request: Request, body: bytes) -> Value:
        node = NodeId(actor_of(request).id)
        return hub.exchange.open_upload(SignedManifest.model_validate_json(body), node=node)

    def commit(request: Request, _: bytes) -> Value:
        return hub.exchange.commit(BatchId(request.path_params["batch"]), actor=actor_of(request))

    def payload(request: Request, _: bytes) -> Response:
        return FileResponse(hub.exchange.payload(BatchId(request.path_params["batch"])))

    def receipt(request: Request, body: bytes) -> Value:
        signed = SignedReceipt.model_validate_json(body)
        return hub.exchange.record_receipt(signed, actor=actor_of(request))

    def digest(request: Request, body: bytes) -> Value:
        signed = SignedEndDigest.model_validate_json(body)
        return hub.exchange.reconciliations.report(signed, actor=actor_of(request))

    def schema(request: Request, body: bytes) -> Value:
        return hub.exchange.schemas.report(SignedSchemaReport.model_validate_json(body), actor=actor_of(request))

    def task(request: Request, _: bytes) -> Response:
        found = hub.exchange.task(TaskId(request.path_params["task"]))
        return JSONResponse({"task": found.model_dump(mode="json")})

    def rejects(request: Request, body: bytes) -> Value:
        return hub.exchange.rejects.report(SignedRejectReport.model_validate_json(body), actor=actor_of(request))

    def order_replay(request: Request, body: bytes) -> Value:
        task, draft = TaskId(request.path_params["task"]), ReplayDraft.model_validate_json(body)
        return hub.exchange.replays.request(task, draft, actor=actor_of(request))

    def replays(request: Request, _: bytes) -> list[Value]:
        return list(hub.exchange.replays.of_task(TaskId(request.path_params["task"])))

    def replayed(request: Request, body: bytes) -> Value:
        return hub.exchange.replays.done(SignedReplayReport.model_validate_json(body), actor=actor_of(request))

    def replay_failed(request: Request, body: bytes) -> Value:
        task, replay = TaskId(request.path_params["task"]), request.path_params["replay"]
        return hub.exchange.replays.fail(task, replay, Failure.model_validate_json(body), actor=actor_of(request))

    def done(request: Request, _: bytes) -> Value:
        task, run = TaskId(request.path_params["task"]), request.path_params["run"]
        return hub.exchange.finish_run(task, run, actor=actor_of(request))

    def register_recipient(request: Request, body: bytes) -> Value:
        actor, key = actor_of(request), json.loads(body)
        public_key, signature = (base64.b64decode(key[name]) for name in ("public_key", "signature"))
        signing_key = hub.keys.of_node(actor.id)
        return hub.recipients.register(actor, signing_key, public_key, signature)

    def recipients(request: Request, _: bytes) -> list[Value]:
        return list(hub.recipients.of_department(request.path_params["department"]))

    def department_keys(request: Request, _: bytes) -> Response:
        found = hub.keys.of_department(request.path_params["department"])
        plain = [
            {"key_id": one, "public_key": base64.b64encode(key).decode(), "revoked_at": None} for one, key in found
        ]
        return JSONResponse(plain)

    def revoke_recipient(request: Request, _: bytes) -> Value:
        return hub.recipients.revoke(request.path_params["key"])

    def failed(request: Request, body: bytes) -> Value:
        task, run = TaskId(request.path_params["task"]), request.path_params["run"]
        return hub.exchange.runs.fail(task, run, Failure.model_validate_json(body), actor=actor_of(request))

    def begun(request: Request, body: bytes) -> Value:
        task, run = TaskId(request.path_params["task"]), request.path_params["run"]
        expected = json.loads(body)["expected_rows"]
        return hub.exchange.runs.begin(task, run, expected_rows=expected, actor=actor_of(request))

    api = "/api/v1"
    return Starlette(
        routes=[
            Route(f"{api}/oauth/token", token, methods=["POST"]),
            route(f"{api}/nodes/me/work", "GET", work),
            route(f"{api}/nodes/me/heartbeat", "POST", heartbeat),
            route(f"{api}/nodes/me/recipient-keys", "POST", register_recipient),
            route(f"{api}/nodes/me/recipient-keys/{{key}}/revocation", "POST", revoke_recipient),
            route(f"{api}/departments/{{department}}/recipient-keys", "GET", recipients),
            route(f"{api}/departments/{{department}}/keys", "GET", department_keys),
            route(f"{api}/agreements/to-sign", "GET", to_sign),
            route(f"{api}/ledger/cosignatures", "POST", cosign),
            route("/log/{name:path}", "GET", log),
            route(f"{api}/batches", "POST", announce),
            route(f"{api}/tasks/{{task}}/replays", "POST", order_replay),
            route(f"{api}/tasks/{{task}}/replays", "GET", replays),
            route(f"{api}/tasks/{{task}}/replays/reports", "POST", replayed),
            route(f"{api}/tasks/{{task}}/replays/{{replay}}/failures", "POST", replay_failed),
            route(f"{api}/batches/{{batch}}/chunks/{{offset:int}}", "PUT", chunk),
            route(f"{api}/batches/{{batch}}/commit", "POST", commit),
            route(f"{api}/batches/{{batch}}/payload", "GET", payload),
            route(f"{api}/batches/{{batch}}/receipts", "POST", receipt),
            route(f"{api}/tasks/{{task}}", "GET", task),
            route(f"{api}/tasks/{{task}}/batches", "GET", batches),
            route(f"{api}/tasks/{{task}}/digests", "POST", digest),
            route(f"{api}/tasks/{{task}}/schema/reports", "POST", schema),
            route(f"{api}/tasks/{{task}}/dead-letters/reports", "POST", rejects),
            route(f"{api}/tasks/{{task}}/runs/{{run:int}}/done", "POST", done),
            route(f"{api}/tasks/{{task}}/runs/{{run:int}}/begin", "POST", begun),
            route(f"{api}/tasks/{{task}}/runs/{{run:int}}/failures", "POST", failed),
        ]
    )


def serve(folder: Path, port: int) -> None:
    """Serve the hub of `folder` until killed."""
    uvicorn.run(app_of(TestHub(folder)), host="127.0.0.1", port=port, log_level="warning")
