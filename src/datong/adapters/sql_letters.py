"""Dead letters in a SQL target: found, corrected and applied, discarded, or superseded by a later row of their key."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, time

import pyarrow as pa

from datong.adapters.conversion import decimal_of
from datong.adapters.sql_transaction import NUMBER, SqlTransaction
from datong.exchange import (
    CellFault,
    Column,
    Correction,
    DeadLetter,
    LetterCounts,
    LetterOutcome,
    Manifest,
    Resolution,
    Resolved,
    TargetPlan,
    arrow_type,
    decimal_parameters,
    reason_class,
)
from datong.kernel import BatchId, TaskId, Text, Value

DEAD_LETTERS = "_datong_dead_letter"
OUTCOMES = "_datong_dead_letter_outcome"
LETTER_BATCHES = "_datong_dead_letter_batch"
SUPERSEDED_AT_ONCE_MAX = 10_000
_OPEN = (
    f"FROM {DEAD_LETTERS} AS l LEFT JOIN {OUTCOMES} AS o ON o.batch_id = l.batch_id "
    "AND o.row_in_batch = l.row_in_batch WHERE o.batch_id IS NULL"
)
_FIELDS = "l.task_id, l.batch_id, l.row_in_batch, l.run, l.sequence, l.reason, l.content, l.rejected_at"


class LetterBatch(Value):
    """How the batch of a dead letter was applied, which is how its correction is."""

    plan: TargetPlan
    columns: tuple[Column, ...]
    """Those of the batch, under the target's names."""


class Faulty(Exception):
    """A resolution that cannot be: its transaction is rolled back."""

    def __init__(self, faults: Sequence[CellFault]) -> None:
        super().__init__(len(faults))
        self.faults = tuple(faults)


class SqlLetters(ABC):
    """The dead letters of a SQL target."""

    @abstractmethod
    def _changing(self) -> AbstractContextManager[SqlTransaction]:
        """Open a transaction that commits at the end, or rolls back on an error."""

    @abstractmethod
    def _correct(
        self, transaction: SqlTransaction, letter: DeadLetter, batch: LetterBatch, rows: pa.RecordBatch, at: datetime
    ) -> dict[int, str]:
        """Apply corrected rows as if their batch came now; return the refused ones with the reasons."""

    def letters(self, task_id: TaskId | None = None, *, limit: int = 100, offset: int = 0) -> tuple[DeadLetter, ...]:
        """Return the open dead letters, of one task or of all, oldest first."""
        with self._changing() as transaction:
            if not transaction.has_table(DEAD_LETTERS):
                return ()
            ensure_letters(transaction)
            condition, values = ("", ()) if task_id is None else (" AND l.task_id = ?", (task_id,))
            rows = transaction.execute(
                f"SELECT {_FIELDS} {_OPEN}{condition} ORDER BY l.task_id, l.sequence, l.row_in_batch "
                f"LIMIT {int(limit)} OFFSET {int(offset)}",
                values,
            )
        return tuple(_letter(row) for row in rows)

    def letter_counts(self) -> tuple[LetterCounts, ...]:
        """Return how many dead letters each task has, by reason and outcome."""
        with self._changing() as transaction:
            if not transaction.has_table(DEAD_LETTERS):
                return ()
            ensure_letters(transaction)
            found = transaction.execute(f"SELECT l.task_id, l.reason, count(*) {_OPEN} GROUP BY l.task_id, l.reason")
            outcomes = transaction.execute(
                f"SELECT task_id, outcome, count(*) FROM {OUTCOMES} GROUP BY task_id, outcome"
            )
        counts: dict[str, LetterCounts] = {}
        for task, reason, number in found:
            known = counts.setdefault(str(task), LetterCounts(task_id=TaskId(str(task))))
            kind = reason_class(str(reason))
            total = known.open.get(kind, 0) + int(str(number))
            counts[str(task)] = known.model_copy(update={"open": {**known.open, kind: total}})
        for task, outcome, number in outcomes:
            known = counts.setdefault(str(task), LetterCounts(task_id=TaskId(str(task))))
            counts[str(task)] = known.model_copy(update={str(outcome): int(str(number))})
        return tuple(counts[task] for task in sorted(counts))

    def resolve(self, resolution: Resolution) -> Resolved:
        """Apply corrected letters, or discard them, all in one transaction; with a single fault none."""
        try:
            with self._changing() as transaction:
                letters = _open_letters(transaction, resolution)
                if resolution.outcome is LetterOutcome.CORRECTED:
                    self._apply(transaction, resolution, letters)
                for letter, correction in zip(letters, resolution.letters, strict=True):
                    _settle(transaction, letter.task_id, correction, resolution)
        except Faulty as faulty:
            return Resolved(letters=0, faults=faulty.faults)
        return Resolved(letters=len(resolution.letters))

    def _apply(self, transaction: SqlTransaction, resolution: Resolution, letters: list[DeadLetter]) -> None:
        """Apply corrected letters batch by batch, in the order in which they were refused."""
        corrections = {(one.batch_id, one.row): one for one in resolution.letters}
        order = sorted(letters, key=lambda letter: (letter.task_id, letter.sequence, letter.row))
        while order:
            own = [letter for letter in order if letter.batch_id == order[0].batch_id]
            order = [letter for letter in order if letter.batch_id != own[0].batch_id]
            batch = _batch_of(transaction, own[0])
            if batch is None:
                raise Faulty([_fault(corrections[one.batch_id, one.row], "", _NO_BATCH) for one in own])
            rows = _typed_rows(own, [corrections[one.batch_id, one.row] for one in own], batch.columns)
            refused = self._correct(transaction, own[0], batch, rows, resolution.at)
            if refused:
                raise Faulty(
                    [
                        _fault(corrections[own[row].batch_id, own[row].row], "", Text(zh=reason, en=reason))
                        for row, reason in sorted(refused.items())
                    ]
                )


