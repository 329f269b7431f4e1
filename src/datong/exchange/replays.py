"""Replays at the consumer's end: ordered by a person, carried out by the consumer's node, closed by its signed report.

The producer reads nothing, receipts stay what they are, and no run begins: only the target's cursor goes back and comes
forward again. So a replay needs that the hub stores the payloads, and an apply mode that a row can meet twice.
"""

from collections.abc import Callable

from sqlalchemy import Connection, RowMapping

from datong.exchange import replay_store, store, subscription_store
from datong.exchange.apply_modes import ApplyMode
from datong.exchange.facts import replay_facts, task_facts
from datong.exchange.protocols import DepartmentKeys
from datong.exchange.refusals import illegal_step, payload_disposed, wrong_consumer
from datong.exchange.replay_values import Replay, ReplayDraft, ReplayState, ReplayWork, SignedReplayReport
from datong.exchange.run_values import Failure
from datong.exchange.signatures import verify
from datong.exchange.subscription_values import SubscriptionState
from datong.exchange.subscriptions import as_seen_by, not_subscribed
from datong.exchange.values import Manifest, Task, TaskDraft, TaskState, TransferMode
from datong.kernel import Actor, Clock, Conflict, Corrupt, Database, NodeId, NotFound, Refused, TaskId, Text, new_id
from datong.ledger import EntryKind, Ledger

_LIVING = {TaskState.ACTIVE, TaskState.BLOCKED}


