"""The incidents that departments handle together, each act on the common timeline with its evidence."""

from collections.abc import Callable

from sqlalchemy import Connection, func, insert, select, update

from datong.governance.acts import acts_of, put_act, row_of
from datong.governance.coordination.assignment_book import Assignments, statement_of, unknown_department
from datong.governance.coordination.assignments import NewAssignment, Origin
from datong.governance.coordination.incidents import (
    Incident,
    IncidentAct,
    IncidentAction,
    IncidentState,
    NewIncident,
    require_all_done,
    require_open,
)
from datong.governance.coordination.tables import ASSIGNMENT, INCIDENT, INCIDENT_ACT
from datong.kernel import (
    Actor,
    Clock,
    Database,
    DepartmentCode,
    NotFound,
    Page,
    Refused,
    Text,
    new_id,
    page_of,
    sha256_hex,
)
from datong.kernel.limits import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX
from datong.ledger import EntryKind, Ledger


class Incidents:
    """Incidents over the control database. `departments` returns the codes of all registered departments."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        ledger: Ledger,
        assignments: Assignments,
        departments: Callable[[], frozenset[DepartmentCode]],
    ) -> None:
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._assignments = assignments
        self._departments = departments

    def open(self, new: NewIncident, actor: Actor) -> Incident:
        """Open an incident with the first tasks of the departments that handle it.

        Raises:
            NotFound: a department is not registered. Refused: the actor has no department. Invalid: a text is missing.
        """
        if actor.department is None:
            raise _not_yours()
        self._require_known(new.tasks)
        made = Incident(
            id=new_id(),
            title=statement_of(new.title, field="/title"),
            description=statement_of(new.description, field="/description"),
            severity=new.severity,
            state=IncidentState.OPEN,
            authority=actor.department,
            departments=tuple(sorted({task.department for task in new.tasks})),
            opened_at=self._clock.now(),
            closed_at=None,
            outcome="",
        )
        with self._database.transaction() as connection:
            row = {**made.model_dump(exclude={"acts"}), "departments": list(made.departments)}
            connection.execute(insert(INCIDENT).values(row))
            self._record(connection, made, IncidentAction.OPEN, actor, made.description)
            self._give(connection, made, new.tasks, actor)
        return self.get(made.id)

    def assign(self, incident_id: str, tasks: tuple[NewAssignment, ...], *, actor: Actor) -> Incident:
        """Give further tasks; departments that had none join in.

        Raises:
            NotFound: there is no such incident or department. Conflict: it is closed. Refused: another authority's.
        """
        self._require_known(tasks)
        with self._database.transaction() as connection:
            before = self._own(connection, incident_id, actor)
            departments = tuple(sorted({*before.departments, *(task.department for task in tasks)}))
            after = before.model_copy(update={"departments": departments})
            row = update(INCIDENT).where(INCIDENT.c.id == incident_id)
            connection.execute(row.values(departments=list(departments)))
            self._record(connection, after, IncidentAction.ASSIGN, actor, "；".join(task.what for task in tasks)[:4000])
            self._give(connection, after, tasks, actor)
        return self.get(incident_id)

    def note(self, incident_id: str, *, actor: Actor, statement: str) -> Incident:
        """Write on the common timeline.

        Raises:
            NotFound, Conflict: as above. Refused: the actor's department has no part in it. Invalid: nothing is said.
        """
        statement = statement_of(statement)
        with self._database.transaction() as connection:
            incident = self._one(connection, incident_id, lock=True)
            if actor.department is None or actor.department not in {incident.authority, *incident.departments}:
                raise _not_yours()
            require_open(incident)
            self._record(connection, incident, IncidentAction.NOTE, actor, statement)
        return self.get(incident_id)

    def close(self, incident_id: str, *, actor: Actor, outcome: str) -> Incident:
        """Close an incident whose tasks are all done or cancelled.

        Raises:
            NotFound, Conflict, Refused, Invalid: as above; `governance.tasks_open` while tasks are left.
        """
        outcome = statement_of(outcome, field="/outcome")
        with self._database.transaction() as connection:
            before = self._own(connection, incident_id, actor)
            require_all_done(self._assignments.left(connection, incident_id))
            changes = {"state": IncidentState.CLOSED, "closed_at": self._clock.now(), "outcome": outcome}
            after = before.model_copy(update=changes)
            connection.execute(update(INCIDENT).where(INCIDENT.c.id == incident_id).values(changes))
            self._record(connection, after, IncidentAction.CLOSE, actor, outcome)
        return self.get(incident_id)

    def get(self, incident_id: str) -> Incident:
        """Return one incident with its timeline.

        Raises:
            NotFound: there is none.
        """
        with self._database.snapshot() as connection:
            acts = acts_of(connection, INCIDENT_ACT.c.incident_id, incident_id, IncidentAct)
            return self._one(connection, incident_id).model_copy(update={"acts": acts})

    def find(
        self,
        *,
        state: IncidentState | None = None,
        department: DepartmentCode | None = None,
        offset: int = 0,
        limit: int = PAGE_ROWS_DEFAULT,
    ) -> Page[Incident]:
        """Return incidents, newest first; `department` leads or handles them."""
        wanted = []
        if state is not None:
            wanted.append(INCIDENT.c.state == state)
        if department is not None:
            handled = select(ASSIGNMENT.c.origin_id).where(ASSIGNMENT.c.department == department)
            wanted.append(INCIDENT.c.id.in_(handled) | (INCIDENT.c.authority == department))
        newest = select(INCIDENT).where(*wanted).order_by(INCIDENT.c.opened_at.desc(), INCIDENT.c.id)
        with self._database.snapshot() as connection:
            total = connection.scalar(select(func.count()).select_from(INCIDENT).where(*wanted)) or 0
            rows = connection.execute(newest.offset(offset).limit(min(limit, PAGE_ROWS_MAX))).mappings()
            return page_of(tuple(Incident.model_validate(dict(row)) for row in rows), total=total, offset=offset)

    def _give(self, connection: Connection, incident: Incident, tasks: tuple[NewAssignment, ...], actor: Actor) -> None:
        self._assignments.give(
            connection,
            tasks,
            origin=Origin.INCIDENT,
            origin_id=incident.id,
            authority=incident.authority,
            actor=actor,
        )

    def _require_known(self, tasks: tuple[NewAssignment, ...]) -> None:
        unknown = sorted({task.department for task in tasks} - self._departments())
        if unknown:
            raise unknown_department(unknown[0])

    def _record(
        self, connection: Connection, incident: Incident, action: IncidentAction, actor: Actor, statement: str
    ) -> None:
        put_act(
            connection,
            self._ledger,
            INCIDENT_ACT.c.incident_id,
            incident.id,
            kind=EntryKind.INCIDENT,
            facts={**incident.facts(), "action": action.value, "statement_sha256": sha256_hex(statement.encode())},
            actor=actor,
            at=self._clock.now(),
            action=action,
            statement=statement,
        )

    def _own(self, connection: Connection, incident_id: str, actor: Actor) -> Incident:
        incident = self._one(connection, incident_id, lock=True)
        if actor.department != incident.authority:
            raise _not_yours()
        require_open(incident)
        return incident

    @staticmethod
    def _one(connection: Connection, incident_id: str, *, lock: bool = False) -> Incident:
        row = row_of(connection, INCIDENT, incident_id, lock=lock)
        if row is None:
            raise NotFound(
                "governance.incident_not_found",
                what=Text(zh="没有这个事件。", en="There is no such incident."),
                remedy=Text(zh="请从事件列表中选择。", en="Choose one from the list."),
            )
        return Incident.model_validate(dict(row))


def _not_yours() -> Refused:
    return Refused(
        "governance.incident_not_yours",
        what=Text(zh="贵部门不办理该事件。", en="Your department has no such part in the incident."),
        remedy=Text(
            zh="请由牵头的主管部门或承办部门办理。",
            en="Let the leading authority or a department that handles it do it.",
        ),
    )
