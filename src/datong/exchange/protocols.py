"""What the exchange needs from others: connectors and targets (adapters), terms (sharing), keys (catalogue)."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from datong.catalogue import DepartmentKey, RecipientKey
from datong.exchange.apply_modes import TargetPlan
from datong.exchange.dead_letters import DeadLetter, LetterCounts, Resolution, Resolved
from datong.exchange.known_digests import KnownDigest
from datong.exchange.questions import RangeDigest, RowDigest
from datong.exchange.ranges import LookupQuery, RangeQuery
from datong.exchange.table_values import Column, ContentDigest, ReadQuery, TableSchema
from datong.exchange.values import Applied, AppliedCursor, Manifest
from datong.kernel import AgreementId, DepartmentCode, NodeId, ResourceId, TaskId

if TYPE_CHECKING:
    import pyarrow as pa


class Connector(Protocol):
    """A source of tables. Every value it hands out has a type of `datong.exchange.types`, without loss.

    Raises (all methods): `Unavailable` when the source does not answer; `Invalid` with code
    `adapters.value_not_lossless` when a value cannot travel unchanged.
    """

    @property
    def name(self) -> str:
        """What the source is, without credentials."""
        ...

    def inspect(self) -> list[TableSchema]:
        """Return the schema of every table that may be shared, sorted by name."""
        ...

    def schema(self, table: str) -> TableSchema | None:
        """Return the schema of one table as `inspect` shows it, at the cost of that table; None when there is none.

        Its size may be left out.
        """
        ...

    def read(self, query: ReadQuery) -> "pa.RecordBatchReader":
        """Return the rows after `query.after`, ordered by `query.order`, in record batches of at most `batch_rows`."""
        ...

    def sample(self, schema: TableSchema, rows_max: int) -> "pa.RecordBatchReader":
        """Return about `rows_max` rows of a table, at most, every value as text; large tables are not read whole.

        The rows are drawn by the source itself from all over the table, the same ones each time as far as the source
        can do that. What has no text (binary values) is only marked as present.
        """
        ...

    def newest(self, table: str, column: str) -> datetime | None:
        """Return the largest moment in `column`, or None when there is none or it is no moment."""
        ...

    def count(self, table: str) -> int:
        """Return the number of rows of `table`."""
        ...

    def digest(self, table: str, columns: tuple[Column, ...]) -> ContentDigest:
        """Return the content digest of `table` on `columns`, values taken as these columns' types."""
        ...

    def close(self) -> None:
        """Close every connection."""
        ...


@runtime_checkable
class Comparing(Protocol):
    """A source or target that digests ranges of a table by itself. Others are read (`RangeReader`).

    Raises (all methods): `Unavailable`, and `Invalid` with `adapters.value_not_lossless`, as a connector does.
    """

    def ranges(self, query: RangeQuery) -> tuple[RangeDigest, ...]:
        """Return the digest of every range of the query that has a row."""
        ...

    def listed(self, query: RangeQuery) -> tuple[RowDigest, ...]:
        """Return place and digest of every row of the query's ranges, by place."""
        ...

    def chosen(self, query: RangeQuery) -> "Iterator[pa.RecordBatch]":
        """Yield the rows of the query's ranges themselves."""
        ...


@runtime_checkable
class Answering(Protocol):
    """A source that answers look-ups while somebody waits."""

    def lookup(self, query: LookupQuery) -> "pa.Table":
        """Return the rows whose key equals the value as the engine compares them; a value of another type meets none.

        Raises:
            Unavailable: the source does not answer. Refused: `adapters.table_unreadable`, also after the time is over.
        """
        ...


