"""A node's end of a reconciliation: it digests ranges, or lists rows by place, and signs what it found."""

from collections.abc import Callable, Iterable

import pyarrow as pa

from datong.exchange import (
    DELETED,
    Answer,
    Column,
    Comparing,
    Connector,
    EndDigest,
    Question,
    QuestionKind,
    RangeQuery,
    RangeReader,
    ReadQuery,
    ReconcileEnd,
    ReconcileWork,
    Target,
    TargetPlan,
    arrow_schema,
    range_query,
    signed_end_digest,
    total_of,
)
from datong.kernel import Clock, Conflict, DepartmentCode, Text
from datong.ledger import Signer
from datong.node.hub_client import HubClient
from datong.node.keyring import Keyring
from datong.node.sealed_reconciling import SealedComparison


class Reconciler:
    """Answers the questions of reconciliations about this node's sources and targets."""

    def __init__(
        self,
        *,
        client: HubClient,
        signer: Signer,
        clock: Clock,
        department: DepartmentCode,
        open_source: Callable[[str], Connector],
        open_target: Callable[[str], Target],
        keyring: Keyring | None = None,
    ) -> None:
        self._client = client
        self._signer = signer
        self._clock = clock
        self._department = department
        self._open_source = open_source
        self._open_target = open_target
        self._keyring = keyring

    def report(self, work: ReconcileWork) -> None:
        """Answer one question about this node's end of a task.

        Raises:
            Conflict: `node.not_comparable` when the target cannot digest ranges.
        """
        task = work.task
        columns = tuple(column for column in work.columns if column.name != DELETED)
        sealed = self._sealed(work)
        salt, as_of = (work.salt, work.as_of) if sealed is None else (sealed.salt, sealed.as_of)
        query = range_query(task, columns, work.question, salt, as_of, work.end)
        rejected = 0
        if work.end is ReconcileEnd.PRODUCER:
            source = self._open_source(task.source)
            try:
                answer = source_answer(source, query, work.question)
            finally:
                source.close()
        else:
            target = self._open_target(task.target_source)
            try:
                answer = target_answer(target, renamed(query, task.target_plan, task.compared_table), work.question)
                rejected = target.rejected(task.id)
            finally:
                target.close()
        if sealed is not None:
            answer = sealed.keyed(answer)
        end = EndDigest(
            reconciliation_id=work.reconciliation_id,
            task_id=task.id,
            end=work.end,
            department=self._department,
            digest=total_of(answer),
            rejected=rejected,
            at=self._clock.now(),
            round=work.question.number,
            answer=answer,
            sealing=None if sealed is None else sealed.sealing,
            sealed_as_of=None if sealed is None else sealed.sealed_as_of,
        )
        self._client.send_end_digest(signed_end_digest(end, self._signer))

    def _sealed(self, work: ReconcileWork) -> SealedComparison | None:
        """Return what a sealed task is compared under."""
        if not work.task.sealed:
            return None
        if self._keyring is None:
            raise not_comparable()
        return SealedComparison(self._client, self._keyring, work)


def source_answer(source: Connector, query: RangeQuery, question: Question) -> Answer:
    """Answer a question from a source; one that cannot digest ranges itself is read."""
    if isinstance(source, Comparing):
        return _answer(source, query, question)
    reader = source.read(ReadQuery(table=query.table, columns=tuple(column.name for column in query.columns)))
    return read_answer(as_moved(reader, query.columns), query, question)


def target_answer(target: Target, query: RangeQuery, question: Question) -> Answer:
    """Answer a question from a target.

    Raises:
        Conflict: `node.not_comparable`.
    """
    if not isinstance(target, Comparing):
        raise not_comparable()
    return _answer(target, query, question)


def not_comparable() -> Conflict:
    """Return the error of a target that cannot digest ranges."""
    return Conflict(
        "node.not_comparable",
        what=Text(zh="该目标不支持按区间对账。", en="This target cannot be compared by ranges."),
        remedy=Text(zh="请改用 PostgreSQL、MariaDB 或 SQLite。", en="Use PostgreSQL, MariaDB or SQLite."),
    )


def read_answer(batches: Iterable[pa.RecordBatch], query: RangeQuery, question: Question) -> Answer:
    """Answer a question from rows that have the query's columns."""
    reader = RangeReader(query)
    if question.kind is QuestionKind.ROWS:
        return Answer(rows=reader.rows(batches))
    return Answer(ranges=reader.ranges(batches))


def renamed(query: RangeQuery, plan: TargetPlan, table: str) -> RangeQuery:
    """Return a query in the names of the target."""
    return query.model_copy(
        update={
            "table": table,
            "columns": tuple(column.model_copy(update={"name": plan.name(column.name)}) for column in query.columns),
            "key_columns": tuple(plan.name(name) for name in query.key_columns),
            "cursor_column": None if query.cursor_column is None else plan.name(query.cursor_column),
        }
    )


def _answer(end: Comparing, query: RangeQuery, question: Question) -> Answer:
    if question.kind is QuestionKind.ROWS:
        return Answer(rows=end.listed(query))
    return Answer(ranges=end.ranges(query))


def as_moved(reader: pa.RecordBatchReader, columns: tuple[Column, ...]) -> Iterable[pa.RecordBatch]:
    """Yield what a source reads now as the types that the task has moved."""
    schema = arrow_schema(columns)
    for batch in reader:
        arrays = [batch.column(field.name).cast(field.type) for field in schema]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)
