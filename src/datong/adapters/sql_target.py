"""The part of a target that is the same for every SQL database: rows and cursor move in one transaction.

Rows that are only added go straight into their table where the database can do that. Else, or when a value was refused,
a batch is loaded into a temporary table, and enters its table from there by set operations, as the task's apply mode
says. A range of rows that the database refuses because of its *values* is halved until the offending row stands alone;
that row goes to `_datong_dead_letter` with the database's reason. A failure of any other kind rolls the whole batch
back.
"""

import json
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from datong.adapters import sql_history
from datong.adapters.conversion import last_of_each_key, rows_where, texts_of
from datong.adapters.running_digests import RunningDigest, forget_digest, known_digest, remember_digest
from datong.adapters.sql_letters import LetterBatch, SqlLetters, clear_letters, remember_batch, supersede
from datong.adapters.sql_own_tables import cursors, dead_letters
from datong.adapters.sql_shape import STAGE_PREFIX, fit
from datong.adapters.sql_transaction import NUMBER, SqlTransaction, refused_rows
from datong.exchange import (
    DELETED,
    Applied,
    AppliedCursor,
    ApplyMode,
    Column,
    DeadLetter,
    KnownDigest,
    Manifest,
    TargetPlan,
    TransferMode,
    added_values,
    arrow_schema,
    target_columns,
)
from datong.kernel import AgreementId, BatchId, Conflict, DepartmentCode, ResourceId, TaskId, Text

REASON_CHARS_MAX = 500
DELETED_ROW = "源端已删除的行不能追加 / a row that the source deleted cannot be appended"


def is_internal(table: str) -> bool:
    """Whether a table is the platform's own and so never offered for sharing."""
    return table.startswith("_datong_")


def last_applied(transaction: SqlTransaction, task_id: TaskId) -> AppliedCursor | None:
    """Return the task's newest applied batch."""
    known = cursors.c
    fields = (
        known.sequence, known.batch_id, known.manifest_digest, known.rows_applied, known.rows_rejected, known.applied_at
    )  # fmt: skip
    rows = transaction.run(sa.select(*fields).where(known.task_id == task_id))
    if not rows:
        return None
    sequence, batch_id, digest, applied, rejected, at = rows[0]
    return AppliedCursor(
        sequence=int(str(sequence)),
        batch_id=BatchId(str(batch_id)),
        manifest_digest=str(digest),
        rows_applied=int(str(applied)),
        rows_rejected=int(str(rejected)),
        applied_at=datetime.fromisoformat(str(at)),
    )


def apply_batch(
    transaction: SqlTransaction,
    manifest: Manifest,
    reader: pa.RecordBatchReader,
    *,
    plan: TargetPlan,
    applied_at: datetime,
) -> Applied:
    """Apply one batch inside `transaction`, cursor included; the caller commits.

    Raises:
        Conflict: `adapters.batch_gap`, `adapters.batch_fork`, `adapters.target_refuses`, `adapters.target_misfit`.
    """
    known = last_applied(transaction, manifest.task_id)
    repeated = _repeated(known, manifest, plan.first_sequence)
    if repeated is not None:
        return repeated
    fit(transaction, plan, manifest.columns, first=known is None)
    snapshot = manifest.mode is TransferMode.SNAPSHOT
    gathers = snapshot and plan.mode.gathers_snapshots
    stage = STAGE_PREFIX + plan.table
    if snapshot and manifest.part == 1:
        if gathers:
            transaction.clear(stage)
        if plan.mode is not ApplyMode.APPEND:
            clear_letters(transaction, manifest.task_id)
    entry = _Entry(transaction, manifest, plan, applied_at)
    rejected = entry.enter(reader, stage if gathers else None)
    if gathers and manifest.last:
        _publish(transaction, manifest, plan, stage)
        transaction.clear(stage)
        entry.tally.lose()
    entry.tally.keep()
    result = Applied(rows=manifest.rows - rejected, rejected=rejected)
    transaction.run(sa.delete(cursors).where(cursors.c.task_id == manifest.task_id))
    transaction.run(
        sa.insert(cursors).values(
            task_id=manifest.task_id,
            sequence=manifest.sequence,
            batch_id=manifest.batch_id,
            manifest_digest=manifest.digest,
            rows_applied=result.rows,
            rows_rejected=result.rejected,
            run=manifest.run,
            applied_at=applied_at.isoformat(),
        )
    )
    return result


