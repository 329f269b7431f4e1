"""Reconciliation: both ends count and digest what they hold, sign that, and the hub compares and records it.

The search goes in rounds (`questions`): a question to both ends, two signed answers, the next question. The open
question and the answers to it live in the reconciliation's row, so that any hub process goes on where another ended.
"""

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, select

from datong.catalogue import RecipientKey
from datong.exchange import reconciliation_store as rows
from datong.exchange import store
from datong.exchange.facts import reconciliation_facts, task_facts
from datong.exchange.protocols import DepartmentKeys, Recipients
from datong.exchange.questions import Answer, Question, follow
from datong.exchange.ranges import RangeQuery, range_query
from datong.exchange.reconciliation_values import (
    NO_SALT,
    EndDigest,
    ReconcileEnd,
    Reconciliation,
    ReconciliationState,
    SignedEndDigest,
    total_of,
)
from datong.exchange.refusals import check_opening
from datong.exchange.repair_runs import RepairRuns
from datong.exchange.repairs import plan
from datong.exchange.reports import Round, Search, SignedReport, report_digest, report_of
from datong.exchange.signatures import signed_end_digest, verify
from datong.exchange.table_values import Column, Cursor, data_columns
from datong.exchange.tables import RECONCILIATIONS, TASKS
from datong.exchange.values import Task, TransferMode
from datong.exchange.work_values import ReconcileWork
from datong.kernel import PLATFORM_ACTOR, Actor, Clock, Conflict, Database, NodeId, Refused, TaskId, Text, new_id
from datong.ledger import EntryKind, Ledger, Signer

SALT_BYTES = 16
ABANDONED_AFTER = timedelta(hours=6)
"""A reconciliation whose ends have not answered for so long is given up when another is asked for."""
LibraryAnswer = Callable[[Task, RangeQuery, Question], Answer]
"""Answers a question from what the hub's own library holds of a task."""


def decide(producer: EndDigest, consumer: EndDigest) -> ReconciliationState:
    """Return what two ends say of their whole tables: equal when count and digest agree."""
    same = producer.digest == consumer.digest
    return ReconciliationState.EQUAL if same else ReconciliationState.DIFFERENT


