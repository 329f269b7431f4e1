"""The values of the exchange: what is read, cut, signed, moved, applied and acknowledged (DESIGN §4)."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path

from pydantic import Field

from datong.exchange.apply_modes import CURRENT_SUFFIX, AddedColumn, ApplyMode, TargetPlan
from datong.exchange.scheduling import PRIORITY_DEFAULT, PRIORITY_MAX, Retry, Schedule, Window
from datong.exchange.sealing import Sealing, batch_context
from datong.exchange.signed import Signed, utc_text
from datong.exchange.table_values import Column, ContentDigest, Cursor, ReadQuery
from datong.kernel import (
    PLAIN_ID,
    AgreementId,
    BatchId,
    DepartmentCode,
    EntryId,
    NodeId,
    ResourceId,
    TaskId,
    Text,
    Value,
    canonical_json,
    sha256_hex,
)
from datong.kernel.limits import BATCH_ROWS_DEFAULT, ITEMS_PER_RESOURCE_MAX, NAME_CHARS_MAX, READ_ROWS_MAX

GENESIS_DIGEST = "0" * 64
"""What the first batch of a task names as its predecessor."""
NUMBER_MAX = 2**53 - 1
"""The largest number of a manifest or receipt: what JSON carries exactly, and every database holds."""


class TransferMode(StrEnum):
    """What one run of a task moves, and what the rows of a batch are.

    A task of a mode that carries changes begins with a snapshot, and begins anew with one whenever it cannot tell what
    changed; so its batches are of its own mode or of `SNAPSHOT`.
    """

    SNAPSHOT = "snapshot"
    INCREMENT = "increment"
    DIFF = "diff"
    CAPTURE = "capture"

    @property
    def label(self) -> Text:
        """The mode's name."""
        return _MODES[self]

    @property
    def carries_deletes(self) -> bool:
        """Whether batches say which rows were deleted at the source."""
        return self in {TransferMode.DIFF, TransferMode.CAPTURE}


class TaskState(StrEnum):
    """Whether a task may run."""

    ACTIVE = "active"
    PAUSED = "paused"
    BLOCKED = "blocked"
    ENDED = "ended"

    @property
    def label(self) -> Text:
        """The state's name."""
        return _STATES[self]


_MODES = {
    TransferMode.SNAPSHOT: Text(zh="全量", en="Snapshot"),
    TransferMode.INCREMENT: Text(zh="增量", en="Increment"),
    TransferMode.DIFF: Text(zh="比对增量", en="Snapshot difference"),
    TransferMode.CAPTURE: Text(zh="变更捕获", en="Change capture"),
}
_STATES = {
    TaskState.ACTIVE: Text(zh="启用", en="Active"),
    TaskState.PAUSED: Text(zh="已暂停", en="Paused"),
    TaskState.BLOCKED: Text(zh="已停：数据源结构变化", en="Stopped: the source changed"),
    TaskState.ENDED: Text(zh="已结束", en="Ended"),
}


class ColumnMap(Value):
    """One moved column: its name at the source (and in batches) and the catalogue's item name.

    `target` is its name in the target table; empty: the same as at the source.
    """

    column: str
    item: str
    target: str = Field("", max_length=NAME_CHARS_MAX)


