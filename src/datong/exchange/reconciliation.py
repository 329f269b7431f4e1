"""Reconciliation: both ends count and digest their tables, sign that, and the hub compares and records it."""

from collections.abc import Callable

from sqlalchemy import Connection, RowMapping, insert, select, update

from datong.exchange import store
from datong.exchange.facts import reconciliation_facts
from datong.exchange.protocols import DepartmentKeys
from datong.exchange.signatures import signed_end_digest, verify
from datong.exchange.tables import RECONCILIATIONS, TASKS
from datong.exchange.values import (
    Column,
    ContentDigest,
    EndDigest,
    ReconcileEnd,
    ReconcileWork,
    Reconciliation,
    ReconciliationState,
    SignedEndDigest,
    Task,
    data_columns,
)
from datong.kernel import Actor, Clock, Conflict, Database, NodeId, NotFound, Refused, TaskId, Text, new_id
from datong.ledger import EntryKind, Ledger, Signer

LibraryDigest = Callable[[Task, tuple[Column, ...]], ContentDigest]
"""Counts and digests what the hub's own library holds of a task."""


def decide(producer: EndDigest, consumer: EndDigest) -> ReconciliationState:
    """Return what two ends say: equal when count and digest agree and nothing lies rejected."""
    same = producer.digest == consumer.digest
    return ReconciliationState.EQUAL if same else ReconciliationState.DIFFERENT