class Reconciliations:
    """The hub's reconciliations."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        ledger: Ledger,
        keys: DepartmentKeys,
        hub_signer: Signer,
        library: LibraryAnswer,
        repairs: RepairRuns,
        recipients: Recipients,
    ) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._keys = keys
        self._hub_signer = hub_signer
        self._library = library
        self._repairs = repairs
        self._recipients = recipients

    def request(self, task_id: TaskId, *, actor: Actor) -> Reconciliation:
        """Ask both ends of a task, unless they are asked already or a repair is under way.

        The hub answers at once for its own library.
        """
        now = self._clock.now()
        with self._database.transaction() as connection:
            row = store.task_row(connection, task_id, lock=True)
            task = store.task_of(row)
            newest = rows.newest(connection, task_id)
            if newest is not None and _is_open(newest):
                if now - _since(newest) < ABANDONED_AFTER:
                    return newest
                rows.set_values(connection, newest.id, state=ReconciliationState.ABANDONED.value, finished_at=now)
            if newest is not None:
                # Only the newest one's differences can be repaired: nobody needs the older one's places any more.
                rows.forget_salt(connection, newest.id)
            if not store.batches(connection, task_id, after_sequence=0, limit=1):
                raise Conflict(
                    "exchange.nothing_to_reconcile",
                    what=Text(zh="该任务尚无批次，无从对账。", en="The task has no batch yet: nothing to reconcile."),
                    remedy=Text(zh="请先运行任务。", en="Run the task first."),
                )
            reconciliation = Reconciliation(
                id=new_id(), task_id=task_id, state=ReconciliationState.WAITING, requested_at=now
            )
            search = Search(
                # The hub knows no salt of a sealed task: the two nodes draw a secret of their own.
                salt="" if task.sealed else secrets.token_hex(SALT_BYTES),
                as_of=_as_of(connection, task, row["receipted_sequence"]),
            )
            connection.execute(
                insert(RECONCILIATIONS).values(
                    id=reconciliation.id,
                    task_id=task_id,
                    state=reconciliation.state.value,
                    requested_at=now,
                    search=search.model_dump(mode="json"),
                )
            )
        if task.consumer_node is not None:
            return reconciliation
        return self.answer_for_library(task, actor=actor) or reconciliation

    def report(self, signed: SignedEndDigest, *, actor: Actor) -> Reconciliation:
        """Record one end's answer; when both are here, ask on, or record the result in the ledger. Idempotent."""
        task = self._check_signer(signed)
        result = self._record(task, signed, actor)
        if task.consumer_node is None and result.state is ReconciliationState.WAITING:
            result = self.answer_for_library(task, actor=actor) or result
        return result

    def answer_for_library(self, task: Task, *, actor: Actor) -> Reconciliation | None:
        """Answer the open question of a task whose consumer is the hub itself; None when it is answered."""
        with self._database.snapshot() as connection:
            newest = rows.newest(connection, task.id)
            if newest is None or newest.state is not ReconciliationState.WAITING:
                return None
            search = rows.search_of(connection, newest.id)
            if search is None or search.consumer is not None:
                return None
            columns = self._columns(connection, task.id)
        query = range_query(task, columns, search.question, search.salt, search.as_of, ReconcileEnd.CONSUMER)
        answer = self._library(task, query, search.question)
        end = EndDigest(
            reconciliation_id=newest.id,
            task_id=task.id,
            end=ReconcileEnd.CONSUMER,
            department=task.consumer,
            digest=total_of(answer),
            at=self._clock.now(),
            round=search.question.number,
            answer=answer,
        )
        return self._record(task, signed_end_digest(end, self._hub_signer), actor)

    def newest(self, task_id: TaskId) -> Reconciliation | None:
        """Return the task's newest reconciliation, if there ever was one."""
        with self._database.snapshot() as connection:
            return rows.newest(connection, task_id)

    def history(self, task_id: TaskId, limit: int) -> tuple[Reconciliation, ...]:
        """Return the task's reconciliations, newest first."""
        with self._database.snapshot() as connection:
            return rows.history(connection, task_id, limit)

    def document(self, task_id: TaskId, reconciliation_id: str) -> SignedReport:
        """Return the signed report of a finished reconciliation.

        Raises:
            NotFound: `exchange.reconciliation_not_found`.
        """
        with self._database.snapshot() as connection:
            task = store.task_of(store.task_row(connection, task_id))
            row = rows.row_of(connection, task_id, reconciliation_id)
            search = rows.search_of(connection, reconciliation_id)
        reconciliation = rows.reconciliation_of(row)
        if search is None or reconciliation.finished_at is None:
            raise rows.not_found()
        report = report_of(task, reconciliation, search)
        return SignedReport(report=report, key_id=self._hub_signer.key_id, signature=search.signature)

    def every_hours(self, task_id: TaskId) -> int | None:
        """Return every how many hours the task is reconciled; None: only on demand."""
        with self._database.snapshot() as connection:
            found = store.task_row(connection, task_id)["reconcile_hours"]
        return None if found is None else int(found)

    def schedule(self, task_id: TaskId, every_hours: int | None, *, actor: Actor) -> Task:
        """Have a task reconciled every so many hours, or only on demand."""
        with self._database.transaction() as connection:
            task = store.task_of(store.task_row(connection, task_id, lock=True))
            store.set_task(connection, task_id, reconcile_hours=every_hours)
            facts = task_facts(task, "schedule_reconciliation") | {"reconcile_hours": every_hours}
            self._ledger.append(connection, kind=EntryKind.TASK, subject=task_id, actor=actor, facts=facts)
        return task

    def keep_up(self) -> bool:
        """Carry repairs on, begin what is due, answer for the hub's own library; return whether anything was done."""
        done = self._repairs.keep_up()
        with self._database.snapshot() as connection:
            repaired = rows.tasks_to_see_again(connection)
            due = [task for task, hours in store.reconciled_tasks(connection) if self._is_due(connection, task, hours)]
            mine = store.library_reconciliations(connection)
        for task_id in dict.fromkeys([*repaired, *(task.id for task in due)]):
            self.request(task_id, actor=PLATFORM_ACTOR)
            done = True
        for task in mine:
            done = self.answer_for_library(task, actor=PLATFORM_ACTOR) is not None or done
        return done

    def _is_due(self, connection: Connection, task: Task, hours: int) -> bool:
        newest = rows.newest(connection, task.id)
        if newest is None:
            return bool(store.batches(connection, task.id, after_sequence=0, limit=1))
        if _is_open(newest):
            return self._clock.now() - _since(newest) >= ABANDONED_AFTER
        return self._clock.now() - newest.requested_at >= timedelta(hours=hours)

    def work_for(self, connection: Connection, node_id: NodeId) -> tuple[ReconcileWork, ...]:
        """Return the questions that this node still has to answer."""
        result: list[ReconcileWork] = []
        for end, node in (
            (ReconcileEnd.PRODUCER, TASKS.c.producer_node),
            (ReconcileEnd.CONSUMER, TASKS.c.consumer_node),
        ):
            query = (
                select(RECONCILIATIONS)
                .join(TASKS, TASKS.c.id == RECONCILIATIONS.c.task_id)
                .where(node == node_id, RECONCILIATIONS.c.state == ReconciliationState.WAITING.value)
            )
            for row in connection.execute(query).mappings():
                if row["search"] is None:
                    continue
                search = Search.model_validate(row["search"])
                task_id = TaskId(row["task_id"])
                task = store.task_of(store.task_row(connection, task_id))
                waits = task.sealed and search.opening is None
                if search.answered(end) or (waits and end is ReconcileEnd.CONSUMER):
                    continue
                result.append(
                    ReconcileWork(
                        task=task,
                        reconciliation_id=row["id"],
                        end=end,
                        columns=self._columns(connection, task_id),
                        question=search.question,
                        salt=search.salt or NO_SALT,
                        as_of=search.as_of,
                        recipients=self._both_ends(task) if waits else (),
                        opening=search.opening,
                    )
                )
        return tuple(result)

    def _record(self, task: Task, signed: SignedEndDigest, actor: Actor) -> Reconciliation:
        end = signed.end_digest
        with self._database.transaction() as connection:
            store.task_row(connection, task.id, lock=True)
            known = rows.reconciliation_of(rows.row_of(connection, task.id, end.reconciliation_id))
            search = rows.search_of(connection, known.id)
            if known.state is not ReconciliationState.WAITING or search is None or end.round != search.question.number:
                return known
            if task.sealed and search.opening is None:
                check_opening(end)
                search = search.model_copy(update={"opening": signed})
            search = search.model_copy(update={end.end.value: signed})
            result = known.model_copy(update={end.end.value: signed}) if end.round == 1 else known
            if search.producer is None or search.consumer is None:
                self._store(connection, result, search)
                return result
            question, search = _next(search, search.producer, search.consumer)
            result = result.model_copy(update={"findings": search.findings, "round": search.question.number})
            if question is None:
                result, search = self._finish(connection, task, result, search, actor)
            self._store(connection, result, search)
        return result

    def _finish(
        self, connection: Connection, task: Task, result: Reconciliation, search: Search, actor: Actor
    ) -> tuple[Reconciliation, Search]:
        first = search.rounds[0]
        state = decide(first.producer.end_digest, first.consumer.end_digest)
        if search.findings is not None:
            state = ReconciliationState.EQUAL if search.findings.are_equal else ReconciliationState.DIFFERENT
        result = result.model_copy(update={"state": state, "finished_at": self._clock.now()})
        if state is ReconciliationState.EQUAL:
            search = search.model_copy(update={"salt": ""})
        digest, content = report_digest(report_of(task, result, search))
        entry_id = self._ledger.append(
            connection,
            kind=EntryKind.RECONCILIATION,
            subject=task.id,
            actor=actor,
            facts=reconciliation_facts(task, result, digest),
        )
        if state is ReconciliationState.DIFFERENT and result.findings is not None:
            result = result.model_copy(update={"repair": plan(task, result.findings)})
        signature = self._hub_signer.sign(content).hex()
        return result.model_copy(update={"entry_id": entry_id}), search.model_copy(update={"signature": signature})

    def _store(self, connection: Connection, result: Reconciliation, search: Search) -> None:
        values = result.model_dump(mode="json", include={"producer", "consumer", "state", "entry_id", "repair"})
        rows.set_values(
            connection,
            result.id,
            **values,
            search=search.model_dump(mode="json"),
            finished_at=result.finished_at,
        )

    def _both_ends(self, task: Task) -> tuple[RecipientKey, ...]:
        """Return the keys in force of the two nodes of a sealed task."""
        ends = ((task.provider, task.producer_node), (task.consumer, task.consumer_node))
        return tuple(key for code, node in ends if node for key in self._recipients.in_force(code, node))

    def _columns(self, connection: Connection, task_id: TaskId) -> tuple[Column, ...]:
        newest = store.newest_batch(connection, task_id)
        return () if newest is None else data_columns(newest.manifest.columns)

    def _check_signer(self, signed: SignedEndDigest) -> Task:
        end = signed.end_digest
        with self._database.snapshot() as connection:
            task = store.task_of(store.task_row(connection, end.task_id))
        expected = task.provider if end.end is ReconcileEnd.PRODUCER else task.consumer
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