class Replays:
    """The replays of all tasks."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        ledger: Ledger,
        keys: DepartmentKeys,
        check_terms: Callable[[TaskDraft], None],
    ) -> None:
        self._database, self._clock, self._ledger = database, clock, ledger
        self._keys, self._check_terms = keys, check_terms

    def request(self, task_id: TaskId, draft: ReplayDraft, *, actor: Actor) -> Replay:
        """Have a consumer apply the stored batches from one on once more. The same order twice is one.

        Raises:
            NotFound: no such task; `exchange.no_such_batch`; `exchange.payload_disposed`.
            Refused: `exchange.replay_library`; the agreement does not cover it.
            Conflict: `exchange.task_not_active`, `exchange.replay_mode`, `exchange.replay_start`,
                `exchange.replay_not_applied`, `exchange.replay_waits`.
        """
        with self._database.transaction() as connection:
            row = store.task_row(connection, task_id, lock=True)
            task, receipted, first = self._seen(connection, row, draft)
            if task.consumer_node is None:
                raise _library()
            if task.state not in _LIVING:
                raise illegal_step(task, "replay")
            self._check_terms(task)
            found = store.batches(connection, task_id, after_sequence=draft.from_sequence - 1, limit=1)
            check_replay(
                task,
                found[0].manifest if found else None,
                draft.from_sequence,
                first=first,
                receipted=receipted,
                disposed=row["disposed_sequence"],
            )
            known = replay_store.open_of(connection, task_id, task.consumer)
            if known is not None:
                if known.from_sequence == draft.from_sequence:
                    return known
                raise _waits(known)
            replay = Replay(
                id=new_id(),
                task_id=task_id,
                consumer=task.consumer,
                consumer_node=task.consumer_node,
                from_sequence=draft.from_sequence,
                to_sequence=receipted,
                state=ReplayState.WAITING,
                requested_by=actor.id,
                requested_at=self._clock.now(),
            )
            replay = self._recorded(connection, task, replay, "replay", actor)
            replay_store.insert_replay(connection, replay)
        return replay

    def cancel(self, task_id: TaskId, replay_id: str, *, actor: Actor) -> Replay:
        """Take back an order that the node has not carried out; one that it is at goes to its end all the same.

        Raises:
            NotFound: `exchange.replay_not_found`.
        """
        return self._end(task_id, replay_id, {"state": ReplayState.CANCELLED}, "replay_cancelled", actor)

    def done(self, signed: SignedReplayReport, *, actor: Actor) -> Replay:
        """Record what the consumer's node did, with its signature. Idempotent.

        Raises:
            NotFound: `exchange.replay_not_found`. Refused: `exchange.wrong_consumer`.
            Corrupt: wrong signature, or `exchange.replay_mismatch`.
        """
        report = signed.report
        with self._database.snapshot() as connection:
            known = replay_store.replay(connection, report.task_id, report.replay_id)
        key = self._keys.key(signed.key_id)
        verify(signed.key_id, key.public_key, report.signing_bytes(), signed.signature)
        if {key.department, report.department} != {known.consumer} or key.revoked_at is not None:
            raise wrong_consumer()
        if report.from_sequence != known.from_sequence or report.to_sequence < known.to_sequence:
            raise _mismatch()
        changes: dict[str, object] = {"state": ReplayState.DONE, "signed": signed}
        return self._end(report.task_id, report.replay_id, changes, "replayed", actor, also=ReplayState.CANCELLED)

    def fail(self, task_id: TaskId, replay_id: str, failure: Failure, *, actor: Actor) -> Replay:
        """Note why the node could not; what a wait may mend is tried again, anything else ends the replay.

        Raises:
            NotFound: `exchange.replay_not_found`.
        """
        cut = failure.cut()
        if failure.transient:
            with self._database.transaction() as connection:
                store.task_row(connection, task_id, lock=True)
                known = replay_store.replay(connection, task_id, replay_id)
                if known.state is ReplayState.WAITING:
                    known = known.model_copy(update={"failure": cut})
                    replay_store.set_replay(connection, known)
            return known
        return self._end(task_id, replay_id, {"state": ReplayState.FAILED, "failure": cut}, "replay_failed", actor)

    def get(self, task_id: TaskId, replay_id: str) -> Replay:
        """Return a task's replay.

        Raises:
            NotFound: `exchange.replay_not_found`.
        """
        with self._database.snapshot() as connection:
            return replay_store.replay(connection, task_id, replay_id)

    def of_task(self, task_id: TaskId, limit: int = 20) -> tuple[Replay, ...]:
        """Return a task's replays, newest first."""
        with self._database.snapshot() as connection:
            return replay_store.replays(connection, task_id, limit)

    def work_for(self, connection: Connection, node_id: NodeId) -> tuple[ReplayWork, ...]:
        """Return the replays that a node shall carry out now."""
        result = []
        for replay in replay_store.open_for(connection, node_id):
            row = store.task_row(connection, replay.task_id)
            task, receipted, first = self._seen(connection, row, ReplayDraft(from_sequence=1, consumer=replay.consumer))
            if task.state in _LIVING:
                result.append(ReplayWork(replay=replay, task=task, receipted=receipted, first=first))
        return tuple(result)

    # Inside

    def _seen(self, connection: Connection, row: RowMapping, draft: ReplayDraft) -> tuple[Task, int, int]:
        """Return the task as the consumer sees it, its newest receipt, and the batch with which its copy began."""
        task = store.task_of(row)
        if draft.consumer is None or draft.consumer == task.consumer:
            return task, row["receipted_sequence"], 1
        found = subscription_store.of_consumer(connection, task.id, draft.consumer)
        if found is None or found.state is SubscriptionState.LEFT:
            raise not_subscribed(draft.consumer)
        return as_seen_by(task, found), found.receipted_sequence, found.first_sequence or 1

    def _end(
        self,
        task_id: TaskId,
        replay_id: str,
        changes: dict[str, object],
        action: str,
        actor: Actor,
        *,
        also: ReplayState = ReplayState.WAITING,
    ) -> Replay:
        """End a replay that waits (or has the state `also`), with evidence; one that has ended stays as it is."""
        with self._database.transaction() as connection:
            row = store.task_row(connection, task_id, lock=True)
            known = replay_store.replay(connection, task_id, replay_id)
            if known.state not in {ReplayState.WAITING, also}:
                return known
            task = store.task_of(row).model_copy(update={"consumer": known.consumer})
            ended = known.model_copy(update={**changes, "finished_at": self._clock.now()})
            ended = self._recorded(connection, task, ended, action, actor)
            replay_store.set_replay(connection, ended)
        return ended

    def _recorded(self, connection: Connection, task: Task, replay: Replay, action: str, actor: Actor) -> Replay:
        facts = task_facts(task, action) | replay_facts(replay)
        entry_id = self._ledger.append(connection, kind=EntryKind.TASK, subject=task.id, actor=actor, facts=facts)
        return replay.model_copy(update={"entry_id": entry_id})