_UNKNOWN = Text(
    zh="没有这条待处理的死信，或已处理过。", en="There is no such open dead letter; perhaps it is resolved already."
)
_NO_BATCH = Text(
    zh="旧版本留下的死信缺少批次的列类型，无法更正；请弃用后由提供方重新发送。",
    en="This letter was left by an older version without its column types: discard it and have the row sent again.",
)


def ensure_letters(transaction: SqlTransaction) -> None:
    """Create the tables beside the dead letters that are missing."""
    transaction.execute(
        f"CREATE TABLE IF NOT EXISTS {OUTCOMES} (batch_id VARCHAR(100) NOT NULL, row_in_batch BIGINT NOT NULL, "
        "task_id VARCHAR(100) NOT NULL, outcome VARCHAR(20) NOT NULL, resolved_at VARCHAR(40) NOT NULL, "
        "resolved_by VARCHAR(200) NOT NULL, note VARCHAR(1000) NOT NULL, "
        f"changed {transaction.LONG_TEXT} NOT NULL, PRIMARY KEY (batch_id, row_in_batch)){transaction.TABLE_OPTIONS}"
    )
    transaction.execute(
        f"CREATE TABLE IF NOT EXISTS {LETTER_BATCHES} (batch_id VARCHAR(100) NOT NULL PRIMARY KEY, "
        f"details {transaction.LONG_TEXT} NOT NULL){transaction.TABLE_OPTIONS}"
    )


def open_letters(transaction: SqlTransaction, task_id: TaskId) -> int:
    """Return how many dead letters of a task are open."""
    return int(str(transaction.execute(f"SELECT count(*) {_OPEN} AND l.task_id = ?", (task_id,))[0][0]))


def clear_letters(transaction: SqlTransaction, task_id: TaskId) -> None:
    """Drop the dead letters of a task whose rows all come again; those that were resolved stay on record."""
    transaction.execute(
        f"DELETE FROM {LETTER_BATCHES} WHERE batch_id IN (SELECT batch_id FROM {DEAD_LETTERS} WHERE task_id = ?)",
        (task_id,),
    )
    transaction.execute(f"DELETE FROM {DEAD_LETTERS} WHERE task_id = ?", (task_id,))


def remember_batch(
    transaction: SqlTransaction, manifest: Manifest, plan: TargetPlan, columns: tuple[Column, ...]
) -> None:
    """Keep what a correction of the batch's dead letters will need."""
    named = plan.model_copy(update={"renamed": ()})
    details = LetterBatch(plan=named, columns=columns).model_dump_json()
    transaction.execute(f"INSERT INTO {LETTER_BATCHES} (batch_id, details) VALUES (?, ?)", (manifest.batch_id, details))


def supersede(
    transaction: SqlTransaction, manifest: Manifest, plan: TargetPlan, accepted: pa.Table, at: datetime
) -> None:
    """Settle the open letters whose key has come again in a row that was applied: correcting them would be a step back.

    `accepted` are the batch's applied rows with their numbers.
    """
    rows = transaction.execute(
        f"SELECT {_FIELDS} {_OPEN} AND l.task_id = ? LIMIT {SUPERSEDED_AT_ONCE_MAX}", (manifest.task_id,)
    )
    if not rows or not accepted.num_rows:
        return
    keys = plan.key_columns
    types = {name: accepted.schema.field(name).type for name in keys}
    by_name = {column.name: column for column in manifest.columns}
    named = {plan.name(name): column for name, column in by_name.items()}
    letters = [_letter(row) for row in rows]
    places: list[int] = []
    values: dict[str, list[object]] = {name: [] for name in keys}
    for place, letter in enumerate(letters):
        try:
            key = [typed(named[name], letter.content.get(name)) for name in keys]
        except ValueError:
            continue
        if None not in key:
            places.append(place)
            for name, value in zip(keys, key, strict=True):
                values[name].append(value)
    if not places:
        return
    waiting = pa.table({name: pa.array(values[name], types[name]) for name in keys} | {"place": places})
    newest = accepted.select([*keys, NUMBER]).combine_chunks().group_by(list(keys)).aggregate([(NUMBER, "max")])
    for match in waiting.join(newest, keys=list(keys), join_type="inner").to_pylist():
        letter = letters[match["place"]]
        if letter.batch_id == manifest.batch_id and match[f"{NUMBER}_max"] < letter.row:
            continue
        resolution = Resolution(
            outcome=LetterOutcome.SUPERSEDED,
            letters=(Correction(batch_id=letter.batch_id, row=letter.row),),
            by="datong",
            note=f"batch {manifest.batch_id}",
            at=at,
        )
        _settle(transaction, letter.task_id, resolution.letters[0], resolution)


