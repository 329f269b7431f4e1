"""The hub on both control databases: uploads resume, commits are idempotent, every change has its evidence."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from datong.exchange import (
    Column,
    Confirmed,
    Cursor,
    EndDigest,
    Manifest,
    Receipt,
    ReconcileEnd,
    ReconciliationState,
    SignedManifest,
    Task,
    TaskDraft,
    TransferMode,
    arrow_schema,
    content_digest,
    cursor_at_end,
    schema_fingerprint,
    signed_end_digest,
    signed_manifest,
    signed_receipt,
    write_payload,
)
from datong.kernel import (
    PLATFORM_ACTOR,
    Actor,
    ActorKind,
    BatchId,
    Clock,
    Conflict,
    Corrupt,
    Database,
    DepartmentCode,
    Invalid,
    NodeId,
    NotFound,
    Refused,
    TooLarge,
    sha256_hex,
)
from datong.ledger import Ed25519Signer, EntryKind
from tests.exchange_hub import TestHub, task_draft

NOW = datetime(2026, 1, 5, tzinfo=UTC)
COLUMNS = (Column(name="id", type="int64"), Column(name="name", type="string"), Column(name="changed", type="string"))
NODE = Actor(kind=ActorKind.NODE, id="node-police", department=DepartmentCode("police"))
CONSUMER = Actor(kind=ActorKind.NODE, id="node-education", department=DepartmentCode("education"))


class Scene:
    """A hub with two departments' keys, and the means to cut batches."""

    def __init__(self, folder: Path, database: Database, clock: Clock | None = None) -> None:
        self.hub = TestHub(folder / "hub", database, clock)
        self.exchange = self.hub.exchange
        self.folder = folder
        self.police, self.education = Ed25519Signer.generate(), Ed25519Signer.generate()
        self.hub.keys.register(self.police.key_id, self.police.public_key, "police", "node-police")
        self.hub.keys.register(self.education.key_id, self.education.public_key, "education", "node-education")

    def draft(self, **changes: object) -> TaskDraft:
        usual = {"key_columns": ("id",), "cursor_column": "changed", "mode": TransferMode.INCREMENT}
        return task_draft("people", [column.name for column in COLUMNS], **(usual | changes))

    def task(self, **changes: object) -> Task:
        task = self.exchange.create_task(self.draft(**changes), actor=PLATFORM_ACTOR)
        return self.exchange.request_run(task.id, actor=PLATFORM_ACTOR)

    def cut(
        self, task: Task, start: Confirmed, ids: range, *, last: bool = True, run: int = 1, name: str = "人"
    ) -> tuple[SignedManifest, bytes]:
        rows = [{"id": n, "name": f"{name}{n}", "changed": f"{run:04d}-{n:06d}"} for n in ids]
        batch = pa.RecordBatch.from_pylist(rows, schema=arrow_schema(COLUMNS))
        path = self.folder / "payload"
        facts = write_payload(path, [batch], COLUMNS)
        part = start.part + 1 if not start.run_ended else 1
        manifest = Manifest(
            batch_id=BatchId(f"{task.id[:20]}-{start.sequence + 1}"),
            task_id=task.id,
            agreement_id=task.agreement_id,
            sequence=start.sequence + 1,
            previous_digest=start.digest,
            resource_id=task.resource_id,
            resource_version=task.resource_version,
            schema_fingerprint=schema_fingerprint(COLUMNS),
            columns=COLUMNS,
            cursor_from=start.cursor,
            cursor_to=cursor_at_end(batch, task.order) or Cursor(values=()),
            rows=facts.content.rows,
            content_digest=facts.content.sum,
            payload_digest=facts.digest,
            payload_bytes=facts.bytes,
            produced_at=NOW,
            department=task.provider,
            mode=task.mode,
            run=run,
            part=part,
            last=last,
        )
        return signed_manifest(manifest, self.police), path.read_bytes()

    def upload(self, signed: SignedManifest, payload: bytes) -> Confirmed:
        batch_id = signed.manifest.batch_id
        self.exchange.open_upload(signed, node=NodeId(NODE.id))
        self.exchange.put_chunk(batch_id, 0, payload, sha256_hex(payload), node=NodeId(NODE.id))
        manifest = self.exchange.commit(batch_id, actor=NODE).manifest
        return Confirmed(
            sequence=manifest.sequence,
            digest=manifest.digest,
            run=manifest.run,
            part=manifest.part,
            run_ended=manifest.last,
            cursor=manifest.cursor_to,
        )

    def receipt(self, manifest: Manifest, **changes: object) -> Receipt:
        receipt = Receipt(
            batch_id=manifest.batch_id,
            task_id=manifest.task_id,
            sequence=manifest.sequence,
            manifest_digest=manifest.digest,
            consumer=DepartmentCode("education"),
            rows_applied=manifest.rows,
            rows_rejected=0,
            table_digest=None,
            applied_at=NOW,
        )
        return receipt.model_copy(update=changes)

    def entries(self, kind: EntryKind) -> int:
        return self.hub.ledger.entries(kind=kind).total


