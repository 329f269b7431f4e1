"""The casework: opens cases from findings, keeps their stages, escalates what passed its deadline."""

import uuid
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from datong.governance.acts import acts_of, put_act, row_of
from datong.governance.findings import Finding
from datong.governance.stages import (
    Case,
    CaseAct,
    CaseAction,
    CaseStage,
    StageLimits,
    next_stage,
    side_of,
)
from datong.governance.tables import CASE, CASE_ACT
from datong.kernel import (
    PLATFORM_ACTOR,
    Actor,
    CaseId,
    Clock,
    Database,
    DepartmentCode,
    FindingId,
    Invalid,
    NotFound,
    Page,
    Text,
    WorkingCalendar,
    page_of,
    sha256_hex,
)
from datong.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, TEXT_CHARS_MAX
from datong.ledger import EntryKind, Ledger

AUTOMATIC_ESCALATION = Text(
    zh="阶段期限已过，平台自动提请上一级。", en="The stage's deadline has passed; the platform escalates."
)


class Cases:
    """Coordination cases over the control database.

    `authorities` returns the codes of the data authorities; `limits` are the stages' working days.
    """

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        calendar: WorkingCalendar,
        ledger: Ledger,
        authorities: Callable[[], frozenset[DepartmentCode]],
        limits: StageLimits | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._calendar = calendar
        self._ledger = ledger
        self._authorities = authorities
        self._limits = limits or StageLimits()

    def open(self, connection: Connection, finding: Finding, *, now: datetime) -> CaseId | None:
        """Open the case of `finding` in the caller's transaction; None when it is open already."""
        case_id = case_id_of(finding.id)
        if connection.execute(select(CASE.c.id).where(CASE.c.id == case_id)).first():
            return None
        connection.execute(
            insert(CASE).values(
                id=case_id,
                finding_id=finding.id,
                stage=CaseStage.NEGOTIATE,
                provider=finding.provider,
                consumer=finding.consumer,
                opened_at=now,
                stage_due_at=self._stage_due_at(CaseStage.NEGOTIATE, now),
                version=0,
            )
        )
        case = self._case(connection, case_id)
        self._record(connection, case, CaseAction.OPEN, CaseStage.NEGOTIATE, PLATFORM_ACTOR, finding.summary.zh, now)
        return case_id

    def act(self, case_id: CaseId, action: CaseAction, *, actor: Actor, statement: str) -> Case:
        """Do `action` in the case and return it as it then stands.

        Raises:
            NotFound: there is no such case.
            Invalid: the statement is empty or too long.
            Conflict: the stage does not admit the action.
            Refused: the actor is not on a side that may do it.
        """
        statement = statement.strip()
        if not statement or len(statement) > TEXT_CHARS_MAX:
            raise Invalid(
                "governance.statement_missing",
                what=Text(
                    zh=f"需要说明，且不超过 {TEXT_CHARS_MAX} 字。",
                    en=f"A statement of at most {TEXT_CHARS_MAX} characters is needed.",
                ),
                remedy=Text(zh="请写明理由、意见或结论。", en="Write the reason, the opinion or the outcome."),
                field="/statement",
            )
        with self._database.transaction() as connection:
            self.act_within(connection, case_id, action, actor=actor, statement=statement)
        return self.get(case_id)

    def act_within(
        self, connection: Connection, case_id: CaseId, action: CaseAction, *, actor: Actor, statement: str
    ) -> None:
        """Do `action` in the caller's transaction, which does more than this; `statement` is checked already.

        Raises:
            NotFound, Conflict, Refused: as in `act`.
        """
        case = self.locked(connection, case_id)
        after = next_stage(case, action, side_of(case, actor, authorities=self._authorities()))
        self._move(connection, case, action, after, actor, statement, self._clock.now())

    def locked(self, connection: Connection, case_id: CaseId) -> Case:
        """Return a case without its acts, which nobody else changes before the caller's transaction ends.

        Raises:
            NotFound: there is no such case.
        """
        return self._case(connection, case_id, lock=True)

    def escalate_overdue(self, *, now: datetime) -> tuple[CaseId, ...]:
        """Escalate every case whose stage has passed its deadline; the last stage has nowhere to go and waits."""
        moved = []
        with self._database.transaction() as connection:
            overdue = connection.execute(
                select(CASE.c.id)
                .where(CASE.c.stage.in_((CaseStage.NEGOTIATE, CaseStage.AUTHORITY)), CASE.c.stage_due_at <= now)
                .order_by(CASE.c.id)
                .with_for_update()
            ).scalars()
            for case_id in list(overdue):
                case = self._case(connection, CaseId(case_id))
                side = side_of(case, PLATFORM_ACTOR, authorities=frozenset())
                after = next_stage(case, CaseAction.ESCALATE, side)
                self._move(connection, case, CaseAction.ESCALATE, after, PLATFORM_ACTOR, AUTOMATIC_ESCALATION.zh, now)
                moved.append(case.id)
        return tuple(moved)

    def get(self, case_id: CaseId) -> Case:
        """Return the case with its acts.

        Raises:
            NotFound: there is no such case.
        """
        with self._database.snapshot() as connection:
            case = self._case(connection, case_id)
            return case.model_copy(update={"acts": acts_of(connection, CASE_ACT.c.case_id, case_id, CaseAct)})

    def of_finding(self, finding_id: FindingId) -> Case | None:
        """Return the case that was opened from the finding, if there is one."""
        try:
            return self.get(case_id_of(finding_id))
        except NotFound:
            return None

    def find(
        self,
        *,
        stage: CaseStage | None = None,
        department: DepartmentCode | None = None,
        offset: int = 0,
        limit: int = PAGE_ROWS_DEFAULT,
    ) -> Page[Case]:
        """Return cases, newest first; `department` is a party to them."""
        wanted = []
        if stage is not None:
            wanted.append(CASE.c.stage == stage)
        if department is not None:
            wanted.append((CASE.c.provider == department) | (CASE.c.consumer == department))
        with self._database.snapshot() as connection:
            total = connection.execute(select(func.count()).select_from(CASE).where(*wanted)).scalar_one()
            rows = connection.execute(
                select(CASE)
                .where(*wanted)
                .order_by(CASE.c.opened_at.desc(), CASE.c.id)
                .offset(offset)
                .limit(min(limit, PAGE_ROWS_MAX))
            ).mappings()
            return page_of(tuple(_case_of(row) for row in rows), total=total, offset=offset)

    def _move(
        self,
        connection: Connection,
        case: Case,
        action: CaseAction,
        after: CaseStage,
        actor: Actor,
        statement: str,
        now: datetime,
    ) -> None:
        changes: dict[str, object] = {"stage": after, "version": case.version + 1}
        if after is CaseStage.CLOSED:
            changes |= {"closed_at": now, "outcome": statement, "stage_due_at": None}
        elif after is not case.stage:
            changes["stage_due_at"] = self._stage_due_at(after, now)
        connection.execute(update(CASE).where(CASE.c.id == case.id).values(changes))
        self._record(connection, case, action, after, actor, statement, now)

    def _record(
        self,
        connection: Connection,
        case: Case,
        action: CaseAction,
        after: CaseStage,
        actor: Actor,
        statement: str,
        now: datetime,
    ) -> None:
        before = None if action is CaseAction.OPEN else case.stage
        put_act(
            connection,
            self._ledger,
            CASE_ACT.c.case_id,
            case.id,
            kind=EntryKind.CASE,
            actor=actor,
            at=now,
            facts={
                "case": case.id,
                "finding": case.finding_id,
                "action": action.value,
                "stage_before": None if before is None else before.value,
                "stage_after": after.value,
                "provider": case.provider,
                "consumer": case.consumer,
                "statement_digest": sha256_hex(statement.encode()),
            },
            action=action,
            stage_before=before,
            stage_after=after,
            statement=statement,
        )

    def _stage_due_at(self, stage: CaseStage, now: datetime) -> datetime | None:
        days = self._limits.of(stage)
        return None if days is None else self._calendar.deadline(now, days)

    @staticmethod
    def _case(connection: Connection, case_id: CaseId, *, lock: bool = False) -> Case:
        row = row_of(connection, CASE, case_id, lock=lock)
        if row is None:
            raise NotFound(
                "governance.case_not_found",
                what=Text(zh=f"没有编号为 {case_id} 的协调事项。", en=f"There is no case {case_id}."),
                remedy=Text(zh="请从协调事项列表中选择。", en="Choose one from the list of cases."),
            )
        return _case_of(row)


def case_id_of(finding_id: FindingId) -> CaseId:
    """Return the identity of the case of a finding: one finding, one case, on every run."""
    return CaseId(str(uuid.uuid5(uuid.UUID(finding_id), "case")))


def _case_of(row: RowMapping) -> Case:
    return Case.model_validate(dict(row))
