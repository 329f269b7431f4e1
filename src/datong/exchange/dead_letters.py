"""Dead letters: rows that a target refused, why, and what became of them. Values stay in the department's own database;
the hub learns counts and classes of reasons.
"""

import re
from datetime import datetime
from enum import StrEnum

from pydantic import AwareDatetime, Field

from datong.exchange.signed import Signed, utc_text
from datong.kernel import BatchId, DepartmentCode, EntryId, TaskId, Text, Value, canonical_json

WHO_CHARS_MAX = 200
NOTE_CHARS_MAX = 1_000
LETTERS_AT_ONCE_MAX = 10_000


class LetterReason(StrEnum):
    """Why a target refused a row, without a word of what the row says."""

    KEY_NULL = "key_null"
    DELETED = "deleted"
    TOO_LONG = "too_long"
    OUT_OF_RANGE = "out_of_range"
    DATE = "date"
    CHARACTER = "character"
    NOT_A_NUMBER = "not_a_number"
    DUPLICATE = "duplicate"
    CONSTRAINT = "constraint"
    OTHER = "other"

    @property
    def label(self) -> Text:
        """The reason in words."""
        return _REASONS[self]


_REASONS = {
    LetterReason.KEY_NULL: Text(zh="主键为空", en="Key is NULL"),
    LetterReason.DELETED: Text(zh="已删除的行不能追加", en="Deleted rows cannot be appended"),
    LetterReason.TOO_LONG: Text(zh="值过长", en="Value too long"),
    LetterReason.OUT_OF_RANGE: Text(zh="数值超出范围", en="Number out of range"),
    LetterReason.DATE: Text(zh="日期无法表示", en="Date cannot be stored"),
    LetterReason.CHARACTER: Text(zh="字符无法表示", en="Character cannot be stored"),
    LetterReason.NOT_A_NUMBER: Text(zh="不是有限数", en="Not a finite number"),
    LetterReason.DUPLICATE: Text(zh="与已有行重复", en="Duplicate of another row"),
    LetterReason.CONSTRAINT: Text(zh="违反目标表约束", en="Violates a constraint of the table"),
    LetterReason.OTHER: Text(zh="其他", en="Other"),
}
_PATTERNS = (
    (LetterReason.KEY_NULL, r"key column .* is NULL"),
    (LetterReason.DELETED, r"cannot be appended"),
    (LetterReason.DATE, r"^2200[78]|a date outside|incorrect date|incorrect datetime"),
    (LetterReason.CHARACTER, r"NUL character|^22021|incorrect string value"),
    (LetterReason.NOT_A_NUMBER, r"not a finite number"),
    (LetterReason.TOO_LONG, r"^22001|too long"),
    (LetterReason.OUT_OF_RANGE, r"^22003|out of range|numeric field overflow"),
    (LetterReason.DUPLICATE, r"^23505|duplicate|UNIQUE constraint failed"),
    (LetterReason.CONSTRAINT, r"^23|constraint|cannot be null"),
)
"""SQLSTATEs (PostgreSQL) and words (MariaDB, SQLite, the platform's own), in the order in which they decide."""


def reason_class(reason: str) -> LetterReason:
    """Return the class of a target's reason."""
    for kind, pattern in _PATTERNS:
        if re.search(pattern, reason, re.IGNORECASE):
            return kind
    return LetterReason.OTHER


class LetterOutcome(StrEnum):
    """What became of a dead letter; an open one has none."""

    CORRECTED = "corrected"
    DISCARDED = "discarded"
    SUPERSEDED = "superseded"

    @property
    def label(self) -> Text:
        """The outcome in words."""
        return _OUTCOMES[self]


_OUTCOMES = {
    LetterOutcome.CORRECTED: Text(zh="已更正并应用", en="Corrected and applied"),
    LetterOutcome.DISCARDED: Text(zh="已弃用", en="Discarded"),
    LetterOutcome.SUPERSEDED: Text(zh="已被后来的版本取代", en="Superseded by a later version"),
}


class DeadLetter(Value):
    """A refused row as its department's own people see it: every value as text, blobs in hexadecimal."""

    task_id: TaskId
    batch_id: BatchId
    row: int
    run: int
    sequence: int
    reason: str
    content: dict[str, str | None]
    rejected_at: datetime

    @property
    def id(self) -> str:
        """What a person calls it by: batch and row."""
        return f"{self.batch_id}:{self.row}"


class Correction(Value):
    """New texts for cells of one dead letter; none, when only the target was mended."""

    batch_id: BatchId
    row: int = Field(ge=0)
    changes: dict[str, str | None] = Field(default_factory=dict)


class Resolution(Value):
    """What shall become of dead letters, by whose word and why."""

    outcome: LetterOutcome
    letters: tuple[Correction, ...] = Field(min_length=1, max_length=LETTERS_AT_ONCE_MAX)
    by: str = Field(min_length=1, max_length=WHO_CHARS_MAX)
    note: str = Field("", max_length=NOTE_CHARS_MAX)
    at: AwareDatetime


class CellFault(Value):
    """Why a correction cannot be: of one cell, or of the whole row when `column` is empty."""

    batch_id: BatchId
    row: int
    column: str
    text: Text


class Resolved(Value):
    """How many letters were resolved; none when there are faults."""

    letters: int
    faults: tuple[CellFault, ...] = ()


class LetterCounts(Value):
    """A task's dead letters in one target: the open ones by reason, the others by outcome."""

    task_id: TaskId
    open: dict[LetterReason, int] = Field(default_factory=dict)
    corrected: int = 0
    discarded: int = 0
    superseded: int = 0


class RejectReport(Value):
    """What the hub learns of a task's dead letters: counts, never a value."""

    counts: LetterCounts
    department: DepartmentCode
    at: AwareDatetime

    def signing_bytes(self) -> bytes:
        """Return the canonical bytes that are signed."""
        facts = self.model_dump(mode="json") | {"at": utc_text(self.at), "v": 1, "type": "reject-report"}
        return canonical_json(facts)


class SignedRejectReport(Signed):
    """A report with the signature (base64) of the key `key_id` of the consuming department."""

    report: RejectReport


class RejectRecord(Value):
    """The newest report that the hub verified and recorded."""

    signed: SignedRejectReport
    recorded_at: datetime
    entry_id: EntryId

    @property
    def counts(self) -> LetterCounts:
        """The counts reported."""
        return self.signed.report.counts
