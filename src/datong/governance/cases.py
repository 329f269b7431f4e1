"""The casework: opens cases, of findings or by people, keeps their stages, escalates what passed its deadline."""

import uuid
from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from datong.governance.acts import acts_of, put_act, row_of
from datong.governance.findings import Finding, cited
from datong.governance.stages import (
    Case,
    CaseAct,
    CaseAction,
    CaseOrigin,
    CaseSide,
    CaseStage,
    Recheck,
    Ruling,
    StageLimits,
    first_stage,
    next_stage,
    side_of,
)
from datong.governance.tables import CASE, CASE_ACT
from datong.kernel import (
    PLATFORM_ACTOR,
    Actor,
    CaseId,
    Clock,
    Conflict,
    Database,
    DepartmentCode,
    EntryId,
    FindingId,
    Invalid,
    JsonValue,
    NotFound,
    Page,
    Refused,
    Text,
    Value,
    WorkingCalendar,
    page_of,
    sha256_hex,
)
from datong.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, TEXT_CHARS_MAX
from datong.ledger import EntryKind, Ledger

CITED_MAX = 20
"""Entries that one act cites."""
CASES = uuid.UUID("8d0f6f2b-6a0e-5c55-9a4f-9a5f6f0f1c77")
"""The namespace of the identities of cases that are not about a finding (RFC 9562, version 5)."""
AUTOMATIC_ESCALATION = Text(
    zh="阶段期限已过，平台自动提请上一级。", en="The stage's deadline has passed; the platform escalates."
)


class Contested(Value):
    """What somebody wants a case about: its parties, and the authority where that is at fault itself (`owed_by`)."""

    origin: CaseOrigin
    origin_id: str
    title: Text
    provider: DepartmentCode
    consumer: DepartmentCode | None
    owed_by: DepartmentCode | None = None


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
        about = Contested(
            origin=CaseOrigin.FINDING,
            origin_id=finding.id,
            title=finding.title,
            provider=finding.provider,
            consumer=finding.consumer,
        )
        case = self._begin(connection, case_id, about, CaseStage.NEGOTIATE, now)
        self._record(connection, case, CaseAction.OPEN, case.stage, PLATFORM_ACTOR, finding.summary.zh, now)
        return case_id

    def open_by(self, about: Contested, *, actor: Actor, statement: str, evidence: Sequence[EntryId] = ()) -> CaseId:
        """Open a case in the name of the actor's department; about a finding that has a case, object in that.

        Raises:
            Invalid: the statement is empty or too long, or too much is cited. NotFound: a cited entry is none.
            Conflict: there is a case about it, or it is closed. Refused: the actor's department has no part in it.
        """
        statement = _stated(statement)
        self._require_known(evidence)
        now = self._clock.now()
        case_id = case_id_of(FindingId(about.origin_id)) if _is_finding(about) else case_id_about(about)
        with self._database.transaction() as connection:
            known = row_of(connection, CASE, case_id, lock=True)
            if known is not None and not _is_finding(about):
                raise _known_case(case_id)
            if known is None:
                stage = first_stage(about.provider, about.consumer, owed_by=about.owed_by)
                case = self._begin(connection, case_id, about, stage, now)
                if self._side(case, actor) is CaseSide.OUTSIDER:
                    raise _no_part()
                self._record(connection, case, CaseAction.OPEN, stage, actor, statement, now, evidence=evidence)
            else:
                self.act_within(
                    connection, case_id, CaseAction.OBJECT, actor=actor, statement=statement, evidence=evidence
                )
        return case_id

    def record_recheck(self, case_id: CaseId, result: Recheck) -> None:
        """Put on record what judging the finding of a case again gave."""
        with self._database.transaction() as connection:
            case = self.locked(connection, case_id)
            after = next_stage(case, CaseAction.RECHECK, self._side(case, PLATFORM_ACTOR))
            said, now = result.said.zh, self._clock.now()
            self._move(connection, case, CaseAction.RECHECK, after, PLATFORM_ACTOR, said, now, recheck=result)

    def set_aside(self) -> frozenset[FindingId]:
        """Return the findings that a decision has set aside: they stand, and charge nobody."""
        query = select(CASE.c.finding_id).where(CASE.c.ruling == Ruling.SET_ASIDE)
        with self._database.snapshot() as connection:
            return frozenset(FindingId(one) for one in connection.scalars(query) if one is not None)

    def act(
        self,
        case_id: CaseId,
        action: CaseAction,
        *,
        actor: Actor,
        statement: str,
        evidence: Sequence[EntryId] = (),
        ruling: Ruling | None = None,
    ) -> Case:
        """Do `action` in the case and return it as it then stands.

        `evidence` are entries of the log that it cites; `ruling` says what a decision makes of the case's finding.

        Raises:
            NotFound: there is no such case, or no such entry.
            Invalid: the statement is empty or too long, too much is cited, or there is nothing to rule about.
            Conflict: the stage does not admit the action.
            Refused: the actor is not on a side that may do it.
        """
        statement = _stated(statement)
        self._require_known(evidence)
        with self._database.transaction() as connection:
            self.act_within(
                connection, case_id, action, actor=actor, statement=statement, evidence=evidence, ruling=ruling
            )
        return self.get(case_id)

    def act_within(
        self,
        connection: Connection,
        case_id: CaseId,
        action: CaseAction,
        *,
        actor: Actor,
        statement: str,
        evidence: Sequence[EntryId] = (),
        ruling: Ruling | None = None,
    ) -> None:
        """Do `action` in the caller's transaction, which does more than this; its texts are checked already.

        Raises:
            NotFound, Invalid, Conflict, Refused: as in `act`.
        """
        case = self.locked(connection, case_id)
        after = next_stage(case, action, self._side(case, actor))
        if ruling is not None and (action is not CaseAction.DECIDE or case.finding_id is None):
            raise nothing_to_rule_about()
        now = self._clock.now()
        self._move(connection, case, action, after, actor, statement, now, evidence=evidence, ruling=ruling)

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
        *,
        evidence: Sequence[EntryId] = (),
        recheck: Recheck | None = None,
        ruling: Ruling | None = None,
    ) -> None:
        changes: dict[str, object] = {"stage": after, "version": case.version + 1}
        if ruling is not None:
            changes["ruling"] = ruling
            case = case.model_copy(update={"ruling": ruling})
        if after is CaseStage.CLOSED:
            changes |= {"closed_at": now, "outcome": statement, "stage_due_at": None}
        elif after is not case.stage:
            changes["stage_due_at"] = self._stage_due_at(after, now)
        connection.execute(update(CASE).where(CASE.c.id == case.id).values(changes))
        self._record(connection, case, action, after, actor, statement, now, evidence=evidence, recheck=recheck)

    def _record(
        self,
        connection: Connection,
        case: Case,
        action: CaseAction,
        after: CaseStage,
        actor: Actor,
        statement: str,
        now: datetime,
        *,
        evidence: Sequence[EntryId] = (),
        recheck: Recheck | None = None,
    ) -> None:
        result = None if recheck is None else recheck.model_dump(mode="json")
        leaves: list[JsonValue] = list(cited(self._ledger.leaves(connection, evidence)))
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
                **({} if case.finding_id else {"origin": case.origin.value, "origin_id": case.origin_id}),
                **({} if case.ruling is None else {"ruling": case.ruling.value}),
                **({"evidence_leaves": leaves} if leaves else {}),
                "evidence": list(evidence),
                "recheck": result,
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
            evidence=list(evidence),
            recheck=result,
        )

    def _begin(
        self, connection: Connection, case_id: CaseId, about: Contested, stage: CaseStage, now: datetime
    ) -> Case:
        of_finding = _is_finding(about)
        connection.execute(
            insert(CASE).values(
                id=case_id,
                finding_id=about.origin_id if of_finding else None,
                origin=None if of_finding else about.origin,
                origin_id=None if of_finding else about.origin_id,
                stage=stage,
                provider=about.provider,
                consumer=about.consumer,
                opened_at=now,
                stage_due_at=self._stage_due_at(stage, now),
                version=0,
            )
        )
        return self._case(connection, case_id)

    def _side(self, case: Case, actor: Actor) -> CaseSide:
        return side_of(case, actor, authorities=self._authorities())

    def _require_known(self, evidence: Sequence[EntryId]) -> None:
        if len(evidence) > CITED_MAX:
            raise Invalid(
                "governance.too_much_cited",
                what=Text(
                    zh=f"一次最多引用 {CITED_MAX} 条存证。", en=f"At most {CITED_MAX} entries are cited at once."
                ),
                remedy=Text(zh="请只列最要紧的，其余另行陈述。", en="Cite the weightiest; state the others later."),
                field="/evidence",
            )
        for entry_id in evidence:
            self._ledger.entry(entry_id)

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


