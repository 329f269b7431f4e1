"""Fan-out at the hub: one stream, read from its source once, for several consumers that do not wait for each other.

The task's own consumer is as before. A further consumer joins by a subscription under an agreement of its own, begins
with a whole copy and goes on at its own pace: it has its own cursor at its target, its own receipts, its own duties.
"""

from collections.abc import Callable

from sqlalchemy import Connection, RowMapping

from datong.catalogue import RecipientKey
from datong.exchange import store, subscription_store
from datong.exchange.facts import receipt_facts, task_facts
from datong.exchange.protocols import DepartmentKeys, Recipients
from datong.exchange.receipts import check_receipt
from datong.exchange.refusals import illegal_step, wrong_consumer
from datong.exchange.runs import Runs
from datong.exchange.signatures import verify
from datong.exchange.subscription_values import Subscription, SubscriptionDraft, SubscriptionState
from datong.exchange.values import (
    BatchRecord,
    Manifest,
    ReceiptRecord,
    SignedReceipt,
    Task,
    TaskDraft,
    TaskState,
    TransferMode,
)
from datong.exchange.work_values import ConsumeWork
from datong.kernel import (
    Actor,
    AgreementId,
    Clock,
    Conflict,
    Database,
    DepartmentCode,
    Invalid,
    NodeId,
    NotFound,
    Refused,
    TaskId,
    Text,
    new_id,
)
from datong.ledger import EntryKind, Ledger

SUBSCRIPTIONS_PER_TASK_MAX = 64

CheckTerms = Callable[[TaskDraft], None]
"""Raises when the agreement of a task does not cover it now."""


