"""The assignments of all departments: given, acknowledged, reported with evidence, accepted; who is late."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from datong.governance.acts import acts_of, put_act, row_of
from datong.governance.coordination.assignments import (
    EVIDENCE_MAX,
    OPEN_STATES,
    TO_DO_STATES,
    WORKING_DAYS_MAX,
    Assignment,
    AssignmentAct,
    AssignmentAction,
    AssignmentState,
    NewAssignment,
    Origin,
    next_state,
    side_in,
)
from datong.governance.coordination.tables import ASSIGNMENT, ASSIGNMENT_ACT
from datong.kernel import (
    Actor,
    CaseId,
    Clock,
    Database,
    DepartmentCode,
    EntryId,
    Invalid,
    NotFound,
    Page,
    Text,
    WorkingCalendar,
    new_id,
    page_of,
    sha256_hex,
)
from datong.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, TEXT_CHARS_MAX
from datong.ledger import EntryKind, Ledger, require_other_eyes


class Assignments:
    """Assignments over the control database; `meetings` and `incidents` give them in their own transactions."""

    def __init__(self, *, database: Database, clock: Clock, calendar: WorkingCalendar, ledger: Ledger) -> None:
        self._database = database
        self._clock = clock
        self._calendar = calendar
        self._ledger = ledger

    def give(
        self,
        connection: Connection,
        wanted: Sequence[NewAssignment],
        *,
        origin: Origin,
        origin_id: str,
        authority: DepartmentCode,
        actor: Actor,
        case_id: CaseId | None = None,
    ) -> tuple[str, ...]:
        """Give departments something to do, in the caller's transaction; return the assignments' ids."""
        now = self._clock.now()
        given = []
        for new in wanted:
            made = Assignment(
                id=new_id(),
                origin=origin,
                origin_id=origin_id,
                case_id=case_id,
                department=new.department,
                authority=authority,
                what=new.what.strip(),
                state=AssignmentState.ASSIGNED,
                made_at=now,
                due_at=self._calendar.deadline(now, new.working_days),
                settled_at=None,
            )
            connection.execute(insert(ASSIGNMENT).values(made.model_dump(exclude={"acts"})))
            self._record(connection, made, AssignmentAction.ASSIGN, actor, made.what, ())
            given.append(made.id)
        return tuple(given)

    def act(
        self,
        assignment_id: str,
        action: AssignmentAction,
        *,
        actor: Actor,
        statement: str,
        evidence: Sequence[EntryId] = (),
        working_days: int | None = None,
    ) -> Assignment:
        """Do `action` and return the assignment as it then stands.

        `evidence` are entries of the log that show the doing; `working_days`, from now, are needed to extend.

        Raises:
            NotFound: there is no such assignment, or no such entry. Invalid: statement or days are missing.
            Conflict: the state does not admit it. Refused: the actor is not on the side that may, or
                accepts what they reported.
        """
        statement = statement_of(statement)
        for entry_id in evidence[:EVIDENCE_MAX]:
            self._ledger.entry(entry_id)
        now = self._clock.now()
        with self._database.transaction() as connection:
            before = self._one(connection, assignment_id, lock=True)
            state = next_state(before, action, side_in(before, actor))
            if action is AssignmentAction.ACCEPT:
                reported = (AssignmentAction.REPORT.value,)
                require_other_eyes(
                    connection, actor, subject=assignment_id, kinds=(EntryKind.ASSIGNMENT,), acts=reported
                )
            changes: dict[str, object] = {"state": state}
            if action is AssignmentAction.EXTEND:
                changes["due_at"] = self._calendar.deadline(now, _days(working_days))
            if state not in OPEN_STATES:
                changes["settled_at"] = now
            after = before.model_copy(update=changes)
            connection.execute(update(ASSIGNMENT).where(ASSIGNMENT.c.id == assignment_id).values(changes))
            self._record(connection, after, action, actor, statement, tuple(evidence[:EVIDENCE_MAX]))
        return self.get(assignment_id)

    def get(self, assignment_id: str) -> Assignment:
        """Return one assignment with its acts.

        Raises:
            NotFound: there is none.
        """
        with self._database.snapshot() as connection:
            acts = acts_of(connection, ASSIGNMENT_ACT.c.assignment_id, assignment_id, AssignmentAct)
            return self._one(connection, assignment_id).model_copy(update={"acts": acts})

    def find(
        self,
        *,
        department: DepartmentCode | None = None,
        state: AssignmentState | None = None,
        open_only: bool = False,
        overdue: bool = False,
        origin_id: str | None = None,
        case_id: CaseId | None = None,
        offset: int = 0,
        limit: int = PAGE_ROWS_DEFAULT,
    ) -> Page[Assignment]:
        """Return assignments, the first to be done first."""
        wanted = []
        if department is not None:
            wanted.append(ASSIGNMENT.c.department == department)
        if state is not None:
            wanted.append(ASSIGNMENT.c.state == state)
        if open_only:
            wanted.append(ASSIGNMENT.c.state.in_(sorted(OPEN_STATES)))
        if overdue:
            wanted += [ASSIGNMENT.c.state.in_(sorted(TO_DO_STATES)), ASSIGNMENT.c.due_at <= self._clock.now()]
        if origin_id is not None:
            wanted.append(ASSIGNMENT.c.origin_id == origin_id)
        if case_id is not None:
            wanted.append(ASSIGNMENT.c.case_id == case_id)
        ordered = select(ASSIGNMENT).where(*wanted).order_by(ASSIGNMENT.c.due_at, ASSIGNMENT.c.id)
        with self._database.snapshot() as connection:
            total = connection.scalar(select(func.count()).select_from(ASSIGNMENT).where(*wanted)) or 0
            rows = connection.execute(ordered.offset(offset).limit(min(limit, PAGE_ROWS_MAX))).mappings()
            return page_of(tuple(_assignment(row) for row in rows), total=total, offset=offset)

    def due_before(self, moment: datetime) -> tuple[Assignment, ...]:
        """Return what a department has to do before `moment` and has not reported, the first to be done first."""
        query = select(ASSIGNMENT).where(ASSIGNMENT.c.state.in_(sorted(TO_DO_STATES)), ASSIGNMENT.c.due_at <= moment)
        with self._database.snapshot() as connection:
            rows = connection.execute(query.order_by(ASSIGNMENT.c.due_at).limit(PAGE_ROWS_MAX)).mappings()
            return tuple(_assignment(row) for row in rows)

    @staticmethod
    def left(connection: Connection, origin_id: str) -> int:
        """Return how many assignments of a meeting or an incident are open."""
        query = select(func.count()).select_from(ASSIGNMENT)
        wanted = (ASSIGNMENT.c.origin_id == origin_id, ASSIGNMENT.c.state.in_(sorted(OPEN_STATES)))
        return connection.scalar(query.where(*wanted)) or 0

    def _record(
        self,
        connection: Connection,
        after: Assignment,
        action: AssignmentAction,
        actor: Actor,
        statement: str,
        evidence: tuple[EntryId, ...],
    ) -> None:
        put_act(
            connection,
            self._ledger,
            ASSIGNMENT_ACT.c.assignment_id,
            after.id,
            kind=EntryKind.ASSIGNMENT,
            facts={
                **after.facts(),
                "action": action.value,
                "statement_sha256": sha256_hex(statement.encode()),
                "evidence": list(evidence),
            },
            actor=actor,
            at=self._clock.now(),
            action=action,
            state_after=after.state,
            statement=statement,
            evidence=list(evidence),
        )

    @staticmethod
    def _one(connection: Connection, assignment_id: str, *, lock: bool = False) -> Assignment:
        row = row_of(connection, ASSIGNMENT, assignment_id, lock=lock)
        if row is None:
            raise NotFound(
                "governance.assignment_not_found",
                what=Text(zh="没有这个交办事项。", en="There is no such assignment."),
                remedy=Text(zh="请从交办事项列表中选择。", en="Choose one from the list."),
            )
        return _assignment(row)


def statement_of(text: str, *, chars_max: int = TEXT_CHARS_MAX, field: str = "/statement") -> str:
    """Return what somebody wrote, without blanks around it.

    Raises:
        Invalid: it is empty or too long.
    """
    text = text.strip()
    if not text or len(text) > chars_max:
        raise Invalid(
            "governance.statement_missing",
            what=Text(
                zh=f"需要说明，且不超过 {chars_max} 字。", en=f"A text of at most {chars_max} characters is needed."
            ),
            remedy=Text(zh="请写明情况、理由或结论。", en="Write what was done, the reason or the outcome."),
            field=field,
        )
    return text


def unknown_department(code: DepartmentCode) -> NotFound:
    """Return the error that a department is not registered."""
    return NotFound(
        "governance.department_unknown",
        what=Text(zh=f"没有登记代码为 {code} 的部门。", en=f"No department with the code {code} is registered."),
        remedy=Text(zh="请从部门列表中选择。", en="Choose one of the registered departments."),
    )


def _days(days: int | None) -> int:
    if days is None or not 1 <= days <= WORKING_DAYS_MAX:
        raise Invalid(
            "governance.days_missing",
            what=Text(
                zh=f"延期需要 1 到 {WORKING_DAYS_MAX} 个工作日。",
                en=f"To extend, give 1 to {WORKING_DAYS_MAX} working days.",
            ),
            remedy=Text(zh="请填写从今天起的工作日数。", en="Give the working days from today on."),
            field="/working_days",
        )
    return days


def _assignment(row: RowMapping) -> Assignment:
    return Assignment.model_validate(dict(row))
