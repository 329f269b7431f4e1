"""Dead letters in a SQL target: found, corrected and applied, discarded, or superseded by a later row of their key."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, time
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from datong.adapters.conversion import decimal_of
from datong.adapters.sql_own_tables import DEAD_LETTERS, dead_letters, letter_batches, outcomes
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

SUPERSEDED_AT_ONCE_MAX = 10_000
_open = dead_letters.outerjoin(
    outcomes,
    sa.and_(outcomes.c.batch_id == dead_letters.c.batch_id, outcomes.c.row_in_batch == dead_letters.c.row_in_batch),
)
_unresolved = outcomes.c.batch_id.is_(None)
_own = dead_letters.c
_FIELDS = (
    _own.task_id, _own.batch_id, _own.row_in_batch, _own.run, _own.sequence, _own.reason, _own.content, _own.rejected_at
)  # fmt: skip


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
            transaction.ensure_letters()
            found = _open_of(task_id).order_by(_own.task_id, _own.sequence, _own.row_in_batch)
            rows = transaction.run(found.limit(limit).offset(offset))
        return tuple(_letter(row) for row in rows)

    def letter_counts(self) -> tuple[LetterCounts, ...]:
        """Return how many dead letters each task has, by reason and outcome."""
        with self._changing() as transaction:
            if not transaction.has_table(DEAD_LETTERS):
                return ()
            transaction.ensure_letters()
            found = transaction.run(
                sa.select(_own.task_id, _own.reason, sa.func.count())
                .select_from(_open)
                .where(_unresolved)
                .group_by(_own.task_id, _own.reason)
            )
            settled = transaction.run(
                sa.select(outcomes.c.task_id, outcomes.c.outcome, sa.func.count()).group_by(
                    outcomes.c.task_id, outcomes.c.outcome
                )
            )
        counts: dict[str, LetterCounts] = {}
        for task, reason, number in found:
            known = counts.setdefault(str(task), LetterCounts(task_id=TaskId(str(task))))
            kind = reason_class(str(reason))
            total = known.open.get(kind, 0) + int(str(number))
            counts[str(task)] = known.model_copy(update={"open": {**known.open, kind: total}})
        for task, outcome, number in settled:
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


def open_letters(transaction: SqlTransaction, task_id: TaskId) -> int:
    """Return how many dead letters of a task are open."""
    counted = sa.select(sa.func.count()).select_from(_open).where(_unresolved, _own.task_id == task_id)
    return int(str(transaction.run(counted)[0][0]))


def clear_letters(transaction: SqlTransaction, task_id: TaskId) -> None:
    """Drop the dead letters of a task whose rows all come again; those that were resolved stay on record."""
    own = sa.select(_own.batch_id).where(_own.task_id == task_id)
    transaction.run(sa.delete(letter_batches).where(letter_batches.c.batch_id.in_(own)))
    transaction.run(sa.delete(dead_letters).where(_own.task_id == task_id))


def remember_batch(
    transaction: SqlTransaction, manifest: Manifest, plan: TargetPlan, columns: tuple[Column, ...]
) -> None:
    """Keep what a correction of the batch's dead letters will need."""
    named = plan.model_copy(update={"renamed": ()})
    details = LetterBatch(plan=named, columns=columns).model_dump_json()
    transaction.run(sa.insert(letter_batches).values(batch_id=manifest.batch_id, details=details))


def _open_of(task_id: TaskId | None) -> sa.Select[*tuple[Any, ...]]:
    """Return the question for the open letters of a task, or of all."""
    found = sa.select(*_FIELDS).select_from(_open).where(_unresolved)
    return found if task_id is None else found.where(_own.task_id == task_id)


def supersede(
    transaction: SqlTransaction, manifest: Manifest, plan: TargetPlan, accepted: pa.Table, at: datetime
) -> None:
    """Settle the open letters whose key has come again in a row that was applied: correcting them would be a step back.

    `accepted` are the batch's applied rows with their numbers.
    """
    rows = transaction.run(_open_of(manifest.task_id).limit(SUPERSEDED_AT_ONCE_MAX))
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
        transaction.ensure_letters()
        for one in resolution.letters:
            values = (one.batch_id, one.row)
            named = _open_of(None).where(_own.batch_id == one.batch_id, _own.row_in_batch == one.row)
            rows = transaction.run(named)
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
    known = letter_batches.c
    rows = transaction.run(sa.select(known.details).where(known.batch_id == letter.batch_id))
    return LetterBatch.model_validate_json(str(rows[0][0])) if rows else None


def _settle(transaction: SqlTransaction, task_id: TaskId, letter: Correction, resolution: Resolution) -> None:
    transaction.run(
        sa.insert(outcomes).values(
            batch_id=letter.batch_id,
            row_in_batch=letter.row,
            task_id=task_id,
            outcome=resolution.outcome.value,
            resolved_at=resolution.at.isoformat(),
            resolved_by=resolution.by,
            note=resolution.note,
            changed=json.dumps(sorted(letter.changes), ensure_ascii=False),
        )
    )