def typed(column: Column, text: str | None) -> object:
    """Return a dead letter's text as a value of the column's type.

    Raises:
        ValueError: it is none.
    """
    if text is None:
        return None
    decimal = decimal_parameters(column.type) is not None
    try:
        return decimal_of(column.type)(text) if decimal else _PARSERS.get(column.type, str)(text)
    except (ArithmeticError, KeyError) as error:
        raise ValueError(column.type) from error


def _between(low: int, high: int) -> Callable[[str], object]:
    def parse(text: str) -> object:
        number = int(text)
        if not low <= number < high:
            raise ValueError(text)
        return number

    return parse


def _local(text: str) -> object:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        raise ValueError(text)
    return moment


def _instant(text: str) -> object:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


_BOOLEANS = {"true": True, "false": False, "1": True, "0": False, "是": True, "否": False}
_PARSERS: dict[str, Callable[[str], object]] = {
    "boolean": lambda text: _BOOLEANS[text.strip().lower()],
    "int64": _between(-(2**63), 2**63),
    "uint64": _between(0, 2**64),
    "float32": float,
    "float64": float,
    "binary": bytes.fromhex,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "timestamp": _local,
    "timestamp_utc": _instant,
}


def _typed_rows(
    letters: list[DeadLetter], corrections: list[Correction], columns: tuple[Column, ...]
) -> pa.RecordBatch:
    """Return the corrected rows as the batch's types.

    Raises:
        Faulty: naming every cell that is none.
    """
    faults: list[CellFault] = []
    values: dict[str, list[object]] = {column.name: [] for column in columns}
    for letter, correction in zip(letters, corrections, strict=True):
        unknown = Text(zh="没有这一列。", en="There is no such column.")
        faults += [_fault(correction, name, unknown) for name in sorted(set(correction.changes) - set(values))]
        texts = letter.content | correction.changes
        for column in columns:
            try:
                values[column.name].append(typed(column, texts.get(column.name)))
            except ValueError:
                reason = Text(zh=f"不是 {column.type} 类型的值。", en=f"It is no value of the type {column.type}.")
                faults.append(_fault(correction, column.name, reason))
    if faults:
        raise Faulty(faults)
    return pa.RecordBatch.from_pydict(
        {column.name: pa.array(values[column.name], arrow_type(column.type)) for column in columns}
    )


def _fault(correction: Correction, column: str, text: Text) -> CellFault:
    return CellFault(batch_id=correction.batch_id, row=correction.row, column=column, text=text)


def _letter(row: Sequence[object]) -> DeadLetter:
    task, batch, number, run, sequence, reason, content, at = row
    return DeadLetter(
        task_id=TaskId(str(task)),
        batch_id=BatchId(str(batch)),
        row=int(str(number)),
        run=int(str(run)),
        sequence=int(str(sequence)),
        reason=str(reason),
        content=json.loads(str(content)),
        rejected_at=datetime.fromisoformat(str(at)),
    )


def _open_letters(transaction: SqlTransaction, resolution: Resolution) -> list[DeadLetter]:
    """Return the open letters that a resolution names.

    Raises:
        Faulty: one of them is not there, or is named twice.
    """
    found: dict[tuple[str, int], DeadLetter] = {}
    faults = []
    if transaction.has_table(DEAD_LETTERS):
        ensure_letters(transaction)
        for one in resolution.letters:
            values = (one.batch_id, one.row)
            rows = transaction.execute(f"SELECT {_FIELDS} {_OPEN} AND l.batch_id = ? AND l.row_in_batch = ?", values)
            if rows and values not in found:
                found[values] = _letter(rows[0])
            else:
                faults.append(_fault(one, "", _UNKNOWN))
    else:
        faults = [_fault(one, "", _UNKNOWN) for one in resolution.letters]
    if faults:
        raise Faulty(faults)
    return list(found.values())


def _batch_of(transaction: SqlTransaction, letter: DeadLetter) -> LetterBatch | None:
    rows = transaction.execute(f"SELECT details FROM {LETTER_BATCHES} WHERE batch_id = ?", (letter.batch_id,))
    return LetterBatch.model_validate_json(str(rows[0][0])) if rows else None


def _settle(transaction: SqlTransaction, task_id: TaskId, letter: Correction, resolution: Resolution) -> None:
    transaction.execute(
        f"INSERT INTO {OUTCOMES} (batch_id, row_in_batch, task_id, outcome, resolved_at, resolved_by, note, changed) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            letter.batch_id,
            letter.row,
            task_id,
            resolution.outcome.value,
            resolution.at.isoformat(),
            resolution.by,
            resolution.note,
            json.dumps(sorted(letter.changes), ensure_ascii=False),
        ),
    )