def _publish(transaction: SqlTransaction, manifest: Manifest, plan: TargetPlan, stage: str) -> None:
    """Let a whole snapshot, gathered in `stage`, become what the table says."""
    columns = target_columns(plan, manifest.columns)
    if plan.mode is ApplyMode.HISTORY:
        reason = sql_history.enter_snapshot(transaction, plan, manifest, stage)
    elif plan.mode is ApplyMode.MIRROR:
        reason = transaction.mirror(plan.table, stage, [column.name for column in columns], plan.key_columns)
    else:
        reason = transaction.replace(plan.table, stage, [column.name for column in columns])
    if reason is not None:
        raise refused_by_target(plan.table, reason)


def refused_by_target(table: str, reason: str) -> Conflict:
    """A set of rows of which each alone is sound cannot stand in the table together."""
    return Conflict(
        "adapters.target_refuses",
        what=Text(
            zh=f"目标表 {table} 不接受这些数据：{reason}",
            en=f"The target table {table} does not take the rows: {reason}",
        ),
        remedy=Text(
            zh="请核对目标表的约束与任务的主键列；未改动任何数据，修正后节点会重试。",
            en="Check the table's constraints against the task's keys; nothing was changed, and the node tries again.",
        ),
        context={"table": table},
    )


def _repeated(known: AppliedCursor | None, manifest: Manifest, first_sequence: int) -> Applied | None:
    """Return the earlier answer when the target already holds this batch, None when the batch is the next one.

    The next one is also `first_sequence`, with which the copy of a consumer that joined later begins.
    """
    newest = 0 if known is None else known.sequence
    if known is not None and manifest.sequence == newest:
        if known.manifest_digest != manifest.digest:
            raise Conflict(
                "adapters.batch_fork",
                what=Text(
                    zh=f"目标库第 {newest} 批是另一批次。", en=f"The target holds another batch as number {newest}."
                ),
                remedy=Text(zh="请对账并核查证据。", en="Reconcile, and look at the evidence."),
            )
        return Applied(rows=known.rows_applied, rejected=known.rows_rejected, repeated=True)
    begins = manifest.sequence == first_sequence and newest < first_sequence
    if manifest.sequence != newest + 1 and not begins:
        raise Conflict(
            "adapters.batch_gap",
            what=Text(
                zh=f"目标库已到第 {newest} 批，不能应用第 {manifest.sequence} 批。",
                en=f"The target holds batches up to {newest}; number {manifest.sequence} does not follow.",
            ),
            remedy=Text(zh="请按顺序应用批次。", en="Apply batches in order."),
        )
    return None