class TaskDraft(Value):
    """Everything that a new transfer task needs to say; `consumer_node` None means the hub's own library."""

    agreement_id: AgreementId
    resource_id: ResourceId
    resource_version: int = Field(ge=1)
    provider: DepartmentCode
    consumer: DepartmentCode
    producer_node: NodeId
    consumer_node: NodeId | None = None
    source: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    table: str = Field(min_length=1, max_length=NAME_CHARS_MAX)
    columns: tuple[ColumnMap, ...] = Field(min_length=1, max_length=ITEMS_PER_RESOURCE_MAX)
    key_columns: tuple[str, ...] = ()
    cursor_column: str | None = None
    target_table: str = Field("", max_length=NAME_CHARS_MAX)
    target_source: str = Field("", max_length=NAME_CHARS_MAX)
    """The consumer node's writable source; empty: the only writable one it has."""
    mode: TransferMode = TransferMode.SNAPSHOT
    apply: ApplyMode | None = None
    """None: what `apply_mode` says for the mode."""
    added_columns: tuple[AddedColumn, ...] = Field((), max_length=ITEMS_PER_RESOURCE_MAX)
    rate_limit_rows_per_second: int | None = Field(None, ge=1)
    batch_rows: int = Field(BATCH_ROWS_DEFAULT, ge=1, le=1_000_000)
    sealed: bool = False
    """Payloads are encrypted to the consumer: the hub sees manifests only."""
    name: str = Field("", max_length=NAME_CHARS_MAX)
    """What people call it; unique among the tasks that have not ended. Empty: it has no name."""
    schedule: Schedule | None = None
    """None: only on demand."""
    window: Window | None = None
    priority: int = Field(PRIORITY_DEFAULT, ge=0, le=PRIORITY_MAX)
    """0 to 9; nodes take higher ones first."""
    retry: Retry = Retry()

    @property
    def apply_mode(self) -> ApplyMode:
        """How rows enter the target; without a choice a snapshot replaces, changes with keys are carried out."""
        if self.apply is not None:
            return self.apply
        if self.mode is TransferMode.SNAPSHOT:
            return ApplyMode.REPLACE
        if not self.key_columns:
            return ApplyMode.APPEND
        return ApplyMode.MIRROR if self.mode.carries_deletes else ApplyMode.UPSERT


class Task(TaskDraft):
    """A transfer task: run `run_requested` is the newest asked for, `run_done` the newest finished."""

    id: TaskId = Field(pattern=PLAIN_ID)
    state: TaskState
    run_requested: int = 0
    run_done: int = 0
    created_at: datetime

    @property
    def target_plan(self) -> TargetPlan:
        """What the target does with this task's batches."""
        named = {pair.column: pair.target or pair.column for pair in self.columns}
        return TargetPlan(
            table=self.target_table or self.table,
            mode=self.apply_mode,
            key_columns=tuple(named.get(name, name) for name in self.key_columns),
            renamed=tuple((column, target) for column, target in named.items() if column != target),
            added=self.added_columns,
        )

    @property
    def compared_table(self) -> str:
        """The table or view of the target that must equal the source: of a history only the open versions."""
        table = self.target_table or self.table
        return table + CURRENT_SUFFIX if self.apply_mode is ApplyMode.HISTORY else table

    @property
    def order(self) -> tuple[str, ...]:
        """The columns that make up this task's cursors."""
        return self.query(None).order

    def query(self, after: Cursor | None) -> ReadQuery:
        """Return what the producer reads to go on after `after`."""
        return ReadQuery(
            table=self.table,
            columns=tuple(pair.column for pair in self.columns),
            key_columns=self.key_columns,
            cursor_column=self.cursor_column if self.mode is TransferMode.INCREMENT else None,
            after=after,
            batch_rows=min(self.batch_rows, READ_ROWS_MAX),
        )


class Manifest(Value):
    """What a batch is, before anyone sees its rows. `signing_bytes` is what the producer signs.

    `run` is the run of the task it belongs to, `part` its number in that run (from 1), `last` whether the run ends
    with it. `previous_digest` is the `digest` of the task's batch `sequence - 1`.
    """

    batch_id: BatchId = Field(pattern=PLAIN_ID)
    task_id: TaskId = Field(pattern=PLAIN_ID)
    agreement_id: AgreementId
    sequence: int = Field(ge=1, le=NUMBER_MAX)
    previous_digest: str
    resource_id: ResourceId
    resource_version: int
    schema_fingerprint: str
    columns: tuple[Column, ...]
    cursor_from: Cursor | None
    cursor_to: Cursor | None
    rows: int = Field(ge=0, le=NUMBER_MAX)
    content_digest: str
    payload_digest: str
    payload_bytes: int = Field(ge=0, le=NUMBER_MAX)
    produced_at: datetime
    department: DepartmentCode
    mode: TransferMode
    run: int = Field(ge=1, le=NUMBER_MAX)
    part: int = Field(ge=1, le=NUMBER_MAX)
    last: bool
    sealing: Sealing | None = None
    repair: str | None = None
    """The reconciliation whose differences the batch repairs."""
    """Of a sealed payload; `content_digest` then is a commitment that only recipients can compare."""

    def signing_bytes(self) -> bytes:
        """Return the canonical bytes that are signed; what a batch does not have is left out."""
        absent = {name for name in ("sealing", "repair") if getattr(self, name) is None}
        facts = self.model_dump(mode="json", exclude=absent)
        return canonical_json(facts | {"produced_at": utc_text(self.produced_at), "v": 1, "type": "manifest"})

    @property
    def sealing_context(self) -> bytes:
        """What the batch's payload is bound to if it is sealed."""
        return batch_context(
            batch_id=self.batch_id,
            task_id=self.task_id,
            agreement_id=self.agreement_id,
            department=self.department,
            sequence=self.sequence,
            previous_digest=self.previous_digest,
            run=self.run,
            part=self.part,
            schema_fingerprint=self.schema_fingerprint,
        )

    @property
    def digest(self) -> str:
        """SHA-256 of the signing bytes: the next batch names it as its predecessor."""
        return sha256_hex(self.signing_bytes())