def _is_open(reconciliation: Reconciliation) -> bool:
    """Whether somebody still has to act: an end to answer, or a repair to be carried out."""
    return reconciliation.state in {ReconciliationState.WAITING, ReconciliationState.REPAIRING}


def _since(reconciliation: Reconciliation) -> datetime:
    """Return since when it waits for that."""
    repair = reconciliation.repair
    approved = None if repair is None else repair.approved_at
    return approved or reconciliation.requested_at


def _next(search: Search, producer: SignedEndDigest, consumer: SignedEndDigest) -> tuple[Question | None, Search]:
    """Return the next question and the search with this round put away; an end without ranges ends the search."""
    asked = Round(question=search.question, producer=producer, consumer=consumer)
    ours, theirs = producer.end_digest.answer, consumer.end_digest.answer
    rounds = (*search.rounds, asked)
    if ours is None or theirs is None:
        return None, search.model_copy(update={"rounds": rounds})
    findings = search.findings or Search.nothing()
    question, findings = follow(search.question, ours, theirs, findings)
    update: dict[str, object] = {"rounds": rounds, "findings": findings}
    if question is not None:
        update |= {"question": question, "producer": None, "consumer": None}
    return question, search.model_copy(update=update)


def _as_of(connection: Connection, task: Task, receipted: int) -> Cursor | None:
    """Return the cursor up to which the consumer holds a task of increments; None compares everything."""
    if task.mode is not TransferMode.INCREMENT or not receipted:
        return None
    applied = store.batches(connection, task.id, after_sequence=receipted - 1, limit=1)
    return applied[0].manifest.cursor_to if applied else None
