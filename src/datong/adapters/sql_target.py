"""The part of a target that is the same for every SQL database: rows and cursor move in one transaction.

A batch is loaded into a temporary table, then inserted from there in ranges. A range that the database refuses because
of its *values* is halved until the offending row stands alone; that row goes to `_datong_dead_letter` with the
database's reason. A failure of any other kind rolls the whole batch back.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from datong.adapters.conversion import far_times, last_of_each_key, rows_where, texts_of
from datong.exchange import Applied, AppliedCursor, Column, Manifest, TransferMode, arrow_schema
from datong.kernel import BatchId, Conflict, TaskId, Text

INCOMING = "_datong_in"
NUMBER = "_datong_n"
CURSORS = "_datong_applied"
DEAD_LETTERS = "_datong_dead_letter"
STAGE_PREFIX = "_datong_stage_"
REASON_CHARS_MAX = 500

CURSOR_FIELDS = (
    "task_id", "sequence", "batch_id", "manifest_digest", "rows_applied", "rows_rejected", "run", "applied_at",
)  # fmt: skip
DEAD_LETTER_FIELDS = ("task_id", "run", "sequence", "batch_id", "row_in_batch", "reason", "content", "rejected_at")


def is_internal(table: str) -> bool:
    """Whether a table is the platform's own and so never offered for sharing."""
    return table.startswith("_datong_")