class Subscriptions:
    """The further consumers of all tasks."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        ledger: Ledger,
        keys: DepartmentKeys,
        recipients: Recipients,
        runs: Runs,
        check_terms: CheckTerms,
    ) -> None:
        self._database, self._clock, self._ledger = database, clock, ledger
        self._keys, self._recipients, self._check_terms = keys, recipients, check_terms
        self._runs = runs

    def join(self, task_id: TaskId, draft: SubscriptionDraft, *, actor: Actor) -> Subscription:
        """Let a department receive a task's stream, too, beginning with a whole copy.

        That is the newest complete one if the hub still has it and all that followed; else, and always of a sealed
        task, the next run reads everything anew. Who left and missed nothing goes on where it stopped.

        Raises:
            NotFound: no such task. Conflict: `exchange.task_not_active`, `exchange.subscribed`,
                `exchange.subscriptions_too_many`. Invalid: `exchange.subscription_mode`.
            Refused: its agreement does not cover every column of the task.
        """
        with self._database.snapshot() as connection:
            task = store.task_of(store.task_row(connection, task_id))
        if task.state is not TaskState.ACTIVE:
            raise illegal_step(task, "subscribe")
        self._check_terms(as_seen_by(task, draft))
        with self._database.transaction() as connection:
            row = store.task_row(connection, task_id, lock=True)
            known = subscription_store.subscriptions(connection, task_id, lock=True)
            before = next((one for one in known if one.consumer == draft.consumer), None)
            _check_joining(store.task_of(row), draft, before, known)
            joined = self._begun(row, draft, before)
            if joined.state is SubscriptionState.WAITING:
                self._ask_for_all(connection, store.task_of(row), actor)
            if before is None:
                subscription_store.insert_subscription(connection, joined)
            else:
                subscription_store.set_subscription(connection, joined.id, **joined.model_dump(exclude={"id"}))
            self._record(connection, store.task_of(row), joined, "subscribe", actor)
        return joined

    def leave(self, task_id: TaskId, consumer: DepartmentCode, *, actor: Actor) -> Subscription:
        """Let a further consumer leave; nothing is kept for it any longer. Repeating it changes nothing.

        Raises:
            NotFound: `exchange.not_subscribed`.
        """
        with self._database.transaction() as connection:
            row = store.task_row(connection, task_id, lock=True)
            found = subscription_store.of_consumer(connection, task_id, consumer)
            if found is None:
                raise not_subscribed(consumer)
            if found.state is SubscriptionState.LEFT:
                return found
            left = found.model_copy(update={"state": SubscriptionState.LEFT, "left_at": self._clock.now()})
            subscription_store.set_subscription(connection, found.id, state=left.state, left_at=left.left_at)
            self._record(connection, store.task_of(row), left, "unsubscribe", actor)
        return left

    def of_task(self, task_id: TaskId) -> tuple[Subscription, ...]:
        """Return a task's further consumers, those that left included, in the order of joining."""
        with self._database.snapshot() as connection:
            return subscription_store.subscriptions(connection, task_id)

    def of_consumer(self, task_id: TaskId, consumer: DepartmentCode) -> Subscription | None:
        """Return the subscription of a department that has not left."""
        with self._database.snapshot() as connection:
            found = subscription_store.of_consumer(connection, task_id, consumer)
        return None if found is None or found.state is SubscriptionState.LEFT else found

    # For the rest of the exchange

    def committed(self, connection: Connection, task: Task, row: RowMapping, manifest: Manifest) -> dict[str, object]:
        """Begin whoever waits for a whole copy with the batch that begins one; return what changes of the task."""
        changes: dict[str, object] = {}
        opening = row["opening_sequence"]
        if begins_whole_copy(manifest):
            opening = manifest.sequence
            changes["opening_sequence"] = opening
            for one in subscription_store.subscriptions(connection, task.id):
                if one.state is SubscriptionState.WAITING and opens_for(one, task, manifest, self._recipients):
                    subscription_store.set_subscription(
                        connection,
                        one.id,
                        state=SubscriptionState.ACTIVE.value,
                        first_sequence=manifest.sequence,
                        receipted_sequence=manifest.sequence - 1,
                    )
        if manifest.last and opening is not None:
            changes |= {"origin_sequence": opening, "opening_sequence": None}
        return changes

    def work_for(self, connection: Connection, node_id: NodeId) -> tuple[ConsumeWork, ...]:
        """Return the subscriptions of a node with batches that it shall apply."""
        return tuple(
            ConsumeWork(
                task=as_seen_by(store.task_of(row), one),
                receipted=one.receipted_sequence,
                newest=row["batches"],
                first=one.first_sequence or 1,
            )
            for row, one in subscription_store.work(connection, node_id)
        )

    def recipients_of(self, task: Task) -> tuple[RecipientKey, ...]:
        """Return the keys of the further consumers to which a sealed task is sealed, too."""
        return tuple(
            key
            for one in self.of_task(task.id)
            if one.state is not SubscriptionState.LEFT
            for key in self._recipients.in_force(one.consumer, one.consumer_node)
        )

    def check_any_terms(self, task: Task) -> None:
        """Return when the agreement of at least one consumer lets the stream go on.

        Raises:
            Refused, NotFound: none does; what the task's own agreement says.
        """
        try:
            self._check_terms(task)
        except (Refused, NotFound):
            for one in self.of_task(task.id):
                if one.state is not SubscriptionState.LEFT and self._is_covered(as_seen_by(task, one)):
                    return
            raise

    def check_delivery(self, task: Task, consumer: DepartmentCode) -> None:
        """Return when a department's own agreement lets it have a batch of a task now.

        Raises:
            Refused, NotFound: it does not.
        """
        further = self.of_consumer(task.id, consumer)
        if further is not None:
            self._check_terms(as_seen_by(task, further))
        elif self.of_task(task.id):
            # Batches may have been taken in under the agreement of another consumer.
            self._check_terms(task)

    def record_receipt(self, batch: BatchRecord, signed: SignedReceipt, *, actor: Actor) -> ReceiptRecord:
        """Verify and record a further consumer's receipt with its ledger entry; a second one returns the first.

        Raises:
            Refused: `exchange.wrong_consumer`. Corrupt: `exchange.receipt_mismatch` or a wrong signature.
            Conflict: `exchange.receipt_order`.
        """
        receipt, manifest = signed.receipt, batch.manifest
        key = self._keys.key(signed.key_id)
        verify(signed.key_id, key.public_key, receipt.signing_bytes(), signed.signature)
        if key.department != receipt.consumer or key.revoked_at is not None:
            raise wrong_consumer()
        check_receipt(manifest, receipt)
        with self._database.transaction() as connection:
            row = store.task_row(connection, manifest.task_id, lock=True)
            found = subscription_store.of_consumer(connection, manifest.task_id, receipt.consumer)
            if found is None or found.first_sequence is None:
                raise wrong_consumer()
            known = subscription_store.receipt(connection, found.id, receipt.batch_id)
            if known is not None:
                return known
            if receipt.sequence != found.receipted_sequence + 1:
                raise _receipt_order(found.receipted_sequence + 1)
            seen = as_seen_by(store.task_of(row), found)
            entry_id = self._ledger.append(
                connection,
                kind=EntryKind.RECEIPT,
                subject=seen.id,
                actor=actor,
                facts=receipt_facts(seen, signed) | {"subscription": found.id},
            )
            result = ReceiptRecord(signed=signed, recorded_at=self._clock.now(), entry_id=entry_id)
            subscription_store.insert_receipt(connection, found.id, result)
            subscription_store.set_subscription(
                connection,
                found.id,
                receipted_sequence=receipt.sequence,
                rows_applied=found.rows_applied + receipt.rows_applied,
                rows_rejected=found.rows_rejected + receipt.rows_rejected,
                last_applied_at=receipt.applied_at,
            )
        return result

    # Inside

    def _is_covered(self, task: TaskDraft) -> bool:
        try:
            self._check_terms(task)
        except (Refused, NotFound):
            return False
        return True

    def _begun(self, row: RowMapping, draft: SubscriptionDraft, before: Subscription | None) -> Subscription:
        """Return the subscription with where it begins."""
        task, now = store.task_of(row), self._clock.now()
        base = Subscription(
            **draft.model_dump(),
            id=new_id() if before is None else before.id,
            task_id=task.id,
            state=SubscriptionState.WAITING,
            joined_at=now,
        )
        if before is not None and before.first_sequence is not None:
            base = base.model_copy(update={"rows_applied": before.rows_applied, "rows_rejected": before.rows_rejected})
            missed_nothing = before.receipted_sequence >= row["disposed_sequence"] and not task.sealed
            if missed_nothing and before.receipted_sequence >= before.first_sequence - 1:
                return base.model_copy(
                    update={
                        "state": SubscriptionState.ACTIVE,
                        "first_sequence": before.first_sequence,
                        "receipted_sequence": before.receipted_sequence,
                    }
                )
        origin = row["origin_sequence"]
        newer = before is None or origin is None or origin > before.receipted_sequence
        if origin is not None and origin > row["disposed_sequence"] and not task.sealed and newer:
            return base.model_copy(
                update={
                    "state": SubscriptionState.ACTIVE,
                    "first_sequence": origin,
                    "receipted_sequence": origin - 1,
                }
            )
        return base

    def _ask_for_all(self, connection: Connection, task: Task, actor: Actor) -> None:
        """Have everything read anew by the next run."""
        if task.mode.carries_deletes:
            raise Invalid(
                "exchange.subscription_mode",
                what=Text(
                    zh=f"“{task.mode.label.zh}”任务没有留存完整副本，新的消费方无法从头开始。",
                    en=f"No whole copy of this task ({task.mode.label.en}) is kept for a new consumer to begin with.",
                ),
                remedy=Text(zh="请为该部门另建任务。", en="Make a task of its own for this department."),
            )
        self._runs.ask_for_all(connection, task, actor=actor)

    def _record(self, connection: Connection, task: Task, one: Subscription, action: str, actor: Actor) -> None:
        self._ledger.append(
            connection,
            kind=EntryKind.TASK,
            subject=task.id,
            actor=actor,
            facts=task_facts(as_seen_by(task, one), action)
            | {"subscription": one.id, "first_sequence": one.first_sequence},
        )


