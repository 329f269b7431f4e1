"""The hub as a node sees it: everything that a node asks it or tells it, each by one request (`hub_calls`)."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path

import httpx
from pydantic import TypeAdapter

from datong.catalogue import (
    ColumnSketch,
    Department,
    Envelope,
    Fault,
    FoundTable,
    Inventory,
    InventoryStart,
    RecipientKey,
    Resource,
    ResourceContent,
    SketchKeyWork,
    SketchWork,
)
from datong.exchange import (
    BatchRecord,
    Failure,
    FileId,
    FileRecord,
    FileState,
    NodeWork,
    Replay,
    ReplayDraft,
    SchemaVerdict,
    SignedEndDigest,
    SignedFile,
    SignedFileReceipt,
    SignedManifest,
    SignedReceipt,
    SignedRejectReport,
    SignedReplayReport,
    SignedSchemaReport,
    SourceReport,
    Task,
    TaskState,
    UploadState,
)
from datong.kernel import BatchId, DepartmentCode, Page, TaskId, sha256_hex
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.ledger import PeerNote
from datong.node.hub_calls import HubCalls
from datong.sharing import (
    Agreement,
    Matching,
    MatchingPart,
    MatchingReport,
    MatchingStep,
    NodeWord,
    SealedLiveAnswer,
    SealedLiveCall,
)

FILE_COMMIT_TIMEOUT_SECONDS = 1800.0
"""The hub reads a whole file once to commit it: a terabyte takes some minutes."""
CHUNK_BYTES = 4 * 1024 * 1024


class HubClient(HubCalls):
    """What one node asks the hub. Every method may raise what the hub answered, or `Unavailable`."""

    # Work

    def work(self, wait_seconds: float) -> NodeWork:
        """Return the node's work, waiting up to `wait_seconds` for some."""
        response = self._call("GET", "/api/v1/nodes/me/work", params={"wait": str(wait_seconds)})
        return NodeWork.model_validate_json(response.content)

    def heartbeat(
        self, status: str, sources: Sequence[SourceReport] = (), *, running_seconds: int = 0, unanswered: int = 0
    ) -> None:
        """Tell the hub that this node lives, since when, and how its tasks' sources stand.

        `unanswered` is how often it called in vain before; only then it says how long it has been running.
        """
        body: dict[str, object] = {
            "status": status,
            "sources": [report.model_dump(mode="json") for report in sources],
        }
        if unanswered:
            body |= {"running_seconds": running_seconds, "unanswered": unanswered}
        self._call("POST", "/api/v1/nodes/me/heartbeat", body=body)

    def change_seen(self, task_id: TaskId, mark: str) -> None:
        """Tell the hub that a task's source has changed."""
        self._call("POST", f"/api/v1/tasks/{task_id}/changes", body={"mark": mark})

    def task_state(self, task_id: TaskId) -> TaskState:
        """Return whether a task may run."""
        return self.task(task_id).state

    def task(self, task_id: TaskId) -> Task:
        """Return a task."""
        response = self._call("GET", f"/api/v1/tasks/{task_id}")
        return Task.model_validate(response.json()["task"])

    def finish_run(self, task_id: TaskId, run: int) -> None:
        """Tell the hub that a run is complete."""
        self._call("POST", f"/api/v1/tasks/{task_id}/runs/{run}/done", body={})

    def begin_run(self, task_id: TaskId, run: int, expected_rows: int | None) -> None:
        """Tell the hub that a run has begun, and how many rows are expected."""
        self._call("POST", f"/api/v1/tasks/{task_id}/runs/{run}/begin", body={"expected_rows": expected_rows})

    def report_failure(self, task_id: TaskId, run: int, failure: Failure) -> None:
        """Tell the hub that this node's part of a run failed."""
        path = f"/api/v1/tasks/{task_id}/runs/{run}/failures"
        self._call("POST", path, body=failure.model_dump(mode="json"))

    # Producing

    def report_rejects(self, signed: SignedRejectReport) -> None:
        """Report the counts of a task's dead letters."""
        task_id = signed.report.counts.task_id
        self._call("POST", f"/api/v1/tasks/{task_id}/dead-letters/reports", body=signed.model_dump(mode="json"))

    def order_replay(self, task_id: TaskId, draft: ReplayDraft) -> Replay:
        """Order that this node applies stored batches once more."""
        response = self._call("POST", f"/api/v1/tasks/{task_id}/replays", body=draft.model_dump(mode="json"))
        return Replay.model_validate_json(response.content)

    def replays(self, task_id: TaskId) -> tuple[Replay, ...]:
        """Return a task's replays, newest first."""
        return tuple(Replay.model_validate(one) for one in self._call("GET", f"/api/v1/tasks/{task_id}/replays").json())

    def report_replay(self, signed: SignedReplayReport) -> None:
        """Report a replay that this node carried out."""
        path = f"/api/v1/tasks/{signed.report.task_id}/replays/reports"
        self._call("POST", path, body=signed.model_dump(mode="json"))

    def report_replay_failure(self, replay: Replay, failure: Failure) -> None:
        """Report why this node could not carry a replay out."""
        path = f"/api/v1/tasks/{replay.task_id}/replays/{replay.id}/failures"
        self._call("POST", path, body=failure.model_dump(mode="json"))

    def report_schema(self, signed: SignedSchemaReport) -> SchemaVerdict:
        """Report a source table as it is now; the answer says whether its rows may move."""
        task_id = signed.report.task_id
        response = self._call("POST", f"/api/v1/tasks/{task_id}/schema/reports", body=signed.model_dump(mode="json"))
        return SchemaVerdict.model_validate_json(response.content)

    def open_upload(self, signed: SignedManifest) -> UploadState:
        """Announce a batch."""
        response = self._call("POST", "/api/v1/batches", body=signed.model_dump(mode="json"))
        return UploadState.model_validate_json(response.content)

    def put_chunk(self, batch_id: BatchId, offset: int, data: bytes) -> UploadState:
        """Upload one chunk."""
        response = self._call(
            "PUT",
            f"/api/v1/batches/{batch_id}/chunks/{offset}",
            content=data,
            headers={"Datong-Chunk-Digest": sha256_hex(data), "Content-Type": "application/octet-stream"},
        )
        return UploadState.model_validate_json(response.content)

    def commit(self, batch_id: BatchId) -> BatchRecord:
        """Ask the hub to verify and record a batch."""
        response = self._call("POST", f"/api/v1/batches/{batch_id}/commit", body={})
        return BatchRecord.model_validate_json(response.content)

    # Consuming

    def batches(self, task_id: TaskId, after: int, *, wait_seconds: float = 0) -> tuple[BatchRecord, ...]:
        """Return a task's committed batches after a sequence, waiting up to `wait_seconds` for one."""
        params = {"after": str(after), "wait": str(wait_seconds)}
        response = self._call("GET", f"/api/v1/tasks/{task_id}/batches", params=params)
        return TypeAdapter(tuple[BatchRecord, ...]).validate_json(response.content)

    def download(self, batch_id: BatchId, path: Path, expected_bytes: int) -> None:
        """Fetch a payload into `path`, going on where an earlier attempt stopped."""
        path.parent.mkdir(parents=True, exist_ok=True)
        present = path.stat().st_size if path.exists() else 0
        while present < expected_bytes:
            end = min(present + CHUNK_BYTES, expected_bytes) - 1
            response = self._call(
                "GET", f"/api/v1/batches/{batch_id}/payload", headers={"Range": f"bytes={present}-{end}"}
            )
            whole = response.status_code != httpx.codes.PARTIAL_CONTENT
            with path.open("wb" if whole else "ab") as file:
                file.write(response.content)
            present = path.stat().st_size
            if whole:
                return

    def send_receipt(self, signed: SignedReceipt) -> None:
        """Hand in a receipt."""
        batch_id = signed.receipt.batch_id
        self._call("POST", f"/api/v1/batches/{batch_id}/receipts", body=signed.model_dump(mode="json"))

    def send_end_digest(self, signed: SignedEndDigest) -> None:
        """Report one end of a reconciliation."""
        task_id = signed.end_digest.task_id
        self._call("POST", f"/api/v1/tasks/{task_id}/digests", body=signed.model_dump(mode="json"))

    # Files

    def agreement(self, agreement_id: str) -> Agreement:
        """Return an agreement that this department is a party of."""
        return Agreement.model_validate_json(self._call("GET", f"/api/v1/agreements/{agreement_id}").content)

    def department_keys(self, department: DepartmentCode) -> dict[str, bytes]:
        """Return the raw public keys in force with which a department's nodes sign, by key id."""
        rows = json.loads(self._call("GET", f"/api/v1/departments/{department}/keys").content)
        return {row["key_id"]: base64.b64decode(row["public_key"]) for row in rows if row["revoked_at"] is None}

    def open_file(self, signed: SignedFile) -> FileRecord:
        """Announce a file."""
        return FileRecord.model_validate_json(
            self._call("POST", "/api/v1/files", body=signed.model_dump(mode="json")).content
        )

    def put_file_chunk(self, file_id: FileId, offset: int, data: bytes) -> FileRecord:
        """Upload one chunk of a file."""
        response = self._call(
            "PUT",
            f"/api/v1/files/{file_id}/chunks/{offset}",
            content=data,
            headers={"Datong-Chunk-Digest": sha256_hex(data), "Content-Type": "application/octet-stream"},
        )
        return FileRecord.model_validate_json(response.content)

    def commit_file(self, file_id: FileId) -> FileRecord:
        """Ask the hub to verify and record a file."""
        response = self._call(
            "POST", f"/api/v1/files/{file_id}/commit", body={}, timeout_seconds=FILE_COMMIT_TIMEOUT_SECONDS
        )
        return FileRecord.model_validate_json(response.content)

    def file(self, file_id: FileId) -> FileRecord:
        """Return a file."""
        return FileRecord.model_validate_json(self._call("GET", f"/api/v1/files/{file_id}").content)

    def files(self, state: FileState | None = None, recipient: DepartmentCode | None = None) -> tuple[FileRecord, ...]:
        """Return the files that this department sends or receives, newest first."""
        found: list[FileRecord] = []
        wanted = {"limit": str(PAGE_ROWS_MAX)}
        wanted |= {} if state is None else {"state": state.value}
        wanted |= {} if recipient is None else {"recipient": recipient}
        offset: int | None = 0
        while offset is not None:
            response = self._call("GET", "/api/v1/files", params={**wanted, "offset": str(offset)})
            page = TypeAdapter(Page[FileRecord]).validate_json(response.content)
            found += page.rows
            offset = page.next_offset
        return tuple(found)

    def file_part(self, file_id: FileId, first: int, end: int) -> bytes:
        """Return the bytes `first` to `end` (exclusive) of a file's content, or all of them if the hub sends all."""
        response = self._call("GET", f"/api/v1/files/{file_id}/content", headers={"Range": f"bytes={first}-{end - 1}"})
        whole = response.status_code != httpx.codes.PARTIAL_CONTENT
        return response.content[first:end] if whole else response.content

    def send_file_receipt(self, signed: SignedFileReceipt) -> FileRecord:
        """Hand in the receipt of a file."""
        path = f"/api/v1/files/{signed.receipt.file_id}/receipt"
        return FileRecord.model_validate_json(self._call("POST", path, body=signed.model_dump(mode="json")).content)

    # Recipient keys

    def recipient_keys(self, department: DepartmentCode) -> tuple[RecipientKey, ...]:
        """Return a department's recipient keys, revoked ones included."""
        response = self._call("GET", f"/api/v1/departments/{department}/recipient-keys")
        return TypeAdapter(tuple[RecipientKey, ...]).validate_json(response.content)

    def register_recipient_key(self, public_key: bytes, signature: bytes) -> RecipientKey:
        """Register a key to which payloads may be sealed for this node."""
        body = {"public_key": base64.b64encode(public_key).decode(), "signature": base64.b64encode(signature).decode()}
        response = self._call("POST", "/api/v1/nodes/me/recipient-keys", body=body)
        return RecipientKey.model_validate_json(response.content)

    def revoke_recipient_key(self, key_id: str, reason: str) -> RecipientKey:
        """Revoke one of this node's recipient keys."""
        response = self._call("POST", f"/api/v1/nodes/me/recipient-keys/{key_id}/revocation", body={"reason": reason})
        return RecipientKey.model_validate_json(response.content)

    def replace_key(self, public_key: bytes, *, by_old: bytes, by_new: bytes) -> None:
        """Register the key with which this node signs from now on, vouched for by the present one."""
        parts = {"public_key": public_key, "by_old": by_old, "by_new": by_new}
        body = {name: base64.b64encode(part).decode() for name, part in parts.items()}
        self._call("POST", "/api/v1/nodes/me/signing-keys", body=body)

    # Live calls

    def live_calls(self, key: bytes, wait_seconds: float) -> tuple[SealedLiveCall, ...]:
        """Return the calls that wait for this node, sealed to `key`, waiting up to `wait_seconds` for some."""
        response = self._call("GET", "/api/v1/nodes/me/calls", params={"wait": str(wait_seconds), "key": key.hex()})
        return TypeAdapter(tuple[SealedLiveCall, ...]).validate_json(response.content)

    def answer_live_call(self, sealed: SealedLiveAnswer) -> None:
        """Hand in the answer to a call."""
        body = sealed.model_dump(mode="json")
        self._call("POST", f"/api/v1/nodes/me/calls/{sealed.call_id}/answer", body=body)

    # Agreements, catalogue, log

    def matching_work(self) -> tuple[Matching, ...]:
        """Return the approved private matchings in which this node takes part."""
        return TypeAdapter(tuple[Matching, ...]).validate_json(self._call("GET", "/api/v1/matchings/work").content)

    def sign_matching(self, matching_id: str, word: NodeWord) -> Matching:
        """Hand in this node's signature of a matching's terms."""
        path = f"/api/v1/matchings/{matching_id}/signatures"
        return Matching.model_validate_json(self._call("POST", path, body=word.model_dump(mode="json")).content)

    def hand_in_part(self, part: MatchingPart, sealed: bytes) -> Matching:
        """Hand in a sealed part for the other node."""
        headers = {"Datong-Matching-Part": part.model_dump_json(), "Content-Type": "application/octet-stream"}
        path = f"/api/v1/matchings/{part.matching_id}/parts"
        return Matching.model_validate_json(self._call("PUT", path, content=sealed, headers=headers).content)

    def matching_part(self, matching_id: str, step: MatchingStep, number: int) -> bytes:
        """Return a sealed part of the other node's."""
        return self._call("GET", f"/api/v1/matchings/{matching_id}/parts/{step.value}/{number}").content

    def report_matching(self, report: MatchingReport) -> Matching:
        """Say how a matching ended."""
        path = f"/api/v1/matchings/{report.matching_id}/reports"
        return Matching.model_validate_json(self._call("POST", path, body=report.model_dump(mode="json")).content)

    def agreements_to_sign(self) -> tuple[Agreement, ...]:
        """Return the agreements that wait for the department's signature."""
        response = self._call("GET", "/api/v1/agreements/to-sign")
        return TypeAdapter(tuple[Agreement, ...]).validate_json(response.content)

    def sign_agreement(self, agreement_id: str, signature: bytes) -> None:
        """Hand in the department's signature of an agreement."""
        body = {"key_id": self._signer.key_id, "signature": base64.b64encode(signature).decode()}
        self._call("POST", f"/api/v1/agreements/{agreement_id}/signatures", body=body)

    def departments(self) -> tuple[Department, ...]:
        """Return every department of the platform."""
        response = self._call("GET", "/api/v1/departments")
        found = json.loads(response.content)
        rows = found["rows"] if isinstance(found, dict) else found
        fields = set(Department.model_fields)
        return tuple(Department.model_validate({k: v for k, v in row.items() if k in fields}) for row in rows)

    def draft_resource(self, content: ResourceContent) -> Resource:
        """Draft a catalogue entry, or update the draft of the same table."""
        response = self._call("POST", "/api/v1/resources", body={"content": content.model_dump(mode="json")})
        return Resource.model_validate_json(response.content)

    # Sketches

    def sketch_key_work(self) -> SketchKeyWork:
        """Return what this node must do so that all nodes share the sketch secret."""
        response = self._call("GET", "/api/v1/sketch-keys/work")
        return SketchKeyWork.model_validate_json(response.content)

    def register_sealing_key(self, public_key: bytes, signature: bytes) -> None:
        """Register the key to which other nodes seal the secret."""
        body = {"public_key": base64.b64encode(public_key).decode(), "signature": base64.b64encode(signature).decode()}
        self._call("POST", "/api/v1/sketch-keys/sealing-keys", body=body)

    def open_sketch_epoch(self, epoch: str, commitment: str, envelopes: Sequence[Envelope]) -> None:
        """Begin an epoch with a secret that this node made, unless one is running."""
        sealed = [envelope.model_dump(mode="json") for envelope in envelopes]
        body = {"epoch": epoch, "commitment": commitment, "envelopes": sealed}
        self._call("POST", "/api/v1/sketch-keys/epochs", body=body)

    def hand_in_envelopes(self, epoch: str, envelopes: Sequence[Envelope]) -> None:
        """Hand in the secret sealed to other nodes."""
        sealed = [envelope.model_dump(mode="json") for envelope in envelopes]
        self._call("POST", f"/api/v1/sketch-keys/epochs/{epoch}/envelopes", body={"envelopes": sealed})

    def sketch_work(self) -> tuple[SketchWork, ...]:
        """Return the tables that wait to be sketched."""
        response = self._call("GET", "/api/v1/sketches/work")
        return TypeAdapter(tuple[SketchWork, ...]).validate_json(response.content)

    def send_sketches(self, resource_id: str, sketches: Sequence[ColumnSketch]) -> None:
        """Hand in the sketches of one resource's table, all of them at once."""
        body = {"sketches": [sketch.model_dump(mode="json") for sketch in sketches]}
        self._call("PUT", f"/api/v1/resources/{resource_id}/sketches", body=body)

    def start_inventory(self, start: InventoryStart) -> Inventory:
        """Begin an inventory of one source."""
        response = self._call("POST", "/api/v1/inventories", body=start.model_dump(mode="json"))
        return Inventory.model_validate_json(response.content)

    def add_to_inventory(self, inventory_id: str, tables: Sequence[FoundTable]) -> None:
        """Report tables of an inventory."""
        body = {"tables": [table.model_dump(mode="json") for table in tables]}
        self._call("POST", f"/api/v1/inventories/{inventory_id}/tables", body=body)

    def finish_inventory(self, inventory_id: str, fault: Fault | None) -> Inventory:
        """End an inventory; `fault` says why its source could not be read at all."""
        body = {"fault": None if fault is None else fault.model_dump(mode="json")}
        response = self._call("POST", f"/api/v1/inventories/{inventory_id}/finish", body=body)
        return Inventory.model_validate_json(response.content)

    def log_file(self, name: str) -> bytes:
        """Return a file of the transparency log."""
        return self._call("GET", f"/log/{name}").content

    def cosign(self, note: bytes) -> None:
        """Hand in this node's cosignature of a checkpoint."""
        self._call("POST", "/api/v1/ledger/cosignatures", body={"note": note.decode()})

    def witness_notes(self) -> tuple[PeerNote, ...]:
        """Return what the hub says that each witness cosigned last."""
        return TypeAdapter(tuple[PeerNote, ...]).validate_json(
            self._call("GET", "/api/v1/ledger/witnesses/notes").content
        )