class SqlTransaction(ABC):
    """One transaction on one connection of a SQL database."""

    @abstractmethod
    def execute(self, statement: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Run a statement (its places are `?`) and return its rows."""

    @abstractmethod
    def load(self, table: pa.Table, columns: tuple[Column, ...]) -> None:
        """Put `table` (the columns, then `_datong_n`) into a new temporary table `_datong_in`."""

    @abstractmethod
    def insert(
        self, target: str, columns: tuple[Column, ...], keys: tuple[str, ...], first: int, end: int
    ) -> str | None:
        """Insert, or upsert when there are keys, the rows of `_datong_in` with first ≤ number < end.

        Returns None, or the database's reason when it refused a value; then nothing of the range was inserted.
        """

    @abstractmethod
    def quote(self, name: str) -> str:
        """Return `name` as an identifier."""

    def faults(self, batch: pa.RecordBatch) -> dict[int, str]:
        """Return the rows that this database could not even load, each with the reason."""
        return far_times(batch)


def last_applied(transaction: SqlTransaction, task_id: TaskId) -> AppliedCursor | None:
    """Return the task's newest applied batch."""
    fields = ", ".join(CURSOR_FIELDS[1:6] + CURSOR_FIELDS[7:])
    rows = transaction.execute(f"SELECT {fields} FROM {CURSORS} WHERE task_id = ?", (task_id,))
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


def rejected_rows(transaction: SqlTransaction, task_id: TaskId) -> int:
    """Return how many dead letters the task has; a new snapshot clears those of the one before."""
    rows = transaction.execute(f"SELECT count(*) FROM {DEAD_LETTERS} WHERE task_id = ?", (task_id,))
    return int(str(rows[0][0]))


def apply_batch(
    transaction: SqlTransaction,
    manifest: Manifest,
    reader: pa.RecordBatchReader,
    *,
    table: str,
    key_columns: tuple[str, ...],
    applied_at: datetime,
) -> Applied:
    """Apply one batch inside `transaction`, cursor included; the caller commits.

    Raises:
        Conflict: `adapters.batch_gap`, `adapters.batch_fork`.
    """
    known = last_applied(transaction, manifest.task_id)
    repeated = _repeated(known, manifest)
    if repeated is not None:
        return repeated
    snapshot = manifest.mode is TransferMode.SNAPSHOT
    into = STAGE_PREFIX + table if snapshot else table
    if snapshot and manifest.part == 1:
        transaction.execute(f"DELETE FROM {transaction.quote(into)}")
        transaction.execute(f"DELETE FROM {DEAD_LETTERS} WHERE task_id = ?", (manifest.task_id,))
    rejected = _insert_rows(transaction, manifest, reader, into, () if snapshot else key_columns, applied_at)
    if snapshot and manifest.last:
        names = ", ".join(transaction.quote(column.name) for column in manifest.columns)
        transaction.execute(f"DELETE FROM {transaction.quote(table)}")
        transaction.execute(
            f"INSERT INTO {transaction.quote(table)} ({names}) SELECT {names} FROM {transaction.quote(into)}"
        )
        transaction.execute(f"DELETE FROM {transaction.quote(into)}")
    result = Applied(rows=manifest.rows - rejected, rejected=rejected)
    places = ", ".join("?" * len(CURSOR_FIELDS))
    transaction.execute(f"DELETE FROM {CURSORS} WHERE task_id = ?", (manifest.task_id,))
    transaction.execute(
        f"INSERT INTO {CURSORS} ({', '.join(CURSOR_FIELDS)}) VALUES ({places})",
        (
            manifest.task_id,
            manifest.sequence,
            manifest.batch_id,
            manifest.digest,
            result.rows,
            result.rejected,
            manifest.run,
            applied_at.isoformat(),
        ),
    )
    return result


def _repeated(known: AppliedCursor | None, manifest: Manifest) -> Applied | None:
    """Return the earlier answer when the target already holds this batch, None when the batch is the next one."""
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
    if manifest.sequence != newest + 1:
        raise Conflict(
            "adapters.batch_gap",
            what=Text(
                zh=f"目标库已到第 {newest} 批，不能应用第 {manifest.sequence} 批。",
                en=f"The target holds batches up to {newest}; number {manifest.sequence} does not follow.",
            ),
            remedy=Text(zh="请按顺序应用批次。", en="Apply batches in order."),
        )
    return None


def _insert_rows(
    transaction: SqlTransaction,
    manifest: Manifest,
    reader: pa.RecordBatchReader,
    into: str,
    keys: tuple[str, ...],
    applied_at: datetime,
) -> int:
    """Insert every row that the target can hold; return how many it could not."""
    table, refused = _gathered(transaction, manifest, reader, keys)
    letters = dict(refused)
    numbered = table.append_column(NUMBER, pa.array(range(table.num_rows), pa.int64()))
    if letters:
        bad = pa.array(list(letters), pa.int64())
        numbered = numbered.filter(pc.invert(pc.is_in(numbered.column(NUMBER), value_set=bad)))
    if keys:
        numbered = last_of_each_key(numbered, keys, NUMBER)
    if numbered.num_rows:
        transaction.load(numbered, manifest.columns)
        letters |= _insert_ranges(transaction, into, manifest.columns, keys, table.num_rows)
        transaction.execute(f"DROP TABLE {transaction.quote(INCOMING)}")
    _write_letters(transaction, manifest, table, letters, applied_at)
    return len(letters)


def _gathered(
    transaction: SqlTransaction, manifest: Manifest, reader: pa.RecordBatchReader, keys: tuple[str, ...]
) -> tuple[pa.Table, dict[int, str]]:
    """Return the batch's rows, and those that cannot even be loaded, by number, each with the reason."""
    letters: dict[int, str] = {}
    pieces: list[pa.RecordBatch] = []
    offset = 0
    for batch in reader:
        faults = transaction.faults(batch)
        for name in keys:
            for row in rows_where(pc.is_null(batch.column(name))):
                faults.setdefault(row, f"主键列 {name} 为空 / key column {name} is NULL")
        letters |= {offset + row: reason for row, reason in faults.items()}
        pieces.append(batch)
        offset += batch.num_rows
    return pa.Table.from_batches(pieces, schema=arrow_schema(manifest.columns)).combine_chunks(), letters


def _insert_ranges(
    transaction: SqlTransaction, into: str, columns: tuple[Column, ...], keys: tuple[str, ...], rows: int
) -> dict[int, str]:
    """Insert the loaded rows; halve a refused range until the offending rows stand alone, and return those."""
    letters: dict[int, str] = {}
    ranges = [(0, rows)]
    while ranges:
        first, end = ranges.pop()
        reason = transaction.insert(into, columns, keys, first, end)
        if reason is not None and end - first == 1:
            letters[first] = reason
        elif reason is not None:
            middle = (first + end) // 2
            ranges += [(middle, end), (first, middle)]
    return letters


def _write_letters(
    transaction: SqlTransaction, manifest: Manifest, table: pa.Table, letters: dict[int, str], applied_at: datetime
) -> None:
    """Keep every refused row, with the reason, where the department's own people find it."""
    places = ", ".join("?" * len(DEAD_LETTER_FIELDS))
    for row, reason in sorted(letters.items()):
        piece = table.slice(row, 1).combine_chunks().to_batches()[0]
        content = json.dumps(texts_of(piece, 0), ensure_ascii=False)
        transaction.execute(
            f"INSERT INTO {DEAD_LETTERS} ({', '.join(DEAD_LETTER_FIELDS)}) VALUES ({places})",
            (
                manifest.task_id,
                manifest.run,
                manifest.sequence,
                manifest.batch_id,
                row,
                reason[:REASON_CHARS_MAX],
                content,
                applied_at.isoformat(),
            ),
        )
