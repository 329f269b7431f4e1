"""Receipts: what consumers signed about the batches they applied."""

from datong.exchange import store
from datong.exchange.facts import receipt_facts
from datong.exchange.protocols import DepartmentKeys
from datong.exchange.refusals import wrong_consumer
from datong.exchange.runs import Runs
from datong.exchange.signatures import verify
from datong.exchange.values import BatchRecord, Manifest, Receipt, ReceiptRecord, SignedReceipt, Task
from datong.kernel import Actor, Clock, Conflict, Corrupt, Database, Text
from datong.ledger import EntryKind, Ledger, Signer


class Receipts:
    """Verifies and records receipts."""

    def __init__(
        self, *, database: Database, clock: Clock, ledger: Ledger, keys: DepartmentKeys, hub_signer: Signer, runs: Runs
    ) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._keys = keys
        self._hub_signer = hub_signer
        self._runs = runs

    def record(self, batch: BatchRecord, signed: SignedReceipt, *, actor: Actor) -> ReceiptRecord:
        """Verify and record the receipt of `batch` with its ledger entry; a second one returns the first."""
        receipt, manifest = signed.receipt, batch.manifest
        with self._database.snapshot() as connection:
            task = store.task_of(store.task_row(connection, manifest.task_id))
        self._check_signer(task, signed)
        check_receipt(manifest, receipt)
        with self._database.transaction() as connection:
            fields = store.task_row(connection, task.id, lock=True)
            known = store.receipt(connection, receipt.batch_id)
            if known is not None:
                return known
            if receipt.sequence != fields["receipted_sequence"] + 1:
                raise Conflict(
                    "exchange.receipt_order",
                    what=Text(
                        zh=f"应先有第 {fields['receipted_sequence'] + 1} 批的回执。",
                        en=f"The receipt of batch {fields['receipted_sequence'] + 1} is due first.",
                    ),
                    remedy=Text(zh="请按批次顺序提交回执。", en="Send receipts in the order of the batches."),
                )
            entry_id = self._ledger.append(
                connection, kind=EntryKind.RECEIPT, subject=task.id, actor=actor, facts=receipt_facts(task, signed)
            )
            result = ReceiptRecord(signed=signed, recorded_at=self._clock.now(), entry_id=entry_id)
            store.insert_receipt(connection, result)
            store.set_task(
                connection,
                task.id,
                receipted_sequence=receipt.sequence,
                rows_applied=fields["rows_applied"] + receipt.rows_applied,
                rows_rejected=fields["rows_rejected"] + receipt.rows_rejected,
                last_applied_at=receipt.applied_at,
                consume_failures=0,
                consume_not_before=None,
                consume_error=None,
            )
            self._runs.received(connection, manifest, receipt)
        return result

    def _check_signer(self, task: Task, signed: SignedReceipt) -> None:
        """Check that the consumer signed: its node's key, or the hub's for the hub's own library."""
        message = signed.receipt.signing_bytes()
        if signed.receipt.consumer != task.consumer:
            raise wrong_consumer()
        if task.consumer_node is None and signed.key_id == self._hub_signer.key_id:
            verify(signed.key_id, self._hub_signer.public_key, message, signed.signature)
            return
        key = self._keys.key(signed.key_id)
        verify(signed.key_id, key.public_key, message, signed.signature)
        if key.department != task.consumer or key.revoked_at is not None:
            raise wrong_consumer()


def check_receipt(manifest: Manifest, receipt: Receipt) -> None:
    """Check that a receipt speaks of this batch and accounts for each of its rows.

    Raises:
        Corrupt: `exchange.receipt_mismatch`.
    """
    names = (receipt.batch_id, receipt.task_id, receipt.sequence, receipt.manifest_digest)
    if (
        names != (manifest.batch_id, manifest.task_id, manifest.sequence, manifest.digest)
        or receipt.rows_applied + receipt.rows_rejected != manifest.rows
    ):
        raise Corrupt(
            "exchange.receipt_mismatch",
            what=Text(zh="回执与批次清单不符。", en="The receipt does not fit the batch's manifest."),
            remedy=Text(zh="请消费方核对批次后重新签发。", en="The consumer must check the batch and sign again."),
        )