def case_id_about(about: Contested) -> CaseId:
    """Return the identity of the case about something else: one for each matter and its parties."""
    name = f"{about.origin}/{about.origin_id}/{about.provider}/{about.consumer or ''}"
    return CaseId(str(uuid.uuid5(CASES, name)))


def _case_of(row: RowMapping) -> Case:
    about = {"origin": row["origin"] or CaseOrigin.FINDING, "origin_id": row["origin_id"] or row["finding_id"]}
    return Case.model_validate({**row, **about})


def _is_finding(about: Contested) -> bool:
    return about.origin is CaseOrigin.FINDING


def _stated(statement: str) -> str:
    statement = statement.strip()
    if statement and len(statement) <= TEXT_CHARS_MAX:
        return statement
    raise Invalid(
        "governance.statement_missing",
        what=Text(
            zh=f"需要说明，且不超过 {TEXT_CHARS_MAX} 字。",
            en=f"A statement of at most {TEXT_CHARS_MAX} characters is needed.",
        ),
        remedy=Text(zh="请写明理由、意见或结论。", en="Write the reason, the opinion or the outcome."),
        field="/statement",
    )


def _known_case(case_id: CaseId) -> Conflict:
    return Conflict(
        "governance.case_exists",
        what=Text(zh="这件事已经立案。", en="There is a case about this."),
        remedy=Text(zh=f"请在协调事项 {case_id} 中陈述。", en=f"Make a statement in the case {case_id}."),
        context={"case": case_id},
    )


def _no_part() -> Refused:
    return Refused(
        "governance.not_your_matter",
        what=Text(zh="贵部门不是当事方，不能提请协调。", en="Your department has no part in this."),
        remedy=Text(zh="由当事部门或主管部门提请。", en="A department that has, or the authority, can open the case."),
    )


def nothing_to_rule_about() -> Invalid:
    """Return the error of a ruling where no finding is decided about."""
    return Invalid(
        "governance.nothing_to_rule_about",
        what=Text(
            zh="只有对责任认定的决定可以写明认定维持或不计分。",
            en="Only a decision about a finding says whether the finding stands.",
        ),
        remedy=Text(zh="请只写结论。", en="State the outcome alone."),
        field="/ruling",
    )
