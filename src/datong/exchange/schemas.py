"""Shapes of source tables at the hub: reported by producers, compared, recorded; breaking ones stop a task."""

from collections.abc import Callable

from sqlalchemy import Connection, RowMapping, insert, select, update

from datong.exchange import store
from datong.exchange.facts import schema_facts, task_facts
from datong.exchange.protocols import DepartmentKeys
from datong.exchange.runs import Runs
from datong.exchange.schema_changes import (
    SchemaDecision,
    SchemaFinding,
    SchemaRecord,
    SchemaState,
    SchemaVerdict,
    SignedSchemaReport,
    SourceShape,
    compare,
    moved_shape,
)
from datong.exchange.signatures import verify
from datong.exchange.table_values import Column
from datong.exchange.tables import SCHEMAS
from datong.exchange.types import schema_fingerprint
from datong.exchange.values import Confirmed, Manifest, Task, TaskDraft, TaskState
from datong.kernel import Actor, Clock, Conflict, Database, EntryId, Invalid, Refused, TaskId, Text, new_id
from datong.kernel.limits import PAGE_ROWS_MAX
from datong.ledger import EntryKind, Ledger


class Schemas:
    """The agreed shape of every task's source table, and what became of changes."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        ledger: Ledger,
        keys: DepartmentKeys,
        runs: Runs,
        check: Callable[[TaskDraft], None],
    ) -> None:
        """`check` raises when a task may not be as a draft says."""
        self._runs = runs
        self._check = check
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._keys = keys

    def report(self, signed: SignedSchemaReport, *, actor: Actor) -> SchemaVerdict:
        """Compare the source table that a producer found with the agreed one, before a row moves. Idempotent.

        A compatible difference is recorded and becomes the agreed shape; a breaking one stops the task.

        Raises:
            NotFound: no such task. Refused: `exchange.wrong_signer`. Corrupt: wrong signature.
        """
        report = signed.report
        with self._database.snapshot() as connection:
            task = store.task_of(store.task_row(connection, report.task_id))
        self._check_signer(task, signed)
        with self._database.transaction() as connection:
            row = store.task_row(connection, task.id, lock=True)
            task, confirmed = store.task_of(row), store.confirmed_of(row)
            agreed = self._agreed(connection, task.id)
            findings = compare(task, None if agreed is None else agreed.shape, report.shape)
            if any(finding.breaking for finding in findings):
                if task.state is not TaskState.BLOCKED:
                    self._record(connection, task, signed, SchemaState.BLOCKED, findings, actor)
                    store.set_task(connection, task.id, state=TaskState.BLOCKED.value)
                return SchemaVerdict(goes_on=False, findings=findings)
            if agreed is None or findings:
                self._record(connection, task, signed, SchemaState.AGREED, findings, actor)
            anew = report.shape is not None and _stands_in_the_way(task, report.shape, confirmed)
            if anew:
                self._runs.begin_anew(connection, task, actor=actor)
            return SchemaVerdict(goes_on=not anew, begins_anew=anew, findings=findings)

    def accept(self, task_id: TaskId, decision: SchemaDecision, *, actor: Actor) -> Task:
        """Let a task that a breaking change stopped go on under the shape that stopped it, as `decision` says.

        Raises:
            NotFound: no such task. Conflict: `exchange.schema_not_blocked`.
            Invalid: `exchange.schema_columns`, or the changed task does not stand. Refused: the terms do not cover it.
        """
        with self._database.transaction() as connection:
            row = store.task_row(connection, task_id, lock=True)
            task, confirmed = store.task_of(row), store.confirmed_of(row)
            blocked = self._newest(connection, task_id, SchemaState.BLOCKED)
            if task.state is not TaskState.BLOCKED or blocked is None or blocked.shape is None:
                raise _not_blocked(task)
            changes = decision.model_dump(exclude_none=True)
            draft = TaskDraft.model_validate(task.model_dump(include=set(TaskDraft.model_fields)) | changes)
            _check_shape(draft, blocked.shape)
            self._check(draft)
            store.set_task(
                connection,
                task_id,
                state=TaskState.ACTIVE.value,
                details=draft.model_dump(mode="json"),
                agreement_id=draft.agreement_id,
            )
            task = store.task_of(store.task_row(connection, task_id))
            if _stands_in_the_way(task, blocked.shape, confirmed):
                self._runs.begin_anew(connection, task, actor=actor)
            self._ledger.append(
                connection,
                kind=EntryKind.TASK,
                subject=task_id,
                actor=actor,
                facts=task_facts(task, "schema_accept")
                | schema_facts(blocked.shape.fingerprint, blocked.findings)
                | {"columns": [pair.column for pair in draft.columns]},
            )
            connection.execute(
                update(SCHEMAS)
                .where(SCHEMAS.c.id == blocked.id)
                .values(
                    state=SchemaState.ACCEPTED.value,
                    decided_at=self._clock.now(),
                    decision=decision.model_dump(mode="json"),
                )
            )
            return store.task_of(store.task_row(connection, task_id))

    def records(self, task_id: TaskId) -> tuple[SchemaRecord, ...]:
        """Return what is on record about a task's source table, newest first; the first entry is what was found first.

        Raises:
            NotFound: no such task.
        """
        with self._database.snapshot() as connection:
            store.task_row(connection, task_id)
            query = select(SCHEMAS).where(SCHEMAS.c.task_id == task_id).order_by(SCHEMAS.c.id.desc())
            rows = connection.execute(query.limit(PAGE_ROWS_MAX)).mappings()
            return tuple(_record_of(row) for row in rows)

    def check_batch(self, connection: Connection, task: Task, manifest: Manifest) -> None:
        """Check that a batch has the types that were agreed; a task whose node never reported has none.

        Raises:
            Conflict: `exchange.schema_changed`.
        """
        agreed = self._agreed(connection, task.id)
        if agreed is None or agreed.shape is None:
            return
        own = tuple((column.name, column.type) for column in manifest.columns if not column.name.startswith("_datong_"))
        if own != moved_shape(task, agreed.shape):
            raise Conflict(
                "exchange.schema_changed",
                what=Text(
                    zh="批次的列类型与双方认可的数据源结构不符。",
                    en="The types of the batch are not those of the source that was agreed on.",
                ),
                remedy=Text(
                    zh="节点会重新上报结构后继续。", en="The node reports the structure again, and goes on from there."
                ),
            )

    def _agreed(self, connection: Connection, task_id: TaskId) -> SchemaRecord | None:
        return self._newest(connection, task_id, SchemaState.AGREED, SchemaState.ACCEPTED)

    def _newest(self, connection: Connection, task_id: TaskId, *states: SchemaState) -> SchemaRecord | None:
        query = (
            select(SCHEMAS)
            .where(SCHEMAS.c.task_id == task_id, SCHEMAS.c.state.in_([state.value for state in states]))
            .order_by(SCHEMAS.c.id.desc())
            .limit(1)
        )
        row = connection.execute(query).mappings().one_or_none()
        return None if row is None else _record_of(row)

    def _record(
        self,
        connection: Connection,
        task: Task,
        signed: SignedSchemaReport,
        state: SchemaState,
        findings: tuple[SchemaFinding, ...],
        actor: Actor,
    ) -> None:
        shape = signed.report.shape
        record_id = new_id()
        entry_id = self._ledger.append(
            connection,
            kind=EntryKind.TASK,
            subject=task.id,
            actor=actor,
            facts=task_facts(task, f"schema_{state.value}")
            | schema_facts("" if shape is None else shape.fingerprint, findings)
            | {"key_id": signed.key_id, "signature": signed.signature},
        )
        connection.execute(
            insert(SCHEMAS).values(
                id=record_id,
                task_id=task.id,
                state=state.value,
                shape=None if shape is None else shape.model_dump(mode="json"),
                findings=[finding.model_dump(mode="json") for finding in findings],
                signed=signed.model_dump(mode="json"),
                reported_at=signed.report.at,
                entry_id=entry_id,
            )
        )

    def _check_signer(self, task: Task, signed: SignedSchemaReport) -> None:
        key = self._keys.key(signed.key_id)
        verify(signed.key_id, key.public_key, signed.report.signing_bytes(), signed.signature)
        if {key.department, signed.report.department} != {task.provider} or key.revoked_at is not None:
            raise Refused(
                "exchange.wrong_signer",
                what=Text(
                    zh=f"签名密钥 {signed.key_id} 不属于提供部门。",
                    en=f"The key {signed.key_id} does not belong to the providing department.",
                ),
                remedy=Text(zh="请用提供部门前置机的密钥签名。", en="Sign with the key of the provider's node."),
            )


def _stands_in_the_way(task: Task, shape: SourceShape, confirmed: Confirmed) -> bool:
    """Whether a run is under way whose batches have other types than the rest of it would have."""
    if confirmed.run_ended or not confirmed.schema_fingerprint:
        return False
    columns = tuple(Column(name=name, type=kind) for name, kind in moved_shape(task, shape))
    marked = (Column(name="_datong_deleted", type="boolean"), *columns)
    return confirmed.schema_fingerprint not in {schema_fingerprint(columns), schema_fingerprint(marked)}


def _check_shape(draft: TaskDraft, shape: SourceShape) -> None:
    missing = [pair.column for pair in draft.columns if shape.column(pair.column) is None]
    if missing:
        raise Invalid(
            "exchange.schema_columns",
            what=Text(
                zh=f"数据源没有这些列：{'、'.join(missing)}。", en=f"The source has no columns {', '.join(missing)}."
            ),
            remedy=Text(
                zh="请为每个缺失的列指定改名后的列，或从任务中去掉它。",
                en="Say for each what it is called now, or leave it out of the task.",
            ),
            field="/columns",
            context={"missing": missing},
        )


def _not_blocked(task: Task) -> Conflict:
    return Conflict(
        "exchange.schema_not_blocked",
        what=Text(
            zh="该任务没有等待接受的结构变化，或数据源的表已不存在。",
            en="The task has no change of structure that waits to be accepted, or its table is gone.",
        ),
        remedy=Text(zh="请核对任务状态。", en="Check the task's state."),
        context={"state": task.state.value},
    )


def _record_of(row: RowMapping) -> SchemaRecord:
    return SchemaRecord(
        id=row["id"],
        task_id=TaskId(row["task_id"]),
        state=row["state"],
        shape=row["shape"],
        findings=row["findings"],
        reported_at=row["reported_at"],
        entry_id=EntryId(row["entry_id"]),
        decided_at=row["decided_at"],
        decision=row["decision"],
    )