@pytest.fixture
def scene(tmp_path: Path, control_database: Database) -> Scene:
    return Scene(tmp_path, control_database)


def test_a_batch_is_recorded_once_with_its_evidence(scene: Scene) -> None:
    task = scene.task()
    signed, payload = scene.cut(task, Confirmed(), range(10))
    scene.upload(signed, payload)
    again = scene.exchange.open_upload(signed, node=NodeId(NODE.id))
    assert again.committed
    first = scene.exchange.commit(signed.manifest.batch_id, actor=NODE)
    assert scene.exchange.commit(signed.manifest.batch_id, actor=NODE) == first
    assert scene.entries(EntryKind.BATCH) == 1
    assert scene.hub.ledger.entry(first.entry_id).facts["manifest_digest"] == signed.manifest.digest
    assert "cursor_to" not in scene.hub.ledger.entry(first.entry_id).facts
    assert scene.exchange.payload(signed.manifest.batch_id).read_bytes() == payload
    assert scene.exchange.progress(task.id).rows == 10


def test_an_upload_resumes_at_the_received_byte(scene: Scene) -> None:
    signed, payload = scene.cut(scene.task(), Confirmed(), range(200))
    batch_id, node = signed.manifest.batch_id, NodeId(NODE.id)
    scene.exchange.open_upload(signed, node=node)
    half = len(payload) // 2
    scene.exchange.put_chunk(batch_id, 0, payload[:half], sha256_hex(payload[:half]), node=node)
    state = scene.exchange.open_upload(signed, node=node)
    assert (state.received_bytes, state.committed) == (half, False)
    assert scene.exchange.progress(signed.manifest.task_id).uploading_bytes == half
    with pytest.raises(Conflict, match="chunk_offset") as caught:
        scene.exchange.put_chunk(batch_id, half + 1, b"x", sha256_hex(b"x"), node=node)
    assert caught.value.context["received_bytes"] == half
    with pytest.raises(Corrupt, match="chunk_digest"):
        scene.exchange.put_chunk(batch_id, half, b"x", "0" * 64, node=node)
    repeated = scene.exchange.put_chunk(batch_id, 0, payload[:half], sha256_hex(payload[:half]), node=node)
    assert repeated.received_bytes == half
    scene.exchange.put_chunk(batch_id, half, payload[half:], sha256_hex(payload[half:]), node=node)
    assert scene.exchange.commit(batch_id, actor=NODE).manifest == signed.manifest


def test_more_bytes_than_stated_are_too_large(scene: Scene) -> None:
    signed, payload = scene.cut(scene.task(), Confirmed(), range(5))
    scene.exchange.open_upload(signed, node=NodeId(NODE.id))
    longer = payload + b"x"
    with pytest.raises(TooLarge):
        scene.exchange.put_chunk(signed.manifest.batch_id, 0, longer, sha256_hex(longer), node=NodeId(NODE.id))


def test_a_tampered_payload_is_refused_with_evidence_and_may_come_again(scene: Scene) -> None:
    signed, payload = scene.cut(scene.task(), Confirmed(), range(50))
    broken = bytes([payload[0] ^ 1]) + payload[1:]
    with pytest.raises(Corrupt, match="payload_digest"):
        scene.upload(signed, broken)
    assert scene.entries(EntryKind.REFUSAL) == 1
    assert scene.entries(EntryKind.BATCH) == 0
    scene.upload(signed, payload)
    assert scene.entries(EntryKind.BATCH) == 1


