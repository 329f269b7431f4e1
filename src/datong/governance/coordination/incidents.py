"""Joint handling of an incident (处置联动): tasks per department, one timeline, closed when all is done."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from datong.governance.coordination.assignments import NewAssignment
from datong.kernel import Actor, Conflict, DepartmentCode, EntryId, JsonValue, Text, Value, canonical_json, sha256_hex

TITLE_CHARS_MAX = 200


class Severity(StrEnum):
    """How bad an incident is (《国家网络安全事件应急预案》, four grades)."""

    GENERAL = "general"
    LARGE = "large"
    MAJOR = "major"
    CRITICAL = "critical"


class IncidentState(StrEnum):
    """Where an incident stands."""

    OPEN = "open"
    CLOSED = "closed"


class IncidentAction(StrEnum):
    """What is done about an incident."""

    OPEN = "open"
    NOTE = "note"
    ASSIGN = "assign"
    CLOSE = "close"


SEVERITY_NAMES: Mapping[Severity, Text] = {
    Severity.GENERAL: Text(zh="一般", en="general"),
    Severity.LARGE: Text(zh="较大", en="large"),
    Severity.MAJOR: Text(zh="重大", en="major"),
    Severity.CRITICAL: Text(zh="特别重大", en="critical"),
}
INCIDENT_STATE_NAMES: Mapping[IncidentState, Text] = {
    IncidentState.OPEN: Text(zh="处置中", en="being handled"),
    IncidentState.CLOSED: Text(zh="已办结", en="closed"),
}
INCIDENT_ACTION_NAMES: Mapping[IncidentAction, Text] = {
    IncidentAction.OPEN: Text(zh="启动", en="open"),
    IncidentAction.NOTE: Text(zh="续报", en="report"),
    IncidentAction.ASSIGN: Text(zh="交办", en="assign"),
    IncidentAction.CLOSE: Text(zh="办结", en="close"),
}


class NewIncident(Value):
    """An incident that several departments are to handle together."""

    title: str = Field(min_length=1, max_length=TITLE_CHARS_MAX)
    description: str = Field(min_length=1, max_length=4000)
    severity: Severity
    tasks: tuple[NewAssignment, ...] = Field(min_length=1, max_length=50)


class IncidentAct(Value):
    """One act on the common timeline, with its evidence."""

    number: int
    action: IncidentAction
    actor: Actor
    at: datetime
    statement: str
    entry_id: EntryId


class Incident(Value):
    """An incident. `acts` are filled in when one is read, oldest first."""

    id: str
    title: str
    description: str
    severity: Severity
    state: IncidentState
    authority: DepartmentCode
    departments: tuple[DepartmentCode, ...]
    opened_at: datetime
    closed_at: datetime | None
    outcome: str
    acts: tuple[IncidentAct, ...] = ()

    def facts(self) -> dict[str, JsonValue]:
        """Return what the log states of it, in each of its entries: every text by its digest."""
        return {
            "incident": self.id,
            "state": self.state.value,
            "severity": self.severity.value,
            "authority": self.authority,
            "departments": list(self.departments),
            "said_sha256": sha256_hex(canonical_json([self.title, self.description])),
            "outcome_sha256": sha256_hex(self.outcome.encode()) if self.outcome else None,
        }


def require_open(incident: Incident) -> None:
    """Let an act pass that an open incident admits.

    Raises:
        Conflict: it is closed.
    """
    if incident.state is IncidentState.CLOSED:
        raise Conflict(
            "governance.incident_closed",
            what=Text(zh="该事件已办结。", en="The incident is closed."),
            remedy=Text(zh="如再次发生，请另行启动。", en="Open another one if it happens again."),
        )


def require_all_done(open_tasks: int) -> None:
    """Let an incident be closed.

    Raises:
        Conflict: tasks are left.
    """
    if open_tasks:
        raise Conflict(
            "governance.tasks_open",
            what=Text(zh=f"还有 {open_tasks} 项任务未办结。", en=f"{open_tasks} tasks are not done."),
            remedy=Text(zh="请核验或撤销后再办结事件。", en="Accept or cancel them first."),
            context={"open": open_tasks},
        )
