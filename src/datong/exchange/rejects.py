"""Dead letters as the hub knows them: counts and classes that consumers report, signed; the newest report holds."""

from sqlalchemy import Connection, delete, insert, select

from datong.exchange import store
from datong.exchange.dead_letters import LetterCounts, RejectRecord, SignedRejectReport
from datong.exchange.facts import reject_facts
from datong.exchange.protocols import DepartmentKeys
from datong.exchange.refusals import wrong_consumer
from datong.exchange.signatures import verify
from datong.exchange.tables import REJECTS
from datong.exchange.values import Task
from datong.kernel import Actor, Clock, Database, EntryId, TaskId
from datong.ledger import EntryKind, Ledger


class Rejects:
    """What became of rows that consumers refused."""

    def __init__(self, *, database: Database, clock: Clock, ledger: Ledger, keys: DepartmentKeys) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._keys = keys

    def report(self, signed: SignedRejectReport, *, actor: Actor) -> RejectRecord:
        """Record a consumer's counts with their evidence, unless nothing has changed; rows corrected since the last
        report count as applied, and as rejected no more. Idempotent.

        Raises:
            NotFound: no such task. Refused: `exchange.wrong_consumer`. Corrupt: wrong signature.
        """
        counts = signed.report.counts
        with self._database.snapshot() as connection:
            task = store.task_of(store.task_row(connection, counts.task_id))
        self._check_signer(task, signed)
        with self._database.transaction() as connection:
            fields = store.task_row(connection, task.id, lock=True)
            known = _newest(connection, task.id)
            if known is not None and (known.counts == counts or signed.report.at < known.signed.report.at):
                return known
            before = LetterCounts(task_id=task.id) if known is None else known.counts
            corrected = max(0, counts.corrected - before.corrected)
            superseded = max(0, counts.superseded - before.superseded)
            entry_id = self._ledger.append(
                connection, kind=EntryKind.DEAD_LETTERS, subject=task.id, actor=actor, facts=reject_facts(task, signed)
            )
            record = RejectRecord(signed=signed, recorded_at=self._clock.now(), entry_id=entry_id)
            connection.execute(delete(REJECTS).where(REJECTS.c.task_id == task.id))
            connection.execute(
                insert(REJECTS).values(
                    task_id=task.id,
                    signed=signed.model_dump(mode="json"),
                    recorded_at=record.recorded_at,
                    entry_id=entry_id,
                )
            )
            store.set_task(
                connection,
                task.id,
                rows_applied=fields["rows_applied"] + corrected,
                rows_rejected=max(0, fields["rows_rejected"] - corrected - superseded),
            )
        return record

    def newest(self, task_id: TaskId) -> RejectRecord | None:
        """Return the newest report of a task's dead letters, if there ever was one."""
        with self._database.snapshot() as connection:
            return _newest(connection, task_id)

    def _check_signer(self, task: Task, signed: SignedRejectReport) -> None:
        key = self._keys.key(signed.key_id)
        verify(signed.key_id, key.public_key, signed.report.signing_bytes(), signed.signature)
        if {key.department, signed.report.department} != {task.consumer} or key.revoked_at is not None:
            raise wrong_consumer()


def _newest(connection: Connection, task_id: TaskId) -> RejectRecord | None:
    row = connection.execute(select(REJECTS).where(REJECTS.c.task_id == task_id)).mappings().one_or_none()
    if row is None:
        return None
    return RejectRecord(
        signed=SignedRejectReport.model_validate(row["signed"]),
        recorded_at=row["recorded_at"],
        entry_id=EntryId(row["entry_id"]),
    )