class Reconciliations:
    """The hub's reconciliations."""

    def __init__(
        self, *, database: Database, clock: Clock, ledger: Ledger, keys: DepartmentKeys, hub_signer: Signer
    ) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._keys = keys
        self._hub_signer = hub_signer

    def request(self, task_id: TaskId, *, actor: Actor, library: LibraryDigest) -> Reconciliation:
        """Ask both ends of a task; `library` answers at once for a task whose consumer is the hub itself."""
        with self._database.transaction() as connection:
            task = store.task_of(store.task_row(connection, task_id, lock=True))
            newest = self._newest(connection, task_id)
            if newest is not None and newest.state is ReconciliationState.WAITING:
                return newest
            if not store.batches(connection, task_id, after_sequence=0, limit=1):
                raise Conflict(
                    "exchange.nothing_to_reconcile",
                    what=Text(zh="该任务尚无批次，无从对账。", en="The task has no batch yet: nothing to reconcile."),
                    remedy=Text(zh="请先运行任务。", en="Run the task first."),
                )
            reconciliation = Reconciliation(
                id=new_id(),
                task_id=task_id,
                state=ReconciliationState.WAITING,
                requested_at=self._clock.now(),
            )
            connection.execute(
                insert(RECONCILIATIONS).values(
                    id=reconciliation.id,
                    task_id=task_id,
                    state=reconciliation.state.value,
                    requested_at=reconciliation.requested_at,
                )
            )
            columns = self._columns(connection, task_id)
        if task.consumer_node is not None:
            return reconciliation
        end = EndDigest(
            reconciliation_id=reconciliation.id,
            task_id=task_id,
            end=ReconcileEnd.CONSUMER,
            department=task.consumer,
            digest=library(task, columns),
            at=self._clock.now(),
        )
        return self.report(signed_end_digest(end, self._hub_signer), actor=actor)

    def report(self, signed: SignedEndDigest, *, actor: Actor) -> Reconciliation:
        """Record one end; when both are here, compare them and record the result in the ledger. Idempotent."""
        end = signed.end_digest
        task = self._check_signer(signed)
        with self._database.transaction() as connection:
            store.task_row(connection, task.id, lock=True)
            row = (
                connection.execute(
                    select(RECONCILIATIONS).where(
                        RECONCILIATIONS.c.id == end.reconciliation_id, RECONCILIATIONS.c.task_id == task.id
                    )
                )
                .mappings()
                .one_or_none()
            )
            if row is None:
                raise NotFound(
                    "exchange.reconciliation_not_found",
                    what=Text(zh="没有这次对账。", en="There is no such reconciliation."),
                    remedy=Text(zh="请重新发起对账。", en="Request a new reconciliation."),
                )
            known = reconciliation_of(row)
            if known.state is not ReconciliationState.WAITING:
                return known
            result = known.model_copy(update={end.end.value: signed})
            if result.producer is not None and result.consumer is not None:
                state = decide(result.producer.end_digest, result.consumer.end_digest)
                result = result.model_copy(update={"state": state, "finished_at": self._clock.now()})
                entry_id = self._ledger.append(
                    connection,
                    kind=EntryKind.RECONCILIATION,
                    subject=task.id,
                    actor=actor,
                    facts=reconciliation_facts(task, result),
                )
                result = result.model_copy(update={"entry_id": entry_id})
            values = result.model_dump(mode="json", include={"producer", "consumer", "state", "entry_id"})
            connection.execute(
                update(RECONCILIATIONS)
                .where(RECONCILIATIONS.c.id == result.id)
                .values(**values, finished_at=result.finished_at)
            )
        return result

    def newest(self, task_id: TaskId) -> Reconciliation | None:
        """Return the task's newest reconciliation, if there ever was one."""
        with self._database.snapshot() as connection:
            return self._newest(connection, task_id)

    def work_for(self, connection: Connection, node_id: NodeId) -> tuple[ReconcileWork, ...]:
        """Return the ends that this node still has to report."""
        result: list[ReconcileWork] = []
        for end, node, stored in (
            (ReconcileEnd.PRODUCER, TASKS.c.producer_node, "producer"),
            (ReconcileEnd.CONSUMER, TASKS.c.consumer_node, "consumer"),
        ):
            query = (
                select(RECONCILIATIONS)
                .join(TASKS, TASKS.c.id == RECONCILIATIONS.c.task_id)
                .where(node == node_id, RECONCILIATIONS.c.state == ReconciliationState.WAITING.value)
            )
            for row in connection.execute(query).mappings():
                if row[stored] is not None:
                    continue
                task_id = TaskId(row["task_id"])
                result.append(
                    ReconcileWork(
                        task=store.task_of(store.task_row(connection, task_id)),
                        reconciliation_id=row["id"],
                        end=end,
                        columns=self._columns(connection, task_id),
                    )
                )
        return tuple(result)

    def _newest(self, connection: Connection, task_id: TaskId) -> Reconciliation | None:
        row = (
            connection.execute(
                select(RECONCILIATIONS)
                .where(RECONCILIATIONS.c.task_id == task_id)
                .order_by(RECONCILIATIONS.c.requested_at.desc(), RECONCILIATIONS.c.id.desc())
                .limit(1)
            )
            .mappings()
            .one_or_none()
        )
        return None if row is None else reconciliation_of(row)

    def _columns(self, connection: Connection, task_id: TaskId) -> tuple[Column, ...]:
        newest = store.newest_batch(connection, task_id)
        return () if newest is None else data_columns(newest.manifest.columns)

    def _check_signer(self, signed: SignedEndDigest) -> Task:
        end = signed.end_digest
        with self._database.snapshot() as connection:
            task = store.task_of(store.task_row(connection, end.task_id))
        expected = task.provider if end.end is ReconcileEnd.PRODUCER else task.consumer
        hub = (
            end.end is ReconcileEnd.CONSUMER and task.consumer_node is None and signed.key_id == self._hub_signer.key_id
        )
        if hub:
            verify(signed.key_id, self._hub_signer.public_key, end.signing_bytes(), signed.signature)
            return task
        key = self._keys.key(signed.key_id)
        verify(signed.key_id, key.public_key, end.signing_bytes(), signed.signature)
        if key.department != expected or end.department != expected or key.revoked_at is not None:
            raise Refused(
                "exchange.wrong_signer",
                what=Text(
                    zh=f"签名密钥 {signed.key_id} 不属于这一端的部门。",
                    en=f"The key {signed.key_id} does not belong to this end's department.",
                ),
                remedy=Text(zh="请用该部门前置机的密钥签名。", en="Sign with the key of that department's node."),
            )
        return task


def reconciliation_of(row: RowMapping) -> Reconciliation:
    """Return the reconciliation that a row holds."""
    return Reconciliation.model_validate(dict(row))