def test_a_batch_whose_rows_are_not_what_it_says_is_refused(scene: Scene) -> None:
    signed, payload = scene.cut(scene.task(), Confirmed(), range(50))
    lie = signed_manifest(signed.manifest.model_copy(update={"rows": 49}), scene.police)
    with pytest.raises(Corrupt, match="content_digest"):
        scene.upload(lie, payload)


def test_a_wrong_key_and_a_wrong_signature_are_told_apart(scene: Scene) -> None:
    signed, _ = scene.cut(scene.task(), Confirmed(), range(5))
    foreign = signed_manifest(signed.manifest, scene.education)
    with pytest.raises(Refused, match="wrong_signer"):
        scene.exchange.open_upload(foreign, node=NodeId(NODE.id))
    forged = signed.model_copy(update={"signature": foreign.signature})
    with pytest.raises(Corrupt, match="bad_signature"):
        scene.exchange.open_upload(forged, node=NodeId(NODE.id))
    unknown = signed_manifest(signed.manifest, Ed25519Signer.generate())
    with pytest.raises(NotFound):
        scene.exchange.open_upload(unknown, node=NodeId(NODE.id))
    with pytest.raises(Refused, match="not_the_producer"):
        scene.exchange.open_upload(signed, node=NodeId("node-education"))


def test_a_second_manifest_under_the_same_id_is_a_conflict(scene: Scene) -> None:
    task = scene.task()
    signed, _ = scene.cut(task, Confirmed(), range(5))
    scene.exchange.open_upload(signed, node=NodeId(NODE.id))
    other, _ = scene.cut(task, Confirmed(), range(6))
    with pytest.raises(Conflict, match="batch_id_taken"):
        scene.exchange.open_upload(other, node=NodeId(NODE.id))


def test_receipts_come_in_order_from_the_consumer_and_account_for_every_row(scene: Scene) -> None:
    task = scene.task()
    end = scene.upload(*scene.cut(task, Confirmed(), range(5), last=False))
    scene.upload(*scene.cut(task, end, range(5, 9)))
    first, second = (record.manifest for record in scene.exchange.batches(task.id))
    with pytest.raises(Conflict, match="receipt_order"):
        scene.exchange.record_receipt(signed_receipt(scene.receipt(second), scene.education), actor=CONSUMER)
    with pytest.raises(Refused, match="wrong_consumer"):
        scene.exchange.record_receipt(signed_receipt(scene.receipt(first), scene.police), actor=CONSUMER)
    short = scene.receipt(first, rows_applied=4)
    with pytest.raises(Corrupt, match="receipt_mismatch"):
        scene.exchange.record_receipt(signed_receipt(short, scene.education), actor=CONSUMER)
    mixed = scene.receipt(first, rows_applied=4, rows_rejected=1)
    record = scene.exchange.record_receipt(signed_receipt(mixed, scene.education), actor=CONSUMER)
    assert scene.exchange.record_receipt(signed_receipt(mixed, scene.education), actor=CONSUMER) == record
    scene.exchange.record_receipt(signed_receipt(scene.receipt(second), scene.education), actor=CONSUMER)
    progress = scene.exchange.progress(task.id)
    assert (progress.rows_applied, progress.rows_rejected, progress.receipted_batches) == (8, 1, 2)
    assert scene.exchange.work_for(NodeId(CONSUMER.id)).is_empty


def test_work_names_what_each_node_has_to_do(scene: Scene) -> None:
    task = scene.task()
    work = scene.exchange.work_for(NodeId(NODE.id))
    assert [one.run for one in work.produce] == [1]
    end = scene.upload(*scene.cut(task, Confirmed(), range(3), last=False))
    (produce,) = scene.exchange.work_for(NodeId(NODE.id)).produce
    assert (produce.confirmed.sequence, produce.confirmed.cursor) == (1, end.cursor)
    (consume,) = scene.exchange.work_for(NodeId(CONSUMER.id)).consume
    assert (consume.receipted, consume.newest) == (0, 1)
    with pytest.raises(Conflict, match="run_not_complete"):
        scene.exchange.finish_run(task.id, 1, actor=NODE)
    scene.upload(*scene.cut(task, end, range(3, 6)))
    assert scene.exchange.finish_run(task.id, 1, actor=NODE).run_done == 1
    assert scene.exchange.finish_run(task.id, 1, actor=NODE).run_done == 1
    assert not scene.exchange.work_for(NodeId(NODE.id)).produce
    with pytest.raises(Refused, match="run_not_requested"):
        scene.exchange.finish_run(task.id, 2, actor=NODE)