class SignedManifest(Signed):
    """A manifest with the signature (base64) of the key `key_id` of the producing department."""

    manifest: Manifest


class Receipt(Value):
    """What a consumer did with a batch; `table_digest` is that of its table after, on the batch's columns."""

    batch_id: BatchId
    task_id: TaskId
    sequence: int = Field(ge=1, le=NUMBER_MAX)
    manifest_digest: str
    consumer: DepartmentCode
    rows_applied: int = Field(ge=0, le=NUMBER_MAX)
    rows_rejected: int = Field(ge=0, le=NUMBER_MAX)
    table_digest: ContentDigest | None
    applied_at: datetime

    def signing_bytes(self) -> bytes:
        """Return the canonical bytes that are signed."""
        facts = self.model_dump(mode="json") | {"applied_at": utc_text(self.applied_at), "v": 1, "type": "receipt"}
        return canonical_json(facts)


class SignedReceipt(Signed):
    """A receipt with the signature (base64) of the key `key_id` of the consuming department."""

    receipt: Receipt


class ReceiptRecord(Value):
    """A receipt that the hub verified and recorded."""

    signed: SignedReceipt
    recorded_at: datetime
    entry_id: EntryId


class AppliedCursor(Value):
    """The newest batch that a target holds for a task."""

    sequence: int
    batch_id: BatchId
    manifest_digest: str
    rows_applied: int
    rows_rejected: int
    applied_at: datetime


class Applied(Value):
    """What applying one batch did; `repeated` when the target already held it."""

    rows: int
    rejected: int
    repeated: bool = False


class UploadState(Value):
    """How much of a batch's payload the hub holds, and whether the batch is committed."""

    batch_id: BatchId
    received_bytes: int
    committed: bool


class BatchRecord(Value):
    """A batch that the hub committed."""

    signed: SignedManifest
    committed_at: datetime
    entry_id: EntryId

    @property
    def manifest(self) -> Manifest:
        """The batch's manifest."""
        return self.signed.manifest


class Confirmed(Value):
    """The end of a task's chain as the hub holds it: where the producer goes on."""

    sequence: int = 0
    digest: str = GENESIS_DIGEST
    run: int = 0
    part: int = 0
    run_ended: bool = True
    cursor: Cursor | None = None
    schema_fingerprint: str = ""
    mode: TransferMode | None = None
    """What the last batch held; None for chains that ended before this was kept."""


class Progress(Value):
    """A task for a live view: what is committed, what is on its way, what is applied."""

    task_id: TaskId
    state: TaskState
    run_requested: int
    run_done: int
    batches: int
    rows: int
    payload_bytes: int
    uploading_bytes: int
    uploading_total_bytes: int
    receipted_batches: int
    rows_applied: int
    rows_rejected: int
    last_committed_at: datetime | None
    last_applied_at: datetime | None


class Delivery(Value):
    """A committed batch for the hub's own library, with the path of its payload."""

    task: Task
    record: BatchRecord
    path: Path
    receipted: bool