def check_replay(
    task: Task, manifest: Manifest | None, from_sequence: int, *, first: int, receipted: int, disposed: int
) -> None:
    """Check that the batches from `manifest` on may be applied over what the target holds, and still can be.

    Raises:
        NotFound: `exchange.no_such_batch`, `exchange.payload_disposed`.
        Conflict: `exchange.replay_mode`, `exchange.replay_start`, `exchange.replay_not_applied`.
    """
    if manifest is None or from_sequence < first:
        raise NotFound(
            "exchange.no_such_batch",
            what=Text(
                zh=f"该接收方没有第 {from_sequence} 批。", en=f"There is no batch {from_sequence} for this consumer."
            ),
            remedy=Text(zh="请查看任务的批次。", en="See the batches of the task."),
            field="/from_sequence",
        )
    if task.apply_mode in (ApplyMode.APPEND, ApplyMode.HISTORY):
        raise _mode(task.apply_mode)
    if manifest.mode is TransferMode.SNAPSHOT and manifest.part != 1:
        begins = manifest.sequence - manifest.part + 1
        raise Conflict(
            "exchange.replay_start",
            what=Text(
                zh=f"第 {from_sequence} 批在一次全量的中间。",
                en=f"Batch {from_sequence} lies in the middle of a snapshot.",
            ),
            remedy=Text(zh=f"请从第 {begins} 批开始。", en=f"Begin with batch {begins}."),
            field="/from_sequence",
            context={"first_sequence": begins},
        )
    if from_sequence > receipted:
        raise Conflict(
            "exchange.replay_not_applied",
            what=Text(
                zh=f"第 {from_sequence} 批还没有回执，节点正要应用它。",
                en=f"Batch {from_sequence} has no receipt yet: the node is about to apply it anyway.",
            ),
            remedy=Text(zh="请等它应用，或从更早的批次开始。", en="Wait until it is applied, or begin earlier."),
            field="/from_sequence",
        )
    if from_sequence <= disposed:
        raise payload_disposed(manifest)


def _mode(mode: ApplyMode) -> Conflict:
    doubled = mode is ApplyMode.APPEND
    return Conflict(
        "exchange.replay_mode",
        what=Text(
            zh="追加的任务不能重放：平台分不清哪些行已在表中，行会重复。"
            if doubled
            else "保留历史的任务不能重放：旧的批次会成为最新的版本，历史将倒退。",
            en="A task that appends cannot be replayed: nobody can tell which of its rows are in the table, so they "
            "would double."
            if doubled
            else "A task that keeps a history cannot be replayed: old batches would become its newest versions.",
        ),
        remedy=Text(
            zh="请恢复目标库的备份，节点会自动补齐所缺批次，不重不漏；或另建任务写入一张新表。",
            en="Restore a backup of the target: the node applies what it lacks by itself, exactly once. Or make "
            "another task into a new table.",
        ),
    )


def _library() -> Refused:
    return Refused(
        "exchange.replay_library",
        what=Text(zh="该任务交付给资源库，没有接收节点。", en="The task feeds the library; no node receives it."),
        remedy=Text(zh="资源库保存每一批；请重新构建。", en="The library keeps every batch: build it again instead."),
    )


def _waits(known: Replay) -> Conflict:
    return Conflict(
        "exchange.replay_waits",
        what=Text(
            zh=f"已有一次从第 {known.from_sequence} 批开始的重放在等待执行。",
            en=f"A replay from batch {known.from_sequence} waits to be carried out.",
        ),
        remedy=Text(zh="请等它完成，或先取消它。", en="Wait until it is done, or cancel it first."),
        context={"replay": known.id},
    )


def _mismatch() -> Corrupt:
    return Corrupt(
        "exchange.replay_mismatch",
        what=Text(zh="报告与所要求的重放不符。", en="The report does not fit the replay that was ordered."),
        remedy=Text(zh="请重新执行重放。", en="Carry the replay out again."),
    )