class _Entry:
    """The way of one batch's rows into its table, or into the stage of a snapshot."""

    def __init__(self, transaction: SqlTransaction, manifest: Manifest, plan: TargetPlan, applied_at: datetime) -> None:
        self._transaction = transaction
        self._manifest = manifest
        self._plan = plan
        self._applied_at = applied_at
        self._columns = target_columns(plan, manifest.columns)
        self.tally = RunningDigest(transaction, plan, manifest.columns, applied_at)
        self._carries_deletes = bool(manifest.columns) and manifest.columns[0].name == DELETED

    def enter(self, reader: pa.RecordBatchReader, stage: str | None) -> int:
        """Put every row that the target can hold where it belongs; return how many it could not."""
        moved, letters, accepted = self.place(reader, stage)
        if letters:
            remember_batch(self._transaction, self._manifest, self._plan, self._named())
            _write_letters(self._transaction, self._manifest, moved, letters, self._applied_at)
        if accepted is not None and self._plan.mode.needs_keys and stage is None:
            supersede(self._transaction, self._manifest, self._plan, accepted, self._applied_at)
        return len(letters)

    def place(
        self, reader: pa.RecordBatchReader, stage: str | None
    ) -> tuple[pa.Table, dict[int, str], pa.Table | None]:
        """Put rows where they belong; return all of them, the refused ones with the reasons, and the others, numbered
        (None where nothing can be wrong with them and they replace no other).
        """
        moved, letters = self._gathered(reader)
        table = added_values(moved, self._plan, self._applied_at)
        if self._only_added(letters, stage):
            names = [column.name for column in self._columns]
            if self._transaction.append(stage or self._plan.table, table.select(names), self._columns):
                if stage is None:
                    self.tally.added(moved)
                return moved, {}, None
            moved, table = moved.combine_chunks(), table.combine_chunks()
        numbered = without(table.append_column(NUMBER, pa.array(np.arange(table.num_rows, dtype=np.int64))), letters)
        refused: dict[int, str] = {}
        if self._plan.mode is ApplyMode.HISTORY and stage is None:
            if numbered.num_rows:
                refused = sql_history.enter_changes(self._transaction, self._plan, self._manifest, numbered, self.tally)
        elif numbered.num_rows:
            refused = self._enter_table(numbered, stage)
        return moved, letters | refused, without(numbered, refused)

    def _only_added(self, letters: dict[int, str], stage: str | None) -> bool:
        """Whether all rows are sound as far as can be seen, and none of them changes or removes another."""
        keys = self._plan.mode.needs_keys or self._carries_deletes
        history = self._plan.mode is ApplyMode.HISTORY and stage is None
        return not (letters or keys or history)

    def _enter_table(self, numbered: pa.Table, stage: str | None) -> dict[int, str]:
        """Insert, upsert or delete; return the refused rows by number, each with the reason."""
        keys = self._plan.key_columns if self._plan.mode.needs_keys else ()
        end = int(pc.max(numbered.column(NUMBER)).as_py()) + 1
        columns = self._columns
        if keys:
            numbered = last_of_each_key(numbered, keys, NUMBER)
        if self._carries_deletes:
            gone = numbered.column(DELETED)
            if (self._plan.mode is ApplyMode.MIRROR or self._plan.deletes) and pc.any(gone).as_py():
                columns = (self._manifest.columns[0], *columns)
            else:
                # What is only upserted stays, whatever the source deletes.
                numbered = numbered.filter(pc.invert(gone)).drop_columns([DELETED])
        if not numbered.num_rows:
            return {}
        self._transaction.load(
            numbered.select([*(column.name for column in columns), NUMBER]), columns, self._plan.table
        )
        followed = bool(keys) and stage is None
        if followed:
            self.tally.before()
        if columns is not self._columns:
            by_name = {column.name: column for column in columns}
            self._transaction.delete_marked(self._plan.table, [by_name[key] for key in keys])
        letters = insert_ranges(self._transaction, stage or self._plan.table, self._columns, keys, end)
        if followed:
            self.tally.after()
        elif stage is None:
            self.tally.added(without(numbered, letters))
        self._transaction.unload()
        return letters

    def _gathered(self, reader: pa.RecordBatchReader) -> tuple[pa.Table, dict[int, str]]:
        """Return the batch's rows under the target's names, and those that cannot even be loaded, with the reasons."""
        letters: dict[int, str] = {}
        pieces: list[pa.RecordBatch] = []
        offset = 0
        names = [self._plan.name(column.name) for column in self._manifest.columns]
        for received in reader:
            batch = pa.RecordBatch.from_arrays(received.columns, names=names)
            faults = self._transaction.faults(batch)
            if self._plan.mode.needs_keys:
                for name in self._plan.key_columns:
                    for row in rows_where(pc.is_null(batch.column(name))):
                        faults.setdefault(row, f"主键列 {name} 为空 / key column {name} is NULL")
            if self._carries_deletes and self._plan.mode is ApplyMode.APPEND:
                for row in rows_where(batch.column(DELETED)):
                    faults.setdefault(row, DELETED_ROW)
            letters |= {offset + row: reason for row, reason in faults.items()}
            pieces.append(batch)
            offset += batch.num_rows
        return pa.Table.from_batches(pieces, schema=arrow_schema(self._named())), letters

    def _named(self) -> tuple[Column, ...]:
        """The batch's columns under the target's names."""
        return tuple(
            column.model_copy(update={"name": self._plan.name(column.name)}) for column in self._manifest.columns
        )


def without(numbered: pa.Table, letters: dict[int, str]) -> pa.Table:
    """Return the rows whose numbers are not among `letters`."""
    if not letters:
        return numbered
    bad = pa.array(list(letters), pa.int64())
    return numbered.filter(pc.invert(pc.is_in(numbered.column(NUMBER), value_set=bad)))