def test_a_paused_task_rests_and_an_ended_one_stays_ended(scene: Scene) -> None:
    task = scene.task()
    scene.exchange.pause(task.id, actor=PLATFORM_ACTOR)
    assert scene.exchange.work_for(NodeId(NODE.id)).is_empty
    with pytest.raises(Conflict, match="task_not_active"):
        scene.exchange.request_run(task.id, actor=PLATFORM_ACTOR)
    scene.exchange.resume(task.id, actor=PLATFORM_ACTOR)
    assert scene.exchange.request_run(task.id, actor=PLATFORM_ACTOR).run_requested == 1
    scene.exchange.end(task.id, actor=PLATFORM_ACTOR)
    with pytest.raises(Conflict, match="task_not_active"):
        scene.exchange.resume(task.id, actor=PLATFORM_ACTOR)


def test_keys_and_cursor_must_be_moved(scene: Scene) -> None:
    for changes in ({"key_columns": ("nothing",)}, {"cursor_column": "nothing"}, {"cursor_column": None}):
        with pytest.raises(Invalid, match="task_columns"):
            scene.exchange.create_task(scene.draft(**changes), actor=PLATFORM_ACTOR)


def test_the_library_receipts_and_reconciles_by_the_hub_s_key(scene: Scene) -> None:
    task = scene.task(consumer_node=None, consumer="bureau")
    end = scene.upload(*scene.cut(task, Confirmed(), range(10)))
    scene.exchange.finish_run(task.id, 1, actor=NODE)
    scene.exchange.request_run(task.id, actor=PLATFORM_ACTOR)
    scene.upload(*scene.cut(task, end, range(5, 12), run=2, name="新"))
    for delivery in scene.exchange.library.deliveries(unreceipted=True):
        assert delivery.path.exists()
        scene.exchange.library.record_receipt(delivery.record.manifest.batch_id)
    assert all(delivery.receipted for delivery in scene.exchange.library.deliveries())
    assert scene.exchange.library.deliveries(unreceipted=True) == ()
    waiting = scene.exchange.reconciliations.request(task.id, actor=PLATFORM_ACTOR)
    assert waiting.state is ReconciliationState.WAITING
    (work,) = scene.exchange.work_for(NodeId(NODE.id)).reconcile
    assert work.end is ReconcileEnd.PRODUCER
    rows = [{"id": n, "name": f"人{n}", "changed": f"0001-{n:06d}"} for n in range(5)]
    rows += [{"id": n, "name": f"新{n}", "changed": f"0002-{n:06d}"} for n in range(5, 12)]
    table = pa.RecordBatch.from_pylist(rows, schema=arrow_schema(COLUMNS))
    report = EndDigest(
        reconciliation_id=work.reconciliation_id,
        task_id=task.id,
        end=ReconcileEnd.PRODUCER,
        department=DepartmentCode("police"),
        digest=content_digest([table], COLUMNS),
        at=NOW,
    )
    with pytest.raises(Refused, match="wrong_signer"):
        scene.exchange.reconciliations.report(signed_end_digest(report, scene.education), actor=NODE)
    result = scene.exchange.reconciliations.report(signed_end_digest(report, scene.police), actor=NODE)
    assert result.state is ReconciliationState.EQUAL
    assert scene.entries(EntryKind.RECONCILIATION) == 1
    assert scene.exchange.reconciliations.report(signed_end_digest(report, scene.police), actor=NODE) == result
    assert scene.exchange.reconciliations.newest(task.id) == result


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"key_columns": ()}, "exchange.task_keys"),
        (
            {"columns": ({"column": "id", "item": "id"}, {"column": "_datong_x", "item": "x"})},
            "exchange.column_reserved",
        ),
    ],
)
def test_a_task_of_changes_needs_keys_and_columns_of_its_own(
    scene: Scene, changes: dict[str, object], code: str
) -> None:
    with pytest.raises(Invalid) as caught:
        scene.task(**({"mode": "diff", "cursor_column": None} | changes))
    assert caught.value.code == code
