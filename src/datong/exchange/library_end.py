"""The hub's own library as a consumer: what it has to land, its receipts, and its side of a reconciliation."""

from datong.exchange import store
from datong.exchange.landing import landed_rows
from datong.exchange.questions import Answer, Question, QuestionKind
from datong.exchange.range_digests import RangeReader
from datong.exchange.ranges import RangeQuery
from datong.exchange.receipts import Receipts
from datong.exchange.refusals import no_batch
from datong.exchange.signatures import signed_receipt
from datong.exchange.table_values import ContentDigest
from datong.exchange.uploads import UploadFiles
from datong.exchange.values import Delivery, Receipt, ReceiptRecord, Task
from datong.kernel import PLATFORM_ACTOR, BatchId, Clock, Database
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.ledger import Signer


class LibraryEnd:
    """The consumer of tasks that name no consumer node; its receipts are signed with the hub's key."""

    def __init__(
        self, *, database: Database, clock: Clock, files: UploadFiles, receipts: Receipts, hub_signer: Signer
    ) -> None:
        self._database = database
        self._clock = clock
        self._files = files
        self._receipts = receipts
        self._hub_signer = hub_signer

    def deliveries(self, *, unreceipted: bool = False) -> tuple[Delivery, ...]:
        """Return every committed batch whose consumer is the hub's library, by task and sequence.

        With `unreceipted` only those without a receipt; it costs nothing when there are none.
        """
        result: list[Delivery] = []
        with self._database.snapshot() as connection:
            for task, receipted in store.library_tasks(connection, unreceipted=unreceipted):
                after = receipted if unreceipted else 0
                while records := store.batches(connection, task.id, after_sequence=after, limit=PAGE_ROWS_MAX):
                    result.extend(
                        Delivery(
                            task=task,
                            record=record,
                            path=self._files.final(record.manifest),
                            receipted=record.manifest.sequence <= receipted,
                        )
                        for record in records
                    )
                    after = records[-1].manifest.sequence
        return tuple(result)

    def record_receipt(
        self,
        batch_id: BatchId,
        *,
        rows_applied: int | None = None,
        rows_rejected: int = 0,
        table_digest: ContentDigest | None = None,
    ) -> ReceiptRecord:
        """Sign with the hub's key, and record, that the library landed a batch (all rows, unless it says otherwise).

        Raises:
            NotFound: `exchange.batch_not_found`. Conflict: `exchange.receipt_order`.
        """
        with self._database.snapshot() as connection:
            batch = store.batch(connection, batch_id)
            if batch is None:
                raise no_batch(batch_id)
            manifest = batch.manifest
            task = store.task_of(store.task_row(connection, manifest.task_id))
        receipt = Receipt(
            batch_id=batch_id,
            task_id=task.id,
            sequence=manifest.sequence,
            manifest_digest=manifest.digest,
            consumer=task.consumer,
            rows_applied=manifest.rows - rows_rejected if rows_applied is None else rows_applied,
            rows_rejected=rows_rejected,
            table_digest=table_digest,
            applied_at=self._clock.now(),
        )
        return self._receipts.record(batch, signed_receipt(receipt, self._hub_signer), actor=PLATFORM_ACTOR)

    def answer(self, task: Task, query: RangeQuery, question: Question) -> Answer:
        """Answer a reconciliation's question from what has landed."""
        deliveries = [delivery for delivery in self.deliveries() if delivery.task.id == task.id]
        landed = [(delivery.record.manifest, delivery.path) for delivery in deliveries if delivery.receipted]
        rows, reader = landed_rows(landed, query.columns, task.key_columns), RangeReader(query)
        if question.kind is QuestionKind.ROWS:
            return Answer(rows=reader.rows(rows))
        return Answer(ranges=reader.ranges(rows))