def as_seen_by(task: Task, one: SubscriptionDraft) -> Task:
    """Return a task as a further consumer sees it: with its own agreement, node and target."""
    return task.model_copy(
        update={
            "agreement_id": AgreementId(one.agreement_id),
            "consumer": one.consumer,
            "consumer_node": one.consumer_node,
            "target_table": one.target_table or task.target_table,
            "target_source": one.target_source,
        }
    )


def begins_whole_copy(manifest: Manifest) -> bool:
    """Whether a batch is the first of a run that carries everything the source has."""
    if manifest.part != 1:
        return False
    return manifest.mode is TransferMode.SNAPSHOT or (
        manifest.mode is TransferMode.INCREMENT and manifest.cursor_from is None
    )


def opens_for(one: Subscription, task: Task, manifest: Manifest, recipients: Recipients) -> bool:
    """Whether a consumer that waits can open a batch: of a sealed one only if it was sealed for it, too."""
    if not task.sealed or manifest.sealing is None:
        return True
    own = {key.key_id for key in recipients.in_force(one.consumer, one.consumer_node)}
    return bool(own & set(manifest.sealing.key_ids))


def _check_joining(
    task: Task, draft: SubscriptionDraft, before: Subscription | None, known: tuple[Subscription, ...]
) -> None:
    receiving = before is not None and before.state is not SubscriptionState.LEFT
    if receiving or draft.consumer in (task.consumer, task.provider):
        raise Conflict(
            "exchange.subscribed",
            what=Text(zh="该部门已是此任务的一方。", en="The department is a party of this task already."),
            remedy=Text(zh="无需再次加入。", en="It need not join again."),
        )
    if sum(one.state is not SubscriptionState.LEFT for one in known) >= SUBSCRIPTIONS_PER_TASK_MAX:
        raise Conflict(
            "exchange.subscriptions_too_many",
            what=Text(
                zh=f"一个任务最多有 {SUBSCRIPTIONS_PER_TASK_MAX} 个其他消费方。",
                en=f"A task has at most {SUBSCRIPTIONS_PER_TASK_MAX} further consumers.",
            ),
            remedy=Text(zh="请另建任务。", en="Make another task."),
        )


def not_subscribed(consumer: DepartmentCode) -> NotFound:
    """A department has no part in a task's stream."""
    return NotFound(
        "exchange.not_subscribed",
        what=Text(
            zh=f"部门 {consumer} 不是此任务的其他消费方。",
            en=f"{consumer} does not subscribe to the task.",
        ),
        remedy=Text(zh="请核对部门。", en="Check the department."),
    )


def _receipt_order(due: int) -> Conflict:
    return Conflict(
        "exchange.receipt_order",
        what=Text(zh=f"应先有第 {due} 批的回执。", en=f"The receipt of batch {due} is due first."),
        remedy=Text(zh="请按批次顺序提交回执。", en="Send receipts in the order of the batches."),
    )
