"""The hub's side of the exchange: tasks, uploads, committed batches, receipts.

Whatever changes a task's state changes it together with its ledger entry, in one transaction (STYLE 17). Rules live in
`chain`; this module reads trusted state, asks them, and writes.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection

from datong.catalogue import RecipientKey
from datong.exchange import store
from datong.exchange.applying import check_apply
from datong.exchange.concerned import concerned_nodes
from datong.exchange.declarations import CHANGEABLE
from datong.exchange.disk_reserve import DiskReserve
from datong.exchange.drafts import check_columns, check_sealed_consumer
from datong.exchange.facts import task_facts
from datong.exchange.intake import Intake
from datong.exchange.leftovers import Leftovers
from datong.exchange.library_end import LibraryEnd
from datong.exchange.lineage_log import LineageLog
from datong.exchange.observation import Observation
from datong.exchange.protocols import DepartmentKeys, NoRecipients, Recipients, TransferTerms
from datong.exchange.receipts import Receipts
from datong.exchange.reconciliation import Reconciliations
from datong.exchange.reconciliation_values import RepairOrder
from datong.exchange.refusals import illegal_step, name_taken, no_batch, payload_disposed
from datong.exchange.rejects import Rejects
from datong.exchange.repair_runs import RepairRuns
from datong.exchange.replays import Replays
from datong.exchange.retention import Retention
from datong.exchange.runs import Runs
from datong.exchange.scheduling import check_schedule, next_due
from datong.exchange.schemas import Schemas
from datong.exchange.subscriptions import Subscriptions
from datong.exchange.uploads import UploadFiles
from datong.exchange.values import (
    BatchRecord,
    Manifest,
    Progress,
    ReceiptRecord,
    SignedManifest,
    SignedReceipt,
    Task,
    TaskDraft,
    TaskState,
    UploadState,
)
from datong.exchange.work_values import ConsumeWork, NodeWork, ProduceWork
from datong.kernel import (
    Actor,
    AgreementId,
    BatchId,
    Clock,
    Database,
    DepartmentCode,
    NodeId,
    Page,
    ResourceId,
    TaskId,
    WorkingCalendar,
    new_id,
)
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.ledger import EntryKind, Ledger, Signer

_TRANSITIONS: dict[tuple[TaskState, str], TaskState] = {
    (TaskState.ACTIVE, "pause"): TaskState.PAUSED,
    (TaskState.PAUSED, "resume"): TaskState.ACTIVE,
    (TaskState.ACTIVE, "end"): TaskState.ENDED,
    (TaskState.PAUSED, "end"): TaskState.ENDED,
    (TaskState.BLOCKED, "resume"): TaskState.ACTIVE,
    (TaskState.BLOCKED, "end"): TaskState.ENDED,
}


RETENTION_DEFAULT = timedelta(days=30)


_Work = TypeVar("_Work", ProduceWork, ConsumeWork)


class Exchange:
    """Transfers between departments, as the hub sees and records them.

    A task without a consumer node delivers to the hub's own library, whose receipts `hub_signer` signs.
    """

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        ledger: Ledger,
        keys: DepartmentKeys,
        terms: TransferTerms,
        lake: Path,
        hub_signer: Signer,
        recipients: Recipients | None = None,
        calendar: WorkingCalendar | None = None,
        hub_name: str = "hub",
        disk: DiskReserve | None = None,
        retention: timedelta = RETENTION_DEFAULT,
    ) -> None:
        self._recipients = recipients or NoRecipients()
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._keys = keys
        self._terms = terms
        self._files = UploadFiles(lake)
        self._hub_signer = hub_signer
        self._calendar = calendar or WorkingCalendar()
        self.lineage = LineageLog(database=database, clock=clock, hub=hub_name)
        self.runs = Runs(database=database, clock=clock, ledger=ledger, calendar=self._calendar, lineage=self.lineage)
        self.observation = Observation(database=database, clock=clock, runs=self.runs)
        self.schemas = Schemas(
            database=database, clock=clock, ledger=ledger, keys=keys, runs=self.runs, check=self.check_draft
        )
        self.subscriptions = Subscriptions(
            database=database,
            clock=clock,
            ledger=ledger,
            keys=keys,
            recipients=self._recipients,
            runs=self.runs,
            check_terms=self._check_terms,
        )
        self.retention = Retention(database=database, clock=clock, ledger=ledger, files=self._files, keep=retention)
        self.leftovers = Leftovers(database=database, ledger=ledger, files=self._files)
        self.rejects = Rejects(database=database, clock=clock, ledger=ledger, keys=keys)
        self.replays = Replays(database=database, clock=clock, ledger=ledger, keys=keys, check_terms=self._check_terms)
        self._receipts = Receipts(
            database=database, clock=clock, ledger=ledger, keys=keys, hub_signer=hub_signer, runs=self.runs
        )
        self.library = LibraryEnd(
            database=database, clock=clock, files=self._files, receipts=self._receipts, hub_signer=hub_signer
        )
        self.repairs = RepairRuns(
            database=database,
            clock=clock,
            ledger=ledger,
            request_run=lambda task_id, actor: self.request_run(task_id, actor=actor).run_requested,
        )
        self.reconciliations = Reconciliations(
            database=database,
            clock=clock,
            ledger=ledger,
            keys=keys,
            hub_signer=hub_signer,
            library=self.library.answer,
            repairs=self.repairs,
            recipients=self._recipients,
        )
        self._intake = Intake(
            database=database,
            clock=clock,
            ledger=ledger,
            keys=keys,
            files=self._files,
            runs=self.runs,
            check_schema=self.schemas.check_batch,
            disk=disk or DiskReserve(lake, 0),
            subscriptions=self.subscriptions,
            check_repair=self.repairs.check,
            recipients_of=self._recipients_of,
        )

    # Tasks

    def create_task(self, draft: TaskDraft, *, actor: Actor) -> Task:
        """Create an active task, with no run requested yet.

        Raises:
            Invalid: `exchange.task_columns` when keys or cursor are not among the moved columns; a schedule or window
                that never comes true; see `check_apply`.
            Refused: the terms do not cover it; `exchange.sealed_library` for a sealed task of the hub's own library.
            Conflict: `exchange.task_name_taken`.
        """
        now = self._clock.now()
        self.check_draft(draft)
        task = Task(**draft.model_dump(), id=TaskId(new_id()), state=TaskState.ACTIVE, created_at=now)
        with self._database.transaction() as connection:
            if task.name and store.named_task(connection, task.name) is not None:
                raise name_taken(task.name)
            store.insert_task(connection, task, next_due(task.schedule, now))
            self._record_task(connection, task, "create", actor)
        return task

    def check_draft(self, draft: TaskDraft) -> None:
        """Check that a task may be as `draft` says; see `create_task`."""
        check_columns(draft)
        check_apply(draft)
        check_sealed_consumer(draft)
        check_schedule(draft.schedule, draft.window, self._clock.now(), self._calendar)
        self._check_terms(draft)

    def change_task(self, task_id: TaskId, draft: TaskDraft, *, actor: Actor) -> Task:
        """Change when and how patiently a task runs (`declarations.CHANGEABLE`); the rest of `draft` is ignored.

        Raises:
            NotFound: no such task. Conflict: it has ended. Invalid: a schedule or window that never comes true.
        """
        check_schedule(draft.schedule, draft.window, self._clock.now(), self._calendar)

        def change(task: Task) -> dict[str, object] | None:
            if task.state is TaskState.ENDED:
                raise illegal_step(task, "change")
            changed = task.model_copy(update={name: getattr(draft, name) for name in CHANGEABLE})
            if changed == task:
                return None
            values: dict[str, object] = {
                "details": changed.model_dump(mode="json", include=set(TaskDraft.model_fields))
            }
            if changed.schedule != task.schedule:
                values["next_due_at"] = next_due(changed.schedule, self._clock.now())
            return values

        return self._change(task_id, "change", actor, change)

    def task(self, task_id: TaskId) -> Task:
        """Return a task.

        Raises:
            NotFound: `exchange.task_not_found`.
        """
        with self._database.snapshot() as connection:
            return store.task_of(store.task_row(connection, task_id))

    def tasks(
        self,
        *,
        department: DepartmentCode | None = None,
        agreement_id: AgreementId | None = None,
        resource_id: ResourceId | None = None,
        offset: int = 0,
        limit: int = 50,
    ) -> Page[Task]:
        """Return tasks, newest first; `department` is provider or consumer."""
        with self._database.snapshot() as connection:
            return store.tasks(
                connection,
                department=department,
                agreement_id=agreement_id,
                resource_id=resource_id,
                offset=offset,
                limit=min(limit, PAGE_ROWS_MAX),
            )

    def flows(self) -> dict[tuple[DepartmentCode, DepartmentCode], int]:
        """Return how many rows went from each provider to each consumer so far."""
        with self._database.snapshot() as connection:
            return store.flows(connection)

    def request_run(self, task_id: TaskId, *, actor: Actor) -> Task:
        """Ask the producer for one more run. While a requested run is not done, that one is returned.

        Raises:
            NotFound: no such task.
            Conflict: `exchange.task_not_active`.
        """
        return self.runs.request(task_id, actor=actor)

    def pause(self, task_id: TaskId, *, actor: Actor) -> Task:
        """Stop the task until it is resumed.

        Raises:
            Conflict: `exchange.task_not_active` when it is not active.
        """
        return self._transit(task_id, "pause", actor)

    def resume(self, task_id: TaskId, *, actor: Actor) -> Task:
        """Let a paused task go on, or a stopped one look again whether its source is as agreed.

        Raises:
            Conflict: `exchange.task_not_active` when it is not paused.
        """
        return self._transit(task_id, "resume", actor)

    def end(self, task_id: TaskId, *, actor: Actor) -> Task:
        """End the task for good.

        Raises:
            Conflict: `exchange.task_not_active` when it has ended.
        """
        return self._transit(task_id, "end", actor)

    def finish_run(self, task_id: TaskId, run: int, *, actor: Actor) -> Task:
        """Record that the producer has moved everything of `run`; repeating it changes nothing.

        Raises:
            Refused: `exchange.run_not_requested`; `exchange.not_the_producer`.
            Conflict: `exchange.run_not_complete` when batches of the run are missing.
        """
        return self.runs.finish(task_id, run, actor=actor)

    # Uploads and batches

    def open_upload(self, signed: SignedManifest, *, node: NodeId) -> UploadState:
        """Accept a batch's manifest, or find it again, and say from which byte its payload is awaited.

        Raises:
            NotFound: no such task. Refused: wrong signer, agreement, resource, columns, state or terms.
            Corrupt: the signature is wrong. Conflict: replay, gap, fork, schema change, batch id taken.
            TooLarge: `exchange.payload_too_large`.
        """
        return self._intake.open_upload(signed, node=node)

    def upload(self, batch_id: BatchId) -> UploadState:
        """Return how far a batch has come.

        Raises:
            NotFound: `exchange.batch_not_found`.
        """
        return self._intake.upload(batch_id)

    def put_chunk(self, batch_id: BatchId, offset: int, data: bytes, digest: str, *, node: NodeId) -> UploadState:
        """Write one chunk of a payload; a chunk that is there already is skipped.

        Raises:
            NotFound: no such upload. Refused: `exchange.not_the_producer`.
            Conflict: `exchange.chunk_offset`. Corrupt: `exchange.chunk_digest`. TooLarge: chunk or payload.
        """
        return self._intake.put_chunk(batch_id, offset, data, digest, node=node)

    def commit(self, batch_id: BatchId, *, actor: Actor) -> BatchRecord:
        """Verify a received batch and record it with its ledger entry in one transaction. Idempotent.

        A payload that does not verify is discarded, and the refusal is recorded as evidence.

        Raises:
            NotFound: no such upload. Refused, Conflict: as in `open_upload`.
            Corrupt: `exchange.payload_digest`, `exchange.content_digest`, `exchange.payload_unreadable`.
        """
        return self._intake.commit(batch_id, actor=actor)

    def manifest(self, batch_id: BatchId) -> Manifest:
        """Return the manifest of an announced or committed batch.

        Raises:
            NotFound: `exchange.batch_not_found`.
        """
        return self._intake.manifest(batch_id)

    def batches(self, task_id: TaskId, *, after_sequence: int = 0, limit: int = 100) -> tuple[BatchRecord, ...]:
        """Return the task's committed batches after a sequence, in order."""
        with self._database.snapshot() as connection:
            return store.batches(connection, task_id, after_sequence=after_sequence, limit=min(limit, PAGE_ROWS_MAX))

    def batch(self, batch_id: BatchId) -> BatchRecord:
        """Return a committed batch.

        Raises:
            NotFound: `exchange.batch_not_found`.
        """
        with self._database.snapshot() as connection:
            record = store.batch(connection, batch_id)
        if record is None:
            raise no_batch(batch_id)
        return record

    def payload(self, batch_id: BatchId) -> Path:
        """Return the file of a committed batch's payload.

        Raises:
            NotFound: `exchange.batch_not_found`; `exchange.payload_disposed` when it was kept long enough.
        """
        manifest = self.batch(batch_id).manifest
        with self._database.snapshot() as connection:
            row = store.task_row(connection, manifest.task_id)
        if manifest.sequence <= row["disposed_sequence"]:
            raise payload_disposed(manifest)
        return self._files.final(manifest)

    # Receipts

    def record_receipt(self, signed: SignedReceipt, *, actor: Actor) -> ReceiptRecord:
        """Verify and record a consumer's receipt with its ledger entry. Idempotent per batch.

        Raises:
            NotFound: no such batch. Corrupt: `exchange.receipt_mismatch` or a wrong signature.
            Refused: `exchange.wrong_consumer`. Conflict: `exchange.receipt_order`.
        """
        batch = self.batch(signed.receipt.batch_id)
        if self.subscriptions.of_consumer(batch.manifest.task_id, signed.receipt.consumer) is not None:
            return self.subscriptions.record_receipt(batch, signed, actor=actor)
        return self._receipts.record(batch, signed, actor=actor)

    def receipts(self, task_id: TaskId, *, after_sequence: int = 0, limit: int = 100) -> tuple[ReceiptRecord, ...]:
        """Return the task's receipts after a sequence, in order."""
        with self._database.snapshot() as connection:
            return store.receipts(connection, task_id, after_sequence=after_sequence, limit=min(limit, PAGE_ROWS_MAX))

    # Nodes, progress

    def work_for(self, node_id: NodeId) -> NodeWork:
        """Return everything that a node has to do now."""
        with self._database.snapshot() as connection:
            produce = tuple(
                work.model_copy(update={"recipients": self._recipients_of(work.task)})
                for work in self.runs.produce_work(connection, node_id)
            )
            consume = self.runs.consume_work(connection, node_id)
            orders = self.repairs.orders(connection)
            return NodeWork(
                produce=tuple(_repairing(one, orders, one.run) for one in produce),
                consume=tuple(_repairing(one, orders) for one in consume)
                + self.subscriptions.work_for(connection, node_id),
                replay=self.replays.work_for(connection, node_id),
                reconcile=self.reconciliations.work_for(connection, node_id),
                watch=self.observation.watch_for(connection, node_id),
            )

    def concerned(self, nodes: Collection[NodeId]) -> frozenset[NodeId]:
        """Return those of some nodes for which `work_for` may name something pressing."""
        with self._database.reading() as connection:
            return concerned_nodes(connection, nodes)

    def progress(self, task_id: TaskId) -> Progress:
        """Return where a task stands, for a live view.

        Raises:
            NotFound: no such task.
        """
        with self._database.snapshot() as connection:
            row = store.task_row(connection, task_id)
            manifests = [signed.manifest for signed in store.open_uploads(connection, task_id)]
        return store.progress_of(
            row,
            uploading=sum(self._files.received(manifest) for manifest in manifests),
            uploading_total=sum(manifest.payload_bytes for manifest in manifests),
        )

    # Inside

    def _check_terms(self, task: TaskDraft) -> None:
        self._terms.check(
            agreement_id=task.agreement_id,
            provider=task.provider,
            consumer=task.consumer,
            resource_id=task.resource_id,
            columns=tuple(pair.column for pair in task.columns),
            now=self._clock.now(),
        )

    def _recipients_of(self, task: Task) -> tuple[RecipientKey, ...]:
        """Return the keys in force of everybody for whom a task's payloads are sealed."""
        if not task.sealed or task.consumer_node is None:
            return ()
        own = self._recipients.in_force(task.consumer, task.consumer_node)
        return own + self.subscriptions.recipients_of(task)

    def _transit(self, task_id: TaskId, action: str, actor: Actor) -> Task:
        def change(task: Task) -> dict[str, object] | None:
            state = _TRANSITIONS.get((task.state, action))
            if state is None:
                raise illegal_step(task, action)
            return {"state": state.value}

        return self._change(task_id, action, actor, change)

    def _change(
        self,
        task_id: TaskId,
        action: str,
        actor: Actor,
        change: Callable[[Task], dict[str, object] | None],
    ) -> Task:
        """Apply what `change` says to a locked task, with evidence; None changes nothing."""
        with self._database.transaction() as connection:
            row = store.task_row(connection, task_id, lock=True)
            task = store.task_of(row)
            values = change(task)
            if values is None:
                return task
            store.set_task(connection, task_id, **values)
            if values.get("state") == TaskState.ENDED.value:
                self.runs.close_all(connection, row)
            task = store.task_of(store.task_row(connection, task_id))
            self._record_task(connection, task, action, actor)
        return task

    def _record_task(self, connection: Connection, task: Task, action: str, actor: Actor) -> None:
        self._ledger.append(
            connection, kind=EntryKind.TASK, subject=task.id, actor=actor, facts=task_facts(task, action)
        )


def _repairing(work: _Work, orders: Mapping[TaskId, tuple[int, RepairOrder]], run: int | None = None) -> _Work:
    """Return the work with the order of the task's repair; with `run`, only if that run carries it out."""
    found = orders.get(work.task.id)
    if found is None or run not in {None, found[0]}:
        return work
    return work.model_copy(update={"repair": found[1]})
