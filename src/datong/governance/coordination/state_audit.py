"""What of meetings, assignments and incidents `fsck` compares with the log: each as it stands, and each act."""

from collections.abc import Iterator

from sqlalchemy import Connection, select

from datong.governance.coordination.assignments import Assignment
from datong.governance.coordination.incidents import Incident
from datong.governance.coordination.meeting_book import meeting_of
from datong.governance.coordination.tables import (
    ASSIGNMENT,
    ASSIGNMENT_ACT,
    INCIDENT,
    INCIDENT_ACT,
    MEETING,
    MEETING_ACT,
)
from datong.kernel import EntryId, Text, sha256_hex
from datong.ledger import Area, EntryKind, Held, of_act, of_subject, streamed


def _meetings(connection: Connection) -> Iterator[Held]:
    for row in connection.execute(select(MEETING)).mappings().all():
        yield Held(row["id"], {"governance_meeting": meeting_of(connection, row).facts()})


def _meeting_acts(connection: Connection) -> Iterator[Held]:
    for row in streamed(connection, select(MEETING_ACT)):
        own = {
            "action": row["action"],
            "state": row["state_after"],
            "item": row["item"],
            "actor": row["actor"]["id"],
        }
        yield Held(f"{row['meeting_id']}: {row['action']}", {"governance_meeting_act": own}, EntryId(row["entry_id"]))


def _assignments(connection: Connection) -> Iterator[Held]:
    for row in streamed(connection, select(ASSIGNMENT)):
        yield Held(row["id"], {"governance_assignment": Assignment.model_validate(dict(row)).facts()})


def _assignment_acts(connection: Connection) -> Iterator[Held]:
    for row in streamed(connection, select(ASSIGNMENT_ACT)):
        own = {
            "action": row["action"],
            "state": row["state_after"],
            "statement_sha256": sha256_hex(row["statement"].encode()),
            "evidence": row["evidence"],
            "actor": row["actor"]["id"],
        }
        key = f"{row['assignment_id']}: {row['action']}"
        yield Held(key, {"governance_assignment_act": own}, EntryId(row["entry_id"]))


def _incidents(connection: Connection) -> Iterator[Held]:
    for row in streamed(connection, select(INCIDENT)):
        yield Held(row["id"], {"governance_incident": Incident.model_validate(dict(row)).facts()})


def _incident_acts(connection: Connection) -> Iterator[Held]:
    for row in streamed(connection, select(INCIDENT_ACT)):
        own = {
            "action": row["action"],
            "statement_sha256": sha256_hex(row["statement"].encode()),
            "actor": row["actor"]["id"],
        }
        key = f"{row['incident_id']}: {row['action']}"
        yield Held(key, {"governance_incident_act": own}, EntryId(row["entry_id"]))


_MEETING, _ASSIGNMENT, _INCIDENT = (
    frozenset({kind}) for kind in (EntryKind.MEETING, EntryKind.ASSIGNMENT, EntryKind.INCIDENT)
)
COORDINATION_AREAS = (
    Area("governance.meeting", Text(zh="联席会议", en="Joint meeting"), _MEETING, of_subject, _meetings),
    Area(
        "governance.meeting_act",
        Text(zh="会议的办理", en="Act about a meeting"),
        _MEETING,
        of_act,
        _meeting_acts,
        own_entry=True,
    ),
    Area("governance.assignment", Text(zh="交办事项", en="Assignment"), _ASSIGNMENT, of_subject, _assignments),
    Area(
        "governance.assignment_act",
        Text(zh="交办事项的办理", en="Act about an assignment"),
        _ASSIGNMENT,
        of_act,
        _assignment_acts,
        own_entry=True,
    ),
    Area("governance.incident", Text(zh="联动事件", en="Incident"), _INCIDENT, of_subject, _incidents),
    Area(
        "governance.incident_act",
        Text(zh="联动事件的办理", en="Act about an incident"),
        _INCIDENT,
        of_act,
        _incident_acts,
        own_entry=True,
    ),
)