class SqlTarget(SqlLetters):
    """What every SQL database does alike as a target."""

    def rewind(self, manifest: Manifest | None, task_id: TaskId, table: str) -> None:
        """Set the task's cursor back, and forget the table's digest, in one transaction."""
        with self._changing() as transaction:
            forget_digest(transaction, table)
            own = cursors.c.task_id == task_id
            if manifest is None:
                transaction.run(sa.delete(cursors).where(own))
                return
            transaction.run(
                sa.update(cursors)
                .where(own)
                .values(
                    sequence=manifest.sequence,
                    batch_id=manifest.batch_id,
                    manifest_digest=manifest.digest,
                    run=manifest.run,
                )
            )

    def known_digest(self, table: str, columns: tuple[Column, ...]) -> KnownDigest | None:
        """Return what is known of a table's digest without reading the table."""
        with self._changing() as transaction:
            return known_digest(transaction, table, columns)

    def remember_digest(self, table: str, columns: tuple[Column, ...], known: KnownDigest) -> None:
        """Keep what was read of a table's digest; the next batches go on from there."""
        with self._changing() as transaction:
            remember_digest(transaction, table, columns, known)

    def _correct(
        self, transaction: SqlTransaction, letter: DeadLetter, batch: LetterBatch, rows: pa.RecordBatch, at: datetime
    ) -> dict[int, str]:
        stage = STAGE_PREFIX + batch.plan.table
        if batch.plan.mode.gathers_snapshots and transaction.run(
            sa.select(sa.literal_column("1")).select_from(sa.table(stage)).limit(1)
        ):
            raise _gathering(batch.plan.table)
        entry = _Entry(transaction, _as_batch(letter, batch, rows, at), batch.plan, at)
        refused = entry.place(pa.RecordBatchReader.from_batches(rows.schema, [rows]), None)[1]
        entry.tally.keep()
        return refused


def _as_batch(letter: DeadLetter, batch: LetterBatch, rows: pa.RecordBatch, at: datetime) -> Manifest:
    """Return corrected rows as a batch of their own; it exists in this transaction only, and nobody signs it."""
    return Manifest(
        batch_id=letter.batch_id,
        task_id=letter.task_id,
        agreement_id=AgreementId(""),
        sequence=letter.sequence,
        previous_digest="",
        resource_id=ResourceId(""),
        resource_version=1,
        schema_fingerprint="",
        columns=batch.columns,
        cursor_from=None,
        cursor_to=None,
        rows=rows.num_rows,
        content_digest="",
        payload_digest="",
        payload_bytes=0,
        produced_at=at,
        department=DepartmentCode(""),
        mode=TransferMode.INCREMENT,
        run=letter.run,
        part=1,
        last=True,
    )


def _gathering(table: str) -> Conflict:
    return Conflict(
        "adapters.snapshot_gathering",
        what=Text(zh=f"表 {table} 的全量正在接收。", en=f"A snapshot of the table {table} is on its way."),
        remedy=Text(zh="请等它完成后再更正。", en="Correct the letters when it is complete."),
    )


def insert_ranges(
    transaction: SqlTransaction, into: str, columns: tuple[Column, ...], keys: tuple[str, ...], rows: int
) -> dict[int, str]:
    """Insert the loaded rows; halve a refused range until the offending rows stand alone, and return those."""

    def insert(first: int, end: int) -> str | None:
        return transaction.insert(into, columns, keys, first, end)

    return refused_rows(insert, rows)


def _write_letters(
    transaction: SqlTransaction, manifest: Manifest, table: pa.Table, letters: dict[int, str], applied_at: datetime
) -> None:
    """Keep every refused row, with the reason, where the department's own people find it."""
    for row, reason in sorted(letters.items()):
        piece = table.slice(row, 1).combine_chunks().to_batches()[0]
        transaction.run(
            sa.insert(dead_letters).values(
                task_id=manifest.task_id,
                run=manifest.run,
                sequence=manifest.sequence,
                batch_id=manifest.batch_id,
                row_in_batch=row,
                reason=reason[:REASON_CHARS_MAX],
                content=json.dumps(texts_of(piece, 0), ensure_ascii=False),
                rejected_at=applied_at.isoformat(),
            )
        )