class Target(Protocol):
    """A place where a consumer's rows go: rows and cursor move in one transaction.

    Raises (all methods): `Unavailable` when the target does not answer; `Conflict` when a batch does not follow.
    """

    def prepare(self, plan: TargetPlan, columns: tuple[Column, ...]) -> None:
        """Create what is missing: the table, its stage, the cursors and the dead letters. Idempotent.

        `columns` are those of the task's batches.
        """
        ...

    def last_applied(self, task_id: TaskId) -> AppliedCursor | None:
        """Return the newest batch of the task that this target holds."""
        ...

    def apply(
        self,
        manifest: Manifest,
        reader: "pa.RecordBatchReader",
        *,
        plan: TargetPlan,
        applied_at: datetime,
    ) -> Applied:
        """Apply one batch and move the cursor in one transaction; a batch already applied changes nothing.

        What becomes of the rows is `plan.mode`. A snapshot gathers in a stage and counts with its last batch, unless
        it is only upserted or appended. Rows the target cannot hold go to `_datong_dead_letter` with the reason.
        """
        ...

    def rewind(self, manifest: Manifest | None, task_id: TaskId, table: str) -> None:
        """Set the task's cursor back to the batch of `manifest`, or before its first one; rows stay as they are.

        The batches after it are then applied once more, over what the table holds. What is known of the digest of
        `table` is forgotten: who replays does not trust the table to be what its batches left.
        """
        ...

    def rejected(self, task_id: TaskId) -> int:
        """Return how many open dead letters the task has since its newest complete snapshot began."""
        ...

    def letters(self, task_id: TaskId | None = None, *, limit: int = 100, offset: int = 0) -> tuple[DeadLetter, ...]:
        """Return the open dead letters, of one task or of all, oldest first."""
        ...

    def letter_counts(self) -> tuple[LetterCounts, ...]:
        """Return how many dead letters each task has, by reason and outcome."""
        ...

    def resolve(self, resolution: Resolution) -> Resolved:
        """Apply corrected letters, or discard them, all in one transaction; with a single fault none.

        Raises:
            Conflict: `adapters.snapshot_gathering`.
        """
        ...

    def digest(self, table: str, columns: tuple[Column, ...]) -> ContentDigest:
        """Return the content digest of `table` on `columns`."""
        ...

    def known_digest(self, table: str, columns: tuple[Column, ...]) -> KnownDigest | None:
        """Return the digest of `table` as its batches have left it, if it was read and every change was followed."""
        ...

    def remember_digest(self, table: str, columns: tuple[Column, ...], known: KnownDigest) -> None:
        """Keep what was read of a table's digest; `apply` keeps it up to date from then on."""
        ...

    def close(self) -> None:
        """Close every connection."""
        ...


class TransferTerms(Protocol):
    """What agreements allow; the sharing package implements it."""

    def check(
        self,
        *,
        agreement_id: AgreementId,
        provider: DepartmentCode,
        consumer: DepartmentCode,
        resource_id: ResourceId,
        columns: tuple[str, ...],
        now: datetime,
    ) -> None:
        """Return when the agreement is in force and covers these source columns.

        Raises:
            Refused: it does not; the text says why.
        """
        ...


class DepartmentKeys(Protocol):
    """The registered keys of departments; `catalogue.Departments` implements it."""

    def key(self, key_id: str) -> DepartmentKey:
        """Return the key called `key_id`.

        Raises:
            NotFound: nobody registered it.
        """
        ...


class Recipients(Protocol):
    """The keys to which payloads are sealed; `catalogue.RecipientKeys` implements it."""

    def in_force(self, department: DepartmentCode, node_id: NodeId) -> tuple[RecipientKey, ...]:
        """Return the keys to which may be sealed what `node_id` of `department` shall open."""
        ...


class KeyRegister(Protocol):
    """The recipient keys of whole departments; `catalogue.RecipientKeys` implements it."""

    def of_department(self, code: DepartmentCode) -> tuple[RecipientKey, ...]:
        """Return a department's recipient keys, revoked ones included."""
        ...


class FileTerms(Protocol):
    """What agreements allow of files; the sharing package implements it."""

    def file_recipient(self, agreement_id: AgreementId, *, sender: DepartmentCode, now: datetime) -> DepartmentCode:
        """Return who may be sent files under an agreement that is in force and allows it.

        Raises:
            NotFound: there is no such agreement. Refused: it does not allow it; the text says why.
        """
        ...


class NoRecipients:
    """A register without any key: where nothing is sealed."""

    def in_force(self, department: DepartmentCode, node_id: NodeId) -> tuple[RecipientKey, ...]:
        """There is none."""
        return ()


class OpenTerms:
    """Terms that allow everything: for tests and for a single department's own tasks."""

    def check(
        self,
        *,
        agreement_id: AgreementId,
        provider: DepartmentCode,
        consumer: DepartmentCode,
        resource_id: ResourceId,
        columns: tuple[str, ...],
        now: datetime,
    ) -> None:
        """Allow it."""
